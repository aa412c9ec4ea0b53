"""Pictures as frames."""

import numpy as np
import pytest

from ccc_jetson.errors import FileProblem
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames.pictures import Pictures


def write_picture(path, value=100, size=(20, 10)):
    import_cv2().imwrite(str(path), np.full((size[1], size[0], 3), value, np.uint8))
    return str(path)


def test_a_folder_is_read_by_name(tmp_path):
    for name, value in (("b.png", 2), ("a.png", 1)):
        write_picture(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("not a picture")
    with Pictures([str(tmp_path)]) as source:
        first, second = source.read(), source.read()
        assert source.read() is None
    assert (first.name, first.number, first.image[0, 0, 0]) == ("a", 0, 1)
    assert (second.name, second.number) == ("b", 1)
    assert source.total == 2 and not source.live
    assert source.description == "{}, 2 pictures".format(tmp_path)


def test_equal_names_get_different_ones(tmp_path):
    paths = []
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        paths.append(write_picture(tmp_path / folder / "a.png"))
    paths.append(write_picture(tmp_path / "a_2.png"))
    names = [frame.name for frame in iter(Pictures(paths).read, None)]
    assert len(set(names)) == 4
    assert names[:2] == ["a", "a_2"]


def test_a_picture_that_cannot_be_decoded_is_named_when_it_is_reached(tmp_path):
    write_picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    source = Pictures([str(tmp_path)])
    assert source.read().name == "a"
    with pytest.raises(FileProblem, match=r"b\.png: is no picture"):
        source.read()


def test_many_paths_are_summed_up_in_the_description(tmp_path):
    paths = [write_picture(tmp_path / "{}.png".format(index)) for index in range(5)]
    assert Pictures(paths).description == "{} and 4 more, 5 pictures".format(paths[0])


def test_no_picture_is_an_error(tmp_path):
    with pytest.raises(FileProblem, match="no pictures found"):
        Pictures([str(tmp_path)])
