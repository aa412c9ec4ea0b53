"""Pictures and label maps, and files that are neither."""

import os

import cv2
import numpy as np
import pytest

from ccc_jetson.errors import FileProblem
from ccc_jetson.images import list_images, read_frame, read_labels


def write(path, array):
    assert cv2.imwrite(str(path), array)
    return str(path)


def test_a_frame_comes_as_bgr(tmp_path):
    blue = np.zeros((4, 6, 3), np.uint8)
    blue[:, :, 0] = 200
    assert (read_frame(write(tmp_path / "a.png", blue)) == blue).all()


def test_a_grey_picture_becomes_a_frame_of_three_channels(tmp_path):
    assert read_frame(write(tmp_path / "a.png", np.full((4, 6), 9, np.uint8))).shape == (4, 6, 3)


def test_labels_come_as_the_stored_numbers(tmp_path):
    labels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert (read_labels(write(tmp_path / "a.png", labels)) == labels).all()


@pytest.mark.parametrize("array", [np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint16)])
def test_labels_with_colours_or_sixteen_bits_are_refused_with_the_file_to_use(tmp_path, array):
    with pytest.raises(FileProblem, match="one channel of 8 bits") as caught:
        read_labels(write(tmp_path / "a.png", array))
    assert "labelIds" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_decoded_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(FileProblem, match="is no picture"):
        read_frame(str(path))


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(FileProblem, match="No such file"):
        read_frame(str(tmp_path / "a.png"))


def test_folders_give_their_pictures_sorted_and_files_come_as_given(tmp_path):
    for name in ("b.png", "a.JPG", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    folder = str(tmp_path)
    assert list_images([folder]) == [folder + "/a.JPG", folder + "/b.png"]
    assert list_images([folder + "/b.png", folder + "/a.JPG"]) == [folder + "/b.png", folder + "/a.JPG"]


def test_no_pictures_and_no_such_folder_are_errors(tmp_path):
    with pytest.raises(FileProblem, match="no pictures found"):
        list_images([str(tmp_path)])
    with pytest.raises(FileProblem, match="no such file or folder"):
        list_images([str(tmp_path / "none")])


def test_a_pipe_in_a_pictures_place_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "a.png"))
    for read in (read_frame, read_labels):
        with pytest.raises(FileProblem, match="no ordinary file"):
            read(str(tmp_path / "a.png"))
