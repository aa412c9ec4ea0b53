"""The pre-processing kernels give the reference's bits, and the reference gives OpenCV's."""

import itertools
import os
import time
from typing import Any, NamedTuple, Tuple

import cv2
import numpy as np
import pytest

from ccc_jetson.contract import Preprocessing
from ccc_jetson.errors import UsageError
from ccc_jetson.preprocess import Preprocessor, Region, bars_bgr, fitting, normalisation_table
from ccc_jetson.runtime.kernels import launches, reference
from ccc_jetson.runtime.pixels import BGR, NV12, PIXEL_FORMATS, YUYV, to_bgr
from tests.doubles.cuda_shim.device import DeviceLost
from tests.doubles.tiny_model import tiny_contract
from tests.runtime.kernels.conftest import KERNELS_FOLDER
from tests.runtime.kernels.frames import possible_size, random_frame, smooth_frame, upload

DTYPES = ("float16", "float32")
SOURCE = "pre.cu"
FITS = ("stretch", "crop", "letterbox")
BARS = (17, 130, 244)


class Case(NamedTuple):
    """What a launch needs beside the frame."""

    columns: np.ndarray
    rows: np.ndarray
    target: Region
    size: Tuple[int, int]
    table: np.ndarray
    bars: Tuple[int, int, int]
    reversed_channels: bool


def case(frame_size, size, fit, dtype, color_order="BGR", bars=BARS):
    geometry = fitting(frame_size, size, fit)
    source, target = geometry.source, geometry.target
    rule = Preprocessing(color_order, (123.7, 116.3, 103.5), (58.4, 57.1, 57.4), 1.0)
    return Case(
        launches.resize_table(source.x, source.width, target.width),
        launches.resize_table(source.y, source.height, target.height),
        target,
        size,
        normalisation_table(rule).astype(dtype),
        bars,
        color_order == "RGB",
    )


def expected(image, pixel_format, of: Case) -> Any:
    return reference.pre(
        image, pixel_format, of.columns, of.rows, of.target, of.size, of.table, of.bars, of.reversed_channels
    )


def run(device, image, pixel_format, of: Case, padding=0, offset=0, out_offset=0, reversed_threads=False) -> Any:
    """The kernel's result; ``offset`` and ``out_offset`` move frame and input away from aligned addresses."""
    frame = upload(device, image, pixel_format, padding, offset)
    shape, item = (3, of.size[1], of.size[0]), of.table.dtype.itemsize
    out = device.allocate(int(np.prod(shape)) * item, out_offset * item)
    device.launch(
        launches.pre(
            pixel_format,
            of.table.dtype.name,
            frame.address,
            frame.pitch,
            frame.chroma,
            device.upload(of.columns),
            device.upload(of.rows),
            of.target,
            of.size,
            device.upload(of.table),
            of.bars,
            of.reversed_channels,
            out,
        ),
        reversed_threads,
    )
    result = device.download(out, shape, of.table.dtype)
    device.free()
    return result


def same_bits(result, wanted, what) -> None:
    different = int((result.view(np.uint8) != wanted.view(np.uint8)).sum())
    assert different == 0, "{} of {} bytes differ: {}".format(different, wanted.nbytes, what)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_kernel_and_reference_agree_to_the_bit_on_random_frames(sanitized, pixel_format, dtype):
    seed = np.random.randint(1 << 30)
    print("seed", seed)
    random = np.random.RandomState(seed)
    for i in range(90):
        frame_size = possible_size((random.randint(1, 60), random.randint(1, 50)), pixel_format)
        size = (random.randint(1, 150), random.randint(1, 45))
        if i % 3 == 0:  # nothing to resize
            size = frame_size
        elif i % 3 == 1:  # widths for which stores are aligned
            size = (4 * random.randint(1, 70), random.randint(1, 20))
        image = random_frame(random, frame_size, pixel_format)
        of = case(frame_size, size, FITS[random.randint(3)], dtype, ("BGR", "RGB")[random.randint(2)])
        padding, offset, out_offset = (random.randint(2) * random.randint(9) for _ in range(3))
        result = run(sanitized, image, pixel_format, of, padding, offset, out_offset, reversed_threads=i % 2 == 1)
        what = (frame_size, size, of.target, padding, offset, out_offset, i)
        same_bits(result, expected(image, pixel_format, of), what)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (130, 33)])
