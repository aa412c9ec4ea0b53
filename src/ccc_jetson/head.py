"""The network's head on its own: what a kernel computes on a device, in numpy as its reference.

The head is the last upsampling and the argmax. An engine leaves it out (full-resolution logits cost 42 MB a frame at
1024x512 and 20 classes); the weights travel beside the contract.
"""

from typing import NamedTuple

import numpy as np

from ccc_jetson.carried import attachment
from ccc_jetson.contract import Contract, Head
from ccc_jetson.errors import ContractError
from ccc_jetson.onnx_file import OnnxFile

METADATA_KEY = "ccc_jetson.head"


class HeadWeights(NamedTuple):
    """``weight`` (channels_in, channels_out, 2, 2) float32 as ConvTranspose stores it, ``bias`` (channels_out,)."""

    weight: np.ndarray
    bias: np.ndarray

    def to_bytes(self) -> bytes:
        """Little-endian float32: the weights, then the bias."""
        return self.weight.astype("<f4").tobytes() + self.bias.astype("<f4").tobytes()


def read_head(contract: Contract, onnx_file: OnnxFile, path: str) -> HeadWeights:
    """The head's weights in a file that has been read; ``path`` is for messages."""
    head = contract.head
    if head is None:
        raise ContractError("{}: its contract describes no head".format(path), hint="export the model with ccc-export")
    return head_weights(head, attachment(contract, onnx_file, METADATA_KEY, path), path)


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


def head_logits(features: np.ndarray, head: HeadWeights) -> np.ndarray:
    """2x2 transposed convolution with stride 2: (Ci, h, w) float32 -> (Co, 2h, 2w) float32.

    Each output pixel sees one input pixel: out[:, 2y+i, 2x+j] = weight[:, :, i, j].T @ features[:, y, x] + bias.
    """
    channels, height, width = features.shape
    flat = features.reshape(channels, height * width)
    out = np.empty((head.weight.shape[1], 2 * height, 2 * width), np.float32)
    for i in range(2):
        for j in range(2):
            product = head.weight[:, :, i, j].T @ flat + head.bias[:, None]
            out[:, i::2, j::2] = product.reshape(-1, height, width)
    return out


def head_class_map(features: np.ndarray, head: HeadWeights) -> np.ndarray:
    """(Ci, h, w) float32 -> (2h, 2w) uint8 class map; the first of equal classes wins, as in ONNX's ArgMax."""
    return head_logits(features, head).argmax(axis=0).astype(np.uint8)
