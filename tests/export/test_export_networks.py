"""Exporting the other families: what is asked for, what comes from the entry, what is refused."""

import json
from pathlib import Path

import pytest
import torch

from ccc_jetson.carried import read_contract
from ccc_jetson.engines.inspect_cli import main as inspect
from ccc_jetson.errors import UsageError, VerificationError
from ccc_jetson.export import checked, cli
from ccc_jetson.export.api import ExportOptions, export_onnx
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.classes import classes_for, default_classes
from ccc_jetson.export.networks.c3net import C3Net
from ccc_jetson.export.networks.drn import DrnClassifier
from ccc_jetson.export.networks.espnet import ESPnet
from ccc_jetson.export.networks.families import IMAGENET_RGB, NETWORKS
from ccc_jetson.export.networks.paper import NAMED
from ccc_jetson.export.networks.registry import recognise
from ccc_jetson.export.scenes import street_scene
from ccc_jetson.export.verify import Agreement
from ccc_jetson.onnx_file import parse_onnx
from ccc_jetson.opencv import import_cv2
from ccc_jetson.preprocess import Preprocessor
from ccc_jetson.runtime.eval_cli import main as evaluate
from ccc_jetson.runtime.run_cli import main as run
from tests.doubles.engine_room import command
from tests.export.conftest import small_state

FAMILIES = {network.name: network for network in NETWORKS}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "m.onnx")


def saved(module, tmp_path):
    """Path of its checkpoint."""
    file = str(tmp_path / "weights.pth")
    torch.save(module.state_dict(), file)
    return file


@pytest.fixture
def classifier(tmp_path):
    """Path of a small classifier's checkpoint."""
    torch.manual_seed(0)
    return saved(DrnClassifier(classes=10, layers=(1,) * 8), tmp_path)


def test_a_classifier_is_inspected_exported_verified_and_run(classifier, path, tmp_path, capsys):
    assert inspect([classifier]) == 0
    assert "at 224x224 by the paper's Table 5" in capsys.readouterr().out
    assert cli.main([classifier, path]) == 0
    printed = capsys.readouterr()
    assert "output      scores of 10 classes" in printed.out
    assert "verified    on 6 frames: same class for all of them" in printed.out
    assert "simulated on 4 pictures: same class for" in printed.out
    assert "names of the 10 classes are unknown" in printed.err
    contract = read_contract(path)
    assert contract.output == ("scores", "scores", "scores")
    assert (contract.head, contract.input.width, contract.input.height) == (None, 224, 224)
    assert contract.classes[9] == ("class 9", (0, 0, 0), 255, -1)
    assert contract.half is not None and contract.half.safe
    assert inspect([path]) == 0
    assert "scores of 10 classes: class 0, class 1," in capsys.readouterr().out

    scene = street_scene(1, 320, 256).frame
    import_cv2().imwrite(str(tmp_path / "street.png"), scene)
    assert run(["--model", path, "--images", str(tmp_path / "street.png"), "--json"]) == 0
    (picture,) = json.loads(capsys.readouterr().out)["pictures"]
    image = Preprocessor(contract, "crop")(scene)
    with torch.no_grad():
        scores = recognise(load_checkpoint(classifier).state, "c").module(
            torch.from_numpy(image / contract_scale(path))
        )
    assert picture["top"][0]["class"] == f"class {int(scores.argmax())}"
    assert picture["top"][0]["score"] == pytest.approx(float(scores.max()), rel=1e-3)
    assert sum(each["probability"] for each in picture["top"]) <= 1


def contract_scale(path):
    """By how much a file's input is larger than its network's."""
    return read_contract(path).preprocessing.scale / IMAGENET_RGB.scale


@pytest.mark.parametrize("target", ["cpu", "cpu-onnxruntime", "orin"])
def test_a_classifier_is_exported_for_every_runtime(classifier, path, target):
    exported = export_onnx(classifier, path, ExportOptions(target=target))
    assert exported.worst.argmax == 1
    assert not [each for each in exported.passes if each.refused]


def test_a_strongly_typed_classifier_is_verified_too(classifier, path):
    contract = export_onnx(classifier, path, ExportOptions(target="orin", fp16=True, passes=())).contract
    assert (contract.precision, contract.verification["argmax_agreement"]) == ("fp16", 1)


def test_a_batch_of_pictures_is_verified(classifier, path):
    exported = export_onnx(classifier, path, ExportOptions(batch=2, passes=()))
    assert exported.worst.argmax == 1
    assert parse_onnx(Path(path).read_bytes()).outputs[0].shape == (2, 10)


