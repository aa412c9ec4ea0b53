"""Frames to class maps through engine and kernels, with the real pycuda over a CPU "CUDA driver"."""

import gc
import os
import time

import numpy as np
import pytest

from ccc_jetson.datasets import paired_folders
from ccc_jetson.engines.cuda import Cuda
from ccc_jetson.engines.loaded import LoadedEngine
from ccc_jetson.engines.manifest import Binding
from ccc_jetson.errors import BackendError, CccError, ContractError, EngineMismatch
from ccc_jetson.head import head_class_map, head_logits
from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.opencv import import_cv2
from ccc_jetson.ort import cpu_session
from ccc_jetson.preprocess import bars_bgr, fitting, normalisation_table
from ccc_jetson.runtime.backends import GpuOptions, choose_model, open_backend
from ccc_jetson.runtime.cuda_graph import CudaGraph
from ccc_jetson.runtime.evaluation import Evaluation
from ccc_jetson.runtime.kernels import launches, reference
from ccc_jetson.runtime.pixels import PIXEL_FORMATS, shape_of_size
from ccc_jetson.runtime.slots import Slot
from ccc_jetson.runtime.trials import MemoryTrials
from ccc_jetson.runtime.tuning import tuning_path
from tests.doubles import cuda_driver
from tests.doubles.engine_room import build
from tests.doubles.tiny_model import HEIGHT, WIDTH, tiny_contract, tiny_weights

SIZE = (WIDTH, HEIGHT)
QUIET = GpuOptions(cuda_graph=False, memory=(("input", "mapped"), ("class_map", "copy"), ("picture", "copy")))
MODELS = {
    "features": ("--fp32", {}),
    "features of RGB": ("--fp32", {"color_order": "RGB"}),
    "bilinear": ("--fp32", {"head": "bilinear"}),
    "logits": ("--fp32 --output logits", {}),
    "classes": ("--fp32 --output classes", {}),
    "fp16": ("--fp16", {}),
}


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """The path of the engine of a name in ``MODELS``, built once."""
    built = {}

    def find(name):
        if name not in built:
            options, model = MODELS[name]
            built[name] = build(tmp_path_factory.mktemp("engine"), *options.split(), **model)
        return built[name]

    return find


def frame(size=SIZE, pixel_format="BGR", seed=3):
    return np.random.RandomState(seed).randint(0, 256, shape_of_size(size, pixel_format)).astype(np.uint8)


def left(driver):
    """What the driver still holds."""
    return {name: count for name, count in driver.counters.snapshot().items() if name.startswith("live.") and count}


def input_of(contract, image, pixel_format, fit):
    """(1, 3, H, W) float32: the references' input."""
    size = (contract.input.width, contract.input.height)
    frame_size = (image.shape[1], image.shape[0] * 2 // 3 if pixel_format == "NV12" else image.shape[0])
    source, target, _, _ = fitting(frame_size, size, fit)
    return reference.pre(
        image,
        pixel_format,
        launches.resize_table(source.x, source.width, target.width),
        launches.resize_table(source.y, source.height, target.height),
        target,
        size,
        normalisation_table(contract.preprocessing),
        bars_bgr(contract.preprocessing),
        contract.preprocessing.color_order == "RGB",
    )[np.newaxis]


def expected_of(engine, contract, image, pixel_format="BGR", fit="stretch"):
    """The class map of the ONNX file beside the engine, on the references' input."""
    with open(os.path.join(os.path.dirname(engine), "model.onnx"), "rb") as file:
        session = cpu_session(with_extra_outputs(file.read(), ["features"]), "model.onnx")
    (features,) = session.run(["features"], {"image": input_of(contract, image, pixel_format, fit)})
    return head_class_map(features[0], contract.head, tiny_weights(len(contract.classes))[1])


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_the_class_map_is_the_references(driver, engines, pixel_format, fit):
    engine = engines("features")
    with open_backend(engine, fit, gpu=QUIET) as backend:
        for size in (SIZE, (96, 80), (30, 22)):
            image = frame(size, pixel_format)
            found = backend.infer(image, pixel_format)
            expected = expected_of(engine, backend.contract, image, pixel_format, fit)
            assert np.array_equal(found.class_map, expected), (size, (found.class_map != expected).mean())
            assert found.geometry == fitting(size, SIZE, fit)
            assert found.picture is None
    assert left(driver) == {}


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"fp16"}))
def test_every_output_of_an_engine_becomes_the_same_class_map(driver, engines, name):
    engine = engines(name)
    with open_backend(engine, gpu=QUIET) as backend, open_backend(engine[: -len("engine")] + "onnx") as on_the_cpu:
        for seed in range(3):
            image = frame(seed=seed)
            found, expected = backend.infer(image).class_map, on_the_cpu.infer(image).class_map
            assert np.array_equal(found, expected), (found != expected).mean()
            assert found.dtype == np.uint8 and found.flags.owndata
    assert left(driver) == {}


