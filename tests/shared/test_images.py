"""Pictures and label maps, and files that are neither."""

import os
import struct
import subprocess
import sys
import zlib

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


def in_a_process_of_its_own(code):
    """Standard output and error of Python code, without the limit that a test before may have set."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENCV_IO_MAX_IMAGE_PIXELS"}
    command = [sys.executable, "-c", code]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    return child.communicate()


def test_a_picture_of_more_pixels_than_memory_is_for_is_refused_by_its_header(tmp_path):
    """144 million pixels in 20 kB, which OpenCV itself would decode."""
    rows = zlib.compressobj(9)
    row = bytes(1 + 12000 // 8)
    data = b"".join(rows.compress(row * 100) for _ in range(120)) + rows.flush()
    header = struct.pack(">IIBBBBB", 12000, 12000, 1, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(each)) + kind + each + struct.pack(">I", zlib.crc32(kind + each)) for kind, each in parts
    ]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    code = "from ccc_jetson.command import Parser, run_command\nfrom ccc_jetson.images import read_labels\n"
    code += "run_command(Parser('ccc', '', 'ccc'), lambda arguments: print(read_labels({!r}).shape), [])"
    out, err = in_a_process_of_its_own(code.format(str(tmp_path / "a.png")))
    assert out == b"" and b"is no picture that OpenCV can decode" in err
    assert b"-> if it has more than 134217728 pixels, and memory is there: export OPENCV_IO_MAX_IMAGE_PIXELS=N" in err


def test_a_program_that_uses_the_package_keeps_opencvs_own_limit(tmp_path):
    (tmp_path / "a.png").write_bytes(b"none" * 50000)  # so many bytes could be so many pixels
    code = "import os\nfrom ccc_jetson.images import read_frame\n"
    code += "try:\n    read_frame({!r})\nexcept Exception as error:\n    print(error.hint)\n".format(
        str(tmp_path / "a.png")
    )
    out, err = in_a_process_of_its_own(code + "print('OPENCV_IO_MAX_IMAGE_PIXELS' in os.environ)")
    assert (b"more than 1073741824 pixels" in out, out.split()[-1:], err) == (True, [b"False"], b"")
