"""Golden frames: a few real frames with what the FP32 network makes of them, inside the model's own file.

A device judges an engine on them without any data set: they are uint8 at the network's size, so neither the resize nor
OpenCV's version plays a part. Beside the class map stands each pixel's margin (largest logit minus the second) as one
of 20 bins of its frame's own distribution, 5 % of the pixels each: FP16 may flip pixels that were undecided anyway,
so agreement is also asked over the 90 % with the largest margin.

Of a network that classifies whole pictures all scores are kept, for there is no share of pixels to ask about: another
class than FP32's is as good where FP32 itself hardly preferred its own.

Format of the attachment: a JSON line, then for each frame zlib streams whose lengths the JSON gives: format 1 has three
(pixels, class map, margin bins), format 2 has two (pixels, scores as little-endian float32). Pixels are stored as
differences to the row above, modulo 256. About 1.7 bytes a pixel remain after compression on noisy street scenes.
"""

import json
import zlib
from typing import Any, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

from ccc_jetson.carried import attachment
from ccc_jetson.contract import EXPORT_AGAIN, MAX_SCORES, Contract
from ccc_jetson.errors import ContractError
from ccc_jetson.json_records import loads
from ccc_jetson.onnx_file import OnnxFile

METADATA_KEY = "ccc_jetson.golden"
MARGIN_BINS = 20
DECIDED_SHARE = 0.9
CLOSE = 0.01  # of the range of a picture's scores: classes that are no further apart are as good as each other
DRAWN = "scene "  # how the name of a frame begins that was drawn for want of pictures
_CLASS_MAPS, _SCORES = 1, 2  # formats
_MOST_PIXELS = 1 << 26  # of all frames together: four of 4096x4096


class GoldenFrame(NamedTuple):
    """A frame and what the network makes of it.

    ``frame`` (H, W, 3) uint8 BGR, ``class_map`` (H, W) uint8, ``margin_bins`` (H, W) uint8 from 0 to 19,
    ``margin_edges`` 21 logits: bin i lies between edges i and i + 1.
    """

    name: str
    frame: np.ndarray
    class_map: np.ndarray
    margin_bins: np.ndarray
    margin_edges: Tuple[float, ...]

    def decided(self, share: float = DECIDED_SHARE) -> np.ndarray:
        """(H, W) bool: the ``share`` of the pixels with the largest margin (in steps of 5 %)."""
        return self.margin_bins >= round(MARGIN_BINS * (1 - share))


class GoldenScores(NamedTuple):
    """A frame, (H, W, 3) uint8 BGR, and the scores that a classifier gives it, (classes,) float32."""

    name: str
    frame: np.ndarray
    scores: np.ndarray


Golden = Union[GoldenFrame, GoldenScores]


def golden_frame(name: str, frame: np.ndarray, logits: np.ndarray) -> GoldenFrame:
    """From a frame of the network's size, which is copied, and its logits (classes, H, W)."""
    margin = margins(logits)
    edges = np.percentile(margin, np.linspace(0, 100, MARGIN_BINS + 1))
    bins = np.searchsorted(edges[1:-1], margin, side="right").astype(np.uint8)
    class_map = logits.argmax(axis=0).astype(np.uint8)
    return GoldenFrame(name, np.array(frame, order="C"), class_map, bins, tuple(float(edge) for edge in edges))


def margins(logits: np.ndarray) -> np.ndarray:
    """(classes, H, W) -> (H, W) float32: by how much the largest logit leads the second; 0 where there is only one."""
    if logits.shape[0] < 2:
        return np.zeros(logits.shape[1:], np.float32)
    second, first = np.partition(logits, -2, axis=0)[-2:]
    return (first - second).astype(np.float32)


def decided(logits: np.ndarray) -> np.ndarray:
    """(classes, H, W) -> (H, W) bool: the 90 % of the pixels whose largest logit leads the second by most."""
    margin = margins(logits)
    return np.asarray(margin >= np.percentile(margin, 100 * (1 - DECIDED_SHARE)))


def is_close(scores: np.ndarray, found: int) -> bool:
    """Whether a class is as good as the best of a picture's scores (classes,): ``CLOSE`` to it, or that one itself."""
    best, least = float(scores.max()), float(scores.min())
    return bool(best - float(scores[found]) <= CLOSE * (best - least))


