"""Live sources: the newest frame, silence, loss and return, and a driver that does not return at all."""

import os
import threading
import time

import pytest

from ccc_jetson.errors import SourceError
from ccc_jetson.runtime.frames import live
from ccc_jetson.runtime.frames.opening import open_source
from ccc_jetson.runtime.source_grammar import parse_source
from tests.doubles.cameras import PC, TX2, FakeCamera, installed


def opened(text="0", stop=None, raw=False, told=None, **patience):
    """The source, opened as ccc-run does."""
    waits = live.DEFAULT_PATIENCE._replace(**patience)
    return open_source(parse_source(text), raw, stop, waits, (told if told is not None else []).append)


def wait_until(true, seconds=20.0):
    until_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.005)


def test_frames_come_numbered_and_the_capture_is_released_at_the_end():
    camera = FakeCamera()
    with installed({0: camera}) as room, opened() as source:
        assert source.live and source.total is None and (source.size, source.fps) == ((1280, 720), 30.0)
        frame = source.read()
        numbers = [source.read().number for _ in range(5)]
        assert room.asked == [(0, 200)]
        source.close()
    assert numbers == sorted(set(numbers)) and numbers[0] > frame.number
    assert frame.name == "frame_{:06d}".format(frame.number)
    assert frame.image.shape == (720, 1280, 3)
    assert camera.captures[0].released


def test_a_slow_reader_gets_the_newest_frame_and_the_others_are_counted():
    camera = FakeCamera(size=(64, 32))
    with installed({0: camera}), opened() as source:
        source.read()
        wait_until(lambda: source.replaced >= 20)
        number, arrived = source.read().number, source.details.measured_fps
        assert number >= 20  # and not the one after the first
        assert arrived > 0
        assert source.details.replaced == source.replaced


def test_what_came_before_the_first_read_is_neither_given_nor_counted():
    camera = FakeCamera(size=(64, 32))
    with installed({0: camera}), opened() as source:
        wait_until(lambda: camera.delivered > 30)
        assert source.replaced == 0 and source.details.measured_fps is None
        assert source.read().number <= 1 + source.replaced


def test_asked_and_delivered_are_both_told():
    camera = FakeCamera(size=(640, 480))
    with installed({0: camera}), opened("0?format=yuyv&fps=60") as source:
        assert source.description == (
            "/dev/video0 (Test Camera), 640x480 MJPG at 30 FPS by OpenCV's V4L2 (asked for 1280x720 YUYV at 60 FPS)"
        )
        details = source.details
    assert (details.asked.size, details.asked.fps, details.asked.format) == ((1280, 720), 60.0, "YUYV")
    assert (details.delivered.size, details.delivered.fps, details.delivered.format) == ((640, 480), 30.0, "MJPG")


@pytest.mark.parametrize("stamps, stamped, youngest_s", [
    (0.05, "by the driver", 0.05), (None, "on arrival", 0.0), (-5.0, "on arrival", 0.0), (11.0, "on arrival", 0.0)
])  # fmt: skip
def test_the_drivers_stamp_is_taken_where_it_is_on_our_clock(stamps, stamped, youngest_s):
    with installed({0: FakeCamera(stamps=stamps)}), opened() as source:
        frame = source.read()
        age_s = time.monotonic() - frame.captured_s
        details = source.details
    assert details.stamped.startswith(stamped)
    assert age_s >= youngest_s
    if youngest_s:
        assert details.age_ms >= 40.0
    else:
        assert details.age_ms is None and age_s < 5.0


def test_a_camera_that_is_unplugged_and_comes_back_goes_on_and_is_counted():
    camera, told = FakeCamera(), []
    with installed({0: camera}), opened(told=told, first_delay_s=0.05) as source:
        first = source.read().number
        camera.unplugged.set()
        threading.Timer(0.3, camera.unplugged.clear).start()
        for _ in range(5):
            frame = source.read()
        details = source.details
    assert frame.number > first
    assert details.reconnects == 1 and details.lost_s >= 0.25 and details.stalls == 0
    assert "lost after" in told[-2] and "trying for 60 s to get it back" in told[-2]
    assert "back after" in told[-1]
    assert len(camera.captures) == 2 and camera.captures[0].released


