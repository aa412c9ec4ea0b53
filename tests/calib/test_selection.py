"""Which frames are chosen, and what is said of them."""

import os
import shutil
import tracemalloc

import numpy as np
import pytest

from ccc_jetson.calib.selection import _shares, select_frames
from ccc_jetson.calib.sources import open_sources
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.images import read_labels
from ccc_jetson.opencv import import_cv2
from tests.doubles.labelled_frames import frame_picture, write_cityscapes, write_image
from tests.doubles.pictures import write_pictures
from tests.doubles.stages import write_boasting_video, write_video


def select(*paths, **more):
    sources = open_sources([str(path) for path in paths], **more.pop("sources", {}))
    return select_frames(sources, **more)


def names(selection):
    return [frame.name for frame in selection.frames]


# how many of what


@pytest.mark.parametrize(
    "available, samples, expected",
    [
        ([100], 20, [20]),
        ([100, 100], 20, [10, 10]),
        ([100, 3, 100], 21, [9, 3, 9]),
        ([2, 3], 20, [2, 3]),
        ([0, 5], 3, [0, 3]),
        ([10, 10, 10], 2, [1, 1, 0]),
        ([], 5, []),
    ],
)
def test_sources_give_alike_and_make_up_for_each_other(available, samples, expected):
    assert _shares(available, samples) == expected


def test_pictures_and_a_video_share(tmp_path):
    write_pictures(tmp_path / "frames", 30)
    write_video(tmp_path / "drive.mp4", frames=50)
    selection = select(tmp_path / "frames", tmp_path / "drive.mp4", samples=40)
    assert names(selection).count("drive.mp4") == 20 and len(set(selection.frames)) == 40


def test_frames_of_a_video_are_evenly_spread(tmp_path):
    video = write_video(tmp_path / "drive.mp4", frames=40)
    assert [frame.number for frame in select(video, samples=4).frames] == [5, 15, 25, 35]
    assert [frame.number for frame in select(video, samples=400).frames] == list(range(40))


# the seed


def test_the_same_seed_gives_the_same_frames_on_every_python(tmp_path):
    write_pictures(tmp_path, 30)
    # those whose SHA-256 of "0:picture000.png" and so on is smallest
    assert names(select(tmp_path, samples=4)) == [
        "picture007.png",
        "picture016.png",
        "picture018.png",
        "picture020.png",
    ]
    assert select(tmp_path, samples=4).sha256 == select(tmp_path, samples=4).sha256


def test_another_seed_gives_other_frames_and_another_sum(tmp_path):
    write_pictures(tmp_path, 30)
    found = [select(tmp_path, samples=6, seed=seed) for seed in range(4)]
    assert len({tuple(names(selection)) for selection in found}) == 4
    assert len({selection.sha256 for selection in found}) == 4
    assert [selection.seed for selection in found] == [0, 1, 2, 3]


def test_the_choice_does_not_depend_on_where_the_folder_lies(tmp_path):
    first = write_pictures(tmp_path / "first", 30)
    shutil.copytree(first, str(tmp_path / "second" / "deep"))
    one, other = select(first, samples=5), select(tmp_path / "second" / "deep", samples=5)
    assert names(one) == names(other) and one.sha256 == other.sha256


def test_the_sum_is_of_contents_as_well(tmp_path):
    first = write_pictures(tmp_path / "first", 3)
    second = write_pictures(tmp_path / "second", 3, seed=12)
    assert names(select(first)) == names(select(second))
    assert select(first).sha256 != select(second).sha256


# class balance


def write_with_classes(root, frames, common=7, size=(64, 32)):
    """Cityscapes with a frame for each list of label ids: the first fills the frame, the others a stripe each."""
    rng = np.random.RandomState(2)
    for index, ids in enumerate(frames):
        stem = "ulm_{:06d}_000019".format(index)
        image = os.path.join(str(root), "leftImg8bit", "train", "ulm", stem + "_leftImg8bit.png")
        write_image(image, frame_picture(rng, *size))
        labels = np.full((size[1], size[0]), common, np.uint8)
        for stripe, label in enumerate(ids):
            labels[:, 8 * stripe : 8 * stripe + 4] = label
        write_image(os.path.join(str(root), "gtFine", "train", "ulm", stem + "_gtFine_labelIds.png"), labels)
    return str(root)


def classes_in(selection):
    found = set()
    for frame in selection.frames:
        found.update(np.unique(read_labels(frame.labels)).tolist())
    return found


