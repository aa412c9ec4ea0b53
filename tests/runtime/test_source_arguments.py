"""SOURCE and its shorthands on a command line."""

import argparse

import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.source_arguments import add_source_arguments, files_of, reconnect_for_s, source_of
from ccc_jetson.runtime.source_grammar import CsiCamera, PicturePaths, RtspStream, V4l2Camera, VideoPath


def parsed(*argv):
    parser = argparse.ArgumentParser()
    add_source_arguments(parser)
    return parser.parse_args(list(argv))


@pytest.mark.parametrize("argv, expected", [
    (["0"], V4l2Camera("0")),
    (["--camera", "/dev/video0"], V4l2Camera("/dev/video0")),
    (["--camera", "0", "--camera-size", "640x480"], V4l2Camera("0", (640, 480))),
    (["0?size=640x480", "--camera-size", "640x480"], V4l2Camera("0", (640, 480))),
    (["--csi", "0"], CsiCamera(0)),
    (["--rtsp", "rtsp://cam/x"], RtspStream("rtsp://cam/x")),
    (["--video", "0"], VideoPath("0")),
    (["--video", "odd?name=1.mp4"], VideoPath("odd?name=1.mp4")),
    (["--video", "file:///tmp/a.mp4"], VideoPath("/tmp/a.mp4")),
    (["--images", "a", "b"], PicturePaths(("a", "b"))),
    (["a.png", "b.png"], PicturePaths(("a.png", "b.png"))),
])  # fmt: skip
def test_the_one_source_of_a_command_line(argv, expected):
    assert source_of(parsed(*argv)) == expected


@pytest.mark.parametrize("argv, message", [
    ([], "neither a SOURCE nor one of --camera, --csi, --rtsp, --video, --images was given"),
    (["drive.mp4", "--camera", "0"], "two sources: drive.mp4 and /dev/video0; a run has one"),
    (["drive.mp4", "other.mp4"], "several sources, and drive.mp4 is none of pictures"),
    (["csi://0", "--camera-size", "640x480"], "--camera-size is for USB cameras, not for csi://0"),
    (["0?size=640x480", "--camera-size", "1280x720"], "--camera-size 1280x720 and size=640x480 contradict"),
])  # fmt: skip
def test_none_several_and_contradictions_are_refused(argv, message):
    with pytest.raises(UsageError) as caught:
        source_of(parsed(*argv))
    assert message in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("argv", [["--camera", "0", "--csi", "0"], ["0", "--no-reconnect", "--reconnect-for", "5"],
                                  ["0", "--reconnect-for", "-1"]])  # fmt: skip
def test_what_excludes_each_other_is_refused_by_the_parser(argv):
    with pytest.raises(SystemExit):
        parsed(*argv)


def test_how_long_a_lost_source_is_waited_for():
    assert reconnect_for_s(parsed("0")) == 60
    assert reconnect_for_s(parsed("0", "--reconnect-for", "5")) == 5
    assert reconnect_for_s(parsed("0", "--no-reconnect")) == 0


def test_the_files_of_a_source_and_the_folders_of_its_pictures(tmp_path):
    picture = tmp_path / "a.png"
    assert files_of(PicturePaths((str(tmp_path), str(picture)))) == ([str(picture)], [str(tmp_path), str(tmp_path)])
    assert files_of(VideoPath("a.mp4")) == (["a.mp4"], [])
    assert files_of(V4l2Camera("0")) == (["/dev/video0"], [])
    assert files_of(CsiCamera(0)) == ([], [])