def test_it_comes_back_under_another_number():
    camera, again = FakeCamera(), FakeCamera(present=False)
    with installed({0: camera, 1: again}) as room, opened(first_delay_s=0.05) as source:
        source.read()
        again.present = True
        camera.unplugged.set()
        assert source.read() is not None
        assert source.read() is not None
        assert [number for number, _ in room.asked] == [0, 1]


def test_another_size_after_the_return_is_told():
    camera, told = FakeCamera(), []
    with installed({0: camera}), opened(told=told, first_delay_s=0.3) as source:
        source.read()
        camera.unplugged.set()
        wait_until(lambda: source.details.replaced or camera.captures[0].released)
        camera.size = (640, 480)
        camera.unplugged.clear()
        while source.read().image.shape != (480, 640, 3):
            pass
    assert told[-1].endswith("with frames of 640x480")


def test_a_camera_that_stays_away_ends_the_run_with_the_reason():
    camera = FakeCamera()
    with installed({0: camera}), opened(first_delay_s=0.05, longest_delay_s=0.1, reconnect_for_s=0.4) as source:
        source.read()
        camera.unplugged.set()
        with pytest.raises(SourceError, match=r"lost after \d+ frames: .* tries in .* no such camera") as caught:
            while True:
                source.read()
    assert "dmesg" in caught.value.hint


def test_without_reconnecting_a_loss_is_the_end():
    camera = FakeCamera(frames=6)
    with installed({0: camera}), opened(reconnect_for_s=0.0) as source:
        with pytest.raises(SourceError, match=r"Test Camera\): lost after \d frames: delivers no more frames"):
            while True:
                source.read()


def test_what_was_lost_with_a_camera_is_counted_once():
    camera = FakeCamera(size=(64, 32), frames=60)
    with installed({0: camera}), opened(reconnect_for_s=0.0) as source:
        numbers = []
        with pytest.raises(SourceError, match="lost after"):
            while True:
                numbers.append(source.read().number)
                time.sleep(0.02)
        assert len(numbers) + source.replaced <= 60
        assert source.replaced == source.details.replaced >= numbers[-1] + 1 - len(numbers) > 0


def test_what_was_lost_with_a_camera_is_missing_at_no_moment(monkeypatch):
    camera, seen = FakeCamera(size=(64, 32)), []
    final_counts = live.Connection.final_counts

    def slowly(connection):
        counts = final_counts(connection)
        asking.start()
        asking.join(0.3)
        return counts

    monkeypatch.setattr(live.Connection, "final_counts", slowly)
    with installed({0: camera}), opened(first_delay_s=0.05) as source:
        asking = threading.Thread(target=lambda: seen.append(source.replaced))
        source.read()
        wait_until(lambda: source.replaced >= 20)
        camera.unplugged.set()
        threading.Timer(0.3, camera.unplugged.clear).start()
        while source.details.reconnects == 0:
            assert source.read() is not None
        asking.join()
    assert seen[0] >= 20


def test_a_camera_that_flaps_is_asked_less_and_less_often():
    camera = FakeCamera(frames=3)
    with installed({0: camera}), opened(first_delay_s=0.02, longest_delay_s=10.0, reconnect_for_s=100.0) as source:
        delays = []
        camera.interval_s = 0.0
        original = source._stop.wait

        def wait(seconds):
            delays.append(seconds)
            camera.frames += 3
            if len(delays) == 6:
                source._stop.set()
            return original(0.0)

        source._stop.wait = wait
        while source.read() is not None:
            pass
    assert delays == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64]


