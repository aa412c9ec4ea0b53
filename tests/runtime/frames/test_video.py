"""Video files: whole, damaged, and not videos at all."""

import os
import subprocess
import sys
import threading

import pytest

from ccc_jetson.errors import FileProblem, SourceError, UsageError
from ccc_jetson.runtime.frames import video
from ccc_jetson.runtime.frames.attempts import Here
from ccc_jetson.runtime.frames.video import VideoFile
from tests.doubles.cameras import TX2, FakeCamera, installed
from tests.doubles.stages import write_video
from tests.runtime.frames.test_pictures import write_picture


def read_all(source):
    return list(iter(source.read, None))


def test_every_frame_is_read_in_order(tmp_path):
    path = write_video(tmp_path / "drive.mp4", frames=12, size=(96, 64), fps=25)
    with VideoFile(path) as source:
        assert source.description == "{}, 96x64, 25 FPS, 12 frames".format(path)
        assert (source.total, source.fps, source.live) == (12, 25.0, False)
        frames = read_all(source)
    assert [frame.number for frame in frames] == list(range(12))
    assert frames[3].name == "drive_000003"
    assert frames[0].image.shape == (64, 96, 3)
    assert frames[0].captured_s <= frames[-1].captured_s


def test_a_missing_file(tmp_path):
    with pytest.raises(FileProblem, match="No such file"):
        VideoFile(str(tmp_path / "none.mp4"))


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "drive.mp4"))
    for path in (str(tmp_path / "drive.mp4"), "/dev/zero"):
        with pytest.raises(FileProblem, match="no ordinary file"):
            VideoFile(path)


def test_a_folder_is_sent_to_images(tmp_path):
    with pytest.raises(SourceError, match="is a folder") as caught:
        VideoFile(str(tmp_path))
    assert "--images" in caught.value.hint


@pytest.mark.parametrize("content, message", [(b"", "is empty"), (b"text\n" * 500, "is no video that OpenCV can open")])
def test_a_file_that_is_no_video(tmp_path, capfd, content, message):
    path = tmp_path / "drive.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        VideoFile(str(path))
    assert caught.value.hint
    assert capfd.readouterr().err == ""  # OpenCV and FFmpeg keep quiet


def test_a_picture_is_not_a_video_of_one_frame(tmp_path):
    path = write_picture(tmp_path / "frame_001.png")
    with pytest.raises(SourceError, match="is a picture") as caught:
        VideoFile(path)
    assert caught.value.hint == "for pictures: --images " + path


def test_an_mp4_without_its_end_cannot_be_opened_and_says_why(tmp_path):
    path = tmp_path / "drive.mp4"
    write_video(path, frames=50)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SourceError, match="whose end is missing"):
        VideoFile(str(path))


