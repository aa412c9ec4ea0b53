"""A report as what it says, whatever the format: figures, tables, facts, pictures, in sections."""

from typing import NamedTuple, Optional, Sequence, Tuple, Union


class Line(NamedTuple):
    """A line of a chart: (x, y) in the order of x."""

    name: str
    points: Sequence[Tuple[float, float]]


class LineChart(NamedTuple):
    """Lines over one x axis from 0 to ``until``. ``shades`` are (from, to, what) on it, called ``shaded`` together.

    ``from_zero`` makes the y axis begin there, as quantities want that can be nothing. ``filled`` fills what is below
    the first line.
    """

    title: str
    description: str
    x_title: str
    unit: str
    until: float
    lines: Tuple[Line, ...]
    shades: Tuple[Tuple[float, float, str], ...] = ()
    from_zero: bool = True
    filled: bool = False
    shaded: str = ""


class Histogram(NamedTuple):
    """Counts between positive ``edges``, on a logarithmic axis; ``marks`` are (name, value) on it."""

    title: str
    description: str
    x_title: str
    unit: str
    edges: Sequence[float]
    counts: Sequence[int]
    marks: Tuple[Tuple[str, float], ...] = ()


class Bar(NamedTuple):
    """A bar of parts (name, value) one behind the other, and what is written at its end; ``color`` is the row's own."""

    label: str
    parts: Tuple[Tuple[str, float], ...]
    text: str
    color: str = ""


class Bars(NamedTuple):
    """Horizontal bars on an axis from 0 to ``until``, by default the longest.

    ``named`` writes names into the parts where they fit; the part called ``marked`` stands out.
    """

    title: str
    description: str
    unit: str
    bars: Tuple[Bar, ...]
    until: Optional[float] = None
    named: bool = False
    marked: str = ""


class HeatMap(NamedTuple):
    """Shares from 0 to 1, a row for each of ``rows`` and a column for each of ``columns``."""

    title: str
    description: str
    row_title: str
    column_title: str
    rows: Tuple[str, ...]
    columns: Tuple[str, ...]
    shares: Tuple[Tuple[float, ...], ...]


Figure = Union[LineChart, Histogram, Bars, HeatMap]


class Figures(NamedTuple):
    """Figures that stand side by side where there is room; ``wide`` ones take a row each."""

    figures: Tuple[Figure, ...]
    wide: bool = False


class Facts(NamedTuple):
    """(name, text) pairs under a heading."""

    title: str
    rows: Tuple[Tuple[str, str], ...]


class FactSheets(NamedTuple):
    """Several of them, side by side where there is room."""

    sheets: Tuple[Facts, ...]


class Table(NamedTuple):
    """Rows of cells under a header; the columns in ``left`` are text, all others numbers."""

    header: Tuple[str, ...]
    rows: Tuple[Tuple[str, ...], ...]
    left: Tuple[int, ...] = (0,)
    title: str = ""


class Picture(NamedTuple):
    """A JPEG file's bytes, and the sentence below it."""

    caption: str
    jpeg: bytes


class Pictures(NamedTuple):
    """Pictures in a grid; ``wide`` ones have more room each."""

    pictures: Tuple[Picture, ...]
    wide: bool = False


class Paragraph(NamedTuple):
    """A sentence or two."""

    text: str


class Notes(NamedTuple):
    """What weakens a figure, or must be known beside it."""

    notes: Tuple[str, ...]


class Command(NamedTuple):
    """What can be typed."""

    text: str


class SideBySide(NamedTuple):
    """Two parts beside each other where there is room, else below."""

    left: Union[Figures, Table, Pictures]
    right: Union[Figures, Table, Pictures]


Block = Union[Figures, FactSheets, Table, Pictures, SideBySide, Paragraph, Notes, Command]


class Section(NamedTuple):
    """Blocks under a heading; of ``level`` 2, or 1 for a chapter with sections of its own."""

    title: str
    blocks: Tuple[Block, ...]
    level: int = 2


class Headline(NamedTuple):
    """A figure that is seen first: what it is, the number, its unit, and a line below it."""

    label: str
    value: str
    unit: str
    detail: str


class Document(NamedTuple):
    """A report. ``lead`` are sentences below the title; ``warning`` is "" for a run that came to its end."""

    command: str
    title: str
    lead: Tuple[str, ...]
    warning: str
    headlines: Tuple[Headline, ...]
    sections: Tuple[Section, ...]
    footer: str
