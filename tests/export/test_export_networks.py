"""Exporting the other families: what is asked for, what comes from the entry, what is refused."""

import pytest
import torch

from ccc_jetson.carried import read_contract
from ccc_jetson.engines.inspect_cli import main as inspect
from ccc_jetson.errors import UsageError
from ccc_jetson.export import cli
from ccc_jetson.export.api import ExportOptions, export_onnx
from ccc_jetson.export.classes import default_classes
from ccc_jetson.export.networks.c3net import C3Net
from ccc_jetson.export.networks.drn import DrnClassifier
from ccc_jetson.export.networks.espnet import ESPnet
from ccc_jetson.runtime.eval_cli import main as evaluate
from tests.export.conftest import small_state


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "m.onnx")


def saved(module, tmp_path):
    """Path of its checkpoint."""
    file = str(tmp_path / "weights.pth")
    torch.save(module.state_dict(), file)
    return file


def test_a_network_for_classification_is_refused_and_inspected(tmp_path, path, capsys):
    torch.manual_seed(0)
    checkpoint = saved(DrnClassifier(classes=10, layers=(1,) * 8), tmp_path)
    assert cli.main([checkpoint, path]) == 2
    assert "DRN is a network for classification; only segmentation can be exported so far" in capsys.readouterr().err
    assert inspect([checkpoint]) == 0
    assert "at 224x224 by the paper's Table 5" in capsys.readouterr().out


def test_arch_settles_what_the_weights_leave_open(tmp_path, path, capsys):
    torch.manual_seed(0)
    checkpoint = saved(C3Net(p=1, q=1, channels=(8, 16, 32), structure="A"), tmp_path)
    small = ["--size", "128x64", "--no-passes"]
    assert cli.main([checkpoint, path, *small]) == 1
    printed = capsys.readouterr().err
    assert "does not tell dilations" in printed and "--arch c3net --arch-args dilations=2,4,8,16" in printed
    assert cli.main([checkpoint, path, *small, "--arch", "c3net", "--arch-args", "dilations=2,3,7,13"]) == 0
    assert read_contract(path).architecture.arguments["dilations"] == [2, 3, 7, 13]


def test_arch_that_contradicts_the_weights_is_refused_with_both(checkpoint, path, capsys):
    assert cli.main([checkpoint, path, "--arch", "erfnet"]) == 1
    printed = capsys.readouterr().err
    assert "--arch asks for erfnet" in printed and "the checkpoint is of c3net" in printed


def test_arguments_without_a_network_are_refused(checkpoint, path):
    with pytest.raises(UsageError, match="--arch, which is missing"):
        export_onnx(checkpoint, path, ExportOptions(arch_args=("q=3",)))


def test_void_may_be_cut_from_c3net_and_stays_in_espnet(tmp_path, path):
    """Both so that void never wins."""
    options = ExportOptions(width=128, height=64, passes=("cut-classes",))
    state = small_state()
    state["classifier.weight"][:, 19] = 0
    state["classifier.weight"][:, 0] += 5 * state["classifier.weight"].abs().max()
    checkpoint = str(tmp_path / "c3.pth")
    torch.save(state, checkpoint)
    cut = export_onnx(checkpoint, path, options).contract

    torch.manual_seed(0)
    module = ESPnet(p=1, q=1)
    module.conv.act.weight.data.fill_(0)
    module.classifier.weight.data.abs_()[:, 19] = 0
    kept = export_onnx(saved(module, tmp_path), path, options).contract
    assert "void" not in cut.class_names
    assert kept.class_names[19] == "void"


def test_twelve_outputs_of_an_espnet_are_camvids(tmp_path, path):
    torch.manual_seed(0)
    exported = export_onnx(saved(ESPnet(classes=12, p=1, q=1), tmp_path), path, ExportOptions(passes=()))
    contract = exported.contract
    assert (contract.input.width, contract.input.height) == (480, 360)
    assert contract.class_names[:3] == ("Sky", "Building", "Pole")
    assert contract.classes[11] == ("void", (0, 0, 0), 255, -1)
    assert exported.notes == (
        "12 outputs are taken for ESPnet's CamVid network: its mean, std, 480x360 and classes are used; "
        "for another one give --mean, --std, --size and --classes",
    )


def test_a_size_and_statistics_of_ones_own_are_not_said_to_be_camvids(tmp_path, path):
    checkpoint, three = saved(ESPnet(classes=12, p=1, q=1), tmp_path), (1.0, 2.0, 3.0)
    own = ExportOptions(passes=(), width=128, height=64, mean=three, std=three)
    (note,) = export_onnx(checkpoint, path, own).notes
    assert "its classes are used" in note and "480x360" not in note and "--mean" not in note
    names = tmp_path / "names.txt"
    names.write_text("\n".join(map(str, range(12))))
    assert export_onnx(checkpoint, path, own._replace(classes=str(names))).notes == ()


def test_camvids_classes_are_eleven_with_or_without_void():
    assert len(default_classes(11, "camvid")) == 11
    assert default_classes(20, "camvid") is None
    assert default_classes(12) is None


def test_the_camvid_network_is_as_accurate_as_in_pytorch(shared_data, path, capsys):
    assert cli.main([shared_data("espnet_decoder_espnet_p_2_q_8_camvid.pth"), path, "--target", "cpu"]) == 0
    folders = ["--images", shared_data("camvid/test"), "--labels", shared_data("camvid/testannot")]
    capsys.readouterr()
    assert evaluate([path, *folders, "--mapping", "camvid"]) == 0
    printed = capsys.readouterr().out
    figures = {
        line.split()[0]: float(line.split()[1]) for line in printed.splitlines() if line[:5] in ("mIoU ", "accur")
    }
    assert figures["mIoU"] == pytest.approx(0.518, abs=0.005)
    assert figures["accuracy"] == pytest.approx(0.842, abs=0.005)
    assert "published  no figures for this network" in printed
