"""The skeleton that ESPnet and the CCC networks share: modules of dilated branches in an encoder, and RUM's decoder.

The encoder works at 1/2, 1/4 and 1/8 of the image and reinforces each stage with the average-pooled image; the decoder
goes back to full size with 2x2 transposed convolutions (paper, section 4.1; ESPNet's paper, section 3 and Fig. 4).
What differs between the networks is a ``Pyramid``: the branches of their modules, and how these are put together.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ccc_jetson.export.networks.blocks import (
    MODULE_BN_EPS,
    BnPrelu,
    Conv,
    ConvBnPrelu,
    split_channels,
    upsample_by_2,
)

IMAGE_CHANNELS = 3
DOWNSCALE = 8  # of the encoder: width and height of an input must be multiples of it
CHANNELS = (16, 64, 128)  # at 1/2, 1/4 and 1/8 of the image


class Pyramid(NamedTuple):
    """How the modules of a network look.

    ``branches`` gives attribute name and dilation of each; ``block`` makes a branch of channels in, channels out and
    dilation. ``fused`` adds up the outputs of the dilated branches one after the other (hierarchical feature fusion,
    ESPNet's cure against gridding). ``image_pool`` halves the image. ``act_after_sum`` is false where the modules of
    stride 1 end in their BatchNorm (paper, Table 3 (3) and (4)).
    """

    branches: tuple[tuple[str, int], ...]
    block: Callable[[int, int, int], nn.Module]
    fused: bool
    image_pool: Callable[[], nn.Module]
    act_after_sum: bool = True


class Branches(nn.Module):
    """What the modules share: a reduction ``c1``, and one branch per dilation on its result, concatenated.

    C3Net's authors evaluate ``c1`` twice; here it is computed once (same result, 10.7 % fewer FLOPs on CCC2).
    """

    def __init__(self, channels_in: int, channels_out: int, pyramid: Pyramid, kernel: int, stride: int) -> None:
        super().__init__()
        count = len(pyramid.branches)
        reduced = channels_out // count
        self.c1 = Conv(channels_in, reduced, kernel, stride)
        for width, (name, dilation) in zip(split_channels(channels_out, count), pyramid.branches, strict=True):
            setattr(self, name, pyramid.block(reduced, width, dilation))
        self.names = tuple(name for name, _ in pyramid.branches)
        self.fused = pyramid.fused

    def concatenated(self, x: Tensor) -> Tensor:
        reduced = self.c1(x)
        parts = [getattr(self, name)(reduced) for name in self.names]
        if self.fused:  # the first branch, which is not dilated, stays as it is
            for i in range(2, len(parts)):
                parts[i] = parts[i - 1] + parts[i]
        return torch.cat(parts, dim=1)


class DownModule(Branches):
    """Down-sampling module: a 3x3 stride-2 reduction, the branches, BatchNorm and PReLU (paper, section 3)."""

    def __init__(self, channels_in: int, channels_out: int, pyramid: Pyramid) -> None:
        super().__init__(channels_in, channels_out, pyramid, kernel=3, stride=2)
        self.bn = nn.BatchNorm2d(channels_out, eps=MODULE_BN_EPS)
        self.act = nn.PReLU(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.concatenated(x)))


class PyramidModule(Branches):
    """ESP or CCC module: a 1x1 reduction, the branches, the residual where asked for, BatchNorm, PReLU (Fig. 2)."""

    def __init__(self, channels_in: int, channels_out: int, pyramid: Pyramid, residual: bool) -> None:
        super().__init__(channels_in, channels_out, pyramid, kernel=1, stride=1)
        self.bn = BnPrelu(channels_out, pyramid.act_after_sum)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        combined = self.concatenated(x)
        return self.bn(x + combined if self.residual else combined)


class Encoded(NamedTuple):
    """What the encoder knows at each scale: ``half`` is level 1's own output, ``at_half`` has the image with it.

    ``quarter`` is the last module's output at 1/4, ``at_quarter`` everything there; ``scores`` one channel per class
    at 1/8.
    """

    half: Tensor
    at_half: Tensor
    quarter: Tensor
    at_quarter: Tensor
    scores: Tensor


class PyramidEncoder(nn.Module):
    """The encoder; with the names of ESPNet's and C3Net's checkpoints. ``channels`` as ``CHANNELS``."""

    def __init__(self, classes: int, p: int, q: int, pyramid: Pyramid, channels: tuple[int, int, int]) -> None:
        super().__init__()
        half, quarter, eighth = channels
        self.pool = pyramid.image_pool()
        self.level1 = ConvBnPrelu(IMAGE_CHANNELS, half, 3, 2)
        self.b1 = BnPrelu(half + IMAGE_CHANNELS)
        self.level2_0 = DownModule(half + IMAGE_CHANNELS, quarter, pyramid)
        self.level2 = nn.ModuleList(PyramidModule(quarter, quarter, pyramid, residual=True) for _ in range(p))
        self.b2 = BnPrelu(2 * quarter + IMAGE_CHANNELS)
        self.level3_0 = DownModule(2 * quarter + IMAGE_CHANNELS, eighth, pyramid)
        self.level3 = nn.ModuleList(PyramidModule(eighth, eighth, pyramid, residual=True) for _ in range(q))
        self.b3 = BnPrelu(2 * eighth)
        self.classifier = Conv(2 * eighth, classes, 1)

    def forward(self, image: Tensor) -> Encoded:
        """Images (N, 3, H, W) -> features at 1/2 and 1/4, class scores (N, classes, H / 8, W / 8)."""
        image_half = self.pool(image)
        image_quarter = self.pool(self.pool(image))  # as the paper counts it; the exporter shares the first pool
        half = self.level1(image)
        at_half = self.b1(torch.cat([half, image_half], dim=1))
        first = self.level2_0(at_half)
        x = first
        for module in self.level2:
            x = module(x)
        quarter = x
        at_quarter = self.b2(torch.cat([quarter, first, image_quarter], dim=1))
        first = self.level3_0(at_quarter)
        x = first
        for module in self.level3:
            x = module(x)
        return Encoded(half, at_half, quarter, at_quarter, self.classifier(self.b3(torch.cat([first, x], dim=1))))


class RumNet(nn.Module):
    """Encoder and decoder: normalised images (N, 3, H, W) -> logits (N, classes, H, W), H and W multiples of 8.

    Args:
        image_at_half: whether the last convolution sees the pooled image beside level 1's output.
    """

    def __init__(
        self,
        classes: int,
        p: int,
        q: int,
        pyramid: Pyramid,
        channels: tuple[int, int, int] = CHANNELS,
        image_at_half: bool = True,
    ) -> None:
        super().__init__()
        half, quarter, _ = channels
        self.encoder = PyramidEncoder(classes, p, q, pyramid, channels)
        self.level3_C = Conv(2 * quarter + IMAGE_CHANNELS, classes, 1)
        self.br = nn.BatchNorm2d(classes, eps=MODULE_BN_EPS)
        self.up_l3 = nn.Sequential(upsample_by_2(classes))
        self.combine_l2_l3 = nn.Sequential(
            BnPrelu(2 * classes), PyramidModule(2 * classes, classes, pyramid, residual=False)
        )
        self.up_l2 = nn.Sequential(upsample_by_2(classes), BnPrelu(classes))
        self.conv = ConvBnPrelu(classes + half + (IMAGE_CHANNELS if image_at_half else 0), classes, 3)
        self.classifier = upsample_by_2(classes)
        self.image_at_half = image_at_half

    def forward(self, image: Tensor) -> Tensor:
        encoded = self.encoder(image)
        up = self.up_l3(self.br(encoded.scores))  # 1/8 -> 1/4
        up = self.up_l2(self.combine_l2_l3(torch.cat([self.level3_C(encoded.at_quarter), up], dim=1)))  # 1/4 -> 1/2
        skip = encoded.at_half if self.image_at_half else encoded.half
        return self.classifier(self.conv(torch.cat([up, skip], dim=1)))  # 1/2 -> full size
