"""What is asked of a calibration off the board, and what comes of it: what ``off_device`` takes and gives."""

import base64
import hashlib
from typing import NamedTuple

import onnx

from ccc_jetson.calib.cost import Cost
from ccc_jetson.calib.images import SAMPLES
from ccc_jetson.calib.provenance import Provenance, attachments_of
from ccc_jetson.calib.ranges import Observed
from ccc_jetson.calib.selection import Selection
from ccc_jetson.calib.sensitivity import Held, LayerError
from ccc_jetson.carried import METADATA_KEY as CONTRACT_KEY
from ccc_jetson.choices import CALIBRATION_PERCENTILE, FITS, INT8_LEAST, INT8_LEAST_MEAN, PERCENTILE
from ccc_jetson.contract import Attachment, Contract
from ccc_jetson.datasets import Dataset


class Options(NamedTuple):
    """How to calibrate, and what to judge it on.

    ``method`` and ``percentile`` as ``ranges.Observed.ranges`` takes them; ``samples``, ``seed``, ``split`` and
    ``labels`` as ``images.choose_images``; ``fit`` as ``images.CalibrationImages``, frames to judge on are stretched.
    ``depthwise``: depth-wise convolutions in INT8 too. ``layers``: what a build from the cache may put into INT8, one
    of ``choices.INT8_LAYERS``; "" for a Q/DQ model. ``max_drop``: points of mIoU, of agreement where there are no
    labels, with a cache at worst; None keeps no layer in floats. ``verify_images``, ``verify_labels`` and ``mapping``:
    frames to judge on, as ``ccc-export`` takes them; without any it is the golden ones.
    """

    method: str = PERCENTILE
    percentile: float = CALIBRATION_PERCENTILE
    samples: int = SAMPLES
    seed: int = 0
    split: str = "train"
    fit: str = FITS[0]
    labels: str = ""
    depthwise: bool = True
    layers: str = ""
    max_drop: float | None = None
    verify_images: tuple[str, ...] = ()
    verify_labels: str | None = None
    mapping: str | None = None
    threads: int = 0


class Calibrated(NamedTuple):
    """What came of it.

    ``model`` is the Q/DQ model as ``onnx.ModelProto``. ``cost`` is on the frames asked for, ``golden`` on the golden
    ones (None where there are none), both with convolutions in INT8; ``at_worst`` and ``golden_at_worst`` with all that
    may be (None without a cache; not always the lower of both). ``all_int8`` is what ``max_drop`` bounds, before any
    layer was kept in floats for it: with a cache that of the two which loses more. ``errors`` is every layer's own
    error, the worst first, ``held`` how the bound was held, ``kept`` the ONNX nodes in floats for it, ``pinned`` those
    that a build from the cache keeps in floats anyway. ``helpers`` are nodes with constants that become TensorRT's own
    tensors, of which a cache has no row.
    ``judge_notes`` are sentences on frames to judge on that were passed over.
    """

    contract: Contract
    selection: Selection
    observed: Observed
    ranges: dict[str, float]
    model: onnx.ModelProto
    int8_layers: int
    float_layers: int
    cost: Cost | None
    golden: Cost | None
    at_worst: Cost | None
    golden_at_worst: Cost | None
    all_int8: Cost | None
    errors: tuple[LayerError, ...]
    held: Held | None
    kept: tuple[str, ...]
    pinned: tuple[str, ...]
    helpers: tuple[str, ...]
    dataset: Dataset | None
    judge_notes: tuple[str, ...] = ()

    @property
    def least_judged(self) -> Cost | None:
        """Of the frames that were judged, with a cache the way of the two that keeps fewer decided pixels."""
        return least_of(self.cost, self.at_worst)

    @property
    def least_golden(self) -> Cost | None:
        """The same of the golden frames."""
        return least_of(self.golden, self.golden_at_worst)

    def shortfalls(self, least: float = INT8_LEAST_MEAN) -> list[str]:
        """Why INT8 is not fit for use: of what frames keep on average, and of what each golden frame keeps; with a
        cache the less of both ways.

        Args:
            least: the share of the decided pixels on average; of a single frame ``INT8_LEAST``, or this if it is less.
        """
        found: list[str] = []
        golden, judged = self.least_golden, self.least_judged
        for cost, frames in ((judged, "the frames judged"), (golden, "the golden frames")):
            if cost is not None and cost.decided < least and not (found and cost == judged):
                found.append(f"{frames} keep {cost.decided:.1%} of their decided pixels ({least:.0%} asked for)")
        one = min(INT8_LEAST, least)
        worst = [cost.worst for cost in (self.golden, self.golden_at_worst) if cost is not None]
        frame = min(worst, key=lambda each: each.decided, default=None)
        if frame is not None and frame.decided < one:
            found.append(f"{frame.name!r} keeps {frame.decided:.1%} ({one:.0%} asked for)")
        return found

    def qdq_file(self, provenance: Provenance) -> bytes:
        """The Q/DQ model's bytes, with where its ranges come from, and what it leaves of the golden frames, which the
        gate of a build asks for."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        attached = attachments_of(provenance)
        noted = {key: Attachment(len(data), hashlib.sha256(data).hexdigest()) for key, data in attached.items()}
        contract = self.contract._replace(attachments={**self.contract.attachments, **noted})
        for entry in model.metadata_props:
            if entry.key == CONTRACT_KEY:
                entry.value = contract.to_json()
        for key, data in sorted(attached.items()):
            added = model.metadata_props.add()
            added.key, added.value = key, base64.b64encode(data).decode("ascii")
        return model.SerializeToString()


def least_of(*costs: Cost | None) -> Cost | None:
    return min((cost for cost in costs if cost is not None), key=lambda cost: cost.decided, default=None)
