"""Golden frames: a few real frames with the class map that the FP32 network gives, inside the model's own file.

A device judges an engine on them without any data set: they are uint8 at the network's size, so neither the resize nor
OpenCV's version plays a part. Beside the class map stands each pixel's margin (largest logit minus the second) as one
of 20 bins of its frame's own distribution, 5 % of the pixels each: FP16 may flip pixels that were undecided anyway,
so agreement is also asked over the 90 % with the largest margin.

Format of the attachment: a JSON line, then for each frame three zlib streams (pixels, class map, margin bins), whose
lengths the JSON gives. Pixels are stored as differences to the row above, modulo 256. About 1.7 bytes a pixel
remain after compression on noisy street scenes.
"""

import json
import zlib
from typing import Any, List, NamedTuple, Tuple

import numpy as np

from ccc_jetson.carried import attachment
from ccc_jetson.contract import Contract
from ccc_jetson.errors import ContractError
from ccc_jetson.onnx_file import OnnxFile

METADATA_KEY = "ccc_jetson.golden"
MARGIN_BINS = 20
_FORMAT = 1


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

    def decided(self, share: float = 0.9) -> np.ndarray:
        """(H, W) bool: the ``share`` of the pixels with the largest margin (in steps of 5 %)."""
        return self.margin_bins >= round(MARGIN_BINS * (1 - share))


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


def encode_golden(frames: List[GoldenFrame]) -> bytes:
    """The attachment's bytes."""
    described: List[Any] = []
    streams: List[bytes] = []
    for golden in frames:
        height, width = golden.class_map.shape
        above = np.concatenate([np.zeros_like(golden.frame[:1]), golden.frame[:-1]])
        parts = [
            zlib.compress(array.tobytes(), 9) for array in (golden.frame - above, golden.class_map, golden.margin_bins)
        ]
        described.append(
            {
                "name": golden.name,
                "width": width,
                "height": height,
                "margin_edges": list(golden.margin_edges),
                "lengths": [len(part) for part in parts],
            }
        )
        streams.extend(parts)
    header = json.dumps({"format": _FORMAT, "frames": described}, sort_keys=True, separators=(",", ":"))
    return header.encode("ascii") + b"\n" + b"".join(streams)


def decode_golden(data: bytes, origin: str) -> List[GoldenFrame]:
    """The frames in an attachment; ``origin`` names the file in messages.

    Raises:
        ContractError: the bytes are damaged or of a newer format.
    """
    try:
        header, at = data[: data.index(b"\n")], data.index(b"\n") + 1
        described = json.loads(header.decode("ascii"))
        if described["format"] != _FORMAT:
            raise ContractError(
                "{}: its golden frames have format {}, this version reads {}".format(
                    origin, described["format"], _FORMAT
                ),
                hint="update ccc-jetson on this machine",
            )
        frames = []
        for one in described["frames"]:
            height, width = one["height"], one["width"]
            arrays = []
            for length, shape in zip(one["lengths"], ((height, width, 3), (height, width), (height, width))):
                arrays.append(_inflated(data[at : at + length], shape))
                at += length
            pixels = np.add.accumulate(arrays[0], axis=0, dtype=np.uint8)
            frames.append(GoldenFrame(one["name"], pixels, arrays[1], arrays[2], tuple(one["margin_edges"])))
        return frames
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        raise ContractError("{}: its golden frames are damaged: {}".format(origin, error), hint="export it again")


def read_golden(contract: Contract, onnx_file: OnnxFile, path: str) -> List[GoldenFrame]:
    """The golden frames in a file that has been read; ``path`` is for messages."""
    return decode_golden(attachment(contract, onnx_file, METADATA_KEY, path), path)


def _inflated(data: bytes, shape: Tuple[int, ...]) -> np.ndarray:
    """Decompresses no more than the shape needs, so that a hostile stream cannot fill the memory."""
    expected = int(np.prod(shape))
    stream = zlib.decompressobj()
    raw = stream.decompress(data, expected + 1)
    if len(raw) != expected:
        raise ValueError("{} bytes were expected, {} or more came".format(expected, len(raw)))
    return np.frombuffer(raw, np.uint8).reshape(shape)