@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_a_frame_of_one_pixel_fills_the_input(sanitized, pixel_format, size):
    frame_size = possible_size((1, 1), pixel_format)
    image = random_frame(np.random.RandomState(5), frame_size, pixel_format)
    for fit in FITS:
        of = case(frame_size, size, fit, "float16")
        same_bits(run(sanitized, image, pixel_format, of), expected(image, pixel_format, of), fit)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_bars_surround_a_frame_that_is_copied_and_not_resized(sanitized, pixel_format, dtype):
    random = np.random.RandomState(6)
    image = random_frame(random, (38, 20), pixel_format)
    for x, y in ((0, 0), (4, 3), (7, 1)):
        of = case((38, 20), (38, 20), "stretch", dtype)._replace(target=Region(x, y, 38, 20), size=(50, 40))
        same_bits(run(sanitized, image, pixel_format, of), expected(image, pixel_format, of), (x, y))


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_a_part_of_the_frame_that_begins_anywhere_is_copied(sanitized, pixel_format):
    image = random_frame(np.random.RandomState(7), (44, 16), pixel_format)
    for x, offset in itertools.product(range(5), range(4)):  # odd places on aligned addresses among them
        tables = [launches.resize_table(start, 36, 36) for start in (x, 1)]
        of = case((36, 8), (36, 8), "stretch", "float32")
        of = of._replace(columns=tables[0], rows=tables[1][:8])
        result = run(sanitized, image, pixel_format, of, offset=offset)
        same_bits(result, expected(image, pixel_format, of), (x, offset))


def test_every_colour_becomes_the_bgr_that_opencv_gives():
    luma, u = np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8)
    image = np.empty((256, 512, 2), np.uint8)  # every luma beside every u, twice: a pair of pixels shares u and v
    image[:, :, 0] = luma.repeat(2)
    image[:, 0::2, 1] = u[:, np.newaxis]
    for v in range(256):
        image[:, 1::2, 1] = v
        np.testing.assert_array_equal(reference.bgr(image, YUYV), to_bgr(image, YUYV), "v = {}".format(v))


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_random_frames_become_the_bgr_that_opencv_gives(pixel_format):
    image = random_frame(np.random.RandomState(8), (322, 182), pixel_format)
    np.testing.assert_array_equal(reference.bgr(image, pixel_format), to_bgr(image, pixel_format))


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (640, 480), (333, 77), (2048, 1024)])
def test_resizing_is_within_one_level_of_opencvs(size):
    seed = np.random.randint(1 << 30)
    print("seed", seed)
    for name, frame in (
        ("noise", random_frame(np.random.RandomState(seed), size, BGR)),
        ("picture", smooth_frame(size)),
    ):
        tables = launches.resize_table(0, size[0], 1024), launches.resize_table(0, size[1], 512)
        result = reference.resized(frame, *tables).astype(np.int32)
        difference = np.abs(result - cv2.resize(frame, (1024, 512), interpolation=cv2.INTER_LINEAR))
        share = (difference > 0).mean()
        print("{}x{} {}: {:.2%} of the values differ from OpenCV's by one".format(size[0], size[1], name, share))
        assert difference.max() <= 1
        assert share < 0.15, share


