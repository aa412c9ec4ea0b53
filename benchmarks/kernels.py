"""The runtime's kernels on this machine's GPU: do they compute what the references do, and how near the memory's rate?

    python benchmarks/kernels.py
    python benchmarks/kernels.py --size 512x256 --frame 1280x720 --json

Needs pycuda and nvcc, no TensorRT. Every kernel runs on random data and is compared with its numpy reference; a result
that differs where it may not ends in exit code 1. The rate counts each byte of input and output once and is set against
what this GPU reaches when it copies device memory, measured in the same run. Small frames stay in a large GPU's cache,
so its shares can be above 1; a Jetson's can not.
"""

import argparse
import json
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from ccc_jetson.command import Parser, count_from, run_command, size

_COPY_BYTES = 64 << 20
_WARM_UP = 5
_SEED = 20180
_CHANNELS = (20, 20)  # of C3Net's head
_NEAR_TIE = 1e-4  # two classes this close, relative to the largest logit, may change places: sums are rounded


class Trial(NamedTuple):
    """A kernel to run: bytes that it has to move, and whether what it wrote is right."""

    title: str
    launch: Any
    moved: int
    is_right: Callable[[], bool]


class Rate(NamedTuple):
    """What a kernel reached; ``share`` of the rate at which device memory is copied."""

    title: str
    is_right: bool
    microseconds: float
    gigabytes_per_second: float
    share: float