def test_rare_classes_are_seen(tmp_path):
    # 60 frames of road alone, and of three rare classes one frame each
    frames = [[]] * 60
    frames[13], frames[27], frames[51] = [31], [32], [33]  # train, motorcycle, bicycle
    root = write_with_classes(tmp_path, frames)
    for seed in range(3):
        assert {31, 32, 33} <= classes_in(select(root, samples=4, seed=seed))


def test_frames_without_labels_come_last_and_are_told(tmp_path):
    root = write_with_classes(tmp_path, [[31], [32], [33], [24]])
    broken = os.path.join(root, "gtFine", "train", "ulm", "ulm_000001_000019_gtFine_labelIds.png")
    with open(broken, "wb") as file:
        file.write(b"no picture")
    strange = os.path.join(root, "gtFine", "train", "ulm", "ulm_000002_000019_gtFine_labelIds.png")
    write_image(strange, np.full((32, 64), 99, np.uint8))
    selection = select(root, samples=2)
    assert names(selection) == ["ulm/ulm_000000_000019", "ulm/ulm_000003_000019"]
    (note,) = [note for note in selection.notes if "label maps cannot be used" in note]
    assert note.startswith("2 label maps")
    assert len(select(root, samples=4).frames) == 4


def test_classes_that_no_chosen_frame_shows_are_named(tmp_path):
    selection = select(write_cityscapes(tmp_path, split="train", values=(7, 8)), samples=4)
    assert "Cityscapes train: no chosen frame shows building, wall, fence, pole, traffic light and 12 more" in (
        selection.notes
    )


def test_pictures_that_nobody_can_read_are_replaced_and_named(tmp_path):
    write_pictures(tmp_path, 30)
    first = names(select(tmp_path, samples=20))
    for name in first[:2]:
        (tmp_path / name).write_bytes(b"no picture")
    selection = select(tmp_path, samples=20)
    assert len(selection.frames) == 20 and sorted(selection.unreadable) == first[:2]
    (note,) = selection.notes
    assert note.startswith("2 files or frames cannot be read and are passed over: ")
    assert "is no picture that OpenCV can decode" in note


def test_of_a_video_that_is_shorter_than_its_header_says_frames_are_spread_over_what_is_there(tmp_path):
    video = write_boasting_video(tmp_path / "drive.avi", claims=10**9, frames=30)
    tracemalloc.start()
    assert len(select(video, samples=10**9).frames) == 30
    selection = select(video, video, samples=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print("peak {:,} bytes".format(peak))
    assert peak < 1 << 22
    assert [frame.number for frame in selection.frames] == [3, 11, 18, 26]
    assert selection.unreadable == ()
    assert selection.notes[0] == "{}: ends after 30 frames, its header says 1,000,000,000".format(video)


def test_others_make_up_for_frames_that_a_header_promised(tmp_path):
    video = write_boasting_video(tmp_path / "drive.avi", claims=500, frames=3)
    write_pictures(tmp_path / "frames", 30)
    selection = select(video, tmp_path / "frames", samples=20)
    assert names(selection).count("drive.avi") == 3 and len(set(selection.frames)) == 20
    assert selection.unreadable == ()


def test_a_video_of_which_nothing_can_be_read_is_an_error(tmp_path, monkeypatch):
    class Capture:
        def __init__(self, path):
            pass

        def isOpened(self):
            return True

        def get(self, number):
            return 5.0

        def grab(self):
            return False

        def release(self):
            pass

    monkeypatch.setattr(import_cv2(), "VideoCapture", Capture)
    (tmp_path / "drive.mp4").write_bytes(b"video")
    with pytest.raises(FileProblem, match=r"none of 0 frames can be read: .*drive\.mp4: ends after 0 frames"):
        select(tmp_path / "drive.mp4")


def test_nothing_that_can_be_read_is_an_error_with_the_reasons(tmp_path):
    (tmp_path / "list.txt").write_text("a.png\nb.png\n")
    with pytest.raises(FileProblem, match=r"none of 2 frames can be read: .*[ab]\.png: cannot be read: No such file"):
        select(tmp_path / "list.txt")


def test_no_samples_are_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="0 calibration frames"):
        select(write_pictures(tmp_path, 1), samples=0)


@pytest.mark.parametrize("seed", [-1, 1 << 64])
def test_a_seed_that_cannot_be_written_down_is_a_usage_error(tmp_path, seed):
    with pytest.raises(UsageError, match="the seed is"):
        select(write_pictures(tmp_path, 1), seed=seed)


# what is said


def test_few_frames_are_told(tmp_path):
    (note,) = select(write_pictures(tmp_path / "a", 19)).notes
    assert note.startswith("19 frames are few")
    (note,) = select(write_pictures(tmp_path / "b", 25)).notes
    assert note == "200 frames were asked for, there are 25"
    assert select(write_pictures(tmp_path / "c", 25), samples=25).notes == ()