@pytest.mark.parametrize("color_order", ["BGR", "RGB"])
def test_without_resize_the_input_is_the_preprocessors_to_the_bit(sanitized, color_order):
    contract = tiny_contract(color_order=color_order)
    size = (contract.input.width, contract.input.height)
    table = normalisation_table(contract.preprocessing)
    for pixel_format in PIXEL_FORMATS:
        image = random_frame(np.random.RandomState(9), size, pixel_format)
        of = case(size, size, "stretch", "float32", color_order)._replace(table=table)
        wanted = Preprocessor(contract)(to_bgr(image, pixel_format))[0]
        same_bits(expected(image, pixel_format, of), wanted, pixel_format)
        same_bits(run(sanitized, image, pixel_format, of), wanted, pixel_format)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("color_order", ["BGR", "RGB"])
def test_with_resize_the_input_is_the_preprocessors_within_one_level(color_order, fit):
    contract = tiny_contract(color_order=color_order, width=96, height=48)
    image = random_frame(np.random.RandomState(10), (111, 70), BGR)
    table = normalisation_table(contract.preprocessing)
    of = case((111, 70), (96, 48), fit, "float32", color_order, bars_bgr(contract.preprocessing))
    difference = np.abs(expected(image, BGR, of._replace(table=table)) - Preprocessor(contract, fit)(image)[0])
    levels = difference / np.diff(table, axis=1).max(axis=1)[:, np.newaxis, np.newaxis]
    print("{:.2%} of the values differ".format((difference > 0).mean()))
    assert levels.max() < 1.01, levels.max()


def test_only_tables_of_what_is_not_resized_look_like_it_at_their_ends():
    pairs = [(source, target) for source in range(1, 90) for target in range(1, 90)]
    pairs += [(target + more, target) for target in range(1900, 2300, 7) for more in (-2, -1, 0, 1, 2, 3)]
    for source, target in pairs:
        table = launches.resize_table(5, source, target)
        first, last = table[0], table[-1]
        looks_copied = first[1] == 0 and last[1] == 0 and last[0] - first[0] == target - 1
        is_copied = not table[:, 1].any() and (np.diff(table[:, 0]) == 1).all()
        assert looks_copied == is_copied, (source, target)


def test_a_table_reads_nothing_beyond_its_part_of_the_frame():
    for source in range(1, 60):
        for target in range(1, 60):
            index, weight = launches.resize_table(11, source, target).T
            assert index.min() >= 11 and (index + (weight > 0)).max() < 11 + source, (source, target)
            assert weight.min() >= 0 and weight.max() <= launches.WEIGHT_ONE, (source, target)


@pytest.mark.parametrize(("pixel_format", "dtype"), [(NV12, "float16"), (BGR, "float32")])
def test_a_camera_frame_at_full_size(fast, pixel_format, dtype):
    image = random_frame(np.random.RandomState(11), (1280, 720), pixel_format)
    of = case((1280, 720), (1024, 512), "crop", dtype, "RGB")
    started = time.perf_counter()
    result = run(fast, image, pixel_format, of)
    print("{} {}: {:.2f} s".format(pixel_format, dtype, time.perf_counter() - started))
    same_bits(result, expected(image, pixel_format, of), pixel_format)


def test_a_frame_that_ends_too_early_is_noticed(devices):
    source = os.path.join(KERNELS_FOLDER, SOURCE)
    of = case((8, 4), (8, 4), "stretch", "float32")
    for size in ((8, 4), (13, 9)):
        with pytest.raises(DeviceLost, match="heap-buffer-overflow"):
            run(devices(source), np.zeros((3, 8, 3), np.uint8), BGR, of._replace(size=size))


def test_what_there_is_no_kernel_for_is_refused():
    of = case((8, 4), (8, 4), "stretch", "float32")
    rest = (0, 0, 0, 0, 0, of.target, of.size, 0, of.bars, False, 0)
    with pytest.raises(UsageError, match="float16 or float32, not int8"):
        launches.pre(BGR, "int8", *rest)
    with pytest.raises(UsageError, match="'GRAY'; expected one of BGR, RGB, NV12, YUYV"):
        launches.pre("GRAY", "float16", *rest)
