"""Loading an engine: the manifest first, then the plan, then the machine, then TensorRT."""

import os
import shutil

import numpy as np
import pytest

from ccc_jetson.carried import read_contract
from ccc_jetson.engines.cuda import Cuda
from ccc_jetson.engines.manifest import read_manifest, write_manifest
from ccc_jetson.engines.opening import open_engine
from ccc_jetson.engines.tensorrt_api import TensorRT, import_tensorrt
from ccc_jetson.engines.tensorrt_callbacks import Guard
from ccc_jetson.engines.tensorrt_log import TensorRTLog
from ccc_jetson.errors import ContractError, EngineMismatch, FileProblem
from ccc_jetson.golden import read_golden
from ccc_jetson.head import head_class_map
from ccc_jetson.onnx_file import read_onnx
from ccc_jetson.preprocess import Preprocessor
from tests.doubles import standin
from tests.doubles.tiny_model import write_tiny_model


@pytest.fixture()
def opened():
    """Opens engines on a machine, one after the other, and closes everything."""
    cudas, engines = [], []

    def open_on(path, contract=None):
        api = TensorRT(import_tensorrt(), TensorRTLog(), Guard())
        cudas.append(Cuda())
        found = open_engine(api, cudas[-1], path, contract)
        engines.append(found.engine)
        return found

    with standin.installed():
        yield open_on
        for engine in engines:
            engine.close()
        for cuda in cudas[::-1]:
            cuda.close()


@pytest.fixture()
def built(board):
    board.build("--fp16")
    return board


def test_the_engine_comes_with_all_that_makes_classes_of_frames(built, opened):
    found = opened(built.engine)
    contract = read_contract(built.model)
    assert (found.contract, found.output, found.notes) == (contract, "features", ())
    golden = read_golden(contract, read_onnx(built.model), built.model)[0]
    (given,), (output,) = found.engine.inputs, found.engine.outputs
    features = found.engine.run({given.name: Preprocessor(contract)(golden.frame)})[output.name]
    classes = head_class_map(features[0].astype(np.float32), contract.head, found.head)
    assert (classes == golden.class_map)[golden.decided()].mean() > 0.995


def test_an_engine_of_classes_needs_no_head(board, opened):
    board.build("--output", "classes")
    found = opened(board.engine)
    assert found.output == "classes" and found.head is None


@pytest.mark.parametrize(
    "version, faults, message",
    [
        ("8.0.1.6", {}, r"built with TensorRT 8\.2\.1\.8, running on TensorRT 8\.0\.1\.6"),
        ("8.2.1.8", {"sm": "5.3", "device": "NVIDIA Tegra X1"}, r"NVIDIA Tegra X2 \(sm_62\), running on .*\(sm_53\)"),
    ],
)
def test_another_machine_is_named_with_the_command_that_builds_it_there(built, version, faults, message):
    with standin.installed(version, **faults):
        api = TensorRT(import_tensorrt(), TensorRTLog(), Guard())
        with Cuda() as cuda, pytest.raises(EngineMismatch, match=message) as caught:
            open_engine(api, cuda, built.engine)
    assert caught.value.hint == "ccc-build-engine --fp16 {}".format(built.model)


def test_a_damaged_plan_is_not_given_to_tensorrt(built, opened):
    with open(built.engine, "r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff")
    with pytest.raises(FileProblem, match="the engine is damaged, or another one"):
        opened(built.engine)


def test_a_manifest_that_describes_other_bindings_is_refused(built, opened):
    manifest = read_manifest(built.engine)
    renamed = tuple(each._replace(name=each.name + "_") for each in manifest.bindings)
    write_manifest(built.engine, manifest._replace(bindings=renamed))
    with pytest.raises(EngineMismatch, match="are not those of its manifest"):
        opened(built.engine)


def test_a_missing_engine_is_named(built, opened):
    os.unlink(built.engine)
    with pytest.raises(FileProblem, match=r"model\.engine: cannot be read"):
        opened(built.engine)


def test_an_engine_whose_head_has_no_weights_runs_like_any_other(board, opened):
    write_tiny_model(board.model, head="bilinear")
    assert board.build("--fp16")[0] == 0
    manifest = read_manifest(board.engine)
    assert (manifest.settings.output, manifest.head, manifest.gate.passed) == ("features", None, True)
    found = opened(board.engine)
    assert (found.output, found.head) == ("features", None)
    golden = read_golden(found.contract, read_onnx(board.model), board.model)[0]
    features = found.engine.run({"image": Preprocessor(found.contract)(golden.frame)})["features"]
    classes = head_class_map(features[0].astype(np.float32), found.contract.head, None)
    assert (classes == golden.class_map)[golden.decided()].mean() > 0.995


# without a manifest


def plain_plan(board, *arguments):
    assert board.build(*arguments)[0] == 0
    path = str(board.folder / "plain.engine")
    shutil.copy(board.engine, path)
    return path


def test_a_plan_alone_needs_a_contract(built, opened):
    with pytest.raises(ContractError, match=r"plain\.engine: has no manifest") as caught:
        opened(plain_plan(built, "--fp16"))
    assert "--contract" in caught.value.hint


@pytest.mark.parametrize("output", ["classes", "logits"])
def test_a_plan_alone_runs_with_a_contract(board, opened, output):
    contract = read_contract(board.model)
    found = opened(plain_plan(board, "--output", output), contract)
    assert (found.contract, found.output, found.manifest, found.head) == (contract, output, None, None)


def test_a_plan_of_features_alone_lacks_its_head(board, opened):
    with pytest.raises(ContractError, match=r"image 1x3x32x64, features 1x4x16x32\) are not those of the contract"):
        opened(plain_plan(board), read_contract(board.model))


def test_a_plan_of_features_alone_will_do_where_the_head_has_no_weights(board, opened):
    write_tiny_model(board.model, head="bilinear")
    contract = read_contract(board.model)
    found = opened(plain_plan(board), contract)
    assert (found.contract, found.output, found.manifest, found.head) == (contract, "features", None, None)


def test_a_contract_of_another_size_is_refused(board, opened):
    contract = read_contract(board.model)
    other = contract._replace(input=contract.input._replace(width=128))
    with pytest.raises(ContractError, match="image 1x3x32x128"):
        opened(plain_plan(board, "--output", "classes"), other)