def test_a_video_without_frames(tmp_path):
    path = tmp_path / "drive.avi"
    write_video(path, frames=1, codec="MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(SourceError):
        VideoFile(str(path))


def test_a_video_that_is_cut_short_gives_its_frames_and_then_says_so(tmp_path):
    path = tmp_path / "drive.avi"
    write_video(path, frames=60, codec="MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = VideoFile(str(path))
    frames = []
    with pytest.raises(SourceError, match=r"ends after \d+ of \d+ frames; the file is cut short"):
        for frame in iter(source.read, None):
            frames.append(frame)
    print(len(frames), "frames before the cut")
    assert 20 < len(frames) < 40


# On a Jetson

JETSON = Here(jetson=True, gstreamer=True, raw=True)


def test_on_a_jetson_its_decoder_reads_mp4_files(tmp_path):
    path = write_video(tmp_path / "drive.mp4")
    camera = FakeCamera(size=(96, 64), frames=12, interval_s=0.0)
    with installed({}, [("filesrc", camera, "NV12")], gstreamer=True, board=TX2) as room, VideoFile(
        path, JETSON
    ) as source:
        assert (source.pixel_format, source.size, source.details.backend) == ("NV12", (96, 64), "GStreamer")
        frames = read_all(source)
        assert room.asked[0][0] == source.details.pipeline
    assert len(frames) == source.total == 12 and frames[0].image.shape == (96, 96) and frames[0].pixel_format == "NV12"


def test_a_video_is_opened_outside_the_main_thread_however_often(tmp_path, monkeypatch):
    """There Ctrl-C is heard while a decoder hangs in opening it."""
    threads, really = [], video._opened
    monkeypatch.setattr(
        video, "_opened", lambda path: (threads.append(threading.current_thread().name), really(path))[1]
    )
    path = write_video(tmp_path / "drive.mp4")
    camera = FakeCamera(size=(96, 64), frames=12, interval_s=0.0)
    with installed({}, [("filesrc", camera, "NV12")], gstreamer=True, board=TX2), VideoFile(path, JETSON) as source:
        assert source.total == 12 and threads == ["ccc-apart"]


def test_what_its_decoder_cannot_read_opencv_reads_and_the_reason_is_kept(tmp_path):
    path = write_video(tmp_path / "drive.mp4", frames=4)
    for pipelines, reason in (([], "cannot start it"), ([("filesrc", FakeCamera(frames=0), "NV12")], "holds no frame")):
        with installed({}, pipelines, gstreamer=True, board=TX2), VideoFile(path, JETSON) as source:
            assert source.pixel_format == "BGR" and len(read_all(source)) == 4
            (passed_over,) = source.details.passed_over
            assert passed_over.startswith("GStreamer, H264 by the video decoder: ") and reason in passed_over


def test_other_containers_and_an_opencv_without_gstreamer_go_to_opencv_at_once(tmp_path):
    path = write_video(tmp_path / "drive.avi", codec="MJPG")
    with VideoFile(path, JETSON) as source:
        assert source.details.passed_over == () and source.details.backend
    path = write_video(tmp_path / "drive.mp4")
    with VideoFile(path, Here(jetson=True, gstreamer=False)) as source:
        assert "built without GStreamer" in source.details.passed_over[0]


class Estimating:
    """A ``cv2.VideoCapture`` whose header promises more frames than there are, as for a variable frame rate."""

    def __init__(self, source, promised, last_ms):
        self._capture, self._promised, self._last_ms = source._capture, promised, last_ms
        source.total, source._capture = promised, self

    def read(self):
        return self._capture.read()

    def get(self, number):
        return self._last_ms

    def release(self):
        self._capture.release()


def test_a_variable_frame_rate_is_not_taken_for_a_cut(tmp_path):
    source = VideoFile(write_video(tmp_path / "drive.mp4", frames=12, fps=25))
    Estimating(source, promised=100, last_ms=3990.0)
    assert len(read_all(source)) == 12


def test_a_wrong_header_is_a_cut_where_time_is_missing_too(tmp_path):
    source = VideoFile(write_video(tmp_path / "drive.mp4", frames=12, fps=25))
    Estimating(source, promised=100, last_ms=440.0)
    with pytest.raises(SourceError, match="ends after 12 of 100 frames"):
        read_all(source)


NOT_UTF_8 = b"stra\xdfe.mp4".decode("utf-8", "surrogateescape")


def test_a_name_that_opencv_would_die_of_is_refused(tmp_path, monkeypatch):
    path = str(tmp_path / NOT_UTF_8)
    try:
        with open(path.encode("utf-8", "surrogateescape"), "wb") as file:
            file.write(b"video")
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(UsageError, match=r"stra\?e.mp4: the name is not UTF-8") as caught:
        VideoFile(path)
    assert caught.value.hint == "rename it"


def test_a_process_that_reads_names_as_ascii_is_told_the_variable(tmp_path):
    """Python 3.6 under systemd or over ssh without a locale: of any name beyond ASCII it keeps surrogates."""
    write_video(tmp_path / "drive.mp4")
    path = str(tmp_path / "stra").encode() + b"\xc3\x9fe.mp4"
    os.rename(str(tmp_path / "drive.mp4").encode(), path)
    script = (
        "import sys; sys.getfilesystemencoding = lambda: 'ascii'\n"
        "from ccc_jetson.runtime.frames.video import VideoFile\n"
        "from ccc_jetson.errors import UsageError\n"
        "try:\n    VideoFile(sys.argv[1])\n"
        "except UsageError as error:\n    print(str(error).encode('ascii', 'replace').decode(), error.hint)\n"
    )
    variables = dict(os.environ, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    out = subprocess.check_output([sys.executable, "-c", script, path], env=variables, universal_newlines=True)
    assert "this process reads names as ASCII" in out and "export LC_ALL=C.UTF-8" in out
