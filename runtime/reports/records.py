"""What is known of a measurement, as its report's JSON has it: the records that pages are made of.

What an older version did not write is "", 0 or None.
"""

from typing import Dict, NamedTuple, Optional, Tuple, Union

from ccc_jetson.runtime.metrics import Distribution, Machine, StageSummary
from ccc_jetson.runtime.timeline import Timeline


class Header(NamedTuple):
    """What every report begins with; ``libraries`` are (name, version)."""

    tool: str
    revision: str
    started: str
    command: str
    machine: Machine
    libraries: Tuple[Tuple[str, str], ...]


class Model(NamedTuple):
    """The file that ran and its contract; sizes in pixels, ``classes`` is 0 where an older report does not say."""

    path: str
    sha256: str
    title: str
    width: int
    height: int
    checkpoint: str
    chosen: str
    target: str = ""
    precision: str = ""
    passes: Tuple[str, ...] = ()
    preprocessing: str = ""
    output: str = ""
    classes: int = 0
    palette: Tuple[Tuple[str, str], ...] = ()  # (name, "#rrggbb")


class Publication(NamedTuple):
    """A published figure beside the one measured here, as ``published.Comparison``."""

    figure: str
    value: float
    where: str
    measured: Optional[float]
    comparable: bool
    why_not: str


class Series(NamedTuple):
    """What a sensor showed: (seconds since the start, value in ``unit``)."""

    name: str
    unit: str
    points: Tuple[Tuple[float, float], ...]


class Telemetry(NamedTuple):
    """What the machine's sensors showed. ``throttling`` are (from, to, reason) in seconds since the start; ``summary``
    are (name, text)."""

    interval_s: float
    series: Tuple[Series, ...]
    summary: Tuple[Tuple[str, str], ...]
    throttling: Tuple[Tuple[float, float, str], ...]
    joules_per_frame: Optional[float]
    notes: Tuple[str, ...] = ()


class Run(NamedTuple):
    """A report of ``ccc-run``."""

    header: Header
    model: Model
    backend: str
    facts: Tuple[Tuple[str, str], ...]
    fit: str
    source: str
    live: bool
    outputs: Tuple[str, ...]
    ended: str
    frames: int
    dropped: int
    wall_s: float
    fps: float
    stages: Tuple[StageSummary, ...]
    latency: Optional[StageSummary]
    latency_to_class_map: Optional[StageSummary]
    bottleneck: str
    class_shares: Tuple[Tuple[str, float], ...]
    pictures: Tuple[Tuple[str, str, float], ...]  # (picture, its best class, probability)
    source_facts: Tuple[Tuple[str, str], ...]  # what else there is to know of the source
    published: Tuple[Publication, ...]
    timeline: Optional[Timeline]
    histograms: Dict[str, Distribution]
    telemetry: Optional[Telemetry]


class ClassScore(NamedTuple):
    """An evaluated class: ``iou`` is None where no pixel was labelled or predicted so; ``color`` is "#rrggbb" or ""."""

    name: str
    iou: Optional[float]
    pixels: int
    color: str = ""


class Evaluation(NamedTuple):
    """A report of ``ccc-eval``; ``confusion`` has a row for each class and a last column for no class."""

    header: Header
    model: Model
    backend: str
    fit: str
    eval_size: str
    prediction: str
    dataset: str
    split: str
    mapping: str
    notes: Tuple[str, ...]
    skipped: Tuple[Tuple[str, str], ...]
    frames: int
    miou: Optional[float]
    pixel_accuracy: Optional[float]
    pixels: int
    pixels_without_class: int
    classes: Tuple[ClassScore, ...]
    confusion: Tuple[Tuple[int, ...], ...]
    stages: Tuple[StageSummary, ...]
    fps: float
    wall_s: float
    timed_frames: int
    published: Tuple[Publication, ...]
    histograms: Dict[str, Distribution]
    telemetry: Optional[Telemetry]


class Benched(NamedTuple):
    """One model of a benchmark. ``warm_up`` is (frames, seconds), ``clocks`` are (when, which) for people."""

    name: str
    model: Model
    backend: str
    facts: Tuple[Tuple[str, str], ...]
    source: str
    ended: str
    warm_up: Optional[Tuple[int, float]]
    frames: int
    wall_s: float
    fps: float
    frame: Optional[StageSummary]
    latency: Optional[StageSummary]
    network: Optional[StageSummary]
    network_is: str
    stages: Tuple[StageSummary, ...]
    bottleneck: str
    slices_fps: Tuple[float, ...]
    clocks: Tuple[Tuple[str, str], ...]
    notes: Tuple[str, ...]
    published: Tuple[Publication, ...]
    timeline: Optional[Timeline]
    histograms: Dict[str, Distribution]
    telemetry: Optional[Telemetry]


class Benchmark(NamedTuple):
    """A report of ``ccc-bench``; ``problems`` are (model, message)."""

    header: Header
    fit: str
    ended: str
    results: Tuple[Benched, ...]
    problems: Tuple[Tuple[str, str], ...]
    not_run: Tuple[str, ...]


class ComparedPair(NamedTuple):
    """One model in two benchmarks, as ``bench.compare.Pair``."""

    name: str
    figure_a: float
    figure_b: float
    ratio: float
    low: float
    high: float
    verdict: str


class Comparison(NamedTuple):
    """A report of ``ccc-bench compare``; ``differences`` are (what, in A, in B)."""

    tool: str
    revision: str
    command: str
    a: str
    b: str
    statistic: str
    tolerance_percent: float
    pairs: Tuple[ComparedPair, ...]
    differences: Tuple[Tuple[str, str, str], ...]
    notes: Tuple[str, ...]


Reading = Union[Run, Evaluation, Benchmark, Comparison]
