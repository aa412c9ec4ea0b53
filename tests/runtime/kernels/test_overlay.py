"""The overlay kernels give the reference's bits, and the reference gives the host's picture within one level."""

import time

import numpy as np
import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.preprocess import Region, class_map_for_frame, fitting
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.kernels import launches, reference
from ccc_jetson.runtime.overlay import Overlay, palette_bgr
from ccc_jetson.runtime.pixels import BGR, NV12, PIXEL_FORMATS, to_bgr
from tests.doubles.tiny_model import tiny_contract
from tests.runtime.kernels.frames import possible_size, random_frame, upload

SOURCE = "overlay.cu"
FITS = ("stretch", "crop", "letterbox")
PALETTE = np.random.RandomState(12).randint(0, 1 << 24, 256).astype(np.uint32)


def run(device, image, pixel_format, class_map, geometry, opacity, padding=0, offset=0, reversed_threads=False):
    """The kernel's picture; ``padding`` lies between the rows of frame and picture, ``offset`` before them."""
    frame = upload(device, image, pixel_format, padding, offset)
    width, height = geometry.frame_size
    pitch = 3 * width + padding
    size = pitch * height - padding  # nothing belongs to it behind the last row
    out = device.allocate(size, offset)
    device.launch(
        launches.overlay(
            pixel_format,
            frame.address,
            frame.pitch,
            frame.chroma,
            (width, height),
            device.upload(class_map),
            class_map.shape[1],
            geometry.source,
            geometry.target,
            device.upload(PALETTE),
            opacity,
            out,
            pitch,
        ),
        reversed_threads,
    )
    written = np.full(pitch * height, 0xCD, np.uint8)
    written[:size] = device.download(out, (size,), np.uint8)
    device.free()
    rows = written.reshape(height, pitch)
    assert (rows[:, 3 * width :] == 0xCD).all(), "the bytes between the rows were written"
    return rows[:, : 3 * width].reshape(height, width, 3)


def check(device, image, pixel_format, class_map, geometry, opacity, *rest):
    result = run(device, image, pixel_format, class_map, geometry, opacity, *rest)
    wanted = reference.overlay(image, pixel_format, class_map, geometry.source, geometry.target, PALETTE, opacity)
    different = int((result != wanted).sum())
    assert different == 0, "{} of {} bytes differ: {} {}".format(different, wanted.size, geometry, rest)


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_kernel_and_reference_agree_to_the_bit_on_random_frames(sanitized, pixel_format):
    seed = np.random.randint(1 << 30)
    print("seed", seed)
    random = np.random.RandomState(seed)
    for i in range(90):
        frame_size = possible_size((random.randint(1, 150), random.randint(1, 45)), pixel_format)
        map_size = (random.randint(1, 80), random.randint(1, 40))
        if i % 3 == 0:  # rows for which loads and stores are aligned
            frame_size = (4 * random.randint(1, 40), 2 * random.randint(1, 20))
        geometry = fitting(frame_size, map_size, FITS[random.randint(3)])
        image = random_frame(random, frame_size, pixel_format)
        class_map = random.randint(0, 256, map_size[::-1]).astype(np.uint8)
        padding, offset = (random.randint(2) * random.randint(9) for _ in range(2))
        opacity = random.choice([0, 1, 100, 128, 255, 256])
        check(sanitized, image, pixel_format, class_map, geometry, opacity, padding, offset, i % 2 == 1)


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_a_frame_of_one_pixel_is_painted(sanitized, pixel_format):
    frame_size = possible_size((1, 1), pixel_format)
    image = random_frame(np.random.RandomState(13), frame_size, pixel_format)
    for map_size in ((1, 1), (64, 32)):
        class_map = np.random.RandomState(14).randint(0, 256, map_size[::-1]).astype(np.uint8)
        check(sanitized, image, pixel_format, class_map, fitting(frame_size, map_size, "stretch"), 128)


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_what_the_network_did_not_see_keeps_its_pixels(sanitized, pixel_format):
    image = random_frame(np.random.RandomState(15), (52, 30), pixel_format)
    geometry = fitting((52, 30), (16, 16), "crop")._replace(source=Region(9, 7, 30, 18))
    class_map = np.random.RandomState(16).randint(0, 256, (16, 16)).astype(np.uint8)
    result = run(sanitized, image, pixel_format, class_map, geometry, 256)
    outside = np.ones((30, 52), bool)
    geometry.source.of(outside)[...] = False
    np.testing.assert_array_equal(result[outside], to_bgr(image, pixel_format)[outside])
    check(sanitized, image, pixel_format, class_map, geometry, 256)


