"""Street scenes: a function of their arguments, with exact labels, moving smoothly."""

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest

from ccc_jetson.errors import CccError, UsageError

pytest.importorskip("cv2")

from ccc_jetson.export.scenes import Scene, street_scene

SIZE = (256, 128)  # enough for everything but the smallest things
SIZE_OF_THE_COUNT = (512, 256)
TOWNS = 40
ROAD, SKY = 0, 10
# class -> in how many of 40 towns it has to be seen at least
EXPECTED = {
    "road": (0, 40),
    "sidewalk": (1, 38),
    "building": (2, 38),
    "wall": (3, 6),
    "fence": (4, 6),
    "pole": (5, 36),
    "traffic light": (6, 10),
    "traffic sign": (7, 34),
    "vegetation": (8, 36),
    "terrain": (9, 12),
    "sky": (10, 38),
    "person": (11, 28),
    "rider": (12, 8),
    "car": (13, 38),
    "truck": (14, 5),
    "bus": (15, 5),
    "motorcycle": (17, 5),
    "bicycle": (18, 10),
}


@pytest.fixture(scope="module")
def towns():
    return [street_scene(seed, *SIZE_OF_THE_COUNT) for seed in range(TOWNS)]


def test_the_same_arguments_give_the_same_scene():
    first = street_scene(7, *SIZE, time_s=0.4)
    again = street_scene(7, *SIZE, time_s=0.4)
    assert np.array_equal(first.frame, again.frame)
    assert np.array_equal(first.labels, again.labels)


def test_a_scene_does_not_depend_on_what_was_drawn_before_or_on_the_global_generator():
    program = (
        "import hashlib, numpy; numpy.random.seed(3); from ccc_jetson.export.scenes import street_scene;"
        "s = street_scene(11, 256, 128); print(hashlib.sha256(s.frame.tobytes() + s.labels.tobytes()).hexdigest())"
    )
    alone = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    np.random.seed(99)
    for seed in (3, 11, 5):
        street_scene(seed, 96, 64, time_s=1.0)
    scene = street_scene(11, *SIZE)
    assert hashlib.sha256(scene.frame.tobytes() + scene.labels.tobytes()).hexdigest() == alone


def test_another_seed_is_another_town():
    scenes = [street_scene(seed, *SIZE) for seed in range(8)]
    for i, one in enumerate(scenes):
        for other in scenes[i + 1 :]:
            assert np.abs(one.frame.astype(int) - other.frame).mean() > 8
            assert (one.labels != other.labels).mean() > 0.05


def test_frame_and_labels_have_the_promised_type_and_size():
    scene = street_scene(3, 320, 192)
    assert isinstance(scene, Scene)
    assert (scene.frame.shape, scene.frame.dtype) == ((192, 320, 3), np.uint8)
    assert (scene.labels.shape, scene.labels.dtype) == ((192, 320), np.uint8)
    assert scene.frame.flags.c_contiguous and scene.labels.flags.c_contiguous


@pytest.mark.parametrize("size", [(64, 64), (256, 128), (640, 480), (130, 66), (480, 640)])
def test_any_size_works(size):
    scene = street_scene(2, *size)
    assert scene.frame.shape == (size[1], size[0], 3)
    assert scene.labels.shape == (size[1], size[0])


def test_labels_are_train_ids_or_ignore_only(towns):
    seen = np.unique(np.concatenate([np.unique(scene.labels) for scene in towns]))
    wrong = [value for value in seen.tolist() if value > 18 and value != 255]
    assert not wrong, f"labels that are no train id: {wrong}"


def test_ignore_is_used_sparingly(towns):
    share = np.mean([(scene.labels == 255).mean() for scene in towns])
    assert share < 0.05, f"{share:.3f} of all pixels are labelled 255"


@pytest.mark.parametrize("name", EXPECTED)
def test_the_classes_of_a_street_occur(towns, name):
    label, least = EXPECTED[name]
    count = sum(int((scene.labels == label).any()) for scene in towns)
    assert count >= least, f"{name} is in {count} of {TOWNS} towns, expected in {least} or more"


def test_the_sky_is_above_the_road(towns):
    rows = np.arange(SIZE_OF_THE_COUNT[1])[:, None]
    for seed, scene in enumerate(towns):
        sky, road = scene.labels == SKY, scene.labels == ROAD
        if sky.any():
            assert (sky * rows).sum() / sky.sum() < (road * rows).sum() / road.sum(), f"seed {seed}"


def test_one_colour_does_not_tell_a_class(towns):
    """A classifier that only knows each colour's most frequent class must do badly on other towns."""

    def bins(frame):
        b, g, r = (frame[..., i].astype(int) >> 4 for i in range(3))
        return (b << 8 | g << 4 | r).ravel()

    votes = np.zeros((4096, 256), np.int64)
    for scene in towns[: TOWNS // 2]:
        np.add.at(votes, (bins(scene.frame), scene.labels.ravel()), 1)
    guess = votes.argmax(1)
    right = np.mean([(guess[bins(s.frame)] == s.labels.ravel()).mean() for s in towns[TOWNS // 2 :]])
    assert right < 0.55, f"colour alone is right for {right:.2f} of the pixels"


@pytest.mark.parametrize("seed", [1, 12, 21])
def test_time_moves_the_picture_smoothly(seed):
    frames = [street_scene(seed, *SIZE, time_s=1 + number / 25) for number in range(5)]
    for before, after in itertools.pairwise(frames):
        assert not np.array_equal(before.frame, after.frame)
        changed = (before.labels != after.labels).mean()
        assert changed < 0.25, f"seed {seed}: {changed:.2f} of the labels change within a frame"
    whole = (frames[0].labels != street_scene(seed, *SIZE, time_s=4.0).labels).mean()
    single = (frames[0].labels != frames[1].labels).mean()
    assert whole > single, f"seed {seed}: three seconds change {whole:.3f}, one frame {single:.3f}"


def test_a_clip_stays_in_its_town():
    """Weather and exposure hold: the sky keeps its colour over six seconds."""
    skies = []
    for second in range(7):
        scene = street_scene(3, *SIZE, time_s=float(second))
        skies.append(scene.frame[scene.labels == SKY].mean(axis=0))
    spread = np.ptp(np.array(skies), axis=0).max()
    assert spread < 30, f"the sky changes by {spread:.1f} grey levels"


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"seed": "7"},
        {"seed": 1, "width": 63},
        {"seed": 1, "height": 5000},
        {"seed": 1, "width": 512.0},
        {"seed": 1, "time_s": -0.1},
        {"seed": 1, "time_s": "1"},
        {"seed": 1, "time_s": float("nan")},
        {"seed": 1, "time_s": float("inf")},
    ],
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(UsageError) as refusal:
        street_scene(**arguments)
    assert isinstance(refusal.value, CccError)
    name = next(iter(set(arguments) - {"seed"}), "seed").replace("time_s", "time")
    assert name in str(refusal.value)


def test_numpy_integers_are_numbers_too():
    a = street_scene(np.int64(5), np.int32(96), np.uint16(64))
    assert np.array_equal(a.frame, street_scene(5, 96, 64).frame)
