"""The head's kernels on the CPU, watched by the sanitizers, against numpy.

Where all sums are exact (small whole numbers) class maps have to be equal, ties included. Elsewhere a kernel may round
otherwise than numpy does, so its class has to have an exact logit that is as large as the largest but for what rounding
explains; where the two largest are further apart than that, this means equality.
"""

import os

import numpy as np
import pytest

from ccc_jetson.contract import Head
from ccc_jetson.errors import BackendError
from ccc_jetson.head import HeadWeights, head_class_map, head_logits
from ccc_jetson.runtime import kernels
from ccc_jetson.runtime.kernels.head_launches import argmax, head_bilinear, head_deconv, narrow, pack_deconv
from tests.doubles.cuda_shim.build import SANITIZE, CompilerMissing, build
from tests.doubles.cuda_shim.device import Device
from tests.doubles.cuda_shim.kernels import Kernels

SOURCES = [
    os.path.join(os.path.dirname(os.path.abspath(kernels.__file__)), name + ".cu")
    for name in ("deconv", "bilinear", "classes")
]
# four pixels a thread (20, 1, 2, 11), two and weights in stages (30), one and features that are read again (100)
HEADS = ((20, 20), (1, 2), (2, 1), (11, 19), (30, 255), (100, 11))
CHANNELS = (1, 2, 11, 19, 20, 255)
DTYPES = ("float16", "float32")
ROUNDING = 2.0**-24
EVERY = os.environ.get("CI") is not None


def compiled(path, head=None, options=()):
    """The kernels' library at ``path``."""
    macros = () if head is None else ("CCC_HEAD_CI={}".format(head[0]), "CCC_HEAD_CO={}".format(head[1]))
    source = str(path) + ".cu"
    with open(source, "w") as file:
        file.write("".join('#include "{}"\n'.format(each) for each in SOURCES))
    try:
        build(source, str(path), macros, options)
    except CompilerMissing as error:
        if EVERY:
            raise
        pytest.skip(str(error))
    return str(path)


@pytest.fixture(scope="module")
def device_of(tmp_path_factory):
    """Opens sanitized devices, one for each head that the kernels are compiled for; None is for none."""
    folder, devices = tmp_path_factory.mktemp("head"), {}

    def device_of(head=None):
        if head not in devices:
            # unoptimised: it compiles in half the time, and nothing here is large
            path = compiled(folder / "head{}.so".format(len(devices)), head, SANITIZE + ("-O0",))
            devices[head] = Device(path, sanitized=True)
        return devices[head]

    yield device_of
    for device in devices.values():
        device.close()


@pytest.fixture()
def numbers(request):
    """Random numbers, another series for each test; its seed is printed."""
    seed = sum(map(ord, request.node.name)) % 1000
    print("seed", seed)
    return np.random.RandomState(seed)


def whole(numbers, shape, largest):
    """Random whole numbers as float32."""
    return numbers.randint(-largest, largest + 1, shape).astype(np.float32)


def some_weights(numbers, channels_in, channels_out, exact):
    """A transposed convolution, of whole numbers or any."""
    shapes = (channels_in, channels_out, 2, 2), (channels_out,)
    return HeadWeights(
        *(whole(numbers, shape, 2) if exact else numbers.randn(*shape).astype(np.float32) for shape in shapes)
    )


def deconv_head(channels_in, channels_out):
    return Head("transposed_conv_2x2", "features", channels_in, channels_out, 2, False)


def bilinear_head(channels, scale, align_corners):
    return Head("bilinear", "features", channels, channels, scale, align_corners)


def class_map_of(device, make, values, shape, numbers, weights=None, grid=None):
    """What a kernel makes of values that lie anywhere on the device.

    Args:
        make: (address of the values[, of the weights], of the classes) -> launch.
        values: uploaded behind an aligned address or right after it, as the class map is.
        grid: blocks, instead of the launch's own.
    """
    offset, class_offset = numbers.randint(2) * values.dtype.itemsize, numbers.choice([0, 1, 2, 4])
    addresses = [device.upload(values, int(offset))]
    if weights is not None:
        addresses.append(device.upload(weights))
    classes = device.allocate(int(np.prod(shape)), int(class_offset))
    launch = make(*(addresses + [classes]))
    if grid is not None:
        launch = launch._replace(grid=(grid, 1, 1))
    device.launch(launch, reversed_threads=bool(numbers.randint(2)))
    found = device.download(classes, shape, np.uint8)
    device.free()
    return found


