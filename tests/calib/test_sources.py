"""What calibration frames can be taken from, and how they are read."""

import os

import numpy as np
import pytest

from ccc_jetson.calib.sources import PICTURE, Candidate, FrameReader, open_sources
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.opencv import import_cv2
from tests.doubles.labelled_frames import write_cityscapes, write_image, write_pairs
from tests.doubles.pictures import write_pictures
from tests.doubles.stages import video_frames, write_boasting_video, write_video


def names(source):
    return [frame.name for frame in source.frames]


def test_a_folder_gives_the_pictures_below_it_by_name_and_no_label_maps(tmp_path):
    write_pictures(tmp_path / "b" / "deep", 2)
    write_pictures(tmp_path, 1)
    write_image(tmp_path / "b" / "bonn_1_gtFine_labelIds.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "notes.md").write_text("no picture")
    (source,) = open_sources([str(tmp_path)])
    assert names(source) == ["picture000.png", "b/deep/picture000.png", "b/deep/picture001.png"]
    assert source.frames[1].path == str(tmp_path / "b" / "deep" / "picture000.png")
    assert not source.is_video and source.mapping is None


def test_a_list_names_pictures_relative_to_itself(tmp_path):
    write_pictures(tmp_path / "frames", 2)
    elsewhere = write_pictures(tmp_path.parent / (tmp_path.name + "_other"), 1) + "/picture000.png"
    text = "# two of them\nframes/picture001.png\n\n{}\r\nframes/gone.png\n".format(elsewhere)
    (tmp_path / "calibration.txt").write_text(text)
    (source,) = open_sources([str(tmp_path / "calibration.txt")])
    assert names(source) == ["frames/picture001.png", elsewhere, "frames/gone.png"]
    assert source.frames[0].path == str(tmp_path / "frames" / "picture001.png")
    assert source.frames[1].path == elsewhere


def test_pictures_that_are_named_one_by_one_are_one_source(tmp_path):
    folder = write_pictures(tmp_path / "frames", 3)
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    video = write_video(tmp_path / "drive.avi", codec="MJPG", frames=5)
    first, second = open_sources([paths[0], video, paths[2]])
    assert names(first) == ["drive.avi"] * 5 and first.is_video
    assert names(second) == ["picture000.png", "picture002.png"]


def test_a_frame_that_is_reached_twice_counts_once(tmp_path):
    folder = write_pictures(tmp_path / "frames", 2)
    os.symlink(os.path.join(folder, "picture000.png"), str(tmp_path / "link.png"))
    sources = open_sources([folder, str(tmp_path / "link.png"), os.path.join(folder, "..", "frames")])
    assert [len(source.frames) for source in sources] == [2, 0, 0]


def test_cityscapes_gives_the_split_with_its_label_maps(tmp_path):
    root = write_cityscapes(tmp_path, split="train")
    write_cityscapes(tmp_path, split="val", frames=(("ulm", 1),))
    (source,) = open_sources([root])
    assert names(source)[0] == "aachen/aachen_000000_000019" and len(source.frames) == 4
    assert source.frames[0].labels.endswith("_gtFine_labelIds.png")
    assert source.mapping.name == "labelids" and "4 of the 2975 frames" in source.notes[0]
    assert names(open_sources([root], split="val")[0]) == ["ulm/ulm_000000_000019"]


def test_cityscapes_without_labels_gives_pictures(tmp_path):
    write_pictures(tmp_path / "leftImg8bit" / "test" / "berlin", 2)
    (source,) = open_sources([str(tmp_path)], split="test")
    assert names(source) == ["berlin/picture000.png", "berlin/picture001.png"] and source.mapping is None
    with pytest.raises(FileProblem, match=r"leftImg8bit.train: no such folder"):
        open_sources([str(tmp_path)])


def test_a_folder_of_label_maps_joins_a_folder_of_pictures(tmp_path):
    images, labels = write_pairs(tmp_path)
    os.unlink(os.path.join(labels, "frame01.png"))
    (source,) = open_sources([images], labels=labels, mapping="camvid")
    assert names(source) == ["frame00", "frame02"]
    assert source.mapping.name == "camvid" and source.notes == ("1 without a label map: frame01",)


def test_what_cannot_be_meant_is_refused(tmp_path):
    images, labels = write_pairs(tmp_path)
    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    for paths, more, message in (
        ([], {}, "no calibration images were given"),
        ([images], {"labels": labels}, "label maps take both a folder and a mapping"),
        ([images, images], {"labels": labels, "mapping": "camvid"}, "--labels belongs to one folder"),
        ([str(tmp_path / "empty.txt")], {"labels": labels, "mapping": "camvid"}, "--labels belongs to one folder"),
    ):
        with pytest.raises(UsageError, match=message):
            open_sources(paths, **more)
    for path, message in (
        ("none", "no such file or folder"),
        ("empty.txt", "names no picture"),
        ("empty", "no pictures found in it or below"),
        ("text.mp4", "is no video that OpenCV can open"),
    ):
        with pytest.raises(FileProblem, match=message) as caught:
            open_sources([str(tmp_path / path)])
        assert caught.value.hint


# reading


def test_frames_of_a_video_are_those_of_their_number(tmp_path):
    path = write_video(tmp_path / "drive.mp4", frames=12)
    expected = video_frames(path)
    with FrameReader() as reader:
        for number in (0, 3, 4, 11, 2, 2):  # backwards it begins again
            assert (reader.read(Candidate("", path, number)) == expected[number]).all()


def test_pictures_and_videos_take_turns(tmp_path):
    first, second = (write_video(tmp_path / name, frames=3) for name in ("a.mp4", "b.mp4"))
    picture = os.path.join(write_pictures(tmp_path / "frames", 1), "picture000.png")
    with FrameReader() as reader:
        for path, number in ((first, 1), (picture, PICTURE), (first, 2), (second, 0), (first, 0)):
            assert reader.read(Candidate("", path, number)).ndim == 3
    reader.close()


def test_a_video_that_ends_early_says_where(tmp_path):
    path = write_video(tmp_path / "drive.mp4", frames=3)
    with FrameReader() as reader, pytest.raises(FileProblem, match=r"drive\.mp4: ends after 3 frames"):
        reader.read(Candidate("", path, 7))


class Capture:
    """A ``cv2.VideoCapture`` of a stream without a header's count."""

    def __init__(self, frames=0, decodes=True, opened=True, told=-1.0):
        self._left, self._decodes, self._opened, self._told = frames, decodes, opened, told

    def isOpened(self):
        return self._opened

    def get(self, number):
        return self._told

    def grab(self):
        self._left -= 1
        return self._left >= 0

    def retrieve(self):
        return self._decodes, None

    def release(self):
        pass


def test_a_video_reached_twice_counts_once_whatever_its_header_says(tmp_path):
    video = write_boasting_video(tmp_path / "drive.avi", claims=10**9)
    os.symlink(video, str(tmp_path / "link.avi"))
    first, second = open_sources([video, str(tmp_path / "link.avi")])
    assert (len(first.frames), len(second.frames)) == (10**9, 0)
    assert first.frames[10**9 - 1] == Candidate("drive.avi", video, 10**9 - 1)
    assert list(first.paths()) == [video]


def opening(monkeypatch, **told):
    monkeypatch.setattr(import_cv2(), "VideoCapture", lambda path: Capture(**told))
    return FrameReader()


@pytest.mark.parametrize("told", [-1.0, 0.0, 9e18, float("nan"), float("inf")])
def test_where_the_header_has_no_count_frames_are_counted(monkeypatch, told):
    assert opening(monkeypatch, frames=9, told=told).count("stream.h264") == 9


def test_a_video_without_a_frame_and_one_that_cannot_be_decoded_are_sentences(monkeypatch):
    with pytest.raises(FileProblem, match="is a video without a frame"):
        opening(monkeypatch).count("drive.mp4")
    with pytest.raises(FileProblem, match="frame 1 cannot be decoded"):
        opening(monkeypatch, frames=3, decodes=False).read(Candidate("", "drive.mp4", 1))


def test_an_error_of_opencvs_is_a_sentence(monkeypatch):
    cv2 = import_cv2()

    def fail(path):
        raise cv2.error("assertion failed")

    monkeypatch.setattr(cv2, "VideoCapture", fail)
    with pytest.raises(FileProblem, match="is no video"):
        FrameReader().count("drive.mp4")


def test_a_list_with_a_zero_byte_is_no_list(tmp_path):
    path = tmp_path / "frames.txt"
    path.write_bytes(b"a.png\nb\0c.png\n")
    with pytest.raises(FileProblem, match="is a binary file"):
        open_sources([str(path)])
