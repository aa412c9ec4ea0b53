"""ERFnet and CCC-ERFnet (paper, Table 2).

ERFnet (Romera et al., 2017) factorises its 3x3 convolutions into 3x1 and 1x3. CCC-ERFnet has one CCC block in place of
each dilated pair.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ccc_jetson.export.networks.blocks import MODULE_BN_EPS, CccBlock

DOWNSCALE = 8
DILATIONS = (2, 4, 8, 16, 2, 4, 8, 16)  # of the encoder's blocks at 1/8


class DownsamplerBlock(nn.Module):
    """A 3x3 convolution of stride 2 beside a 2x2 max-pool, concatenated, BatchNorm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out - channels_in, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2, stride=2)
        self.bn = nn.BatchNorm2d(channels_out, eps=MODULE_BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(torch.cat([self.conv(x), self.pool(x)], dim=1)))


class UpsamplerBlock(nn.Module):
    """A 3x3 transposed convolution of stride 2, BatchNorm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1)
        self.bn = nn.BatchNorm2d(channels_out, eps=MODULE_BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class NonBottleneck1d(nn.Module):
    """Residual block of two factorised 3x3 convolutions, the second one dilated.

    Args:
        channels: in and out.
        dilation: of the second pair.
        ccc: whether a CCC block stands in place of the second pair.
    """

    def __init__(self, channels: int, dilation: int = 1, ccc: bool = False) -> None:
        super().__init__()
        n, d = channels, dilation
        self.conv3x1_1 = nn.Conv2d(n, n, (3, 1), padding=(1, 0))
        self.conv1x3_1 = nn.Conv2d(n, n, (1, 3), padding=(0, 1))
        self.bn1 = nn.BatchNorm2d(n, eps=MODULE_BN_EPS)
        if ccc:
            self.ccc = CccBlock(n, n, d)
        else:
            self.conv3x1_2 = nn.Conv2d(n, n, (3, 1), padding=(d, 0), dilation=(d, 1))
            self.conv1x3_2 = nn.Conv2d(n, n, (1, 3), padding=(0, d), dilation=(1, d))
        self.bn2 = nn.BatchNorm2d(n, eps=MODULE_BN_EPS)
        self.has_ccc = ccc

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.conv3x1_1(x))
        y = functional.relu(self.bn1(self.conv1x3_1(y)))
        y = self.ccc(y) if self.has_ccc else self.conv1x3_2(functional.relu(self.conv3x1_2(y)))
        return functional.relu(x + self.bn2(y))


class Encoder(nn.Module):
    """Images (N, 3, H, W) -> features (N, 128, H / 8, W / 8)."""

    def __init__(self, classes: int, dilations: tuple[int, ...], ccc: bool) -> None:
        super().__init__()
        self.initial_block = DownsamplerBlock(3, 16)
        self.layers = nn.ModuleList(
            [
                DownsamplerBlock(16, 64),
                *(NonBottleneck1d(64) for _ in range(5)),
                DownsamplerBlock(64, 128),
                *(NonBottleneck1d(128, dilation, ccc) for dilation in dilations),
            ]
        )
        self.output_conv = nn.Conv2d(128, classes, 1)  # of the encoder's own training; stands in every checkpoint

    def forward(self, image: Tensor) -> Tensor:
        x = self.initial_block(image)
        for layer in self.layers:
            x = layer(x)
        return x


class Decoder(nn.Module):
    """Features (N, 128, h, w) -> logits (N, classes, 8 h, 8 w)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                UpsamplerBlock(128, 64),
                *(NonBottleneck1d(64) for _ in range(2)),
                UpsamplerBlock(64, 16),
                *(NonBottleneck1d(16) for _ in range(2)),
            ]
        )
        self.output_conv = nn.ConvTranspose2d(16, classes, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.output_conv(x)


class ERFnet(nn.Module):
    """ERFnet for segmentation: images (N, 3, H, W) -> logits (N, classes, H, W), H and W multiples of 8.

    Args:
        classes: number of outputs (20: Cityscapes' 19 train ids and void).
        dilations: of the encoder's blocks at 1/8 of the image.
        ccc: whether these have CCC blocks (CCC-ERFnet).
    """

    def __init__(self, classes: int = 20, dilations: tuple[int, ...] = DILATIONS, ccc: bool = False) -> None:
        super().__init__()
        self.encoder = Encoder(classes, dilations, ccc)
        self.decoder = Decoder(classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.decoder(self.encoder(image))