def deconv_of(device, features, weights, numbers, grid=None):
    channels_in, height, width = features.shape
    channels_out = weights.bias.size
    return class_map_of(
        device,
        lambda at, packed, classes: head_deconv(
            str(features.dtype), at, packed, channels_in, channels_out, height, width, classes
        ),
        features,
        (2 * height, 2 * width),
        numbers,
        pack_deconv(weights),
        grid,
    )


def bilinear_of(device, logits, scale, align_corners, numbers, grid=None):
    channels, height, width = logits.shape
    shape = (scale * height, scale * width)
    return class_map_of(
        device,
        lambda at, classes: head_bilinear(
            str(logits.dtype), at, channels, height, width, shape[0], shape[1], align_corners, classes
        ),
        logits,
        shape,
        numbers,
        grid=grid,
    )


def exact_deconv(features, weights):
    """Logits in float64, and how far a sum in float32 may be from each pixel's."""
    channels_in, height, width = features.shape
    values, weight, bias = (each.astype(np.float64) for each in (features, weights.weight, weights.bias))

    def deconvolution(kind):
        matrix = kind(weight).transpose(1, 2, 3, 0).reshape(-1, channels_in)  # (out * 2 * 2, in)
        product = (matrix @ kind(values).reshape(channels_in, -1)).reshape(-1, 2, 2, height, width)
        product += kind(bias)[:, None, None, None, None]
        return product.transpose(0, 3, 1, 4, 2).reshape(-1, 2 * height, 2 * width)

    return deconvolution(np.asarray), (channels_in + 1) * ROUNDING * deconvolution(np.abs).max(axis=0)


def assert_as_good(found, logits, error):
    """A class may be another than the largest exact logit's as far as rounding explains it; prints how many are."""
    best = logits.max(axis=0)
    taken = logits.reshape(logits.shape[0], -1)[found.ravel(), np.arange(found.size)].reshape(found.shape)
    differs, gap = found != logits.argmax(axis=0), best - taken
    print(
        "{} of {} pixels differ, largest gap {:.3g}, allowed {:.3g}".format(
            differs.sum(), found.size, gap.max(), 2 * np.max(error)
        )
    )
    assert (gap <= 2 * error).all(), (gap - 2 * error).max()
    assert differs.mean() < 0.01


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert (found == expected).all(), "{} of {} pixels differ".format((found != expected).sum(), found.size)