def test_the_same_picture_in_another_size_and_compression_is_near_identical(tmp_path):
    cv2, rng = import_cv2(), np.random.RandomState(3)
    for index in range(30):
        picture = cv2.GaussianBlur(cv2.resize(frame_picture(rng, 64, 32), (640, 320)), (0, 0), 9)
        write_image(tmp_path / "p{}.png".format(index), picture)
        if index < 10:
            assert cv2.imwrite(str(tmp_path / "q{}.jpg".format(index)), cv2.resize(picture, (320, 160)), [1, 70])
    selection = select(tmp_path, samples=40)
    assert selection.near_identical == 10
    assert selection.notes == ()
    for index in range(10):
        shutil.copy(str(tmp_path / "p{}.png".format(index)), str(tmp_path / "r{}.png".format(index)))
    (note,) = select(tmp_path, samples=50).notes
    assert note.startswith("40% of the frames are nearly identical to another one")


# evaluation frames


def test_frames_of_the_evaluation_are_refused_by_path_and_by_content(tmp_path):
    frames = write_pictures(tmp_path / "frames", 4)
    (tmp_path / "val.txt").write_text("frames/picture002.png\n")
    with pytest.raises(UsageError, match=r"1 of 4 calibration frames are evaluation frames as well: picture002\.png"):
        select(frames, not_in=[str(tmp_path / "val.txt")])
    copies = tmp_path / "copies"
    copies.mkdir()
    for old, new in (("picture001.png", "other.png"), ("picture003.png", "third.png")):
        shutil.copy(os.path.join(frames, old), str(copies / new))
    with pytest.raises(UsageError, match=r"2 of 4 .*: picture001\.png, picture003\.png") as caught:
        select(frames, not_in=[str(copies)])
    assert "training split" in caught.value.hint


def test_frames_of_a_video_are_counted_as_far_as_they_are_there(tmp_path):
    video = write_boasting_video(tmp_path / "drive.avi", claims=10**9, frames=30)
    with pytest.raises(UsageError, match=r"30 of 30 calibration frames are evaluation frames as well: drive\.avi;"):
        select(video, samples=40, not_in=[video])


def test_two_copies_of_an_evaluation_frame_count_twice(tmp_path):
    frames = write_pictures(tmp_path / "frames", 3)
    shutil.copy(os.path.join(frames, "picture001.png"), os.path.join(frames, "copy.png"))
    shutil.copy(os.path.join(frames, "picture001.png"), str(tmp_path / "judged.png"))
    with pytest.raises(UsageError, match=r"2 of 4 .*: copy\.png, picture001\.png"):
        select(frames, not_in=[str(tmp_path / "judged.png")])


def test_other_frames_and_files_that_are_gone_are_no_evaluation_frames(tmp_path):
    frames = write_pictures(tmp_path / "frames", 4)
    others = write_pictures(tmp_path / "others", 4, seed=12)
    (tmp_path / "val.txt").write_text("gone.png\n")
    assert len(select(frames, not_in=[others, str(tmp_path / "val.txt")]).frames) == 4


def test_of_cityscapes_the_validation_split_is_the_evaluation(tmp_path):
    write_cityscapes(tmp_path, split="train")
    write_cityscapes(tmp_path, split="val", seed=6)
    assert len(select(tmp_path, not_in=[str(tmp_path)]).frames) == 4
    with pytest.raises(UsageError, match="4 of 4 calibration frames are evaluation frames"):
        select(tmp_path, sources={"split": "val"}, not_in=[str(tmp_path)])


def test_memory_does_not_grow_with_the_frames(tmp_path):
    def peak(count):
        folder = write_pictures(tmp_path / str(count), count, size=(640, 320))
        tracemalloc.start()
        select(folder, samples=count)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(5), peak(40)
    print("peak of 5 frames {:,} bytes, of 40 {:,}".format(few, many))
    assert many < few + 640 * 320 * 3


# real pictures


def test_real_frames_of_different_places_are_not_near_identical(shared_data):
    train, roads = shared_data("camvid/train"), shared_data("road_images")
    selection = select(train, roads, not_in=[shared_data("camvid/test")])
    assert (len(selection.frames), selection.near_identical, selection.notes) == (
        29, 0, ("200 frames were asked for, there are 29",),
    )  # fmt: skip


def test_a_real_video_at_every_frame_is_near_identical(shared_data):
    selection = select(shared_data("video/solidWhiteRight.mp4"), samples=221)
    assert len(selection.frames) == 221
    assert any("nearly identical" in note for note in selection.notes)
