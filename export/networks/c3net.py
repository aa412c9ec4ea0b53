"""C3Net: the paper's CCC1 (dilations 2, 4, 8, 16) and CCC2 (2, 3, 7, 13), an ESPnet made of CCC blocks.

The encoder works at 1/2, 1/4 and 1/8 of the image and reinforces each stage with the average-pooled image; the decoder
goes back to full size with 2x2 transposed convolutions (paper, section 4.1; configuration p = 2, q = 8, 20 outputs).
"""

import torch
from torch import Tensor, nn

from ccc_jetson.export.networks.blocks import BnPrelu, CccDownModule, CccModule, Conv, ConvBnPrelu

IMAGE_CHANNELS = 3
DOWNSCALE = 8  # of the encoder: width and height of an input must be multiples of it


class C3Encoder(nn.Module):
    """Encoder of C3Net; the names are those of the authors' checkpoints."""

    def __init__(
        self, classes: int, p: int, q: int, dilations: tuple[int, ...], channels: tuple[int, int, int]
    ) -> None:
        super().__init__()
        half, quarter, eighth = channels
        self.pool = nn.AvgPool2d(2, 2)
        self.level1 = ConvBnPrelu(IMAGE_CHANNELS, half, 3, 2)
        self.b1 = BnPrelu(half + IMAGE_CHANNELS)
        self.level2_0 = CccDownModule(half + IMAGE_CHANNELS, quarter, dilations)
        self.level2 = nn.ModuleList(CccModule(quarter, quarter, dilations, residual=True) for _ in range(p))
        self.b2 = BnPrelu(2 * quarter + IMAGE_CHANNELS)
        self.level3_0 = CccDownModule(2 * quarter + IMAGE_CHANNELS, eighth, dilations)
        self.level3 = nn.ModuleList(CccModule(eighth, eighth, dilations, residual=True) for _ in range(q))
        self.b3 = BnPrelu(2 * eighth)
        self.classifier = Conv(2 * eighth, classes, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the features at 1/2 (half + 3 channels), at 1/4 (2 * quarter + 3) and the class scores at 1/8."""
        image_half = self.pool(image)
        image_quarter = self.pool(self.pool(image))  # as the paper counts it; the exporter shares the first pool
        at_half = self.b1(torch.cat([self.level1(image), image_half], dim=1))
        first = self.level2_0(at_half)
        x = first
        for module in self.level2:
            x = module(x)
        at_quarter = self.b2(torch.cat([x, first, image_quarter], dim=1))
        first = self.level3_0(at_quarter)
        x = first
        for module in self.level3:
            x = module(x)
        return at_half, at_quarter, self.classifier(self.b3(torch.cat([first, x], dim=1)))


class C3Net(nn.Module):
    """C3Net for segmentation: normalised images (N, 3, H, W) -> logits (N, classes, H, W), H and W multiples of 8.

    Args:
        classes: number of outputs (20 in the paper: Cityscapes' 19 train ids and void).
        p: residual CCC modules at 1/4 of the image.
        q: residual CCC modules at 1/8 of the image.
        dilations: one per branch of every module; kernels of the asymmetric convolutions are ``2 * d - 1``.
        channels: width at 1/2, 1/4 and 1/8 of the image.
    """

    def __init__(
        self,
        classes: int = 20,
        p: int = 2,
        q: int = 8,
        dilations: tuple[int, ...] = (2, 4, 8, 16),
        channels: tuple[int, int, int] = (16, 64, 128),
    ) -> None:
        super().__init__()
        half, quarter, _ = channels
        self.encoder = C3Encoder(classes, p, q, dilations, channels)
        self.level3_C = Conv(2 * quarter + IMAGE_CHANNELS, classes, 1)
        self.br = nn.BatchNorm2d(classes, eps=1e-3)
        self.up_l3 = nn.Sequential(upsample_by_2(classes))
        self.combine_l2_l3 = nn.Sequential(
            BnPrelu(2 * classes), CccModule(2 * classes, classes, dilations, residual=False)
        )
        self.up_l2 = nn.Sequential(upsample_by_2(classes), BnPrelu(classes))
        self.conv = ConvBnPrelu(classes + half + IMAGE_CHANNELS, classes, 3)
        self.classifier = upsample_by_2(classes)

    def forward(self, image: Tensor) -> Tensor:
        at_half, at_quarter, at_eighth = self.encoder(image)
        up = self.up_l3(self.br(at_eighth))  # 1/8 -> 1/4
        up = self.up_l2(self.combine_l2_l3(torch.cat([self.level3_C(at_quarter), up], dim=1)))  # 1/4 -> 1/2
        return self.classifier(self.conv(torch.cat([up, at_half], dim=1)))  # 1/2 -> full size


def upsample_by_2(channels: int) -> nn.ConvTranspose2d:
    """2x2 transposed convolution with stride 2: each output pixel sees exactly one input pixel."""
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)
