"""The families: how each is built, and how it is recognised in a state dict.

A rule reads arguments from keys and shapes. It never fails, whatever stands in the state dict: strict loading into the
network built from the arguments is what proves them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ccc_jetson.contract import Preprocessing
from ccc_jetson.export.classes import CAMVID, CITYSCAPES, IMAGENET
from ccc_jetson.export.networks import blocks, c3net, drn, erfnet, espnet, pyramid
from ccc_jetson.export.networks.entry import CLASSIFICATION, SEGMENTATION, Defaults, Network

State = Mapping[str, Tensor]

# Of the authors' training code, in B, G, R; the division by 255 comes after the one by std (verified on real frames)
CITYSCAPES_BGR = Preprocessing(
    "BGR", (72.3923111, 82.9089355, 73.1584015), (45.3192215, 46.1528931, 44.9148331), 1 / 255
)
# CamVid's, from 21 of its training frames at 480x360 in B, G, R; divided by 255 after it as well
CAMVID_BGR = Preprocessing("BGR", (107.8, 105.9, 102.7), (78.2, 79.4, 78.4), 1 / 255)
# torchvision's ToTensor alone, as ERFnet's authors train
UNIT_RGB = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 1 / 255)
# Of the DRN authors' datasets/cityscapes/info.json, and torchvision's for ImageNet, both times 255
CITYSCAPES_RGB = Preprocessing("RGB", (73.975743, 83.660769, 73.175805), (46.653282, 47.574231, 47.041147), 1.0)
IMAGENET_RGB = Preprocessing("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), 1.0)
CAMVID_OUTPUTS = 12
CAMVID_SIZE = (480, 360)


def _cityscapes(preprocessing: Preprocessing, cuts_void: bool) -> Defaults:
    return Defaults(preprocessing, 1024, 512, CITYSCAPES, cuts_void)


def _espnet_defaults(arguments: Mapping[str, Any]) -> Defaults:
    """Class 19 of the published Cityscapes weights wins a sixth of all pixels, so it stays."""
    if arguments["classes"] == CAMVID_OUTPUTS:
        return Defaults(CAMVID_BGR, *CAMVID_SIZE, CAMVID, False, "12 outputs are taken for ESPnet's CamVid network")
    return _cityscapes(CITYSCAPES_BGR, cuts_void=False)


def _c3net_arguments(state: State) -> list[dict[str, Any]]:
    """p and q by counting, class count and widths from shapes, dilations and structure from the branches' kernels.

    A branch of dilation 1 is a plain convolution. Structure A has the same 3x3 kernels for all others: the paper's two
    sets (others for other numbers of dilated branches) are left open, so that the user is asked.
    """
    first = "encoder.level2_0"
    common = {"classes": _outputs(state, "encoder.classifier.conv.weight", 20), **_depths(state, "encoder.")}
    widths = ("encoder.level1.conv.weight", f"{first}.bn.weight", "encoder.level3_0.bn.weight")
    channels = tuple(_outputs(state, key, usual) for key, usual in zip(widths, pyramid.CHANNELS, strict=True))
    names = _branches(state, first)
    found = [_structure(state, f"{first}.{name}") for name in names]
    structures = set(found) - {"undilated"}
    structure = structures.pop() if len(structures) == 1 else "CNL"
    kernels = [_side(state, f"{first}.{name}.conv.0.weight") for name in names]
    read = tuple((kernel + 1) // 2 for kernel in kernels)
    choices = [read or c3net.DILATIONS]
    if structure == "A":
        dilated = [each != "undilated" for each in found]
        count = sum(dilated)
        guesses = ([2 << i for i in range(count)], (2, 3, 7, 13) if count == 4 else range(3, 3 + count))
        rest = [iter(guess) for guess in guesses]
        choices = [tuple(next(each) if wide else 1 for wide in dilated) for each in rest]
    more: dict[str, Any] = {} if structure == "CNL" else {"structure": structure}
    if _has(state, "combine_l2_l3.1.bn.bn.weight") and not _has(state, "combine_l2_l3.1.bn.act.weight"):
        more["act_after_sum"] = False
    return [{**common, "dilations": choice, "channels": channels, **more} for choice in choices]


def _c3netv2_arguments(state: State) -> list[dict[str, Any]]:
    """As for C3Net; a 3x3 kernel at the start of a branch is that of dilation 1."""
    first = "encoder.level2_0"
    names = _branches(state, first)
    dilated = [_structure(state, f"{first}.{name}") != "A" for name in names]
    kernels = [_side(state, f"{first}.{name}.conv.0.weight") for name in names]
    dilations = tuple((side + 1) // 2 if wide else 1 for side, wide in zip(kernels, dilated, strict=True))
    widths = (f"{first}.bn.weight", "encoder.level3_0.bn.weight")
    return [
        {
            "classes": _outputs(state, "classifier.1.conv.weight", 20),
            **_depths(state, "encoder."),
            "dilations": dilations or c3net.DILATIONS,
            "channels": tuple(
                _outputs(state, key, usual) for key, usual in zip(widths, pyramid.CHANNELS[1:], strict=True)
            ),
        }
    ]


def _espnet_arguments(state: State) -> list[dict[str, Any]]:
    """p and q by counting, the decoder from what its last convolution reads, the block from a dilated branch."""
    classes = _outputs(state, "encoder.classifier.conv.weight", 20)
    read = _shape(state, "conv.conv.weight")
    training = len(read) == 4 and read[1] == classes + pyramid.CHANNELS[0] + pyramid.IMAGE_CHANNELS
    return [
        {
            "classes": classes,
            **_depths(state, "encoder."),
            "decoder": "training" if training else "published",
            "block": _espnet_block(state, "encoder."),
        }
    ]


def _espnet_c_arguments(state: State) -> list[dict[str, Any]]:
    classes = _outputs(state, "classifier.conv.weight", 20)
    return [{"classes": classes, **_depths(state, ""), "block": _espnet_block(state, "")}]


def _espnet_block(state: State, prefix: str) -> str:
    kernel = _shape(state, f"{prefix}level2_0.d2.conv.0.weight")
    if len(kernel) != 4:
        return "dense"
    return "ccc" if kernel[3] == 1 else "separable"


def _erfnet_arguments(state: State) -> list[dict[str, Any]]:
    """CCC-ERFnet's dilations are in its kernels (a 3x3 one at the start is that of dilation 1), ERFnet's are not in a
    state dict: those of its authors."""
    classes = _outputs(state, "decoder.output_conv.weight", 20, axis=1)
    kernels = {}
    for key in state:
        block = re.fullmatch(r"encoder\.layers\.(\d+)\.ccc\.conv\.0\.weight", key)
        if block:
            undilated = _structure(state, key[: -len(".conv.0.weight")]) == "A"
            kernels[int(block[1])] = 1 if undilated else _side(state, key)
    if not kernels:
        return [{"classes": classes, "dilations": erfnet.DILATIONS, "ccc": False}]
    dilations = tuple((kernels[layer] + 1) // 2 for layer in sorted(kernels))
    return [{"classes": classes, "dilations": dilations, "ccc": True}]


def _drn_arguments(state: State) -> list[dict[str, Any]]:
    """The segmentation network numbers its parts: the stages come after stem, BatchNorm, ReLU (and, in A, max-pool)."""
    variant = "A" if _outputs(state, "base.0.weight", 16) == 64 else "C"
    start = 4 if variant == "A" else 3
    prefixes = [f"base.{start + index}" for index in range(len(drn.STAGES[variant]))]
    return [{"classes": _outputs(state, "seg.weight", 19), **_drn_backbone(state, variant, prefixes)}]


def _drn_classifier_defaults(arguments: Mapping[str, Any]) -> Defaults:
    """DRN-A is a ResNet whose last stages are dilated instead of strided, which no weight shows."""
    twin = "a ResNet, whose last two stages are strided instead of dilated" * (
        arguments["variant"] == "A" and not arguments["ccc"]
    )
    return Defaults(IMAGENET_RGB, 224, 224, IMAGENET, cuts_void=False, twin=twin)


def _drn_classifier_arguments(state: State) -> list[dict[str, Any]]:
    variant = "A" if _outputs(state, "conv1.weight", 16) == 64 else "C"
    prefixes = [f"layer{number}" for number in range(1, len(drn.STAGES[variant]) + 1)]
    return [{"classes": _outputs(state, "fc.weight", 1000), **_drn_backbone(state, variant, prefixes)}]


def _drn_backbone(state: State, variant: str, prefixes: list[str]) -> dict[str, Any]:
    layers = tuple(_modules(state, prefix) for prefix in prefixes)
    return {
        "variant": variant,
        "layers": layers,
        "bottleneck": any(key.endswith(".conv3.weight") for key in state),
        "ccc": any(re.search(r"\.conv[12]\.conv\.0\.weight$", key) for key in state),
    }


def _structure(state: State, branch: str) -> str:
    """Of a CCC block, read from its first two layers; "undilated" for a plain convolution."""
    kernel, second = _shape(state, f"{branch}.conv.0.weight"), _shape(state, f"{branch}.conv.1.weight")
    if len(kernel) != 4:
        return "undilated"
    if kernel[3] == 1:
        return "C" if len(second) == 4 else "CNL"
    return "A" if len(second) == 4 else "B"


def _branches(state: State, module: str) -> list[str]:
    """d1, d2, ... of a CCC module, as far as they are numbered without a gap."""
    found: set[int] = set()
    for key in state:
        branch = re.match(re.escape(module) + r"\.d(\d{1,3})\.conv\.", key)
        if branch:
            found.add(int(branch[1]))
    return [f"d{number}" for number in sorted(found)]


def _depths(state: State, prefix: str) -> dict[str, int]:
    return {"p": _modules(state, f"{prefix}level2"), "q": _modules(state, f"{prefix}level3")}


def _modules(state: Iterable[str], prefix: str) -> int:
    return len({match[1] for key in state if (match := re.match(re.escape(prefix) + r"\.(\d+)\.", key))})


def _has(state: State, key: str) -> bool:
    return key in state


def _shape(state: State, key: str) -> tuple[int, ...]:
    return tuple(state[key].shape) if key in state else ()


def _side(state: State, key: str) -> int:
    """Height of a kernel, 1 where there is none."""
    shape = _shape(state, key)
    return shape[2] if len(shape) == 4 else 1


def _outputs(state: State, key: str, usual: int, axis: int = 0) -> int:
    shape = _shape(state, key)
    return shape[axis] if len(shape) > axis else usual


NETWORKS = (
    Network(
        "c3net",
        "C3Net",
        SEGMENTATION,
        c3net.C3Net,
        _c3net_arguments,
        lambda arguments: _cityscapes(CITYSCAPES_BGR, cuts_void=True),
        pyramid.DOWNSCALE,
        "dilations of structure A (to be given)",
        {"structure": blocks.STRUCTURES},
    ),
    Network(
        "c3netv2",
        "C3NetV2",
        SEGMENTATION,
        c3net.C3NetV2,
        _c3netv2_arguments,
        lambda arguments: _cityscapes(CITYSCAPES_BGR, cuts_void=True),
        pyramid.DOWNSCALE,
        "",
        {},
    ),
    Network(
        "espnet",
        "ESPnet",
        SEGMENTATION,
        espnet.ESPnet,
        _espnet_arguments,
        _espnet_defaults,
        pyramid.DOWNSCALE,
        "hierarchical feature fusion (always), image pooling 3x3",
        {"decoder": espnet.DECODERS, "block": espnet.BLOCKS},
    ),
    Network(
        "espnet-c",
        "ESPnet-C",
        SEGMENTATION,
        espnet.ESPnetC,
        _espnet_c_arguments,
        _espnet_defaults,
        pyramid.DOWNSCALE,
        "as espnet; interpolation by 8 without aligned corners",
        {"block": espnet.BLOCKS},
    ),
    Network(
        "erfnet",
        "ERFnet",
        SEGMENTATION,
        erfnet.ERFnet,
        _erfnet_arguments,
        lambda arguments: _cityscapes(UNIT_RGB, cuts_void=False),
        erfnet.DOWNSCALE,
        "ERFnet's dilations: 2, 4, 8, 16 twice, as its authors have them",
        {},
    ),
    Network(
        "drn",
        "DRN",
        SEGMENTATION,
        drn.DrnSegmentation,
        _drn_arguments,
        lambda arguments: _cityscapes(CITYSCAPES_RGB, cuts_void=False),
        drn.DOWNSCALE,
        "DRN's dilations: 2, 4 (A) and 2, 4, 2, 1 (C), as its authors have them",
        {"variant": tuple(drn.STAGES)},
    ),
    Network(
        "drn-classifier",
        "DRN",
        CLASSIFICATION,
        drn.DrnClassifier,
        _drn_classifier_arguments,
        _drn_classifier_defaults,
        drn.DOWNSCALE * drn.FEATURES_SIDE,
        "as drn; a ResNet has the same keys and shapes as A, so --arch must say that it is none",
        {"variant": tuple(drn.STAGES)},
    ),
)
