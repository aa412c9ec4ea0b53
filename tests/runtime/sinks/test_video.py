"""Overlay videos: whole under their name, or not there."""

import os
import time

import numpy as np
import pytest

from ccc_jetson.errors import FileProblem, SinkError
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.frames.video import VideoFile
from ccc_jetson.runtime.overlay import Overlay
from ccc_jetson.runtime.sinks import video, video_encoder
from ccc_jetson.runtime.sinks.video import OverlayVideo
from tests.doubles.stages import segmentation_of, video_frames
from tests.doubles.tiny_model import tiny_contract

SIZE = (96, 64)
SKY = 10


def frame_of(index=0, captured_s=None, size=SIZE):
    image = np.full((size[1], size[0], 3), 100, np.uint8)
    return Frame(index, "frame_{}".format(index), image, time.monotonic() if captured_s is None else captured_s)


def write(sink, frames, **changes):
    for index in range(frames):
        frame = frame_of(index, **changes)
        sink.write(frame, segmentation_of(frame.image, SKY))


def sink_for(path, fps=25.0):
    return OverlayVideo(str(path), Overlay(tiny_contract(), 1.0), fps)


def test_all_frames_are_in_the_video_in_colour(tmp_path):
    sink = sink_for(tmp_path / "out.mp4")
    write(sink, 30)
    assert not (tmp_path / "out.mp4").exists()  # not before it is whole
    sink.close()
    assert os.listdir(str(tmp_path)) == ["out.mp4"]
    frames = video_frames(tmp_path / "out.mp4")
    assert len(frames) == 30
    assert np.abs(frames[20].astype(int) - (180, 130, 70)).max() < 12  # it is compressed
    with VideoFile(str(tmp_path / "out.mp4")) as source:
        assert source.fps == 25.0


def test_close_and_abort_may_follow_each_other(tmp_path):
    sink = sink_for(tmp_path / "out.mp4")
    write(sink, 3)
    sink.close()
    sink.close()
    sink.abort()
    assert os.listdir(str(tmp_path)) == ["out.mp4"]


@pytest.mark.parametrize("frames", [0, 5])
def test_an_aborted_video_leaves_nothing(tmp_path, frames):
    sink = sink_for(tmp_path / "out.mp4")
    write(sink, frames)
    sink.abort()
    sink.abort()
    assert os.listdir(str(tmp_path)) == []


def test_no_frames_make_no_file(tmp_path):
    sink_for(tmp_path / "out.mp4").close()
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("frames", [3, 8, 20])
def test_the_rate_of_a_live_video_is_measured(tmp_path, frames):
    sink = sink_for(tmp_path / "out.mp4", fps=None)
    for index in range(frames):
        frame = frame_of(index, captured_s=100.0 + index * 0.125)
        sink.write(frame, segmentation_of(frame.image, SKY))
    sink.close()
    with VideoFile(str(tmp_path / "out.mp4")) as source:
        assert source.total == frames
        assert source.fps == pytest.approx(8.0, abs=0.01)


def test_a_single_live_frame_is_a_video_of_one_second(tmp_path):
    sink = sink_for(tmp_path / "out.mp4", fps=None)
    write(sink, 1)
    sink.close()
    with VideoFile(str(tmp_path / "out.mp4")) as source:
        assert (source.total, source.fps) == (1, 1.0)


def test_frames_of_another_size_are_refused_and_the_rest_is_kept(tmp_path):
    sink = sink_for(tmp_path / "out.mp4")
    write(sink, 4)
    with pytest.raises(SinkError, match="frame frame_0 is 100x80, the video is 96x64") as caught:
        write(sink, 1, size=(100, 80))
    assert "--out FOLDER" in caught.value.hint
    sink.close()
    assert len(video_frames(tmp_path / "out.mp4")) == 4


def test_a_missing_folder_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(FileProblem, match="folder does not exist"):
        sink_for(tmp_path / "none" / "out.mp4")


class SilentlyFull:
    """A ``cv2.VideoWriter`` on a disk that is full: every frame seems fine and most are not there."""

    def __init__(self, writer, keep):
        self._writer, self._keep = writer, keep

    def write(self, picture):
        if self._keep:
            self._keep -= 1
            self._writer.write(picture)

    def __getattr__(self, name):
        return getattr(self._writer, name)


@pytest.mark.parametrize("keep", [1, 5])
def test_frames_that_opencv_lost_silently_are_noticed(tmp_path, keep):
    sink = sink_for(tmp_path / "out.mp4")
    write(sink, 1)
    sink._writer = SilentlyFull(sink._writer, keep - 1)
    write(sink, 11)
    with pytest.raises(SinkError, match="{} of 12 frames can be read back".format(keep)):
        sink.close()
    assert os.listdir(str(tmp_path)) == []


def test_a_file_that_is_empty_in_the_end_is_noticed(tmp_path):
    sink = sink_for(tmp_path / "out.mp4")
    write(sink, 3)
    sink._writer.release()
    open(sink._temporary, "wb").close()
    with pytest.raises(SinkError, match="0 of 3 frames"):
        sink.close()
    assert os.listdir(str(tmp_path)) == []


class Status:
    f_frsize = 4096

    def __init__(self, mebibytes):
        self.f_bavail = mebibytes * 256


def test_a_nearly_full_disk_is_refused_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(video.os, "statvfs", lambda path: Status(63))
    sink = sink_for(tmp_path / "out.mp4")
    with pytest.raises(SinkError, match="less than 64 MiB left on the disk; nothing was written"):
        write(sink, 1)
    sink.close()
    assert os.listdir(str(tmp_path)) == []


def test_a_disk_that_fills_up_ends_the_video_while_it_can_still_be_finished(tmp_path, monkeypatch):
    left = [70]
    monkeypatch.setattr(video.os, "statvfs", lambda path: Status(left[0]))
    sink = sink_for(tmp_path / "out.mp4")
    write(sink, 20)
    left[0] = 10
    with pytest.raises(SinkError, match="the video ends after 49 frames"):
        write(sink, 100)
    sink.close()
    assert len(video_frames(tmp_path / "out.mp4")) == 49


def test_an_opencv_without_the_codec_suggests_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(video_encoder, "_CODEC", "zzzz")
    sink = sink_for(tmp_path / "out.mp4")
    with pytest.raises(SinkError, match="cannot encode 96x64 MP4 video") as caught:
        write(sink, 1)
    assert "--out FOLDER" in caught.value.hint
    with pytest.raises(SinkError) as again:  # it is not among the outputs that are whole, and its hint stays
        sink.close()
    assert again.value is caught.value
    assert os.listdir(str(tmp_path)) == []