def test_fp16_decides_as_fp32_where_that_was_decided(driver, engines):
    engine = engines("fp16")
    with open_backend(engine, gpu=QUIET) as backend, open_backend(engine[: -len("engine")] + "onnx") as on_the_cpu:
        image = frame()
        same = backend.infer(image).class_map == on_the_cpu.infer(image).class_map
        print("{:.4f} the same".format(same.mean()))
        assert same.mean() > 0.995


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_the_picture_is_the_overlay_references(driver, engines, pixel_format):
    size = (96, 80)
    image = frame(size, pixel_format)
    with open_backend(engines("features"), "crop", gpu=QUIET._replace(opacity=0.25)) as backend:
        found = backend.infer(image, pixel_format)
        expected = reference.overlay(
            image,
            pixel_format,
            found.class_map,
            found.geometry.source,
            found.geometry.target,
            launches.palette_words(backend.contract),
            64,
        )
    assert np.array_equal(found.picture, expected)
    assert found.picture.flags.owndata


@pytest.mark.parametrize("name", ["features", "logits", "bilinear"])
def test_logits_are_those_of_the_network(driver, engines, name):
    engine = engines(name)
    with open_backend(engine, gpu=QUIET) as backend:
        with open_backend(engine[: -len("engine")] + "onnx", want_logits=True) as on_the_cpu:
            found, expected = backend.logits(frame()), on_the_cpu.logits(frame())
    assert found.shape == expected.shape == (19, HEIGHT, WIDTH)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_an_engine_that_gives_classes_has_no_logits(driver, engines):
    with open_backend(engines("classes"), gpu=QUIET) as backend:
        with pytest.raises(BackendError, match="gives class maps, no logits"):
            backend.logits(frame())


POLICIES = [
    ("copy", "copy", "copy"),
    ("mapped", "mapped", "mapped"),
    ("managed", "managed", "managed"),
    ("mapped", "managed", "copy"),
    ("copy", "mapped", "managed"),
]


def forced(policies, **more):
    return GpuOptions(memory=tuple(zip(("input", "class_map", "picture"), policies)), **more)


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("policies", POLICIES)
def test_every_memory_policy_gives_the_same(driver, engines, policies, graph):
    engine = engines("features")
    with open_backend(engine, gpu=forced(policies, opacity=0.5, cuda_graph=graph)) as backend:
        assert backend.serial is False
        backend.warm_up((96, 80))
        assert backend.serial == ("managed" in policies)
        assert backend.depth == (1 if "managed" in policies else 2)
        for seed in range(7):  # more than there are slots
            image = frame((96, 80), seed=seed)
            found = backend.infer(image)
            assert np.array_equal(found.class_map, expected_of(engine, backend.contract, image))
    assert left(driver) == {}


