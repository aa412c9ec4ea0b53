"""Segmenter, as a program of a user's meets it: on the CPU, and on an engine over the CPU "CUDA driver"."""

import gc
import os
import threading

import numpy as np
import pytest

from ccc_jetson import CccError, Segmenter
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.backends import GpuOptions, open_backend
from ccc_jetson.runtime.pixels import shape_of_size
from tests.doubles import cuda_driver, engine_room
from tests.doubles.cameras import YUYV, FakeCamera, installed
from tests.doubles.labelled_frames import frame_picture, write_image
from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "model.onnx")


@pytest.fixture
def segmenter(model):
    with Segmenter.from_file(model) as opened:
        yield opened


def picture(width=64, height=32, seed=3):
    return frame_picture(np.random.RandomState(seed), width, height)


def problem_of(work):
    with pytest.raises(CccError) as caught:
        work()
    print(caught.value, "->", caught.value.hint)
    return caught.value


# What it gives


@pytest.mark.parametrize("size", [(64, 32), (160, 90)])
def test_a_frame_becomes_the_class_map_that_the_backend_gives(model, segmenter, size):
    frame = picture(*size)
    before = frame.copy()
    classes = segmenter(frame)
    assert (classes.shape, classes.dtype) == ((32, 64), np.uint8)
    with open_backend(model) as backend:
        assert np.array_equal(classes, backend.infer(frame).class_map)
    assert np.array_equal(frame, before)
    assert len(np.unique(classes)) > 1


def test_class_maps_of_two_frames_share_no_memory(segmenter):
    first = segmenter(picture())
    kept = first.copy()
    segmenter(255 - picture())
    assert np.array_equal(first, kept)


def test_frames_of_other_formats_are_understood(segmenter):
    frame = picture()
    assert np.array_equal(segmenter(np.ascontiguousarray(frame[..., ::-1]), "RGB"), segmenter(frame))
    assert np.array_equal(segmenter(frame[..., ::-1], "RGB"), segmenter(frame)), "a view, too"
    for name in ("NV12", "YUYV"):
        assert segmenter(np.full(shape_of_size((64, 32), name), 90, np.uint8), name).shape == (32, 64)


def test_it_says_what_it_is(model, segmenter):
    assert segmenter.size == (64, 32)
    assert segmenter.class_names[:2] == ("road", "sidewalk")
    assert segmenter.contract.architecture.title == "Tiny"
    assert "CPU" in segmenter.description
    assert segmenter.seconds == {}
    segmenter(picture())
    assert set(segmenter.seconds) == {"preprocess", "infer", "postprocess"}


def test_a_class_map_gets_colours_shares_and_the_size_of_its_frame(segmenter):
    frame = picture(160, 90)
    classes = segmenter(frame)
    colors = segmenter.colors(classes)
    number = int(classes[5, 7])
    assert tuple(colors[5, 7]) == segmenter.contract.classes[number].color[::-1]
    shares = segmenter.shares(classes)
    assert abs(sum(shares.values()) - 1) < 1e-9
    largest = segmenter.class_names[int(np.bincount(classes.ravel()).argmax())]
    assert next(iter(shares)) == largest
    assert segmenter.at_frame_size(classes, (160, 90)).shape == (90, 160)


def test_overlays_are_pictures_of_their_own(segmenter):
    frame = picture(160, 90)
    classes = segmenter(frame)
    half = segmenter.overlay(frame, classes)
    kept = half.copy()
    assert np.array_equal(segmenter.overlay(frame, classes, opacity=0.0), frame)
    assert not np.array_equal(segmenter.overlay(frame, classes, legend=True), half)
    segmenter.overlay(255 - frame, classes)
    assert np.array_equal(half, kept)
    nv12 = np.full(shape_of_size((64, 32), "NV12"), 90, np.uint8)
    assert segmenter.overlay(nv12, classes, pixel_format="NV12").shape == (32, 64, 3)


def test_with_crop_what_the_network_did_not_see_has_no_class(model):
    frame = picture(128, 32)
    with Segmenter.from_file(model, fit="crop") as segmenter:
        classes = segmenter(frame)
        whole = segmenter.at_frame_size(classes, (128, 32))
        overlay = segmenter.overlay(frame, classes, opacity=1.0)
    assert np.array_equal(whole[:, 32:96], classes)
    assert (whole[:, :32] == 255).all() and (whole[:, 96:] == 255).all()
    assert np.array_equal(overlay[:, :32], frame[:, :32])


