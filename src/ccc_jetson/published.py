"""What others published for a network, beside what was measured here.

A figure says for itself what it was measured under. It is compared with what was measured under the same, and else
shown with the reason why not: a network that nobody published a speed of has no target.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson.contract import Contract, Published

FPS, MIOU = "FPS", "mIoU %"  # ``Published.figure``
# ``Published.where`` of accuracies on Cityscapes: the paper's, and those of its test set, whose labels nobody has
PAPER_CITYSCAPES, ESPNET_TEST_SET = "Cityscapes, paper", "Cityscapes test set, ESPNet's authors"
PAPER_TX2 = "Jetson TX2, 1024x512, paper"  # ``Published.where`` of the paper's speeds
_PAPER_SIZE = (1024, 512)
_MIOU_ELSEWHERE = {PAPER_CITYSCAPES: "", ESPNET_TEST_SET: "published for the test set"}


class Here(NamedTuple):
    """What was measured: frames per second on ``machine``, mIoU in percent on ``data_set``; None where it was not.

    ``why_not`` says why the mIoU is none of Cityscapes as others measure it, and is empty where it is one;
    ``why_not_speed`` the same of the frames per second, where the pace was not the network's.
    """

    machine: str
    is_tx2: bool
    fps: Optional[float]
    miou_percent: Optional[float] = None
    data_set: str = ""
    why_not: str = ""
    why_not_speed: str = ""


class Comparison(NamedTuple):
    """A published figure, and the one measured ``on`` what is here; ``measured`` is None where there is none.

    ``why_not`` says why the two say nothing of each other, and is empty where they do.
    """

    published: Published
    measured: Optional[float]
    on: str
    why_not: str

    def to_json(self) -> Dict[str, Any]:
        """The record as reports have it."""
        return dict(
            self.published._asdict(),
            measured=None if self.measured is None else round(self.measured, 4),
            comparable=self.measured is not None and not self.why_not,
            why_not=self.why_not,
        )

    def __str__(self) -> str:
        named = "{0.figure} {0.value:g} ({0.where})".format(self.published)
        if self.measured is None:
            return named + ": not measured here"
        if self.why_not:
            return "{}: not comparable with {:.2f} on {}: {}".format(named, self.measured, self.on, self.why_not)
        if self.published.figure == MIOU:
            verdict = "{:+.2f} points".format(self.measured - self.published.value)
        else:
            verdict = "{:.2f} of it".format(self.measured / self.published.value)
        return "{}: {:.2f} on {}, {}".format(named, self.measured, self.on, verdict)


def compared(contract: Contract, here: Here) -> Tuple[Comparison, ...]:
    """All that was published for the network, beside what was measured here."""
    found = []
    for each in contract.published:
        if each.figure == FPS:
            found.append(Comparison(each, here.fps, here.machine, _why_not_speed(each, contract, here)))
        elif each.figure == MIOU:
            why_not = here.why_not or _MIOU_ELSEWHERE.get(each.where, "published for another data set")
            found.append(Comparison(each, here.miou_percent, here.data_set, why_not))
        else:
            found.append(Comparison(each, None, "", ""))
    return tuple(found)


def published_lines(contract: Contract, here: Here) -> List[Tuple[str, str]]:
    """(heading, text) for people, one for each figure, or one that says that there is none."""
    texts = [str(each) for each in compared(contract, here)]
    return [("published", text) for text in texts or ["no figures for this network"]]


def published_record(contract: Contract, here: Here) -> List[Dict[str, Any]]:
    """The same for machines."""
    return [each.to_json() for each in compared(contract, here)]


def _why_not_speed(published: Published, contract: Contract, here: Here) -> str:
    """Why frames per second here say nothing of those that were published."""
    if published.where != PAPER_TX2:
        return "published for another machine or size"
    size = (contract.input.width, contract.input.height)
    reasons = ["not a TX2"] * (not here.is_tx2) + ["the input is {}x{}".format(*size)] * (size != _PAPER_SIZE)
    reasons += [here.why_not_speed] * bool(here.why_not_speed)
    return ", and ".join(reasons)
