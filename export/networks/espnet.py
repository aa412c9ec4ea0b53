"""ESPnet, the network that the paper starts from, its encoder ESPnet-C, and ESPnet with CCC blocks (CCC-ESPnet).

Modules of five branches with dilations 1, 2, 4, 8 and 16 and hierarchical feature fusion (Mehta et al., ESPNet, 2018;
paper, Fig. 2 (a), Table 2 and Table 3 (1) and (2)). ESPnet-tiny is q = 3.
"""

from collections.abc import Callable

from torch import Tensor, nn

from ccc_jetson.export.networks.blocks import CccBlock, dense_block
from ccc_jetson.export.networks.pyramid import CHANNELS, DOWNSCALE, Pyramid, PyramidEncoder, RumNet

DILATIONS = (1, 2, 4, 8, 16)

# dense: dilated 3x3; separable: depth-wise dilated 3x3 and 1x1 (Table 3 (2)); ccc: CCC blocks where dilated
BLOCKS = ("dense", "separable", "ccc")

# What the last convolution sees of level 1. The published weights' decoder leaves the pooled image out, the one that
# the authors train with, which has the paper's FLOPs, does not
DECODERS = ("published", "training")


class ESPnet(RumNet):
    """ESPnet for segmentation: normalised images (N, 3, H, W) -> logits (N, classes, H, W), H and W multiples of 8.

    Args:
        classes: number of outputs (20 for Cityscapes: 19 train ids and void; 12 for CamVid).
        p: residual modules at 1/4 of the image.
        q: residual modules at 1/8 of the image.
        decoder: one of ``DECODERS``.
        block: one of ``BLOCKS``; CCC-ESPnet has "ccc".
    """

    def __init__(
        self, classes: int = 20, p: int = 2, q: int = 8, decoder: str = "published", block: str = "dense"
    ) -> None:
        if decoder not in DECODERS:
            raise ValueError(f"no decoder {decoder!r}; there are {', '.join(DECODERS)}")
        super().__init__(classes, p, q, esp_pyramid(block), image_at_half=decoder == "training")


class ESPnetC(PyramidEncoder):
    """ESPnet-C, the encoder alone: class scores at 1/8, interpolated to full size.

    Args:
        classes, p, q, block: as for ``ESPnet``.
    """

    def __init__(self, classes: int = 20, p: int = 2, q: int = 8, block: str = "dense") -> None:
        super().__init__(classes, p, q, esp_pyramid(block), CHANNELS)
        self.up = nn.Upsample(scale_factor=DOWNSCALE, mode="bilinear", align_corners=False)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]  # a network of its own, not a part of one
        return self.up(super().forward(image).scores)


def esp_pyramid(block: str) -> Pyramid:
    """ESP modules: the names of their branches, d1 to d16, are the dilations."""
    makers: dict[str, Callable[[int, int, int], nn.Module]] = {
        "dense": dense_block,
        "separable": lambda channels_in, channels_out, d: CccBlock(channels_in, channels_out, d, structure="A"),
        "ccc": lambda channels_in, channels_out, d: (dense_block if d == 1 else CccBlock)(channels_in, channels_out, d),
    }
    if block not in makers:
        raise ValueError(f"no block {block!r}; there are {', '.join(BLOCKS)}")
    branches = tuple((f"d{dilation}", dilation) for dilation in DILATIONS)
    return Pyramid(branches, makers[block], True, lambda: nn.AvgPool2d(3, 2, padding=1))
