"""The CCC networks: C3Net, the paper's CCC1 (dilations 2, 4, 8, 16) and CCC2 (2, 3, 7, 13), and its successor C3NetV2.

C3Net is an ESPnet made of CCC modules (paper, section 4.1; p = 2, q = 8, 20 outputs). Table 3's ablations (3) to (7)
are the same network with other structures of the block. C3NetV2, of the authors' repository, has the same encoder and
a decoder of interpolation and separable convolutions.
"""

import torch
from torch import Tensor, nn

from ccc_jetson.export.networks.blocks import MODULE_BN_EPS, CccBlock, Conv, SeparableConvBnPrelu, dense_block
from ccc_jetson.export.networks.pyramid import CHANNELS, Pyramid, PyramidEncoder, RumNet

DILATIONS = (2, 4, 8, 16)


class C3Net(RumNet):
    """C3Net for segmentation: normalised images (N, 3, H, W) -> logits (N, classes, H, W), H and W multiples of 8.

    Args:
        classes: number of outputs (20 in the paper: Cityscapes' 19 train ids and void).
        p: residual CCC modules at 1/4 of the image.
        q: residual CCC modules at 1/8 of the image.
        dilations: one per branch of every module; kernels of the asymmetric convolutions are ``2 * d - 1``. A branch
            with dilation 1 is a plain 3x3 convolution.
        channels: width at 1/2, 1/4 and 1/8 of the image.
        structure: of the blocks: A, B, C or CNL (paper, Fig. 3).
        act_after_sum: false where modules of stride 1 end in BatchNorm (the only reading of Table 3 (3) and (4) that
            gives their figures).
    """

    def __init__(
        self,
        classes: int = 20,
        p: int = 2,
        q: int = 8,
        dilations: tuple[int, ...] = DILATIONS,
        channels: tuple[int, int, int] = CHANNELS,
        structure: str = "CNL",
        act_after_sum: bool = True,
    ) -> None:
        pyramid = ccc_pyramid(dilations, structure, act_after_sum, dense_undilated=True)
        super().__init__(classes, p, q, pyramid, channels)


class C3NetV2(nn.Module):
    """C3NetV2: normalised images (N, 3, H, W) -> logits (N, classes, H, W), H and W multiples of 8.

    Args:
        classes: number of outputs, and the width at 1/2 of the image.
        p, q, dilations: as for ``C3Net``; a branch with dilation 1 is depth-wise 3x3 and 1x1.
        channels: width at 1/4 and 1/8 of the image.
    """

    def __init__(
        self,
        classes: int = 20,
        p: int = 2,
        q: int = 8,
        dilations: tuple[int, ...] = DILATIONS,
        channels: tuple[int, int] = CHANNELS[1:],
    ) -> None:
        super().__init__()
        self.encoder = PyramidEncoder(classes, p, q, ccc_pyramid(dilations, "CNL"), (classes, *channels))
        self.bn = nn.BatchNorm2d(classes, eps=MODULE_BN_EPS)
        self.up = nn.UpsamplingBilinear2d(scale_factor=2)  # with aligned corners
        self.conv_l2 = SeparableConvBnPrelu(classes + channels[0], classes)
        self.conv_l1 = SeparableConvBnPrelu(2 * classes, classes)
        self.classifier = nn.Sequential(nn.UpsamplingBilinear2d(scale_factor=2), Conv(classes, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        encoded = self.encoder(image)
        up = self.up(self.bn(encoded.scores))  # 1/8 -> 1/4
        up = self.up(self.conv_l2(torch.cat([up, encoded.quarter], dim=1)))  # 1/4 -> 1/2
        return self.classifier(self.conv_l1(torch.cat([up, encoded.half], dim=1)))  # 1/2 -> full size


def ccc_pyramid(
    dilations: tuple[int, ...], structure: str, act_after_sum: bool = True, dense_undilated: bool = False
) -> Pyramid:
    """CCC blocks side by side, their outputs concatenated as they are (paper, Fig. 2 (b)); branches d1, d2, ..."""

    def block(channels_in: int, channels_out: int, dilation: int) -> nn.Module:
        if dilation == 1 and dense_undilated:
            return dense_block(channels_in, channels_out, dilation)
        return CccBlock(channels_in, channels_out, dilation, structure)

    branches = tuple((f"d{number}", dilation) for number, dilation in enumerate(dilations, start=1))
    return Pyramid(branches, block, False, lambda: nn.AvgPool2d(2, 2), act_after_sum)
