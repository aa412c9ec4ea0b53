"""Paths that are refused before anything starts, and the sinks for those that are not."""

import os

import pytest

from ccc_jetson.errors import SinkError, UsageError
from ccc_jetson.runtime.outputs import Outputs
from ccc_jetson.runtime.sinks.pictures import ClassMaps, OverlayPictures
from ccc_jetson.runtime.sinks.video import OverlayVideo
from tests.doubles.stages import FakeSource
from tests.doubles.tiny_model import tiny_contract


def check(out=None, class_maps=None, report=None, files=(), folders=()):
    out, class_maps = [None if path is None else str(path) for path in (out, class_maps)]
    Outputs(out, class_maps, () if report is None else (str(report),)).check(
        [str(path) for path in files], [str(path) for path in folders]
    )


def test_new_files_and_folders_beside_existing_ones_are_fine(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old.mp4").write_bytes(b"")
    check(tmp_path / "new.mp4", tmp_path / "new", tmp_path / "new.json", [tmp_path / "in.mp4"])
    check(tmp_path / "old.mp4", tmp_path / "old")
    check(tmp_path / "old", tmp_path / "new", folders=[tmp_path])


@pytest.mark.parametrize("option", ["out", "class_maps", "report"])
def test_a_missing_folder_is_named(tmp_path, option):
    with pytest.raises(UsageError, match="does not exist") as caught:
        check(**{option: tmp_path / "none" / ("result" + (".json" if option == "report" else ""))})
    assert caught.value.hint == "mkdir -p {}".format(tmp_path / "none")


@pytest.mark.parametrize("name", ["out.avi", "out.PNG"])
def test_other_kinds_of_files_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match="neither an MP4 file nor a folder"):
        check(tmp_path / name)


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is a folder, a file is needed"):
        check(tmp_path / "folder.mp4")
    with pytest.raises(UsageError, match="is a folder, a file is needed"):
        check(report=tmp_path / "folder.html")
    with pytest.raises(UsageError, match="is a file, a folder is needed"):
        check(tmp_path / "file")
    with pytest.raises(UsageError, match="is a file, a folder is needed"):
        check(class_maps=tmp_path / "file")


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ccc_jetson.runtime.outputs.os.access", lambda path, mode: False)
    with pytest.raises(UsageError, match="no permission"):
        check(tmp_path / "out.mp4")


def test_the_input_is_not_overwritten_even_through_a_link(tmp_path):
    (tmp_path / "drive.mp4").write_bytes(b"")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "drive.mp4")
    for out in ("drive.mp4", "link.mp4"):
        with pytest.raises(UsageError, match="is also the input"):
            check(tmp_path / out, files=[tmp_path / "drive.mp4"])


@pytest.mark.parametrize("option", ["out", "class_maps"])
def test_results_do_not_go_among_the_pictures_they_come_from(tmp_path, option):
    with pytest.raises(UsageError, match="the folder of the input"):
        check(folders=[tmp_path], **{option: tmp_path})


def test_two_results_do_not_share_a_place(tmp_path):
    with pytest.raises(UsageError, match="is also --out"):
        check(tmp_path / "masks", tmp_path / "masks")


def opened(tmp_path, out=None, class_maps=None, source=None):
    outputs = Outputs(out and str(tmp_path / out), class_maps and str(tmp_path / class_maps))
    return outputs.open(tiny_contract(), source or FakeSource(3), 0.5, False)


def test_each_path_gets_its_sink(tmp_path):
    video, maps = opened(tmp_path, "a.MP4", "maps")
    assert isinstance(video, OverlayVideo) and isinstance(maps, ClassMaps)
    video.abort()
    (pictures,) = opened(tmp_path, "pictures")
    assert isinstance(pictures, OverlayPictures)
    assert opened(tmp_path) == []


def test_a_sink_that_cannot_be_opened_leaves_nothing_of_the_others(tmp_path, monkeypatch):
    def refusing(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ccc_jetson.runtime.sinks.pictures.os.mkdir", refusing)
    with pytest.raises(SinkError, match="cannot be made"):
        opened(tmp_path, "a.mp4", "maps")
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize(
    "source, fps", [(FakeSource(3, 0.04), 25.0), (FakeSource(3), 10.0), (FakeSource(3, 0.04, live=True), None)]
)
def test_a_video_has_its_sources_rate_and_a_cameras_is_measured(tmp_path, source, fps):
    (video,) = opened(tmp_path, "a.mp4", source=source)
    assert video._fps == fps
    video.abort()


def test_a_report_never_takes_a_devices_place():
    with pytest.raises(UsageError, match="no ordinary file"):
        Outputs(None, None, (os.devnull,)).check([], [])


def test_a_video_whose_name_opencv_would_die_of_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"stra\?e.mp4: the name is not UTF-8"):
        check(str(tmp_path / "stra") + "\udcdfe.mp4")
    check(class_maps=str(tmp_path / "stra") + "\udcdfe")
