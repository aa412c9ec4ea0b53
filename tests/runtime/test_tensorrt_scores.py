"""Pictures to scores through an engine, with the real pycuda over a CPU "CUDA driver"."""

import os

import numpy as np
import pytest

from ccc_jetson.errors import BackendError, CccError, ContractError, FileProblem, UsageError
from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import GpuOptions, engine, open_backend
from ccc_jetson.runtime.backends.tensorrt_scores import TensorRTClassifier
from tests.doubles.engine_room import build, command
from tests.doubles.tiny_model import HEIGHT, WIDTH, tiny_contract
from tests.runtime.frames.test_pictures import write_picture
from tests.runtime.test_tensorrt_backend import bytes_of, frame, input_of, left

CLASSES = 300


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """The path of the classifier's engine in a precision, built once."""
    built = {}

    def find(precision):
        if precision not in built:
            folder = tmp_path_factory.mktemp(precision)
            built[precision] = build(folder, "--" + precision, kind="scores", classes=CLASSES)
        return built[precision]

    return find


def expected_of(engine, contract, image, fit="stretch"):
    """The scores of the ONNX file beside the engine, on the references' input."""
    with open_backend(os.path.join(os.path.dirname(engine), "model.onnx")) as backend:
        return backend.run(["scores"], input_of(contract, image, "BGR", fit))[0][0]


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_the_scores_are_onnx_runtimes_for_frames_of_any_size(driver, engines, fit):
    with open_backend(engines("fp32"), fit) as backend:
        assert isinstance(backend, TensorRTClassifier)
        for size in ((WIDTH, HEIGHT), (96, 80), (30, 22), (120, 90)):
            image = frame(size)
            found = backend.infer(image)
            expected = expected_of(engines("fp32"), backend.contract, image, fit)
            assert (found.scores.shape, found.scores.dtype) == ((CLASSES,), np.float32)
            assert np.abs(found.scores - expected).max() <= 1e-4 * np.abs(expected).max()
            assert found.geometry == fitting(size, (WIDTH, HEIGHT), fit)
            assert set(found.seconds) == {"preprocess", "infer", "postprocess"}
    assert left(driver) == {}


def test_an_engine_in_fp16_gives_nearly_the_same_as_float32(driver, engines):
    image = frame()
    with open_backend(engines("fp16")) as backend:
        found = backend.infer(image).scores
        expected = expected_of(engines("fp16"), backend.contract, image)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 0.01 * np.abs(expected).max()


def test_scores_of_one_frame_stay_when_the_next_is_computed(driver, engines):
    with open_backend(engines("fp32")) as backend:
        first = backend.infer(frame()).scores
        kept = first.copy()
        backend.infer(255 - frame())
        assert np.array_equal(first, kept)


def test_the_bare_network_is_timed(driver, engines):
    with open_backend(engines("fp32")) as backend:
        backend.infer(frame())
        assert len(backend.network_seconds(3)) == 3


def test_a_frame_costs_its_own_bytes_and_the_scores(driver, engines):
    with open_backend(engines("fp32")) as backend:
        backend.infer(frame())
        found = bytes_of(driver, backend, frame())
    assert found["bytes.host_to_device"] == 3 * WIDTH * HEIGHT
    assert found["bytes.device_to_host"] == 4 * CLASSES
    assert not [name for name in found if name.startswith(("made.", "live."))]


def run_through(engine):
    """The problem that a frame through a new backend ends in, None where it does not."""
    try:
        with open_backend(engine) as backend:
            backend.infer(frame((30, 22)))
            backend.infer(frame())  # larger, so that there must be more room
    except CccError as problem:
        return problem
    return None


def test_wherever_memory_runs_out_nothing_is_left(driver, engines):
    failures = []
    for number in range(1, 60):
        driver.set_faults(fail_allocation=number)
        driver.command("fail allocation {} 2".format(number))  # pycuda collects garbage and tries again
        problem = run_through(engines("fp32"))
        assert left(driver) == {}, number
        if problem is None:
            break
        failures.append(str(problem))
    assert 5 < len(failures) < 50
    assert all("memory" in each for each in failures)


@pytest.mark.parametrize("how", ["fail_launch", "fail_kernel"])
def test_a_kernel_that_fails_is_an_error_and_leaves_nothing(driver, engines, how):
    driver.set_faults(**{how: ("*", 1)})
    assert run_through(engines("fp32")) is not None
    assert left(driver) == {}


def test_a_plan_of_another_tool_runs_with_a_contract(driver, engines, tmp_path):
    plan = tmp_path / "plan.engine"
    with open(engines("fp32"), "rb") as file:
        plan.write_bytes(file.read())
    with pytest.raises(ContractError, match="has no manifest"):
        open_backend(str(plan))
    with open_backend(str(plan), contract=tiny_contract("scores", classes=CLASSES)) as backend:
        assert backend.infer(frame()).scores.shape == (CLASSES,)
    with pytest.raises(BackendError, match="names 'scores' of 1x5"):
        open_backend(str(plan), contract=tiny_contract("scores", classes=5))
    with pytest.raises(ContractError, match="are not those of the contract"):
        open_backend(str(plan), contract=tiny_contract())
    assert left(driver) == {}


def test_pictures_are_classified_on_the_board(engines, tmp_path):
    folder = os.path.dirname(engines("fp32"))
    write_picture(tmp_path / "one.png", 90, (80, 64))
    code, out, err = command(folder, "ccc-run", "--images", str(tmp_path / "one.png"), "--fit", "stretch")
    assert code == 0, err
    assert "model: ./model.engine (this machine can run it)" in err
    assert "TensorRT 8.2.1.8 on NVIDIA Tegra X2" in out
    on_the_board = out.splitlines()[:6]
    code, out, _ = command(
        folder, "ccc-run", "--model", "model.onnx", "--images", str(tmp_path / "one.png"), "--fit", "stretch"
    )
    assert (code, out.splitlines()[:6]) == (0, on_the_board)


def test_memory_cannot_be_chosen_where_there_is_no_choice(driver, engines):
    with pytest.raises(UsageError, match="classifies whole pictures, whose memory is always copied"):
        open_backend(engines("fp32"), gpu=GpuOptions(memory=(("input", "mapped"),)))


def test_a_plan_that_vanishes_while_it_is_opened_leaves_nothing(driver, engines, tmp_path, monkeypatch):
    plan = tmp_path / "plan.engine"
    with open(engines("fp32"), "rb") as file:
        plan.write_bytes(file.read())

    def gone(path):
        raise FileProblem(path + ": is gone")

    monkeypatch.setattr(engine, "sha256_of", gone)
    with pytest.raises(FileProblem, match="is gone"):
        open_backend(str(plan), contract=tiny_contract("scores", classes=CLASSES))
    assert left(driver) == {}


def test_a_benchmark_says_what_it_measures(engines):
    folder = os.path.dirname(engines("fp32"))
    code, out, err = command(folder, "ccc-bench", "model.engine", "--frames", "4", "--warm-up-seconds", "0")
    assert code == 0, err
    assert "FPS, frame to scores: 4 frames" in out