def test_the_model_of_the_current_folder_is_the_default(tmp_path, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Segmenter.from_file(threads=1) as segmenter:
        assert "1 threads" in segmenter.description


def test_a_model_of_another_tool_takes_a_contract(tmp_path):
    contract = tiny_contract()._replace(head=None)
    path = tmp_path / "bare.onnx"
    path.write_bytes(tiny_graph(contract).SerializeToString())
    (tmp_path / "contract.json").write_text(contract.to_json())
    assert "holds no contract" in str(problem_of(lambda: Segmenter.from_file(path)))
    with Segmenter.from_file(path, contract=tmp_path / "contract.json") as segmenter:
        assert segmenter(picture()).shape == (32, 64)


# Sources


def test_a_folder_streams_frame_by_frame(tmp_path, segmenter):
    for number in range(3):
        write_image(tmp_path / "frames" / "{}.png".format(number), picture(seed=number))
    found = list(segmenter.stream(str(tmp_path / "frames")))
    assert [frame.name for frame, _ in found] == ["0", "1", "2"]
    for frame, classes in found:
        assert np.array_equal(classes, segmenter(frame.image))
    assert len(list(segmenter.stream(str(tmp_path / "frames"), limit=2))) == 2


def test_a_video_streams_to_its_end_and_is_closed_when_the_loop_is_left(tmp_path, segmenter):
    cv2 = import_cv2()
    path = str(tmp_path / "drive.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 32))
    for number in range(4):
        writer.write(picture(seed=number))
    writer.release()
    assert len(list(segmenter.stream(path))) == 4
    for _, classes in segmenter.stream(path):
        assert classes.shape == (32, 64)
        break
    held = [os.readlink("/proc/self/fd/" + each) for each in os.listdir("/proc/self/fd") if _is_link(each)]
    assert path not in held


def _is_link(descriptor):
    return os.path.islink("/proc/self/fd/" + descriptor)


@pytest.mark.parametrize("raw, pixel_format", [(False, "BGR"), (True, "YUYV")])
def test_a_cameras_frames_come_as_pictures_or_raw(segmenter, raw, pixel_format):
    with installed({0: FakeCamera(fourcc=YUYV)}) as room:
        for frame, classes in segmenter.stream("/dev/video0", limit=2, raw=raw):
            assert frame.pixel_format == pixel_format
            assert np.array_equal(classes, segmenter(frame.image, frame.pixel_format))
            drawn = segmenter.overlay(frame.image, classes, pixel_format=frame.pixel_format)
            assert drawn.shape == frame.image.shape[:2] + (3,)
        assert all(capture.released for capture in room.cameras[0].captures)


def test_a_source_that_is_none_is_refused(tmp_path, segmenter):
    problem = problem_of(lambda: next(segmenter.stream(str(tmp_path / "nowhere.mp4"))))
    assert "nowhere.mp4" in str(problem)


# What it refuses


@pytest.mark.parametrize(
    "frame, message, hint",
    [
        (None, "this is NoneType", "cv2.imread"),
        ([[1, 2, 3]], "this is list", "pixel_format"),
        (np.zeros((32, 64), np.uint8), "(height, width, 3)", "COLOR_GRAY2BGR"),
        (np.zeros((32, 64, 4), np.uint8), "(height, width, 3)", "COLOR_BGRA2BGR"),
        (np.zeros((2, 32, 64, 3), np.uint8), "(height, width, 3)", "one frame at a time"),
        (np.zeros((0, 64, 3), np.uint8), "(height, width, 3)", "cv2.imread"),
        (np.zeros((32, 64, 3), np.float32), "is uint8, this is float32", "astype"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_line_that_makes_one(segmenter, frame, message, hint):
    problem = problem_of(lambda: segmenter(frame))
    assert message in str(problem) and hint in problem.hint


def test_unknown_words_are_refused(model, segmenter):
    assert "unknown pixel format 'HSV'" in str(problem_of(lambda: segmenter(picture(), "HSV")))
    assert "fit: 'zoom' is none of stretch" in str(problem_of(lambda: Segmenter.from_file(model, fit="zoom")))
    problem = problem_of(lambda: Segmenter.from_file(model, memory=[("input", "fast")]))
    assert "memory: 'input=fast' is not one of input, class_map, picture with one of copy" in str(problem)
    classes = segmenter(picture())
    for threads in (-1, "two", 1.5):
        problem = problem_of(lambda threads=threads: Segmenter.from_file(model, threads=threads))
        assert "threads: '{}' is not a whole number from 0".format(threads) == str(problem)
    assert str(problem_of(lambda: Segmenter.from_file(3))) == "model: 3 is neither text nor a path"
    problem = problem_of(lambda: Segmenter.from_file(model, memory=["input=mapped"]))
    assert "memory: 'input=mapped' is no pair of words" in str(problem)
    assert "opacity: 2" in str(problem_of(lambda: segmenter.overlay(picture(), classes, opacity=2)))


@pytest.mark.parametrize("classes", [None, np.zeros((4, 4), np.uint8), np.zeros((32, 64), np.int32)])
def test_what_is_no_class_map_of_this_network_is_refused(segmenter, classes):
    for work in (segmenter.colors, segmenter.shares, lambda given: segmenter.overlay(picture(), given)):
        problem = problem_of(lambda work=work: work(classes))
        assert "(32, 64) uint8" in str(problem) and "segmenter(frame)" in problem.hint


def test_a_missing_file_and_a_classifier_are_refused(tmp_path):
    assert "cannot be read" in str(problem_of(lambda: Segmenter.from_file(str(tmp_path / "no.onnx"))))
    scores = write_tiny_model(tmp_path / "scores.onnx", kind="scores")
    problem = problem_of(lambda: Segmenter.from_file(scores))
    assert "classifies whole pictures" in str(problem) and "--images FOLDER" in problem.hint


def test_a_closed_segmenter_says_so(model):
    segmenter = Segmenter.from_file(model)
    segmenter.close()
    segmenter.close()
    problem = problem_of(lambda: segmenter(picture()))
    assert "closed" in str(problem) and "Segmenter.from_file" in problem.hint
    assert segmenter.size == (64, 32), "what it was is still known"


def test_another_thread_is_refused(segmenter):
    problems = []

    def elsewhere():
        for work in (lambda: segmenter(picture()), segmenter.close):
            try:
                work()
            except CccError as error:
                problems.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert ["another thread" in str(each) and "queue" in each.hint for each in problems] == [True, True]
    assert segmenter(picture()).shape == (32, 64)


def test_a_later_thread_with_the_first_ones_ident_is_another(model, monkeypatch):
    closed, opened, refused = [], [], []
    monkeypatch.setattr("ccc_jetson.runtime.backends.cpu.CpuBackend.close", lambda backend: closed.append(backend))
    first = threading.Thread(target=lambda: opened.append(Segmenter.from_file(model)))
    first.start()
    first.join()

    def elsewhere():
        # a system may give an ident again, at once or much later: here it is made so
        first._ident = threading.get_ident()
        refused.append(problem_of(lambda: opened[0](picture())))
        refused.append(problem_of(lambda: opened[0].close()))
        opened.clear()
        gc.collect()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert first.ident == thread.ident
    assert len(refused) == 2 and not opened, "what failed is printed above"
    assert closed == []


def test_one_that_is_local_to_a_thread_is_closed_with_it(model, monkeypatch):
    closed, local = [], threading.local()
    monkeypatch.setattr("ccc_jetson.runtime.backends.cpu.CpuBackend.close", lambda backend: closed.append(backend))
    thread = threading.Thread(target=lambda: setattr(local, "segmenter", Segmenter.from_file(model)))
    thread.start()
    thread.join()
    assert len(closed) == 1


def test_a_slider_of_opacity_keeps_one_painter(segmenter, monkeypatch):
    made = []
    monkeypatch.setattr("ccc_jetson.runtime.overlay.Overlay.__del__", lambda painter: made.append(1), raising=False)
    frame = picture()
    classes = segmenter(frame)
    for opacity in (0.1, 0.1, 0.2, 0.3, 0.1):
        segmenter.overlay(frame, classes, opacity=opacity)
    gc.collect()
    assert len(made) == 3, "each is freed when another takes its place"


def test_one_that_is_forgotten_is_closed_with_its_last_reference(model, monkeypatch):
    closed = []
    monkeypatch.setattr("ccc_jetson.runtime.backends.cpu.CpuBackend.close", lambda backend: closed.append(backend))
    segmenter = Segmenter.from_file(model)
    assert closed == []
    del segmenter
    gc.collect()
    assert len(closed) == 1


# On an engine


def test_an_engine_gives_its_class_maps_and_leaves_nothing_behind(driver, tmp_path):
    engine = engine_room.build(tmp_path, "--fp16")
    before = driver.counters.snapshot()
    frame = picture(96, 48)
    copied = [("input", "copy"), ("class_map", "copy")]
    with Segmenter.from_file(engine, cuda_graph=False, memory=copied) as segmenter:
        segmenter.warm_up((96, 48))
        warm = driver.counters.snapshot()
        classes = segmenter(frame)
        done = driver.counters.difference(warm)
        assert segmenter.overlay(frame, classes).shape == frame.shape
    assert done["bytes.host_to_device"] == frame.nbytes, "the frame goes in once, as it is"
    assert done["bytes.device_to_host"] == classes.nbytes, "and one byte a pixel comes out"
    assert not [name for name in done if name.startswith("made.")], "no memory is made for a frame"
    with open_backend(engine, gpu=GpuOptions(cuda_graph=False, serial=True)) as backend:
        assert np.array_equal(backend.infer(frame).class_map, classes)
    left = driver.counters.difference(before)
    assert not [name for name in left if name.startswith("live.")], left


FORGOTTEN = """
import numpy
from ccc_jetson import Segmenter
segmenter = Segmenter.from_file("model.engine")
print(segmenter(numpy.zeros((32, 64, 3), numpy.uint8)).shape)
"""


def test_a_program_that_forgets_to_close_ends_well_and_in_silence(tmp_path):
    engine_room.build(tmp_path, "--fp16")
    os.remove(str(tmp_path / "model.engine.kernels"))  # so that there is something that could be said
    (tmp_path / "forgotten.py").write_text(FORGOTTEN)
    (tmp_path / "reports").mkdir()
    code, out, err = engine_room.program(tmp_path, "forgotten.py", reports=tmp_path / "reports")
    assert (code, out, err) == (0, "(32, 64)\n", "")
    (counters,) = cuda_driver.read_reports(tmp_path / "reports")
    assert not {name: count for name, count in counters.items() if name.startswith("live.") and count}