def test_a_reading_that_hangs_is_given_up_and_the_camera_opened_again():
    camera, told = FakeCamera(size=(64, 32)), []
    with installed({0: camera}), opened(told=told, stall_s=0.2, first_delay_s=0.05, open_s=1.0) as source:
        source.read()
        camera.hangs.set()
        threading.Timer(0.8, camera.hangs.clear).start()
        while source.details.reconnects == 0:
            assert source.read() is not None
        details = source.details
        wait_until(lambda: camera.captures[0].released)  # it ends by itself once the driver lets go
    assert details.stalls >= 1 and details.reconnects >= 1
    assert any("nothing came for" in line for line in told)


def test_a_slow_rate_is_no_silence():
    camera = FakeCamera(interval_s=0.4, size=(64, 32))
    with installed({0: camera}), opened("0?fps=0.5", stall_s=0.1) as source:  # three frames' time is 6 s
        for _ in range(3):
            source.read()
        assert source.details.stalls == 0


def test_a_reader_that_was_away_takes_nobody_for_silent():
    camera = FakeCamera(size=(64, 32), interval_s=0.15)
    with installed({0: camera}), opened(stall_s=1.5) as source:
        source.read()
        time.sleep(2.0)
        for _ in range(4):
            source.read()
        assert source.details.stalls == 0


@pytest.mark.parametrize("hanging", ["hangs", "unplugged"])
def test_the_end_of_the_run_is_noticed_while_nothing_comes(hanging):
    camera, stop = FakeCamera(), threading.Event()
    with installed({0: camera}), opened(stop=stop, stall_s=100.0, first_delay_s=50.0) as source:
        source.read()
        getattr(camera, hanging).set()
        threading.Timer(0.2, stop.set).start()
        while source.read() is not None:
            pass
        getattr(camera, hanging).clear()


def test_a_camera_that_hangs_does_not_keep_the_run_from_closing():
    camera = FakeCamera()
    with installed({0: camera}):
        source = opened()
        source.read()
        camera.hangs.set()
        wait_until(lambda: not camera.captures[0].released)
        began_s = time.monotonic()
        source.close()
        assert time.monotonic() - began_s < 30.0
        camera.hangs.clear()
        wait_until(lambda: camera.captures[0].released)


def test_ways_are_tried_in_order_and_every_reason_is_shown():
    camera = FakeCamera(frames=0)
    silent = FakeCamera(opens=False, says='[ WARN:0] GStreamer warning: no element "nvv4l2decoder"\n')
    told = []
    with installed({0: camera}, [("nvv4l2decoder", silent, "BGR"), ("jpegdec", FakeCamera(frames=0), "BGR")],
                   gstreamer=True, board=TX2) as room:  # fmt: skip
        with pytest.raises(SourceError) as caught:
            opened(told=told)
        assert [backend for _, backend in room.asked] == [1800, 1800, 200]
    text = str(caught.value)
    print(text)
    lines = text.splitlines()
    assert lines[0] == "/dev/video0 (Test Camera): cannot be opened; tried in this order:"
    assert lines[1].startswith(
        "  1. GStreamer, MJPG by NVIDIA's decoder: GStreamer cannot start it: a part of GStreamer is"
    )
    assert 'no element "nvv4l2decoder"' in lines[1]
    assert lines[2] == "  2. GStreamer, MJPG by the CPU: opens, but delivers no frame"
    assert lines[3] == "  3. OpenCV's V4L2: opens, but delivers no frame"
    assert "apt install gstreamer1.0-plugins-good" in caught.value.hint
    assert len([line for line in told if line.startswith("trying GStreamer")]) == 2 and "v4l2src device=" in told[0]


def test_the_way_that_works_is_used_and_what_was_passed_over_is_kept():
    told = []
    with installed({0: FakeCamera()}, [("jpegdec", FakeCamera(), "BGR")], gstreamer=True, board=TX2):
        with opened(told=told) as source:
            details = source.details
    assert details.backend == "GStreamer" and "jpegdec" in details.pipeline
    assert [each.split(":")[0] for each in details.passed_over] == ["GStreamer, MJPG by NVIDIA's decoder"]
    assert told[-1].startswith("passed over GStreamer, MJPG by NVIDIA's decoder: GStreamer cannot start it")


