"""What the registry knows of a network: records, filled in by ``families.py`` and ``paper.py``."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from ccc_jetson.contract import Preprocessing, Published
from ccc_jetson.export.complexity import TABLE_5, Rules

SEGMENTATION, CLASSIFICATION = "segmentation", "classification"
CHOICES = ("mean", "std", "size", "classes")  # what a data set decides and options may change


class Defaults(NamedTuple):
    """What no state dict tells, and options may change.

    ``data_set`` names the classes where their number fits (``classes.default_classes``). ``cuts_void`` says whether an
    output that is no class of the data set may be cut where it wins nowhere. ``assumption`` is what the user should
    know of where these come from. ``twin`` names another network with the same keys and shapes: the user has to say
    that it is not that one.
    """

    preprocessing: Preprocessing
    width: int
    height: int
    data_set: str
    cuts_void: bool
    assumption: str = ""
    twin: str = ""

    def note(self, given: Collection[str]) -> str:
        """The assumption and what it decides, the ``given`` ones of ``CHOICES`` apart; empty where that is nothing."""
        left = [name for name in CHOICES if name not in given]
        if not self.assumption or not left:
            return ""
        taken = _listed([f"{self.width}x{self.height}" if name == "size" else name for name in left])
        return (
            f"{self.assumption}: its {taken} are used; for another one give {_listed(['--' + name for name in left])}"
        )


class Network(NamedTuple):
    """A family of networks.

    ``build`` has a default for each of its arguments. ``arguments`` reads them from a state dict, with the paper's
    where a key is missing, so that a nearest match can always be named; several sets where the state dict leaves
    several networks open. ``multiple`` is what width and height of the input must be multiples of. ``untold`` says
    what is taken from the entry because no state dict tells it; ``words`` lists what an argument may be where it is a
    word.
    """

    name: str
    title: str
    task: str
    build: Callable[..., nn.Module]
    arguments: Callable[[Mapping[str, Tensor]], Sequence[dict[str, Any]]]
    defaults: Callable[[Mapping[str, Any]], Defaults]
    multiple: int
    untold: str
    words: Mapping[str, Sequence[str]]

    def complete(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """``arguments`` with the builder's defaults for those that are missing."""
        return {**{name: each.default for name, each in self.parameters().items()}, **arguments}

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The builder's arguments by name."""
        return inspect.signature(self.build).parameters


class PaperRow(NamedTuple):
    """A row of one of the paper's tables: figures as printed, and the rules that they follow.

    ``reason`` says why ours differ where they do by more than half a percent.
    """

    table: str
    parameters_millions: float
    gflops: float
    rules: Rules = TABLE_5
    reason: str = ""


class NamedNetwork(NamedTuple):
    """A network with a name of its own: a family and the arguments that are not its builder's defaults.

    ``published`` holds what others measured with it, at the builder's number of classes.
    """

    name: str
    title: str
    family: str
    arguments: dict[str, Any]
    width: int
    height: int
    rows: tuple[PaperRow, ...]
    published: tuple[Published, ...] = ()


def _listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
