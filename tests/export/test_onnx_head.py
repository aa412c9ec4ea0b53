"""The head that a graph ends in: found, described, and the same classes from the features as from the whole graph."""

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from ccc_jetson.carried import read_contract
from ccc_jetson.export.api import ExportOptions, export_onnx
from ccc_jetson.export.networks.c3net import C3NetV2
from ccc_jetson.export.networks.drn import DrnSegmentation, bilinear_kernel
from ccc_jetson.export.networks.erfnet import ERFnet
from ccc_jetson.export.networks.espnet import ESPnet, ESPnetC
from ccc_jetson.export.onnx_graph import LOGITS, build_graph
from ccc_jetson.export.onnx_head import find_head
from ccc_jetson.head import head_class_map, read_head
from ccc_jetson.onnx_file import read_onnx, with_extra_outputs
from ccc_jetson.ort import cpu_session
from ccc_jetson.targets import target_named

SHALLOW = (1,) * 8
BUILDERS = {
    "c3netv2": (lambda: C3NetV2(classes=19, p=1, q=1), ("bilinear", 2, True)),
    "espnet": (lambda: ESPnet(p=1, q=1), ("transposed_conv_2x2", 2, False)),
    "espnet-training": (lambda: ESPnet(p=1, q=1, decoder="training"), ("transposed_conv_2x2", 2, False)),
    "ccc-espnet": (lambda: ESPnet(p=1, q=1, block="ccc"), ("transposed_conv_2x2", 2, False)),
    "espnet-c": (lambda: ESPnetC(p=1, q=1), ("bilinear", 8, False)),
    "erfnet": (ERFnet, ("transposed_conv_2x2", 2, False)),
    "ccc-erfnet": (lambda: ERFnet(ccc=True), ("transposed_conv_2x2", 2, False)),
    "drn": (lambda: DrnSegmentation(layers=SHALLOW), ("bilinear", 8, False)),
    "ccc-drn": (lambda: DrnSegmentation(layers=SHALLOW, ccc=True), ("bilinear", 8, False)),
    "drn-a": (lambda: DrnSegmentation(variant="A", layers=SHALLOW[:4], bottleneck=True), ("bilinear", 8, False)),
}


def save(build, path):
    """A checkpoint with weights that differ, and statistics that keep activations in range."""
    torch.manual_seed(0)
    module = build()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and name != "up.weight":
            tensor.add_(torch.rand_like(tensor) * 0.02)
    torch.save(module.state_dict(), path)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("target", ["tx2", "cpu"])
def test_every_segmentation_network_is_exported_with_its_head(name, target, tmp_path):
    build, head = BUILDERS[name]
    weights, path = str(tmp_path / "weights.pth"), str(tmp_path / "m.onnx")
    save(build, weights)
    exported = export_onnx(weights, path, ExportOptions(width=128, height=64, target=target))
    assert exported.worst.argmax >= 0.9999
    contract, found = read_contract(path), read_onnx(path)
    assert contract.head[0:1] + contract.head[4:] == head
    assert not [record.refused for record in exported.passes if record.refused]

    with open(path, "rb") as file:
        session = cpu_session(with_extra_outputs(file.read(), [contract.head.features]), path)
    image = np.random.default_rng(0).normal(0, 0.5, (1, 3, 64, 128)).astype(np.float32)
    class_map, features = session.run(["class_map", contract.head.features], {"image": image})
    from_head = head_class_map(features[0], contract.head, read_head(contract, found, path))
    assert (from_head == class_map[0]).mean() > 0.999


class Upsampled(nn.Module):
    def __init__(self, up):
        super().__init__()
        self.conv, self.up = nn.Conv2d(3, 5, 3, padding=1), up

    def forward(self, image):
        return self.up(self.conv(image))


def fixed(scale, kernel, **more):
    up = nn.ConvTranspose2d(5, 5, 2 * scale, stride=scale, padding=scale // 2, groups=5, bias=False, **more)
    up.weight.data.copy_(kernel)
    return up


def head_of(up, size=16):
    graph = build_graph(Upsampled(up).eval(), (1, 3, size, size), "class_map", target_named("tx2"))
    assert isinstance(graph, ir.Model)
    return find_head(graph, LOGITS)


@pytest.mark.parametrize(
    ("up", "kind", "scale", "aligned"),
    [
        (nn.ConvTranspose2d(5, 7, 2, stride=2), "transposed_conv_2x2", 2, False),
        (nn.Upsample(scale_factor=4, mode="bilinear", align_corners=False), "bilinear", 4, False),
        (nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True), "bilinear", 4, True),
        (nn.Upsample(size=(48, 48), mode="bilinear", align_corners=False), "bilinear", 3, False),
        (fixed(8, bilinear_kernel(8)), "bilinear", 8, False),
        (fixed(2, bilinear_kernel(2)), "bilinear", 2, False),
    ],
    ids=str,
)
def test_a_head_is_found(up, kind, scale, aligned):
    head, weights = head_of(up)
    assert (head.kind, head.scale, head.align_corners) == (kind, scale, aligned)
    assert (weights is None) == (kind == "bilinear")


@pytest.mark.parametrize(
    "up",
    [
        nn.Identity(),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Upsample(scale_factor=2, mode="bicubic"),
        nn.Upsample(size=(32, 48), mode="bilinear"),
        nn.Upsample(size=(40, 40), mode="bilinear"),
        nn.Upsample(scale_factor=64, mode="bilinear"),
        nn.ConvTranspose2d(5, 5, 3, stride=2, padding=1, output_padding=1),
        nn.ConvTranspose2d(5, 5, 2, stride=2, groups=5),
        fixed(8, bilinear_kernel(8) * 1.01),
        fixed(8, torch.rand(5, 1, 16, 16)),
    ],
    ids=str,
)
def test_another_end_is_no_head(up):
    assert head_of(up) is None


def test_the_fixed_kernel_interpolates_inside_the_picture():
    up, image = fixed(8, bilinear_kernel(8)), torch.rand(1, 5, 9, 9)
    expected = nn.functional.interpolate(image, scale_factor=8, mode="bilinear", align_corners=False)
    with torch.no_grad():
        assert torch.allclose(up(image)[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4], atol=1e-6)
