"""Dilated residual networks (Yu, Koltun, Funkhouser, 2017) and CCC-DRN, for segmentation and for classification.

DRN-A is a ResNet whose last two stages are dilated instead of strided; DRN-C has a stem of convolutions and two stages
without residuals at its end that undo gridding. In CCC-DRN every 3x3 convolution with a dilation above 1 is a CCC block
(paper, Table 2 and Table 4). The names are those of the DRN authors' checkpoints.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ccc_jetson.export.networks.blocks import CccBlock

DOWNSCALE = 8
FEATURES_SIDE = 28  # of the features that classification averages, for images of 224x224


class Stage(NamedTuple):
    """A stack of residual blocks: ``first_dilation`` is that of its first block."""

    width: int
    stride: int
    dilation: int
    first_dilation: int
    residual: bool = True
    basic: bool = False  # of two 3x3 convolutions, whatever the network's blocks are


STAGES = {
    "A": (Stage(64, 1, 1, 1), Stage(128, 2, 1, 1), Stage(256, 1, 2, 1), Stage(512, 1, 4, 1)),
    "C": (
        Stage(16, 1, 1, 1, basic=True),
        Stage(32, 2, 1, 1, basic=True),
        Stage(64, 2, 1, 1),
        Stage(128, 2, 1, 1),
        Stage(256, 1, 2, 2),
        Stage(512, 1, 4, 4),
        Stage(512, 1, 2, 2, residual=False, basic=True),
        Stage(512, 1, 1, 1, residual=False, basic=True),
    ),
}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int, dilation: int, residual: bool, ccc: bool) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels_in, width, stride, dilation, ccc)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(width, width, 1, dilation, ccc)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = projection(channels_in, width, stride)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.residual:
            y = y + (x if self.downsample is None else self.downsample(x))
        return self.relu(y)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution; four times as wide outside."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int, dilation: int, residual: bool, ccc: bool) -> None:
        super().__init__()
        channels_out = self.expansion * width
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride, dilation, ccc)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(channels_in, channels_out, stride)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        y = self.bn3(self.conv3(y))
        if self.residual:
            y = y + (x if self.downsample is None else self.downsample(x))
        return self.relu(y)


def conv3x3(channels_in: int, channels_out: int, stride: int, dilation: int, ccc: bool) -> nn.Module:
    """A 3x3 convolution, as a CCC block where it is dilated and ``ccc`` asks for it."""
    if ccc and dilation > 1:
        return CccBlock(channels_in, channels_out, dilation)
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=dilation, dilation=dilation, bias=False)


def projection(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    """What fits a block's input to its output, None where they have the same shape."""
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


def backbone(variant: str, layers: tuple[int, ...], bottleneck: bool, ccc: bool) -> tuple[dict[str, nn.Module], int]:
    """The parts up to the features at 1/8, by their names in a classifier, and the features' channels.

    Args:
        variant: A or C.
        layers: blocks per stage.
        bottleneck: whether the blocks are ``Bottleneck``.
        ccc: whether dilated convolutions are CCC blocks.
    """
    if variant not in STAGES:
        raise ValueError(f"no variant {variant!r}; there are {', '.join(STAGES)}")
    stages = STAGES[variant]
    if len(layers) != len(stages):
        raise ValueError(f"variant {variant} has {len(stages)} stages, layers names {len(layers)}")
    channels = 64 if variant == "A" else 16
    stem = nn.Conv2d(3, channels, 7, stride=2 if variant == "A" else 1, padding=3, bias=False)
    parts: dict[str, nn.Module] = {"conv1": stem, "bn1": nn.BatchNorm2d(channels), "relu": nn.ReLU(inplace=True)}
    if variant == "A":
        parts["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    for number, (stage, count) in enumerate(zip(stages, layers, strict=True), start=1):
        block = Bottleneck if bottleneck and not stage.basic else BasicBlock
        blocks = []
        for index in range(count):
            stride, dilation = (stage.stride, stage.first_dilation) if index == 0 else (1, stage.dilation)
            blocks.append(block(channels, stage.width, stride, dilation, stage.residual, ccc))
            channels = block.expansion * stage.width
        parts[f"layer{number}"] = nn.Sequential(*blocks)
    return parts, channels


class DrnSegmentation(nn.Module):
    """DRN for segmentation: images (N, 3, H, W) -> logits (N, classes, H, W), H and W multiples of 8.

    The last layer is a transposed convolution that interpolates bilinearly by 8 and is not trained.

    Args:
        classes: number of outputs (19: Cityscapes' train ids).
        variant, layers, bottleneck, ccc: as for ``backbone``.
    """

    def __init__(
        self,
        classes: int = 19,
        variant: str = "C",
        layers: tuple[int, ...] = (1, 1, 2, 2, 2, 2, 1, 1),
        bottleneck: bool = False,
        ccc: bool = False,
    ) -> None:
        super().__init__()
        parts, channels = backbone(variant, layers, bottleneck, ccc)
        self.base = nn.Sequential(*parts.values())
        self.seg = nn.Conv2d(channels, classes, 1)
        self.up = nn.ConvTranspose2d(classes, classes, 16, stride=8, padding=4, groups=classes, bias=False)
        self.up.weight.requires_grad = False
        self.up.weight.data.copy_(bilinear_kernel(8))

    def forward(self, image: Tensor) -> Tensor:
        return self.up(self.seg(self.base(image)))


class DrnClassifier(nn.Module):
    """DRN for classification: images (N, 3, 224, 224) -> scores (N, classes).

    Args:
        classes: number of outputs (1,000: ImageNet's).
        variant, layers, bottleneck, ccc: as for ``backbone``.
    """

    def __init__(
        self,
        classes: int = 1000,
        variant: str = "C",
        layers: tuple[int, ...] = (1, 1, 2, 2, 2, 2, 1, 1),
        bottleneck: bool = False,
        ccc: bool = False,
    ) -> None:
        super().__init__()
        parts, channels = backbone(variant, layers, bottleneck, ccc)
        for name, part in parts.items():
            self.add_module(name, part)
        self.part_names = tuple(parts)
        self.avgpool = nn.AvgPool2d(FEATURES_SIDE, stride=1)
        # the DRN authors classify with a matrix in A, with a 1x1 convolution in C
        self.fc = nn.Linear(channels, classes) if variant == "A" else nn.Conv2d(channels, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for name in self.part_names:
            x = getattr(self, name)(x)
        x = self.avgpool(x)  # (N, channels, 1, 1)
        return self.fc(x.flatten(1)) if isinstance(self.fc, nn.Linear) else self.fc(x).flatten(1)


def bilinear_kernel(scale: int) -> Tensor:
    """(2 scale, 2 scale): the transposed convolution of stride ``scale`` with it interpolates bilinearly."""
    distance = (torch.arange(2 * scale, dtype=torch.float32) - (scale - 0.5)).abs()
    line = 1 - distance / scale
    return line[:, None] * line[None, :]
