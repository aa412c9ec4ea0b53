"""Layers that the networks of the paper share.

Attribute names follow the authors' released checkpoints, so that a state dict loads strictly.
"""

import torch
from torch import Tensor, nn

# The authors' code gives every stand-alone BatchNorm this epsilon; those inside a CCC block keep PyTorch's 1e-5.
MODULE_BN_EPS = 1e-3


class Conv(nn.Module):
    """Convolution without bias, padded so that a stride of 1 keeps the size."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=(kernel - 1) // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class BnPrelu(nn.Module):
    """BatchNorm and a PReLU with one slope per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=MODULE_BN_EPS)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class ConvBnPrelu(nn.Module):
    """Convolution, BatchNorm, PReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=(kernel - 1) // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels_out, eps=MODULE_BN_EPS)
        self.act = nn.PReLU(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class CccBlock(nn.Module):
    """Concentrated-comprehensive convolution: what replaces one dilated 3x3 convolution (paper, Fig. 3 C, Table 3 (7)).

    The concentration stage gathers the pixels that a dilation of ``dilation`` would skip, by a depth-wise asymmetric
    pair (k, 1) and (1, k) with ``k = 2 * dilation - 1``; the comprehensive stage is the dilated depth-wise 3x3
    convolution and a 1x1 convolution over the channels.

    Args:
        channels_in: channels of the input, and of the depth-wise stages.
        channels_out: channels of the output.
        dilation: dilation of the 3x3 convolution, 2 or more.
    """

    def __init__(self, channels_in: int, channels_out: int, dilation: int) -> None:
        super().__init__()
        kernel, pad, n = 2 * dilation - 1, dilation - 1, channels_in
        self.conv = nn.Sequential(
            nn.Conv2d(n, n, (kernel, 1), padding=(pad, 0), groups=n, bias=False),
            nn.BatchNorm2d(n),
            nn.PReLU(n),
            nn.Conv2d(n, n, (1, kernel), padding=(0, pad), groups=n, bias=False),
            nn.BatchNorm2d(n),
            nn.Conv2d(n, n, 3, padding=dilation, dilation=dilation, groups=n, bias=False),
            nn.Conv2d(n, channels_out, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def split_channels(channels: int, branches: int) -> list[int]:
    """Shares ``channels`` between the branches of a module: equal parts, the remainder goes to the first branch."""
    part = channels // branches
    return [channels - (branches - 1) * part] + [part] * (branches - 1)


class CccBranches(nn.Module):
    """What the CCC modules share: a reduction ``c1`` and one CCC block per dilation on its result, concatenated.

    The authors' code evaluates ``c1`` twice; here it is computed once (same result, 10.7 % fewer FLOPs on CCC2).
    """

    def __init__(
        self, channels_in: int, channels_out: int, dilations: tuple[int, ...], kernel: int, stride: int
    ) -> None:
        super().__init__()
        reduced = channels_out // len(dilations)
        widths = split_channels(channels_out, len(dilations))
        self.c1 = Conv(channels_in, reduced, kernel, stride)
        for i, (width, dilation) in enumerate(zip(widths, dilations, strict=True), start=1):
            setattr(self, f"d{i}", CccBlock(reduced, width, dilation))
        self.branches = len(dilations)

    def concatenated(self, x: Tensor) -> Tensor:
        reduced = self.c1(x)
        return torch.cat([getattr(self, f"d{i}")(reduced) for i in range(1, self.branches + 1)], dim=1)


class CccDownModule(CccBranches):
    """Down-sampling CCC module: a 3x3 stride-2 reduction, the branches, BatchNorm and PReLU (paper, section 3)."""

    def __init__(self, channels_in: int, channels_out: int, dilations: tuple[int, ...]) -> None:
        super().__init__(channels_in, channels_out, dilations, kernel=3, stride=2)
        self.bn = nn.BatchNorm2d(channels_out, eps=MODULE_BN_EPS)
        self.act = nn.PReLU(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.concatenated(x)))


class CccModule(CccBranches):
    """CCC module: a 1x1 reduction, the branches, the residual where asked for, BatchNorm and PReLU (paper, Fig. 2)."""

    def __init__(self, channels_in: int, channels_out: int, dilations: tuple[int, ...], residual: bool) -> None:
        super().__init__(channels_in, channels_out, dilations, kernel=1, stride=1)
        self.bn = BnPrelu(channels_out)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        combined = self.concatenated(x)
        return self.bn(x + combined if self.residual else combined)