def most_golden(width: int, height: int) -> int:
    """How many frames of that size a reader takes in one file."""
    return 0 if max(width, height) > MAX_SCORES else _MOST_PIXELS // (width * height)


def encode_golden(frames: Sequence[Golden]) -> bytes:
    """The attachment's bytes; all frames are of one kind, and no more than ``most_golden`` of their size."""
    described: List[Any] = []
    streams: List[bytes] = []
    of_scores = any(isinstance(golden, GoldenScores) for golden in frames)
    for golden in frames:
        height, width = golden.frame.shape[:2]
        above = np.concatenate([np.zeros_like(golden.frame[:1]), golden.frame[:-1]])
        record = {"name": golden.name, "width": width, "height": height}
        if isinstance(golden, GoldenScores):
            arrays = [golden.frame - above, golden.scores.astype("<f4")]
            record["classes"] = len(golden.scores)
        else:
            arrays = [golden.frame - above, golden.class_map, golden.margin_bins]
            record["margin_edges"] = list(golden.margin_edges)
        parts = [zlib.compress(array.tobytes(), 9) for array in arrays]
        described.append(dict(record, lengths=[len(part) for part in parts]))
        streams.extend(parts)
    record = {"format": _SCORES if of_scores else _CLASS_MAPS, "frames": described}
    header = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return header.encode("ascii") + b"\n" + b"".join(streams)


def decode_golden(data: bytes, origin: str) -> List[Golden]:
    """The frames in an attachment; ``origin`` names the file in messages.

    Raises:
        ContractError: the bytes are damaged or of a newer format.
    """
    try:
        header, at = data[: data.index(b"\n")], data.index(b"\n") + 1
        described = loads(header.decode("ascii"))
        if described["format"] not in (_CLASS_MAPS, _SCORES):
            raise ContractError(
                "{}: its golden frames have format {:.80}, this version reads {} and {}".format(
                    origin, repr(described["format"]), _CLASS_MAPS, _SCORES
                ),
                hint="update ccc-jetson on this machine",
            )
        frames: List[Golden] = []
        pixels_left = _MOST_PIXELS
        for one in described["frames"]:
            height, width = _count(one["height"]), _count(one["width"])
            pixels_left -= height * width
            if pixels_left < 0:
                raise ValueError("they have too many pixels")
            of_scores = described["format"] == _SCORES
            rest = [(_count(one["classes"]), 4)] if of_scores else [(height, width), (height, width)]
            arrays = []
            for length, shape in zip(one["lengths"], [(height, width, 3), *rest]):
                arrays.append(_inflated(data[at : at + length], shape))
                at += length
            pixels = np.add.accumulate(arrays[0], axis=0, dtype=np.uint8)
            if of_scores:
                frames.append(
                    GoldenScores(str(one["name"]), pixels, arrays[1].reshape(-1).view("<f4").astype(np.float32))
                )
            else:
                edges = tuple(float(edge) for edge in one["margin_edges"])
                frames.append(GoldenFrame(str(one["name"]), pixels, arrays[1], arrays[2], edges))
        return frames
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError, zlib.error) as error:
        raise ContractError("{}: its golden frames are damaged: {}".format(origin, error), hint="export it again")


def read_golden(contract: Contract, onnx_file: OnnxFile, path: str) -> List[Golden]:
    """The golden frames in a file that has been read; ``path`` is for messages.

    Raises:
        ContractError: they are damaged, or not of what the contract says that the network gives.
    """
    frames = decode_golden(attachment(contract, onnx_file, METADATA_KEY, path), path)
    of_scores = [len(each.scores) for each in frames if isinstance(each, GoldenScores)]
    if of_scores != [len(contract.classes)] * (len(frames) * contract.is_classifier):
        raise ContractError("{}: its golden frames are another network's".format(path), hint=EXPORT_AGAIN)
    return frames


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_SCORES:
        raise ValueError("{:.80} is no number of pixels or classes".format(repr(value)))
    return value


def _inflated(data: bytes, shape: Tuple[int, ...]) -> np.ndarray:
    """Decompresses no more than the shape needs, so that a hostile stream cannot fill the memory."""
    expected = int(np.prod(shape))
    stream = zlib.decompressobj()
    raw = stream.decompress(data, expected + 1)
    if len(raw) != expected:
        raise ValueError("{} bytes were expected, {} or more came".format(expected, len(raw)))
    return np.frombuffer(raw, np.uint8).reshape(shape)