def test_a_pipeline_that_hangs_is_passed_over():
    hanging = FakeCamera()
    hanging.opening_hangs.set()
    with installed({0: FakeCamera()}, [("nvv4l2decoder", hanging, "BGR")], gstreamer=True, board=TX2):
        with opened(open_s=0.5) as source:
            assert "nvv4l2decoder" not in source.details.pipeline
            assert "does not open within 0.5 s" in source.details.passed_over[0]
        hanging.opening_hangs.clear()
        wait_until(lambda: hanging.captures[0].released)


def test_a_silent_camera_is_told_from_one_that_refuses():
    camera = FakeCamera()
    camera.hangs.set()
    with installed({0: camera}), pytest.raises(
        SourceError, match=r"opens, but delivers no frame within 0\.3 s"
    ) as caught:
        opened(open_s=0.3)
    assert "fuser -v /dev/video0" in caught.value.hint
    camera.hangs.clear()


def test_a_known_sentence_of_a_library_becomes_cause_and_fix():
    busy = FakeCamera(frames=0, says="VIDEOIO(V4L2:/dev/video0): can't VIDIOC_REQBUFS: Device or resource busy\n")
    with installed({0: busy}), pytest.raises(SourceError, match="another program uses the camera") as caught:
        opened()
    assert "fuser -v /dev/video*" in caught.value.hint
    assert "Device or resource busy" in str(caught.value)


def test_opencv_without_gstreamer_is_said():
    with installed({}, board=TX2), pytest.raises(
        SourceError, match="this OpenCV was built without GStreamer"
    ) as caught:
        opened("csi://0")
    assert "pip3 uninstall opencv-python" in caught.value.hint


@pytest.mark.parametrize("raw, pixel_format", [(True, "NV12"), (False, "BGR")])
def test_a_backend_that_takes_nv12_gets_it_from_argus(raw, pixel_format):
    camera = FakeCamera(size=(1920, 1080))
    with installed({}, [("nvarguscamerasrc sensor-id=0", camera, pixel_format)], gstreamer=True, board=TX2) as room:
        with opened("csi://0", raw=raw) as source:
            assert (source.pixel_format, source.size) == (pixel_format, (1920, 1080))
            assert source.read().pixel_format == pixel_format
        ((pipeline, backend),) = room.asked
    assert backend == 1800
    assert ("format=NV12 ! appsink" in pipeline) is raw


def test_raw_yuyv_goes_to_a_backend_that_takes_it():
    from tests.doubles.cameras import YUYV

    with installed({0: FakeCamera(fourcc=YUYV)}):
        with opened("0?format=yuyv", raw=True) as source:
            assert source.read().image.shape == (720, 1280, 2) and source.pixel_format == "YUYV"
        with opened("0?format=yuyv") as source:
            assert source.read().image.shape == (720, 1280, 3)


def test_frames_of_another_shape_than_the_pipelines_are_refused():
    with installed({}, [("NV12 ! appsink", FakeCamera(), "YUYV"), ("BGR ! appsink", FakeCamera(), "BGR")],
                   gstreamer=True, board=TX2):  # fmt: skip
        with opened("csi://0", raw=True) as source:
            assert source.pixel_format == "BGR"
            assert "delivers something else than NV12" in source.details.passed_over[0]


@pytest.mark.parametrize("board, hint", [(TX2, "power mode MAXP_CORE_ARM: switch to MAXN"), (PC, "in the dark")])
def test_a_camera_that_delivers_less_than_asked_is_told_once(monkeypatch, board, hint):
    monkeypatch.setattr(live, "_MEASURE_S", 0.3)
    told = []
    with installed({0: FakeCamera(interval_s=0.1, size=(64, 32))}, board=board), opened(told=told) as source:
        while not told:
            source.read()
        for _ in range(5):
            source.read()
    slow = [line for line in told if "asked for 30 FPS, the camera delivers" in line]
    assert len(slow) == 1 and hint in slow[0]