# transposed convolution


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head", HEADS, ids="{0[0]}-{0[1]}".format)
def test_deconvolution_gives_the_references_classes_ties_included(device_of, numbers, head, dtype):
    sizes = [(1, 1), (1, 2), (3, 4), (5, 7), (4, 8), (2, 33), (9, 60)] + [
        tuple(numbers.randint(1, 16, 2)) for _ in range(3)
    ]
    for height, width in sizes:
        features = whole(numbers, (head[0], height, width), 3)
        weights = some_weights(numbers, head[0], head[1], exact=True)
        found = deconv_of(device_of(head), features.astype(dtype), weights, numbers)
        expected = head_class_map(features, deconv_head(*head), weights)
        assert_same(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head", HEADS, ids="{0[0]}-{0[1]}".format)
def test_deconvolution_of_any_numbers_is_right_but_for_rounding(device_of, numbers, head, dtype):
    for height, width in ((16, 24), (7, 13)):
        features = numbers.randn(head[0], height, width).astype(dtype)
        weights = some_weights(numbers, head[0], head[1], exact=False)
        assert_as_good(deconv_of(device_of(head), features, weights, numbers), *exact_deconv(features, weights))


@pytest.mark.parametrize("head", [(20, 20), (30, 255)], ids="{0[0]}-{0[1]}".format)
def test_deconvolution_is_complete_on_any_grid(device_of, numbers, head):
    features, weights = whole(numbers, (head[0], 19, 31), 3), some_weights(numbers, head[0], head[1], exact=True)
    expected = head_class_map(features, deconv_head(*head), weights)
    for blocks in (1, 2, 7):
        assert_same(deconv_of(device_of(head), features.astype(np.float16), weights, numbers, blocks), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head", [(20, 20), (100, 11)], ids="{0[0]}-{0[1]}".format)
def test_deconvolution_where_features_are_nan(device_of, numbers, head, dtype):
    features = whole(numbers, (head[0], 6, 8), 3).astype(dtype)
    weights = some_weights(numbers, head[0], head[1], exact=True)
    weights.weight[0, : head[1] // 2] = 0  # NaN times zero is NaN all the same
    features[0, 2, 3] = features[-1, 5, 7] = np.nan
    found = deconv_of(device_of(head), features, weights, numbers)
    assert (found[4:6, 6:8] == 0).all() and (found[10:, 14:] == 0).all()
    assert_same(found, head_class_map(features.astype(np.float32), deconv_head(*head), weights))


def test_a_class_that_is_nan_never_wins(device_of, numbers):
    features, weights = whole(numbers, (20, 5, 6), 3), some_weights(numbers, 20, 20, exact=True)
    weights.bias[[0, 7, 19]] = np.nan
    found = deconv_of(device_of((20, 20)), features, weights, numbers)
    assert not np.isin(found, [0, 7, 19]).any()
    assert_same(found, head_class_map(features, deconv_head(20, 20), weights))


def test_deconvolution_at_full_size(tmp_path, numbers):
    features, weights = numbers.randn(20, 256, 512).astype(np.float16), some_weights(numbers, 20, 20, exact=False)
    packed, classes = aligned(pack_deconv(weights)), aligned(np.zeros((512, 1024), np.uint8))
    features = aligned(features)
    launch = head_deconv("float16", features.ctypes.data, packed.ctypes.data, 20, 20, 256, 512, classes.ctypes.data)
    Kernels(compiled(tmp_path / "head.so", (20, 20))).launch(launch)
    assert_as_good(classes, *exact_deconv(features, weights))
    expected = head_class_map(features.astype(np.float32), deconv_head(20, 20), weights)
    print("{} of {} pixels differ from the reference in float32".format((classes != expected).sum(), classes.size))
    assert (classes != expected).mean() < 1e-5


def aligned(array):
    """A copy that begins where CUDA's allocations do: at a multiple of 256."""
    memory = np.empty(array.nbytes + 256, np.uint8)
    start = -memory.ctypes.data % 256
    view = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def test_packed_weights_are_in_the_kernels_order():
    weight = np.arange(2 * 5 * 4, dtype=np.float32).reshape(2, 5, 2, 2)
    packed = pack_deconv(HeadWeights(weight, 100 + np.arange(5, dtype=np.float32))).reshape(2, 2, 2, 3, 4)
    for i in range(2):
        for j in range(2):
            assert packed[i, j, 0, 0].tolist() == [100, 101, 102, 103]
            assert packed[i, j, 0, 1].tolist() == weight[0, :4, i, j].tolist()
            assert packed[i, j, 0, 2].tolist() == weight[1, :4, i, j].tolist()
            assert packed[i, j, 1].tolist() == [
                [104] + [-np.inf] * 3,
                [weight[0, 4, i, j], 0, 0, 0],
                [weight[1, 4, i, j], 0, 0, 0],
            ]


# bilinear interpolation


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [2, 4, 8, 32])
def test_interpolation_gives_the_references_classes_ties_included(device_of, numbers, scale, dtype):
    for channels in CHANNELS:
        height, width = numbers.randint(1, 5, 2)
        logits = whole(numbers, (channels, height, width), 7)
        expected = head_class_map(logits, bilinear_head(channels, scale, False), None)
        assert_same(bilinear_of(device_of(), logits.astype(dtype), scale, False, numbers), expected)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [2, 3, 4, 7, 8, 11, 32])
def test_interpolation_of_any_numbers_is_right_but_for_rounding(device_of, numbers, scale, dtype, align_corners):
    for height, width in ((1, 1), (1, 3), (2, 1), (4, 5)):
        channels = numbers.choice(CHANNELS)
        logits = numbers.randn(channels, height, width).astype(dtype)
        head = bilinear_head(channels, scale, align_corners)
        exact = head_logits(logits.astype(np.float64), head, None)
        # three interpolations, with a share, a difference and a multiply-add to round in each
        assert_as_good(
            bilinear_of(device_of(), logits, scale, align_corners, numbers),
            exact,
            9 * ROUNDING * 2 * np.abs(logits).max(),
        )


@pytest.mark.parametrize("align_corners", [False, True])
def test_interpolation_is_complete_on_any_grid(device_of, numbers, align_corners):
    logits = whole(numbers, (3, 6, 9), 7)
    for scale in (2, 5, 8):
        expected = bilinear_of(device_of(), logits, scale, align_corners, numbers)
        for blocks in (1, 3, 40):
            assert_same(bilinear_of(device_of(), logits, scale, align_corners, numbers, blocks), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_interpolation_where_logits_are_nan(device_of, numbers, dtype):
    logits = whole(numbers, (5, 4, 6), 7).astype(dtype)
    logits[:, 1, 2] = np.nan
    logits[3, 3] = np.nan
    for scale in (2, 8):
        found = bilinear_of(device_of(), logits, scale, False, numbers)
        inside = found[scale : 2 * scale, 2 * scale : 3 * scale]
        assert (inside == 0).all()
        assert_same(found, head_class_map(logits.astype(np.float32), bilinear_head(5, scale, False), None))


# argmax and narrowing


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_argmax_is_numpys_with_the_first_of_equals(device_of, numbers, channels, dtype):
    for pixels in [1, 3, 8, 16, 64, 1024, 1031] + list(numbers.randint(1, 3000, 3)):
        logits = whole(numbers, (channels, pixels), 3).astype(dtype)
        for grid in (None, 2):
            found = class_map_of(
                device_of(),
                lambda at, to: argmax(dtype, at, channels, pixels, to),  # noqa: B023
                logits,
                (pixels,),
                numbers,
                grid=grid,
            )
            assert_same(found, logits.argmax(axis=0).astype(np.uint8))


@pytest.mark.parametrize("dtype", DTYPES)
def test_argmax_passes_over_nan(device_of, numbers, dtype):
    logits = whole(numbers, (19, 500), 100).astype(dtype)
    logits[numbers.rand(19, 500) < 0.4] = np.nan
    logits[:, 100:110] = np.nan
    logits[:, 110:115] = -np.inf
    found = class_map_of(device_of(), lambda at, to: argmax(dtype, at, 19, 500, to), logits, (500,), numbers)
    assert (found[100:115] == 0).all()
    assert_same(found, np.where(np.isnan(logits), -np.inf, logits).argmax(axis=0).astype(np.uint8))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_narrowing_keeps_the_lowest_byte(device_of, numbers, dtype):
    for pixels in [1, 2, 3, 4, 512, 1021] + list(numbers.randint(1, 3000, 3)):
        classes = numbers.randint(0, 256, pixels).astype(dtype)
        classes[: pixels // 8] = numbers.randint(-(2**31), 2**31, pixels // 8)
        for grid in (None, 1):
            found = class_map_of(
                device_of(),
                lambda at, to: narrow(dtype, at, pixels, to),  # noqa: B023
                classes,
                (pixels,),
                numbers,
                grid=grid,
            )
            assert_same(found, classes.astype(np.uint8))


# what is refused


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (
            lambda: head_deconv("int8", 0, 0, 20, 20, 256, 512, 0),
            "gives int8; kernels are there for float16 and float32",
        ),
        (lambda: argmax("float16", 0, 257, 100, 0), "257 classes do not fit"),
        (lambda: narrow("uint8", 0, 100, 0), "gives uint8; kernels are there for int32 and int64"),
        (lambda: narrow("int32", 0, 2**31, 0), "2,147,483,648 pixels"),
        (lambda: head_bilinear("float32", 0, 5, 64, 128, 512, 1023, False, 0), "1023x512 of 128x64"),
        (lambda: head_bilinear("float32", 0, 5, 64, 128, 128, 512, False, 0), "512x128 of 128x64"),
        (lambda: head_bilinear("float32", 0, 5, 64, 128, 64, 128, False, 0), "2 to 32 times"),
    ],
)
def test_what_no_kernel_can_do_is_refused(launch, message):
    with pytest.raises(BackendError, match=message):
        launch()