def test_a_classifiers_classes_have_names_and_nothing_else(classifier, path, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"animal {index}" for index in range(10)))
    assert (
        export_onnx(classifier, path, ExportOptions(classes=str(names), passes=())).contract.class_names[3]
        == "animal 3"
    )
    names.write_text(json.dumps([{"name": "a", "color": [1, 2, 3]}] * 10))
    with pytest.raises(UsageError, match="it is a class of whole pictures"):
        export_onnx(classifier, path, ExportOptions(classes=str(names), passes=()))
    names.write_text("\ufeff" + "\n".join(f"a\u2028{index}" for index in range(10)) + "\r\n\n", encoding="utf-8")
    named = export_onnx(classifier, path, ExportOptions(classes=str(names), passes=())).contract.class_names
    assert named[0] == "a\u20280" and named[9] == "a\u20289"
    names.write_text("one\n\n" + "\n".join("abcdefgh"))
    with pytest.raises(UsageError, match=r"has 9 classes \(1 empty lines are none\), the network has 10 outputs"):
        export_onnx(classifier, path, ExportOptions(classes=str(names)))
    names.write_text("one\ntwo")
    with pytest.raises(UsageError, match="has 2 classes, the network has 10 outputs"):
        export_onnx(classifier, path, ExportOptions(classes=str(names), passes=()))


def test_a_thousand_classes_are_numbered_as_imagenets():
    classes, (note,) = classes_for(None, 1000, "imagenet", of_pictures=True)
    assert (len(classes), classes[999].name) == (1000, "class 999")
    assert "by their WordNet ids" in note
    with pytest.raises(UsageError, match="65536 classes are possible"):
        classes_for(None, 65537, "imagenet", of_pictures=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ExportOptions(output="class_map"), "--output class_map: DRN is a network for classification"),
        (ExportOptions(output="logits"), "it gives scores"),
        (ExportOptions(width=448, height=448), "--size 448x448: DRN averages features of one size, that of 224x224"),
    ],
)
def test_what_a_classifier_cannot_be_exported_as(classifier, path, options, message):
    with pytest.raises(UsageError, match=message):
        export_onnx(classifier, path, options)


def test_a_classifier_has_no_label_maps(classifier, path, shared_data):
    options = ExportOptions(
        verify_images=[shared_data("camvid/test")], verify_labels=shared_data("camvid/testannot"), mapping="camvid"
    )
    with pytest.raises(UsageError, match="--verify-labels: DRN gives a picture one class"):
        export_onnx(classifier, path, options)


def test_scores_are_for_classifiers(checkpoint, path):
    with pytest.raises(UsageError, match="--output scores: "):
        export_onnx(checkpoint, path, ExportOptions(output="scores"))


def test_what_may_be_a_resnet_is_exported_only_for_a_drn_that_is_named(path, tmp_path, capsys):
    """A ResNet has DRN-A's keys and shapes, and other scores."""
    torch.manual_seed(0)
    checkpoint = saved(FAMILIES["drn-classifier"].build(variant="A", layers=(1, 1, 1, 1), classes=5), tmp_path)
    assert cli.main([checkpoint, path]) == 2
    printed = capsys.readouterr().err
    assert "and those of a ResNet, whose last two stages are strided instead of dilated" in printed
    assert "--arch drn-classifier" in printed
    assert not Path(path).exists()
    named = ["--arch", "drn-classifier", "--arch-args", "variant=A"]
    assert cli.main([checkpoint, path, "--no-passes", *named]) == 0


def test_a_classifier_of_ccc_blocks_is_no_resnet(path, tmp_path):
    torch.manual_seed(0)
    module = FAMILIES["drn-classifier"].build(variant="A", layers=(1, 1, 2, 1), classes=5, ccc=True)
    assert export_onnx(saved(module, tmp_path), path, ExportOptions(passes=())).worst.argmax == 1


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([(1, 1), (1, 1)], "all of them"),
        ([(1, 1), (0, 1)], "1 of them, one as good for 1"),
        ([(1, 1), (0, 1), (0, 0)], "1 of them, one as good for 1, another for 1 that is no picture"),
    ],
)
def test_the_table_counts_the_pictures(frames, says):
    assert cli._verified_pictures([Agreement("a", 0.0, 0.0, argmax, good) for argmax, good in frames]) == says


def test_a_graph_that_finds_another_class_is_not_written(classifier, path, monkeypatch):
    opened = checked.open_cpu_session

    class Wrong:
        def __init__(self, session):
            self._session = session

        def run(self, *arguments):
            return [-each for each in self._session.run(*arguments)]

    monkeypatch.setattr(
        checked, "open_cpu_session", lambda *given: opened(*given)._replace(session=Wrong(opened(*given).session))
    )
    with pytest.raises(VerificationError, match="the class of 0% of the batch is the same, or as good"):
        export_onnx(classifier, path, ExportOptions())
    assert not Path(path).exists()


@pytest.mark.parametrize(
    "name", [named.name for named in NAMED if named.family == "drn-classifier" and "c26" in named.name]
)
def test_the_papers_classifiers_have_engines_that_pass_the_gate(name, tmp_path, monkeypatch):
    model = str(tmp_path / "model.onnx")
    assert cli.main(["--random-weights", model, "--arch", name]) == 0
    assert "RANDOM weights" in read_contract(model).architecture.title
    code, out, err = command(tmp_path, "ccc-build-engine", "--fp16")
    assert code == 0, err
    assert "passed on 4 golden pictures" in out


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
