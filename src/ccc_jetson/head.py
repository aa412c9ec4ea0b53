"""The network's head on its own: what a kernel computes on a device, in numpy as its reference.

The head is the last upsampling and the argmax. An engine leaves it out (full-resolution logits cost 42 MB a frame at
1024x512 and 20 classes); what it needs of weights travels beside the contract. ``docs/contract.md`` lists the kinds.
"""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.carried import attachment
from ccc_jetson.contract import HEAD_ATTACHMENT, Contract, Head
from ccc_jetson.errors import ContractError
from ccc_jetson.onnx_file import OnnxFile

METADATA_KEY = HEAD_ATTACHMENT


class HeadWeights(NamedTuple):
    """``weight`` (channels_in, channels_out, 2, 2) float32 as ConvTranspose stores it, ``bias`` (channels_out,)."""

    weight: np.ndarray
    bias: np.ndarray

    def to_bytes(self) -> bytes:
        """Little-endian float32: the weights, then the bias."""
        return self.weight.astype("<f4").tobytes() + self.bias.astype("<f4").tobytes()


def read_head(contract: Contract, onnx_file: OnnxFile, path: str) -> Optional[HeadWeights]:
    """The head's weights in a file that has been read, None of a kind without any; ``path`` is for messages."""
    head = contract.head
    if head is None:
        raise ContractError("{}: its contract describes no head".format(path), hint="export the model with ccc-export")
    return head_weights(head, attachment(contract, onnx_file, METADATA_KEY, path), path) if head.has_weights else None


def head_weights(head: Head, data: bytes, path: str) -> HeadWeights:
    """The weights in an attachment's bytes; ``path`` is for messages.

    Raises:
        ContractError: they are not as many as the head has.
    """
    numbers = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
    weights = head.channels_in * head.channels_out * 4
    if len(data) % 4 or numbers.size != weights + head.channels_out:
        raise ContractError(
            "{}: the head's weights are {} numbers, {} were expected".format(
                path, numbers.size, weights + head.channels_out
            ),
            hint="export the model again with ccc-export",
        )
    weight = numbers[:weights].reshape(head.channels_in, head.channels_out, 2, 2).astype(np.float32)
    return HeadWeights(weight, numbers[weights:].astype(np.float32))


def head_logits(features: np.ndarray, head: Head, weights: Optional[HeadWeights]) -> np.ndarray:
    """(channels_in, h, w) float32 -> (channels_out, scale * h, scale * w); ``weights`` where the kind has any."""
    if not head.has_weights:
        return _bilinear(features, head.scale, head.align_corners)
    assert weights is not None
    return _transposed_conv(features, weights)


def head_class_map(features: np.ndarray, head: Head, weights: Optional[HeadWeights]) -> np.ndarray:
    """(channels_in, h, w) float32 -> (scale * h, scale * w) uint8 class map.

    The first of equal classes wins, as in ONNX's ArgMax. NaN stands for the smallest logit there is: it never wins, and
    a pixel that has nothing else is of class 0. (ONNX leaves that open, and runtimes differ.)
    """
    logits = head_logits(features, head, weights)
    logits[np.isnan(logits)] = -np.inf
    return logits.argmax(axis=0).astype(np.uint8)


def bilinear_taps(length: int, scale: int, align_corners: bool) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the ``scale * length`` pixels along an axis come from: two indices each and the second's weight (float32).

    A pixel d lies at (d + 0.5) / scale - 0.5 (ONNX: ``half_pixel``), with ``align_corners`` at
    d * (length - 1) / (scale * length - 1); beyond the first and the last pixel nothing changes any more. The position
    is a fraction of whole numbers, so that no rounding moves a pixel between its neighbours.
    """
    pixels = np.arange(scale * length, dtype=np.int64)
    if align_corners:
        numerator, denominator = pixels * (length - 1), scale * length - 1
    else:
        numerator, denominator = 2 * pixels + 1 - scale, 2 * scale
    index = numerator // denominator
    weight = (numerator - index * denominator).astype(np.float32) / np.float32(denominator)
    return np.maximum(index, 0), np.minimum(index + 1, length - 1), weight


def _transposed_conv(features: np.ndarray, weights: HeadWeights) -> np.ndarray:
    """2x2 transposed convolution with stride 2.

    Each output pixel sees one input pixel: out[:, 2y+i, 2x+j] = weight[:, :, i, j].T @ features[:, y, x] + bias.
    """
    channels, height, width = features.shape
    flat = features.reshape(channels, height * width)
    out = np.empty((weights.weight.shape[1], 2 * height, 2 * width), np.float32)
    for i in range(2):
        for j in range(2):
            product = weights.weight[:, :, i, j].T @ flat + weights.bias[:, None]
            out[:, i::2, j::2] = product.reshape(-1, height, width)
    return out


def _bilinear(features: np.ndarray, scale: int, align_corners: bool) -> np.ndarray:
    """As ``torch.nn.functional.interpolate`` and ONNX's Resize (``linear``, float32) do.

    It also gives the classes of a fixed transposed convolution with a bilinear kernel (16x16, stride 8, padding 4, one
    group per channel, no bias: how DRN ends). Inside the picture the two are the same interpolation. At the border that
    convolution takes what lies outside as 0 where interpolation repeats the border, so its logits there are
    interpolation's times a factor between 0 and 1, the same one for all classes of a pixel: the largest stays the
    largest.
    """
    above, below, weight = bilinear_taps(features.shape[1], scale, align_corners)
    rows = features[:, above] + weight[:, None] * (features[:, below] - features[:, above])  # (C, scale * h, w)
    left, right, weight = bilinear_taps(features.shape[2], scale, align_corners)
    out = np.take(rows, right, axis=2)  # (C, scale * h, scale * w)
    first = np.take(rows, left, axis=2)
    out -= first
    out *= weight
    out += first
    return out