class Bench:
    """Random data on the GPU, and the kernels that read it."""

    def __init__(self, gpu: Any, network: Tuple[int, int], frame: Tuple[int, int]) -> None:
        import numpy as np

        self._np, self._gpu = np, gpu
        self._network, self._frame = network, frame
        self._random = np.random.RandomState(_SEED)

    def trials(self) -> List[Trial]:
        """All kernels that a CCC network needs, for each pixel format and type."""
        from ccc_jetson.runtime.pixels import PIXEL_FORMATS

        found = [self._pre(each, dtype) for each in PIXEL_FORMATS for dtype in ("float16", "float32")]
        for dtype in ("float16", "float32"):
            found += [self._deconv(dtype), self._bilinear(dtype, 8), self._argmax(dtype)]
        return found + [self._narrow()] + [self._overlay(each) for each in PIXEL_FORMATS]

    def _bytes(self, shape: Tuple[int, ...], below: int = 256) -> Any:
        return self._random.randint(0, below, shape).astype(self._np.uint8)

    def _given(self, array: Any) -> int:
        return int(self._gpu.constant(self._np.ascontiguousarray(array)))

    def _room(self, shape: Tuple[int, ...], dtype: Any) -> Tuple[int, Callable[[], Any]]:
        """An address, and what lies there when the work is done."""
        memory = self._gpu.constant(self._np.zeros(shape, dtype))

        def read() -> Any:
            found = self._np.empty(shape, dtype)
            self._gpu.cuda.download(found, memory)
            return found

        return int(memory), read

    def _pre(self, pixel_format: str, dtype: str) -> Trial:
        from ccc_jetson.preprocess import fitting
        from ccc_jetson.runtime.kernels import launches, reference
        from ccc_jetson.runtime.pixels import chroma_offset, row_bytes, shape_of_size

        np, (width, height) = self._np, self._network
        image = self._bytes(shape_of_size(self._frame, pixel_format))
        geometry = fitting(self._frame, self._network, "crop")
        columns = launches.resize_table(geometry.source.x, geometry.source.width, width)
        rows = launches.resize_table(geometry.source.y, geometry.source.height, height)
        table = self._random.randn(3, 256).astype(dtype)
        place, read = self._room((3, height, width), dtype)
        bars = (1, 2, 3)
        launch = launches.pre(
            pixel_format, dtype, self._given(image), row_bytes(image.shape), chroma_offset(image.shape, pixel_format),
            self._given(columns), self._given(rows), geometry.target, self._network, self._given(table), bars, True,
            place,
        )  # fmt: skip
        seen = image.size * geometry.source.width * geometry.source.height // (self._frame[0] * self._frame[1])
        moved = seen + 3 * width * height * np.dtype(dtype).itemsize

        def is_right() -> bool:
            expected = reference.pre(
                image, pixel_format, columns, rows, geometry.target, self._network, table, bars, True
            )
            return bool(np.array_equal(read(), expected))

        return Trial("pre {} {}".format(pixel_format, dtype), launch, moved, is_right)

    def _deconv(self, dtype: str) -> Trial:
        from ccc_jetson.head import HeadWeights
        from ccc_jetson.runtime.kernels import head_launches

        np, (width, height), (given, wanted) = self._np, self._network, _CHANNELS
        weights = HeadWeights(
            self._random.randn(given, wanted, 2, 2).astype(np.float32), self._random.randn(wanted).astype(np.float32)
        )
        features = self._random.randn(given, height // 2, width // 2).astype(dtype)
        packed = self._given(head_launches.pack_deconv(weights))
        place, read = self._room((height, width), np.uint8)
        launch = head_launches.head_deconv(
            dtype, self._given(features), packed, given, wanted, height // 2, width // 2, place
        )
        head = _head("transposed_conv_2x2", given, wanted, 2)
        return self._head_trial("deconv head {}".format(dtype), launch, features, head, weights, read)

    def _bilinear(self, dtype: str, scale: int) -> Trial:
        from ccc_jetson.runtime.kernels import head_launches

        np, (width, height), (_, channels) = self._np, self._network, _CHANNELS
        logits = self._random.randn(channels, height // scale, width // scale).astype(dtype)
        place, read = self._room((height, width), np.uint8)
        launch = head_launches.head_bilinear(
            dtype, self._given(logits), channels, height // scale, width // scale, height, width, False, place
        )
        head = _head("bilinear", channels, channels, scale)
        return self._head_trial("bilinear head {}".format(dtype), launch, logits, head, None, read)

    def _head_trial(self, title: str, launch: Any, features: Any, head: Any, weights: Any, read: Any) -> Trial:
        from ccc_jetson.head import head_logits

        np, (width, height) = self._np, self._network

        def is_right() -> bool:
            logits = head_logits(features.astype(np.float32), head, weights)
            chosen = np.take_along_axis(logits, read()[np.newaxis].astype(np.intp), axis=0)[0]
            return bool((logits.max(axis=0) - chosen <= _NEAR_TIE * np.abs(logits).max()).all())

        return Trial(title, launch, features.nbytes + width * height, is_right)

    def _argmax(self, dtype: str) -> Trial:
        from ccc_jetson.runtime.kernels import head_launches

        np, (width, height), channels = self._np, self._network, _CHANNELS[1]
        logits = self._random.randn(channels, height, width).astype(dtype)
        place, read = self._room((height, width), np.uint8)
        launch = head_launches.argmax(dtype, self._given(logits), channels, width * height, place)
        moved = logits.nbytes + width * height
        title = "argmax {}".format(dtype)
        return Trial(title, launch, moved, lambda: bool(np.array_equal(read(), logits.argmax(axis=0))))

    def _narrow(self) -> Trial:
        from ccc_jetson.runtime.kernels import head_launches

        np, (width, height) = self._np, self._network
        classes = self._bytes((height, width), 20).astype(np.int32)
        place, read = self._room((height, width), np.uint8)
        launch = head_launches.narrow("int32", self._given(classes), width * height, place)
        moved = classes.nbytes + width * height
        return Trial("narrow int32", launch, moved, lambda: bool(np.array_equal(read(), classes)))

    def _overlay(self, pixel_format: str) -> Trial:
        from ccc_jetson.preprocess import fitting
        from ccc_jetson.runtime.kernels import launches, reference
        from ccc_jetson.runtime.pixels import chroma_offset, row_bytes, shape_of_size

        np, (width, height) = self._np, self._frame
        image = self._bytes(shape_of_size(self._frame, pixel_format))
        class_map = self._bytes((self._network[1], self._network[0]), 20)
        palette = self._random.randint(0, 1 << 24, 256).astype(np.uint32)
        geometry = fitting(self._frame, self._network, "crop")
        place, read = self._room((height, width, 3), np.uint8)
        launch = launches.overlay(
            pixel_format, self._given(image), row_bytes(image.shape), chroma_offset(image.shape, pixel_format),
            self._frame, self._given(class_map), self._network[0], geometry.source, geometry.target,
            self._given(palette), 128, place, 3 * width,
        )  # fmt: skip

        def is_right() -> bool:
            expected = reference.overlay(image, pixel_format, class_map, geometry.source, geometry.target, palette, 128)
            return bool(np.array_equal(read(), expected))

        moved = image.size + class_map.size + 3 * width * height
        return Trial("overlay {}".format(pixel_format), launch, moved, is_right)


def _head(kind: str, channels_in: int, channels_out: int, scale: int) -> Any:
    from ccc_jetson.contract import Head

    return Head(kind, "features", channels_in, channels_out, scale, False)


def median_s(gpu: Any, queue: Callable[[], None], runs: int) -> float:
    """Seconds that the GPU takes for what ``queue`` puts into its stream."""
    import statistics

    began, ended, seconds = gpu.new_mark(), gpu.new_mark(), []
    for index in range(_WARM_UP + runs):
        gpu.mark(began)
        queue()
        gpu.mark(ended)
        gpu.wait(ended)
        if index >= _WARM_UP:
            seconds.append(gpu.seconds(began, ended))
    return statistics.median(seconds)


def copy_rate(gpu: Any, runs: int) -> float:
    """Bytes per second, read and written, at which device memory is copied."""
    first, second = gpu.cuda.allocate(_COPY_BYTES), gpu.cuda.allocate(_COPY_BYTES)
    try:
        copy = gpu.cuda.driver.memcpy_dtod_async
        return 2 * _COPY_BYTES / median_s(gpu, lambda: copy(first, second, _COPY_BYTES, gpu.cuda.queue), runs)
    finally:
        first.free()
        second.free()


def measured(gpu: Any, trial: Trial, rate: float, runs: int) -> Rate:
    """Runs a kernel, checks it, and sets it against the rate of copying."""
    seconds = median_s(gpu, lambda: gpu.launch(trial.launch), runs)
    reached = trial.moved / seconds
    return Rate(trial.title, trial.is_right(), 1e6 * seconds, reached / 1e9, reached / rate)


def table(rates: List[Rate]) -> str:
    """The results as aligned text."""
    lines = ["{:24}{:>8}{:>12}{:>10}{:>8}".format("kernel", "right", "us", "GB/s", "share")]
    for each in rates:
        lines.append(
            "{:24}{:>8}{:12.1f}{:10.1f}{:8.2f}".format(
                each.title, "yes" if each.is_right else "NO", each.microseconds, each.gigabytes_per_second, each.share
            )
        )
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser("kernels.py", __doc__.split("\n")[0], "python benchmarks/kernels.py --frame 1280x720")
    parser.add_argument(
        "--size", type=size, default=(1024, 512), help="the network's, a multiple of 8; default 1024x512"
    )
    parser.add_argument("--frame", type=size, help="the camera's, even; default: the network's")
    parser.add_argument("--runs", type=count_from(1), default=50, help="of which the median counts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser


def bench(arguments: argparse.Namespace) -> int:
    """Runs every kernel; 1 where one is wrong."""
    import tempfile

    from ccc_jetson.engines.kernel_store import kernels_for
    from ccc_jetson.runtime.gpu import Gpu

    gpu = Gpu()
    try:
        with tempfile.TemporaryDirectory() as folder:
            head = _head("transposed_conv_2x2", _CHANNELS[0], _CHANNELS[1], 2)
            gpu.load_kernels(kernels_for(folder + "/none.engine", gpu.sm, gpu.cuda_version, head).cubin)
        rate = copy_rate(gpu, arguments.runs)
        trials = Bench(gpu, arguments.size, arguments.frame or arguments.size).trials()
        rates = [measured(gpu, trial, rate, arguments.runs) for trial in trials]
        name = "{} (sm_{})".format(gpu.name, gpu.sm.replace(".", ""))
    finally:
        gpu.close()
    if arguments.json:
        record: Dict[str, Any] = {"gpu": name, "copy_gigabytes_per_second": rate / 1e9}
        record["kernels"] = [dict(each._asdict()) for each in rates]
        print(json.dumps(record, indent=1))
    else:
        print("{}; device memory is copied at {:.1f} GB/s, read and written".format(name, rate / 1e9))
        print(table(rates))
    return 0 if all(each.is_right for each in rates) else 1


if __name__ == "__main__":
    sys.exit(run_command(build_parser(), bench))
