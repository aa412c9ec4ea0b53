"""Layers that the networks of the paper share.

Attribute names follow the authors' released checkpoints, so that a state dict loads strictly.
"""

from torch import Tensor, nn

# The authors' code gives every stand-alone BatchNorm this epsilon; those inside a CCC block keep PyTorch's 1e-5.
MODULE_BN_EPS = 1e-3

# Of a CCC block, as the paper's Fig. 3 and Table 3 name them; "CNL" is C with BatchNorm and PReLU between the pair.
STRUCTURES = ("A", "B", "C", "CNL")


class Conv(nn.Module):
    """Convolution without bias, padded so that a stride of 1 keeps the size; dilated where asked for."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class BnPrelu(nn.Module):
    """BatchNorm and a PReLU with one slope per channel; without ``activation`` the BatchNorm alone."""

    def __init__(self, channels: int, activation: bool = True) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=MODULE_BN_EPS)
        self.act = nn.PReLU(channels) if activation else nn.Identity()

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


class SeparableConvBnPrelu(nn.Module):
    """Depth-wise 3x3 convolution, 1x1 convolution, BatchNorm, PReLU (C3NetV2's decoder)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(depth_wise(channels_in, 3), nn.Conv2d(channels_in, channels_out, 1, bias=False))
        self.bn = nn.BatchNorm2d(channels_out, eps=MODULE_BN_EPS)
        self.act = nn.PReLU(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class CccBlock(nn.Module):
    """Concentrated-comprehensive convolution: what replaces one dilated 3x3 convolution (paper, Fig. 3, Table 3).

    The concentration stage gathers the pixels that a dilation of ``dilation`` would skip, over a window of
    ``k = 2 * dilation - 1`` pixels; the comprehensive stage is the dilated depth-wise 3x3 convolution and a 1x1
    convolution over the channels. The concentration of each structure:

    ====  ==========================================================================================
    A     none
    B     depth-wise k x k, BatchNorm
    C     depth-wise asymmetric pair (k, 1) and (1, k), BatchNorm
    CNL   the same pair with BatchNorm and PReLU between: what the paper uses (Table 3 (7))
    ====  ==========================================================================================

    Args:
        channels_in: channels of the input, and of the depth-wise stages.
        channels_out: channels of the output.
        dilation: dilation of the 3x3 convolution; with 1 there is nothing to concentrate.
        structure: one of ``STRUCTURES``.
    """

    def __init__(self, channels_in: int, channels_out: int, dilation: int, structure: str = "CNL") -> None:
        super().__init__()
        n, k = channels_in, 2 * dilation - 1
        concentration: list[nn.Module]
        if structure == "A" or dilation == 1:
            concentration = []
        elif structure == "B":
            concentration = [depth_wise(n, k), nn.BatchNorm2d(n)]
        elif structure == "C":
            concentration = [depth_wise(n, (k, 1)), depth_wise(n, (1, k)), nn.BatchNorm2d(n)]
        elif structure == "CNL":
            between = [nn.BatchNorm2d(n), nn.PReLU(n)]
            concentration = [depth_wise(n, (k, 1)), *between, depth_wise(n, (1, k)), nn.BatchNorm2d(n)]
        else:
            raise ValueError(f"no structure {structure!r}; there are {', '.join(STRUCTURES)}")
        comprehensive = [depth_wise(n, 3, dilation), nn.Conv2d(n, channels_out, 1, bias=False)]
        self.conv = nn.Sequential(*concentration, *comprehensive)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def dense_block(channels_in: int, channels_out: int, dilation: int) -> Conv:
    """The dilated 3x3 convolution that a CCC block replaces."""
    return Conv(channels_in, channels_out, 3, dilation=dilation)


def depth_wise(channels: int, kernel: int | tuple[int, int], dilation: int = 1) -> nn.Conv2d:
    """Depth-wise convolution of odd kernel that keeps the size."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (dilation * (sides[0] - 1) // 2, dilation * (sides[1] - 1) // 2)
    return nn.Conv2d(channels, channels, sides, padding=padding, dilation=dilation, groups=channels, bias=False)


def upsample_by_2(channels: int) -> nn.ConvTranspose2d:
    """2x2 transposed convolution with stride 2: each output pixel sees exactly one input pixel."""
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


def split_channels(channels: int, branches: int) -> list[int]:
    """Shares ``channels`` between the branches of a module: equal parts, the remainder goes to the first branch."""
    part = channels // branches
    return [channels - (branches - 1) * part] + [part] * (branches - 1)