def test_a_bug_in_the_reading_thread_is_not_taken_for_a_loss(monkeypatch):
    camera = FakeCamera()
    with installed({0: camera}), opened() as source:
        source.read()
        monkeypatch.setattr(camera.captures[0], "retrieve", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            while True:
                source.read()


def test_an_exception_of_opencv_while_reading_is_a_loss(monkeypatch):
    from ccc_jetson.opencv import import_cv2

    camera = FakeCamera()
    with installed({0: camera}), opened(reconnect_for_s=0.0) as source:
        source.read()

        def failing():
            raise import_cv2().error("select timeout")

        monkeypatch.setattr(camera.captures[0], "grab", failing)
        with pytest.raises(SourceError, match=r"lost after .* OpenCV: select timeout"):
            while True:
                source.read()


def test_an_exception_of_opencv_while_opening_is_a_reason(monkeypatch):
    from ccc_jetson.opencv import import_cv2

    with installed({0: FakeCamera()}):

        def failing(*arguments):
            raise import_cv2().error("no\n  memory")

        monkeypatch.setattr(import_cv2(), "VideoCapture", failing)
        with pytest.raises(SourceError, match="OpenCV cannot open it as a camera: no memory"):
            opened()


def test_the_format_is_set_before_the_size_and_the_buffer_is_short():
    from ccc_jetson.opencv import import_cv2

    cv2 = import_cv2()
    camera = FakeCamera(size=(640, 480))
    with installed({0: camera}), opened("0?size=640x480&fps=25"):
        order, properties = camera.captures[0].order, camera.captures[0].properties
    assert order == [
        cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS,
        cv2.CAP_PROP_BUFFERSIZE,
    ]  # fmt: skip
    assert [properties[number] for number in order] == [0x47504A4D, 640, 480, 25.0, 1]
    camera = FakeCamera()
    with installed({0: camera}), opened("0?format=any"):
        assert cv2.CAP_PROP_FOURCC not in camera.captures[0].order


class FlakyCamera(FakeCamera):
    """Every time that it is opened it delivers four frames."""

    frames = property(lambda self: 4 * len(self.captures), lambda self, value: None)


def test_nothing_is_left_of_many_losses():
    camera = FlakyCamera(size=(64, 32))
    descriptors = len(os.listdir("/proc/self/fd"))
    with installed({0: camera}), opened(first_delay_s=0.001, longest_delay_s=0.001) as source:
        while source.details.reconnects < 25:
            source.read()
        source.close()
    assert all(capture.released for capture in camera.captures)
    assert [thread for thread in threading.enumerate() if thread.name == "ccc-source"] == []
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_a_camera_that_dies_again_and_again_ends_the_run():
    camera = FlakyCamera(size=(64, 32))
    waits = {"first_delay_s": 0.01, "longest_delay_s": 0.05, "reconnect_for_s": 0.5}
    with installed({0: camera}), opened(**waits) as source:
        with pytest.raises(SourceError, match=r"lost after \d+ frames: delivers no more .*; \d+ losses in") as caught:
            while True:
                assert source.read() is not None
        assert source.details.reconnects >= 4
    assert "never more than 10 s between them" in str(caught.value) and "check the cable" in caught.value.hint


def test_a_camera_that_is_well_for_long_between_its_losses_goes_on():
    camera = FlakyCamera(size=(64, 32))
    waits = {"first_delay_s": 0.01, "longest_delay_s": 0.05, "reconnect_for_s": 0.2, "settled_s": 0.001}
    with installed({0: camera}), opened(**waits) as source:
        until_s = time.monotonic() + 1.0
        while source.details.reconnects < 8 or time.monotonic() < until_s:
            assert source.read() is not None


def test_a_camera_that_cannot_be_opened_leaves_nothing_either():
    descriptors = len(os.listdir("/proc/self/fd"))
    camera = FakeCamera(frames=0)
    with installed({0: camera}):
        for _ in range(5):
            with pytest.raises(SourceError):
                opened()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "ccc-source"])
    assert all(capture.released for capture in camera.captures)
    assert len(os.listdir("/proc/self/fd")) <= descriptors