def test_the_ends_of_the_opacity_are_the_frame_and_the_colours():
    image = random_frame(np.random.RandomState(17), (20, 10), BGR)
    class_map = np.random.RandomState(18).randint(0, 256, (10, 20)).astype(np.uint8)
    whole = Region(0, 0, 20, 10)
    colors = PALETTE[class_map].view(np.uint8).reshape(10, 20, 4)[:, :, :3]
    for opacity, wanted in ((0, image), (launches.OPAQUE, colors)):
        result = reference.overlay(image, BGR, class_map, whole, whole, PALETTE, opacity)
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("opacity", [0.5, 0.3])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("frame_size", [(1280, 720), (640, 480), (333, 77)])
def test_the_picture_is_the_hosts_within_one_level(frame_size, fit, opacity):
    contract = tiny_contract(width=256, height=128)
    random = np.random.RandomState(19)
    image = random_frame(random, frame_size, BGR)
    class_map = random.randint(0, 19, (128, 256)).astype(np.uint8)
    geometry = fitting(frame_size, (256, 128), fit)
    source, target = geometry.source, geometry.target
    steps = round(opacity * launches.OPAQUE)
    words = launches.palette_words(contract)
    result = reference.overlay(image, BGR, class_map, source, target, words, steps)
    wanted = Overlay(contract, opacity)(Frame(0, "0", image, 0.0), Segmentation(class_map, geometry, {}))
    # cv2 multiplies by a rounded quotient where this divides: a line between two classes may lie one pixel beside
    rows = target.y + np.arange(source.height) * target.height // source.height
    columns = target.x + np.arange(source.width) * target.width // source.width
    same_class = np.ones(image.shape[:2], bool)
    source.of(same_class)[...] = class_map[rows][:, columns] == source.of(class_map_for_frame(class_map, geometry))
    share = 1 - same_class.mean()
    print("{:.3%} of the pixels have another class than by cv2's INTER_NEAREST".format(share))
    assert share < 0.02, share
    difference = np.abs(result.astype(np.int32) - wanted)[same_class]
    assert difference.max() <= 1


def test_palette_words_are_the_overlays_palette():
    contract = tiny_contract()
    words = launches.palette_words(contract)
    colors = words.view(np.uint8).reshape(256, 4)
    np.testing.assert_array_equal(colors[:, :3], palette_bgr(contract)[:, 0])
    assert not colors[:, 3].any()


@pytest.mark.parametrize("pixel_format", [NV12, BGR])
def test_a_camera_frame_at_full_size(fast, pixel_format):
    image = random_frame(np.random.RandomState(20), (1280, 720), pixel_format)
    class_map = np.random.RandomState(21).randint(0, 20, (512, 1024)).astype(np.uint8)
    started = time.perf_counter()
    check(fast, image, pixel_format, class_map, fitting((1280, 720), (1024, 512), "crop"), 128)
    print("{}: {:.2f} s".format(pixel_format, time.perf_counter() - started))


@pytest.mark.parametrize("opacity", [-1, 257])
def test_an_opacity_that_is_none_is_refused(opacity):
    whole = Region(0, 0, 1, 1)
    with pytest.raises(UsageError, match="0 to 256, not {}".format(opacity)):
        launches.overlay(BGR, 0, 3, 0, (1, 1), 0, 1, whole, whole, 0, opacity, 0, 3)
