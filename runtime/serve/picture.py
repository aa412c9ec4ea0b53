"""A frame and its classes as bytes for a browser: the frame as JPEG, the class map as a PNG with a palette.

The browser lays one over the other, so each page has its own opacity, and nothing is drawn or encoded again for it.

    4 bytes   length of the head, big endian
    head      JSON: number, name, width and height of the frame, the part of it that the network saw (x, y, width,
              height, as shares), latency in milliseconds, length of the JPEG
    JPEG, PNG
"""

import json
import struct
import zlib
from typing import Any, Dict, Tuple

import numpy as np

from ccc_jetson.contract import Contract
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.pixels import to_bgr

_WIDEST = 960  # pixels of a frame in the browser
_WIDEST_CLASSES = 1024
_QUALITY = 80
_PNG = b"\x89PNG\r\n\x1a\n"
_UP = 2  # PNG's filter: each row less the one above it


class PictureEncoder:
    """Encodes for one network; keeps its palette."""

    def __init__(self, contract: Contract) -> None:
        palette = bytearray(3 * 256)
        for index, each in enumerate(contract.classes):
            palette[3 * index : 3 * index + 3] = bytes(each.color)
        self._palette = bytes(palette)

    def __call__(self, frame: Frame, segmentation: Segmentation, latency_s: float) -> bytes:
        """One frame as described above."""
        image = to_bgr(frame.image, frame.pixel_format)
        (width, height), source = segmentation.geometry.frame_size, segmentation.geometry.source
        seen = (source.x / width, source.y / height, source.width / width, source.height / height)
        jpeg = _jpeg(image)
        classes = np.ascontiguousarray(segmentation.geometry.target.of(segmentation.class_map))
        step = -(-classes.shape[1] // _WIDEST_CLASSES)
        png = palette_png(np.ascontiguousarray(classes[::step, ::step]), self._palette)
        head: Dict[str, Any] = {
            "number": frame.number,
            "name": frame.name,
            "width": width,
            "height": height,
            "seen": [round(share, 6) for share in seen],
            "latency_ms": round(1000.0 * latency_s, 1),
            "jpeg": len(jpeg),
        }
        text = json.dumps(head).encode("ascii")
        return b"".join((struct.pack(">I", len(text)), text, jpeg, png))


def unpack(packed: bytes) -> Tuple[Dict[str, Any], bytes, bytes]:
    """(head, JPEG, PNG) of what a ``PictureEncoder`` gave."""
    (length,) = struct.unpack(">I", packed[:4])
    head = json.loads(packed[4 : 4 + length].decode("ascii"))
    start = 4 + length + int(head["jpeg"])
    return head, packed[4 + length : start], packed[start:]


def _jpeg(image: np.ndarray) -> bytes:
    cv2 = import_cv2()
    height, width = image.shape[:2]
    if width > _WIDEST:
        size = (_WIDEST, max(1, round(height * _WIDEST / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    good, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert good  # a BGR picture of eight bits always can
    return bytes(data.tobytes())


def palette_png(indices: np.ndarray, palette: bytes) -> bytes:
    """(H, W) uint8 as a PNG of ``palette``, 3 bytes for each of up to 256 indices (RFC 2083); OpenCV writes none."""
    height, width = indices.shape
    rows = np.empty((height, width + 1), np.uint8)
    rows[:, 0] = _UP  # a class map's rows are like the ones above them: zeros, which cost nothing to compress
    rows[0, 1:] = indices[0]
    np.subtract(indices[1:], indices[:-1], out=rows[1:, 1:])
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(rows.tobytes(), 1)),
        (b"IEND", b""),
    )
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
