"""Objects that TensorRT calls back, none of which ever lets an exception through.

Up to TensorRT 8.2 an exception that leaves a callback ends the process (the trampolines are ``noexcept`` and catch
nothing); from 8.4 on a calibrator's counts as the end of its data, so that calibration succeeds on part of it. So every
callback keeps its exception in a ``Guard``, and whoever called TensorRT asks the guard afterwards.

The base classes are those of the installed TensorRT (``IInt8EntropyCalibrator2`` and its like are gone in 11), so the
subclasses are made where they are needed. Each calls the base's ``__init__`` itself: TensorRT crashes otherwise.
"""

from typing import Any, Callable, Iterator, List, NamedTuple, Optional

from ccc_jetson.engines.tensorrt_log import INTERNAL_ERROR, SEVERITIES
from ccc_jetson.errors import BuildError

ALGORITHMS = {"entropy2": "IInt8EntropyCalibrator2", "minmax": "IInt8MinMaxCalibrator"}


class Guard:
    """Keeps the first exception of the callbacks that run under it."""

    def __init__(self) -> None:
        self._stored: Optional[BaseException] = None

    def run(self, work: Callable[[], Any], otherwise: Any = None) -> Any:
        """What ``work`` returns; ``otherwise`` where it raises, or where a callback before it has."""
        if self._stored is not None:
            return otherwise
        try:
            return work()
        except BaseException as error:  # Ctrl-C too: nothing may reach TensorRT's own frames
            self._stored = error
            return otherwise

    def raise_stored(self) -> None:
        """Raises what a callback raised, once."""
        stored, self._stored = self._stored, None
        if stored is not None:
            raise stored


def make_logger(module: Any, guard: Guard, sink: Callable[[str, str], None]) -> Any:
    """An ``ILogger`` that hands every message on: severity (one of ``SEVERITIES``), text."""

    class Logger(module.ILogger):
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            guard.run(lambda: sink(_severity(severity), message))

    return Logger()


def _severity(severity: Any) -> str:
    number = int(severity)
    return SEVERITIES[number] if 0 <= number < len(SEVERITIES) else INTERNAL_ERROR


class Phases:
    """Which phases of a build run now, and how far they are; from TensorRT 10 on, several at a time."""

    def __init__(self, sink: Callable[[str, int, int], None]) -> None:
        self._sink = sink
        self._steps: dict = {}

    def start(self, name: str, steps: int) -> None:
        self._steps[name] = steps
        self._sink(name, 0, steps)

    def step(self, name: str, step: int) -> bool:
        self._sink(name, step + 1, self._steps.get(name, 0))
        return True

    def finish(self, name: str) -> None:
        steps = self._steps.pop(name, 0)
        self._sink(name, steps, steps)


def make_monitor(module: Any, guard: Guard, sink: Callable[[str, int, int], None]) -> Any:
    """An ``IProgressMonitor`` (TensorRT 10 and newer); ``sink`` gets phase, steps done, steps in all.

    A callback that has raised cancels the build.
    """
    phases = Phases(sink)

    class Monitor(module.IProgressMonitor):
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: Optional[str], num_steps: int) -> None:
            guard.run(lambda: phases.start(phase_name, num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            return bool(guard.run(lambda: phases.step(phase_name, step), otherwise=False))

        def phase_finish(self, phase_name: str) -> None:
            guard.run(lambda: phases.finish(phase_name))

    return Monitor()


def make_profiler(module: Any, guard: Guard, sink: Callable[[str, float], None]) -> Any:
    """An ``IProfiler``; ``sink`` gets each layer's name and milliseconds, every run."""

    class Profiler(module.IProfiler):
        def __init__(self) -> None:
            module.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            guard.run(lambda: sink(layer_name, ms))

    return Profiler()


class Calibration(NamedTuple):
    """What INT8 calibration reads: a cache, or batches on the device.

    ``algorithm`` is a key of ``ALGORITHMS``; ``cache`` the bytes of a calibration cache, with which no batch is asked
    for, or empty; ``batches`` is called once, with the names of the network's inputs, and gives for each batch of
    ``batch_size`` the device address of each input, in that order. What lies there has to stay until the next batch is
    asked for, or the build has ended.
    """

    algorithm: str
    cache: bytes
    batch_size: int
    batches: Callable[[List[str]], Iterator[List[int]]]


class CacheStore:
    """Takes the calibration cache that TensorRT writes; empty where it wrote none, or after an error."""

    def __init__(self) -> None:
        self.written = b""


def make_calibrator(module: Any, guard: Guard, calibration: Calibration, store: CacheStore) -> Any:
    """A calibrator of the algorithm asked for.

    An error ends the data, which TensorRT takes for success: ask the guard after the build.

    Raises:
        BuildError: this TensorRT has no such calibrator.
    """
    base: Any = getattr(module, ALGORITHMS[calibration.algorithm], None)
    if base is None:
        raise BuildError(
            "TensorRT {} has no calibrator {}: INT8 there takes a network with QuantizeLinear and DequantizeLinear "
            "nodes".format(module.__version__, calibration.algorithm),
            hint="build with --fp16, or on TensorRT 8 or 10",
        )
    running: List[Iterator[List[int]]] = []

    def next_batch(names: List[str]) -> Optional[List[int]]:
        if not running:
            running.append(iter(calibration.batches(list(names))))
        batch = next(running[0], None)
        return None if batch is None else [int(address) for address in batch]

    def keep(cache: Any) -> None:
        store.written = bytes(cache)  # a view of TensorRT's memory, which it frees

    class Calibrator(base):
        def __init__(self) -> None:
            super(Calibrator, self).__init__()

        def get_batch_size(self) -> int:
            return int(guard.run(lambda: int(calibration.batch_size), otherwise=1))

        def get_batch(self, names: List[str]) -> Optional[List[int]]:
            return guard.run(lambda: next_batch(names))

        def read_calibration_cache(self) -> Optional[bytes]:
            return guard.run(lambda: bytes(calibration.cache) or None)

        def write_calibration_cache(self, cache: Any) -> None:
            guard.run(lambda: keep(cache))

    return Calibrator()
