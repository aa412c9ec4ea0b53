"""A Jetson's own encoder where OpenCV reaches it, else the CPU, and which of them is told."""

import re

import pytest

from ccc_jetson.board import read_board
from ccc_jetson.errors import SinkError, UsageError
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.sinks import video_encoder
from ccc_jetson.runtime.sinks.video_encoder import hardware_pipeline, open_encoder, why_not_in_hardware

pytest.importorskip("onnx")

from ccc_jetson.runtime.overlay import Overlay  # noqa: E402
from ccc_jetson.runtime.sinks.video import OverlayVideo  # noqa: E402
from tests.doubles.stages import segmentation_of, video_frames  # noqa: E402
from tests.doubles.tiny_model import tiny_contract  # noqa: E402
from tests.runtime.sinks.test_video import frame_of  # noqa: E402

RELEASE = (
    "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64, DATE: Sat Feb 19 17:07:00 UTC 2022"
)
WITH = "Video I/O:\n    FFMPEG:                      YES\n    GStreamer:                   YES (1.14.5)\n"


class JetsonCv2:
    """OpenCV as JetPack has it; pipelines are encoded by the CPU, which leaves a file all the same."""

    CAP_GSTREAMER = 1800

    def __init__(self, information=WITH, opens=True):
        self.pipelines = []
        self._information, self._opens = information, opens
        self._real = import_cv2()

    def getBuildInformation(self):
        return self._information

    def VideoWriter(self, path, *arguments):
        if len(arguments) == 3:
            return self._real.VideoWriter(path, *arguments)
        api, fourcc, fps, size = arguments
        assert (api, fourcc) == (1800, 0)
        self.pipelines.append(path)
        real = re.search(r'location="(.*)"\Z', path).group(1) if self._opens else "/nowhere/at/all.mp4"
        return self._real.VideoWriter(real, self._real.VideoWriter_fourcc(*"mp4v"), fps, size)

    def __getattr__(self, name):
        return getattr(self._real, name)


@pytest.fixture
def jetson(tmp_path):
    """A root folder as a TX2's."""
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "nv_tegra_release").write_text(RELEASE)
    return str(tmp_path / "root")


def with_opencv(monkeypatch, **arguments):
    fake = JetsonCv2(**arguments)
    monkeypatch.setattr(video_encoder, "import_cv2", lambda: fake)
    return fake


def test_the_pipeline_leads_from_bgr_frames_to_a_finished_file():
    pipeline = hardware_pipeline("/data/out.mp4", 25.0, (1920, 1080))
    elements = [each.split(",")[0].split(" ")[0] for each in pipeline.split(" ! ")]
    assert elements == [
        "appsrc", "video/x-raw", "videoconvert", "video/x-raw", "nvvidconv", "video/x-raw(memory:NVMM)",
        "nvv4l2h264enc", "h264parse", "qtmux", "filesink",
    ]  # fmt: skip
    assert "bitrate=7776000" in pipeline and pipeline.endswith('filesink location="/data/out.mp4"')
    assert "bitrate=500000" in hardware_pipeline("a.mp4", 1.0, (64, 32))


def test_a_name_cannot_add_to_the_pipeline():
    pipeline = hardware_pipeline('a" ! fakesink \\', 25.0, (64, 32))
    assert pipeline.endswith('filesink location="a\\" ! fakesink \\\\"')


@pytest.mark.parametrize(
    ("information", "has"),
    [
        (WITH, True),
        ("    GStreamer:                   \n      base:                      YES (ver 1.8.3)\n", True),
        ("    GStreamer:                   NO\n", False),
        ("    GStreamer:\n      base:                      NO\n", False),
        ("    GStreamer:", False),
        ("", False),
    ],
)
def test_opencv_tells_whether_it_has_gstreamer(monkeypatch, jetson, information, has):
    with_opencv(monkeypatch, information=information)
    assert (why_not_in_hardware((64, 32), jetson) == "") == has


def test_off_a_jetson_the_cpu_encodes_and_nothing_is_said(tmp_path, monkeypatch, capsys):
    fake = with_opencv(monkeypatch)
    encoder = open_encoder(str(tmp_path / "out.mp4"), 25.0, (64, 32), str(tmp_path))
    encoder.writer.release()
    assert not encoder.in_hardware and fake.pipelines == [] and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "size", "reason"),
    [
        ({"information": ""}, (64, 32), "built without GStreamer"),
        ({}, (63, 32), "an odd width or height"),
        ({"opens": False}, (64, 32), "GStreamer cannot open: appsrc ! "),
    ],
)
def test_on_a_jetson_it_is_said_why_the_cpu_encodes(tmp_path, monkeypatch, capsys, jetson, arguments, size, reason):
    with_opencv(monkeypatch, **arguments)
    encoder = open_encoder(str(tmp_path / "out.mp4"), 25.0, size, jetson)
    assert encoder.writer.isOpened() and not encoder.in_hardware
    encoder.writer.release()
    told = capsys.readouterr().err
    assert told.startswith("the board's video encoder is not used, the CPU encodes: ") and reason in told


def overlay_video(monkeypatch, jetson, path, frames):
    sink = OverlayVideo(str(path), Overlay(tiny_contract(), 1.0), 25.0)
    monkeypatch.setattr(video_encoder, "read_board", lambda root: read_board(jetson))
    for index in range(frames):
        frame = frame_of(index)
        sink.write(frame, segmentation_of(frame.image, 10))
    return sink


def test_on_a_jetson_the_boards_encoder_writes_the_video_under_a_temporary_name(tmp_path, monkeypatch, capsys, jetson):
    fake = with_opencv(monkeypatch)
    (tmp_path / "out").mkdir()
    sink = overlay_video(monkeypatch, jetson, tmp_path / "out" / "drive.mp4", 12)
    assert not (tmp_path / "out" / "drive.mp4").exists()
    sink.close()
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["drive.mp4"]
    assert len(video_frames(tmp_path / "out" / "drive.mp4")) == 12
    assert capsys.readouterr().err == "video encoder: {}\n".format(fake.pipelines[0])
    assert "/.drive." in fake.pipelines[0] and ".part.mp4" in fake.pipelines[0]


@pytest.mark.parametrize(("lost", "is_whole"), [(1, True), (2, False)])
def test_one_frame_may_be_missing_in_gstreamers_count_and_no_more(tmp_path, monkeypatch, jetson, lost, is_whole):
    with_opencv(monkeypatch)
    sink = overlay_video(monkeypatch, jetson, tmp_path / "drive.mp4", 12)
    sink._written += lost
    if is_whole:
        sink.close()
        assert len(video_frames(tmp_path / "drive.mp4")) == 12
    else:
        with pytest.raises(SinkError, match="12 of 14 frames"):
            sink.close()


def test_a_name_that_opencv_would_die_of_is_refused(tmp_path):
    with pytest.raises(UsageError, match="the name is not UTF-8"):
        open_encoder(str(tmp_path / "stra") + "\udcdfe.mp4", 25.0, (64, 48))