def bytes_of(driver, backend, image, pixel_format="BGR", frames=4):
    """What the driver counts for frames, each."""
    before = driver.counters.snapshot()
    for _ in range(frames):
        backend.infer(image, pixel_format)
    found = driver.counters.difference(before)
    assert all(count % frames == 0 for count in found.values()), found
    return {name: count // frames for name, count in found.items()}


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("pixel_format, input_bytes", [("BGR", 96 * 80 * 3), ("NV12", 96 * 120), ("YUYV", 96 * 80 * 2)])
def test_a_frame_costs_its_own_bytes_one_class_map_three_launches_and_no_allocation(
    driver, engines, pixel_format, input_bytes, graph, monkeypatch
):
    monkeypatch.setattr("ccc_jetson.runtime.backends.tensorrt.median_ms", lambda run: run() is None)  # a tie
    image = frame((96, 80), pixel_format)
    options = forced(("copy", "copy", "copy"), cuda_graph=graph)
    with open_backend(engines("features"), gpu=options) as backend:
        backend.warm_up((96, 80), pixel_format)
        counted = bytes_of(driver, backend, image, pixel_format)
    print(counted)
    assert counted.pop("bytes.host_to_device") == input_bytes
    assert counted.pop("bytes.device_to_host") == WIDTH * HEIGHT
    assert counted.pop("launches.ccc_pre_{}_fp32".format(pixel_format.lower())) == 1
    assert counted.pop("launches.ccc_head_deconv_fp32") == 1
    assert counted.pop("host_calls") == 1  # the engine
    assert not [name for name in counted if name.startswith(("made.", "live."))]


def test_mapped_memory_is_never_copied_by_the_driver(driver, engines):
    with open_backend(engines("features"), gpu=forced(("mapped", "mapped", "mapped"), opacity=0.5)) as backend:
        backend.warm_up((96, 80))
        counted = bytes_of(driver, backend, frame((96, 80)))
    assert not [name for name in counted if name.startswith(("bytes.", "copies.", "made."))]
    assert counted["launches.ccc_overlay_bgr"] == 1


# CUDA graphs


def test_a_graph_is_used_where_it_is_faster(driver, engines, monkeypatch):
    times = iter([1.0, 2.0])
    monkeypatch.setattr("ccc_jetson.runtime.backends.tensorrt.median_ms", lambda run: next(times))
    with open_backend(engines("features"), gpu=forced(("copy", "copy", "copy"))) as backend:
        backend.warm_up()
        assert backend.facts["cuda_graph"] == "used: 1.00 ms a frame, 2.00 without"
        counted = bytes_of(driver, backend, frame())
        assert counted["graph_launches"] == 1
        found = backend.infer(frame())
        assert set(found.seconds) == {"preprocess", "infer", "postprocess"}  # the first is the copy into the slot
        assert np.array_equal(found.class_map, expected_of(engines("features"), backend.contract, frame()))
        # frames of another size are not what was captured
        backend.infer(frame((40, 30)))
        assert "graph_launches" not in bytes_of(driver, backend, frame((40, 30)))
        assert driver.counters.snapshot()["live.graph_executables"] > 0
    assert left(driver) == {}


def test_a_graph_is_not_used_where_it_is_slower(driver, engines, monkeypatch):
    times = iter([2.0, 1.0])
    monkeypatch.setattr("ccc_jetson.runtime.backends.tensorrt.median_ms", lambda run: next(times))
    with open_backend(engines("features"), gpu=forced(("copy", "copy", "copy"))) as backend:
        backend.warm_up()
        assert backend.facts["cuda_graph"] == "not used: 2.00 ms a frame, 1.00 without"
        assert "graph_launches" not in bytes_of(driver, backend, frame())
        assert driver.counters.snapshot()["live.graph_executables"] == 0


def test_a_graph_that_computes_something_else_is_not_used(driver, engines, monkeypatch):
    monkeypatch.setattr("ccc_jetson.runtime.cuda_graph.CudaGraph.launch", lambda self, stream: None)
    with open_backend(engines("features"), gpu=forced(("copy", "copy", "copy"))) as backend:
        backend.warm_up()
        assert backend.facts["cuda_graph"] == "not used: its class map is another one"
        assert np.array_equal(
            backend.infer(frame()).class_map, expected_of(engines("features"), backend.contract, frame())
        )


@pytest.mark.parametrize("fault", ["no_capture", "capture_breaks", "no_instantiate"])
def test_what_cannot_be_captured_runs_without(driver, engines, fault):
    driver.set_faults(**{fault: True})
    with open_backend(engines("features"), gpu=forced(("copy", "copy", "copy"))) as backend:
        image = frame()
        found = backend.infer(image)
        assert backend.facts["cuda_graph"].startswith("not used: ")
        print(backend.facts["cuda_graph"])
        assert np.array_equal(found.class_map, expected_of(engines("features"), backend.contract, image))
    assert left(driver) == {}


def graph_wins(monkeypatch):
    times = iter([1.0, 2.0] * 10)
    monkeypatch.setattr("ccc_jetson.runtime.backends.tensorrt.median_ms", lambda run: next(times))


def test_a_graph_is_made_anew_for_frames_of_another_kind(driver, engines, monkeypatch):
    graph_wins(monkeypatch)
    engine = engines("features")
    with open_backend(engine, gpu=forced(("copy", "copy", "copy"))) as backend:
        for size in ((96, 80), (40, 30), (96, 80)):
            backend.warm_up(size)
            assert backend.facts["cuda_graph"].startswith("used"), size
            counted = bytes_of(driver, backend, frame(size))
            assert counted["graph_launches"] == 1
            assert np.array_equal(
                backend.infer(frame(size)).class_map, expected_of(engine, backend.contract, frame(size))
            )


def test_getting_ready_for_the_same_frames_again_costs_nothing(driver, engines):
    with open_backend(engines("features"), gpu=forced(("copy", "copy", "copy"))) as backend:
        backend.warm_up((96, 80))
        before = driver.counters.snapshot()
        backend.warm_up((96, 80))
        assert driver.counters.difference(before) == {}


@pytest.mark.parametrize("slot", [1, 2, 5])
def test_a_graph_that_cannot_be_made_for_every_slot_is_not_used(driver, engines, monkeypatch, slot):
    graph_wins(monkeypatch)
    driver.set_faults(fail_call=("cuGraphInstantiate", slot, 2))
    engine = engines("features")
    with open_backend(engine, gpu=forced(("copy", "copy", "copy"))) as backend:
        backend.warm_up()
        assert backend.facts["cuda_graph"] == "not used: cuGraphInstantiate failed with CUDA's error 2"
        assert driver.counters.snapshot()["live.graph_executables"] == 0
        assert np.array_equal(backend.infer(frame()).class_map, expected_of(engine, backend.contract, frame()))
    assert left(driver) == {}


def test_work_that_fails_while_it_is_captured_leaves_no_graph(driver):
    def fail():
        raise BackendError("the engine did not run")

    with Cuda() as cuda:
        with pytest.raises(BackendError, match="did not run"):
            CudaGraph(cuda.stream, fail)
        assert driver.counters.snapshot()["live.graphs"] == 0


def test_an_evaluation_uses_the_graph_for_frames_of_the_data_sets_size(driver, engines, monkeypatch, tmp_path):
    graph_wins(monkeypatch)
    for name in ("pictures", "labels"):
        (tmp_path / name).mkdir()
    for index in range(3):
        import_cv2().imwrite(str(tmp_path / "pictures" / "{}.png".format(index)), frame((96, 48), seed=index))
        import_cv2().imwrite(str(tmp_path / "labels" / "{}.png".format(index)), np.zeros((48, 96), np.uint8))
    dataset = paired_folders(str(tmp_path / "pictures"), str(tmp_path / "labels"), "trainids")
    with open_backend(engines("features"), gpu=forced(("copy", "copy", "copy"), serial=True)) as backend:
        evaluation = Evaluation(backend, dataset)
        before = driver.counters.snapshot()
        evaluation.run()
        assert driver.counters.difference(before)["graph_launches"] == 3


def test_a_graph_can_be_switched_off(driver, engines):
    with open_backend(engines("features"), gpu=QUIET) as backend:
        backend.warm_up()
        assert backend.facts["cuda_graph"] == "switched off"
        assert "graph_launches" not in driver.counters.snapshot()


# What is tried and remembered


def test_what_was_found_fastest_is_remembered_beside_the_engine(driver, engines, tmp_path):
    engine = engines("features")
    assert not os.path.exists(tuning_path(engine))
    counted = []
    try:
        for _ in range(2):
            before = driver.counters.snapshot()
            with open_backend(engine, gpu=GpuOptions(opacity=0.5)) as backend:
                backend.warm_up((96, 80))
                chosen = dict(backend.facts)
            counted.append(driver.counters.difference(before)["launches.ccc_pre_bgr_fp32"])
        assert counted[1] < counted[0]
        assert chosen["memory"].startswith("input ") and "overlay" in chosen["memory"]
        assert "managed" not in chosen["memory"]  # the CPU writes while the GPU computes
        with open_backend(engine, gpu=GpuOptions(opacity=0.5, serial=True)) as backend:
            backend.warm_up((96, 80))
        with open(tuning_path(engine)) as file:
            assert "managed" in file.read()
    finally:
        os.unlink(tuning_path(engine))


def test_memory_is_remembered_only_for_the_frames_that_it_was_tried_with(driver, engines):
    engine = engines("features")
    try:
        with open_backend(engine) as backend:
            backend.warm_up((96, 80))
            backend.warm_up((40, 30))
        with open(tuning_path(engine)) as file:
            text = file.read()
        assert "96x80" in text and "40x30" not in text
    finally:
        os.unlink(tuning_path(engine))


def test_a_clock_that_rises_while_memory_is_tried_decides_nothing(driver, engines, monkeypatch):
    tried = []

    def milliseconds(trials, field, policy):
        slow = 0.0 if field in tried else 0.5  # before the clock has risen
        tried.append(field)
        return {"copy": 1.0, "mapped": 1.2}[policy] + slow

    monkeypatch.setattr(MemoryTrials, "_milliseconds", milliseconds)
    with open_backend(engines("features"), gpu=GpuOptions(memory=(("picture", "copy"),))) as backend:
        backend.warm_up()
        assert backend.facts["memory"] == "input copy, class map copy"


def test_a_choice_by_hand_is_not_remembered(driver, engines):
    engine = engines("features")
    with open_backend(engine, gpu=forced(("copy", "copy", "copy"))) as backend:
        backend.warm_up()
        assert backend.facts["memory"] == "input copy, class map copy"
    assert not os.path.exists(tuning_path(engine))


# Slots


def test_frames_may_change_their_size_and_wait_in_slots(driver, engines):
    engine = engines("features")
    sizes = [(64, 32), (96, 80), (20, 10), (200, 100), (64, 32), (33, 17)] * 3
    with open_backend(engine, gpu=QUIET) as backend:
        staged = [(size, backend.stage(frame(size))) for size in sizes[:3]]
        for size in sizes[3:] + [None] * 3:
            if size is not None:
                staged.append((size, backend.stage(frame(size))))
            first, waiting = staged.pop(0)
            found = backend.finish(backend.start(waiting))
            assert np.array_equal(found.class_map, expected_of(engine, backend.contract, frame(first)))
    assert left(driver) == {}


def test_two_frames_are_under_way_and_discarded_ones_give_their_slots_back(driver, engines):
    engine = engines("features")
    with open_backend(engine, gpu=QUIET) as backend:
        backend.warm_up()
        for round_number in range(8):
            images = [frame(seed=10 * round_number + index) for index in range(3)]
            first, second, dropped = (backend.stage(image) for image in images)
            running = [backend.start(first), backend.start(second)]
            backend.discard(dropped)
            for image, each in zip(images, running):
                backend.wait(each)
                found = backend.finish(each)
                assert np.array_equal(found.class_map, expected_of(engine, backend.contract, image))


def test_a_picture_that_is_larger_than_its_frame_finds_room(driver, engines):
    small, large = (64, 32), (64, 48)  # 6144 bytes of BGR; 4608 of NV12, whose picture takes 9216
    options = forced(("mapped", "mapped", "mapped"), opacity=0.25, cuda_graph=False)
    with open_backend(engines("features"), gpu=options) as backend:
        backend.warm_up(small)
        image = frame(large, "NV12")
        found = backend.infer(image, "NV12")
        words = launches.palette_words(backend.contract)
        source, target = found.geometry.source, found.geometry.target
        expected = reference.overlay(image, "NV12", found.class_map, source, target, words, 64)
    assert np.array_equal(found.picture, expected)
    assert left(driver) == {}


def test_a_frame_for_which_there_is_no_memory_takes_no_slot_with_it(driver, engines):
    engine = engines("features")
    with open_backend(engine, gpu=QUIET) as backend:
        backend.warm_up()
        for _ in range(6):  # more than there are slots
            driver.command("fail allocation 1 2")
            with pytest.raises(BackendError, match="memory"):
                backend.infer(frame((200, 100)))
        driver.set_faults()
        for _ in range(6):
            assert np.array_equal(backend.infer(frame()).class_map, expected_of(engine, backend.contract, frame()))


@pytest.mark.parametrize("size", [SIZE, (96, 80)])
def test_the_time_for_copying_a_frame_into_its_slot_is_told(driver, engines, monkeypatch, size):
    write = Slot.write

    def slow_write(slot, image):
        time.sleep(0.05)
        write(slot, image)

    with open_backend(engines("features"), gpu=QUIET) as backend:
        backend.warm_up()
        monkeypatch.setattr(Slot, "write", slow_write)
        times = backend.infer(frame(size)).seconds
    print(times)
    assert 0.05 <= times["preprocess"] < 0.5 and times["infer"] + times["postprocess"] < 0.05


def test_the_bare_network_runs_without_a_pause_between_two_runs(driver, engines, monkeypatch):
    with open_backend(engines("features"), gpu=QUIET) as backend:
        calls, enqueue, wait = [], LoadedEngine.enqueue, backend._gpu.wait
        monkeypatch.setattr(LoadedEngine, "enqueue", lambda *given: calls.append("run") or enqueue(*given))
        monkeypatch.setattr(backend._gpu, "wait", lambda mark: calls.append("wait") or wait(mark))
        assert len(backend.network_seconds(3)) == 3
    assert calls == ["run", "run", "wait", "run", "wait", "wait"]


def test_the_bare_network_is_timed_without_copies(driver, engines):
    with open_backend(engines("features"), gpu=QUIET) as backend:
        before = driver.counters.snapshot()
        seconds = backend.network_seconds(3)
        counted = driver.counters.difference(before)
    assert len(seconds) == 3 and min(seconds) > 0
    assert counted["host_calls"] == 3
    assert not [name for name in counted if name.startswith(("bytes.", "launches."))]


def test_what_is_no_frame_is_refused(driver, engines):
    with open_backend(engines("features"), gpu=QUIET) as backend:
        for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
            with pytest.raises(CccError, match="a frame of BGR is"):
                backend.infer(image)


# Everything that can go wrong ends in a message, and nothing is left on the GPU


def run_through(engine, options):
    """Opens, computes two frames and closes; the exception that came, without what it holds on to."""
    try:
        with open_backend(engine, gpu=options) as backend:
            backend.infer(frame())
            backend.infer(frame((96, 80)))
    except CccError as error:
        return type(error)(str(error), hint=error.hint)
    return None


@pytest.mark.parametrize("options", [QUIET._replace(opacity=0.5), forced(("copy", "copy", "copy"))])
def test_wherever_memory_runs_out_nothing_is_left(driver, engines, options):
    engine, failures = engines("features"), []
    for number in range(1, 100):
        driver.set_faults(fail_allocation=number)
        driver.command("fail allocation {} 2".format(number))  # pycuda collects garbage and tries again
        problem = run_through(engine, options)
        assert left(driver) == {}, number
        if problem is None:
            break
        failures.append(str(problem))
    print("{} allocations: {}".format(len(failures), sorted(set(failures))))
    assert 10 < len(failures) < 90
    assert all("memory" in each for each in failures)


@pytest.mark.parametrize("how", ["fail_launch", "fail_kernel"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kernel", ["ccc_pre_bgr_fp32", "ccc_head_deconv_fp32"])
def test_a_kernel_that_fails_is_an_error_and_leaves_nothing(driver, engines, kernel, number, how):
    driver.set_faults(**{how: (kernel, number)})
    problem = run_through(engines("features"), QUIET)
    assert isinstance(problem, BackendError)
    print(problem, problem.hint)
    assert left(driver) == {}


def test_an_engine_that_does_not_run_is_an_error_and_leaves_nothing(driver, engines):
    driver.set_faults(execute_false=True)
    problem = run_through(engines("features"), QUIET)
    assert isinstance(problem, BackendError) and "did not run" in str(problem)
    assert left(driver) == {}


@pytest.mark.parametrize("how", ["invalid image", "no binary"])
def test_kernels_that_the_driver_refuses_are_an_error_and_leave_nothing(driver, engines, how):
    driver.set_faults(bad_module=how)
    problem = run_through(engines("features"), QUIET)
    assert isinstance(problem, BackendError) and "the compiled kernels cannot be loaded" in str(problem)
    assert left(driver) == {}


def test_a_plan_that_tensorrt_refuses_leaves_nothing(driver, engines):
    driver.set_faults(deserialize_none=True)
    assert "cannot load it" in str(run_through(engines("features"), QUIET))
    assert left(driver) == {}


@pytest.mark.parametrize("fault", ["execute_false", "context_none"])
def test_tensorrts_objects_end_before_their_context_while_the_error_is_still_held(driver, engines, monkeypatch, fault):
    def objects():
        modules = ("tensorrt._context", "tensorrt._runtime")
        return [each for each in gc.get_objects() if str(type(each).__module__) in modules]

    before, alive, close = objects(), [], Cuda.close

    def closing(cuda):
        alive.append([type(each).__name__ for each in objects() if not any(each is other for other in before)])
        close(cuda)

    monkeypatch.setattr(Cuda, "close", closing)
    driver.set_faults(**{fault: True})
    with pytest.raises(CccError) as caught:
        with open_backend(engines("features"), gpu=QUIET) as backend:
            backend.infer(frame())
    assert alive == [[]], caught.value


def test_memory_that_is_refused_for_another_reason_is_an_error(driver, engines):
    driver.set_faults(fail_call=("cuMemAlloc_v2", 1, 719))
    problem = run_through(engines("features"), QUIET)
    assert isinstance(problem, BackendError) and "the GPU gives no memory: " in str(problem)
    assert left(driver) == {}


def test_closing_with_frames_under_way_leaves_nothing(driver, engines):
    backend = open_backend(engines("features"), gpu=QUIET)
    backend.start(backend.stage(frame()))
    backend.start(backend.stage(frame()))
    backend.stage(frame())
    backend.close()
    backend.close()
    assert left(driver) == {}


# Which model is run


def test_the_engine_is_chosen_where_this_machine_can_run_it(driver, engines):
    folder = os.path.dirname(engines("features"))
    choice = choose_model(None, folder)
    assert choice == (os.path.join(folder, "model.engine"), "this machine can run it")


def test_an_engine_for_another_tensorrt_leaves_the_onnx_file(engines):
    folder = os.path.dirname(engines("features"))
    with cuda_driver.installed(tensorrt="8.0.1.6"):
        choice = choose_model(None, folder)
        assert choice.path == os.path.join(folder, "model.onnx")
        assert "built with TensorRT 8.2.1.8, running on TensorRT 8.0.1.6" in choice.reason
        with pytest.raises(EngineMismatch):
            open_backend(engines("features"))


def test_without_tensorrt_the_reason_names_it(engines):
    folder = os.path.dirname(engines("features"))
    with cuda_driver.installed(tensorrt_missing=True):
        assert "tensorrt" in choose_model(None, folder).reason
        os.rename(os.path.join(folder, "model.onnx"), os.path.join(folder, "kept.onnx"))
        try:
            with pytest.raises(CccError, match=r"no model: .*tensorrt"):
                choose_model(None, folder)
        finally:
            os.rename(os.path.join(folder, "kept.onnx"), os.path.join(folder, "model.onnx"))


def test_a_plan_of_another_tool_runs_with_a_contract(driver, engines, tmp_path):
    with open(engines("logits"), "rb") as file:
        (tmp_path / "plan.engine").write_bytes(file.read())
    path = str(tmp_path / "plan.engine")
    with pytest.raises(ContractError, match="has no manifest"):
        open_backend(path)
    with open_backend(path, contract=tiny_contract("logits"), gpu=QUIET) as backend:
        image = frame()
        assert np.array_equal(backend.infer(image).class_map, expected_of(engines("logits"), backend.contract, image))


@pytest.fixture()
def foreign(engines, tmp_path):
    """Makes plans without manifests."""

    def copy(name):
        with open(engines(name), "rb") as file:
            (tmp_path / "plan.engine").write_bytes(file.read())
        return str(tmp_path / "plan.engine")

    return copy


def test_an_output_of_another_size_than_the_contracts_is_refused(driver, foreign):
    contract = tiny_contract("logits")
    contract = contract._replace(output=contract.output._replace(name="features", logits="features"), head=None)
    with pytest.raises(BackendError, match="'features' of 1x4x16x32, its contract names 'features' of 1x19x32x64"):
        open_backend(foreign("features"), contract=contract, gpu=QUIET)
    assert left(driver) == {}


def test_a_second_output_of_a_plan_does_no_harm(driver, engines, foreign, monkeypatch):
    outputs = LoadedEngine.outputs.fget
    auxiliary = Binding("auxiliary", False, "float32", (1, 19, 4, 8))
    monkeypatch.setattr(LoadedEngine, "outputs", property(lambda engine: (auxiliary,) + outputs(engine)))
    with open_backend(foreign("logits"), contract=tiny_contract("logits"), gpu=QUIET) as backend:
        expected = expected_of(engines("logits"), backend.contract, frame())
        assert np.array_equal(backend.infer(frame()).class_map, expected)
        assert backend.logits(frame()).shape == (19, HEIGHT, WIDTH)


def test_an_engine_for_batches_is_refused_with_the_command_that_makes_another(driver, tmp_path):
    engine = build(tmp_path, "--fp32", batch=2)
    with pytest.raises(BackendError, match="batches of 2") as caught:
        open_backend(engine)
    assert "ccc-build-engine" in caught.value.hint
    assert left(driver) == {}


def test_the_head_of_features_is_the_contracts(engines):
    contract = tiny_contract()
    features = np.random.RandomState(1).randn(4, HEIGHT // 2, WIDTH // 2).astype(np.float32)
    logits = head_logits(features, contract.head, tiny_weights()[1])
    assert np.array_equal(logits.argmax(axis=0), head_class_map(features, contract.head, tiny_weights()[1]))
