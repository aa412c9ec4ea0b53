"""Nothing that a callback raises reaches TensorRT, and nothing that it raises is lost."""

import pytest

from ccc_jetson.engines.tensorrt_callbacks import (
    CacheStore,
    Calibration,
    Guard,
    make_calibrator,
    make_logger,
    make_monitor,
    make_profiler,
)
from ccc_jetson.errors import BuildError
from tests.doubles import standin


def raiser(error):
    def work(*arguments):
        raise error

    return work


@pytest.fixture(params=["8.2.1.8", "10.3.0"])
def tensorrt(request):
    with standin.installed(request.param):
        import tensorrt

        yield tensorrt


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_a_guard_keeps_what_is_raised_and_gives_it_once(error):
    guard = Guard()
    assert guard.run(raiser(error), otherwise=7) == 7
    with pytest.raises(type(error)) as caught:
        guard.raise_stored()
    assert caught.value is error
    guard.raise_stored()


def test_after_the_first_exception_nothing_runs_and_the_first_counts():
    guard, ran = Guard(), []
    guard.run(raiser(ValueError("first")))
    assert guard.run(lambda: ran.append(1), otherwise="no") == "no"
    assert ran == []
    with pytest.raises(ValueError, match="first"):
        guard.raise_stored()
    assert guard.run(lambda: 5) == 5


def test_the_logger_hands_on_severity_and_text_and_never_raises(tensorrt):
    guard, seen = Guard(), []
    logger = make_logger(tensorrt, guard, lambda *message: seen.append(message))
    for name in ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"):
        logger.log(getattr(tensorrt.ILogger, name), "text")
    assert seen == [(word, "text") for word in ("internal error", "error", "warning", "info", "verbose")]
    make_logger(tensorrt, guard, raiser(BrokenPipeError())).log(tensorrt.ILogger.ERROR, "text")
    with pytest.raises(BrokenPipeError):
        guard.raise_stored()


def test_a_severity_that_nobody_knows_counts_as_the_worst(tensorrt):
    seen = []
    make_logger(tensorrt, Guard(), lambda *message: seen.append(message)).log(9, "text")
    assert seen == [("internal error", "text")]


def test_the_profiler_hands_on_layers_and_never_raises(tensorrt):
    guard, seen = Guard(), []
    make_profiler(tensorrt, guard, lambda *row: seen.append(row)).report_layer_time("conv", 1.5)
    assert seen == [("conv", 1.5)]
    make_profiler(tensorrt, guard, raiser(ValueError("bad"))).report_layer_time("conv", 1.5)
    with pytest.raises(ValueError, match="bad"):
        guard.raise_stored()


def test_the_monitor_counts_steps_of_phases_that_run_at_the_same_time():
    with standin.installed("10.3.0"):
        import tensorrt

        seen = []
        monitor = make_monitor(tensorrt, Guard(), lambda *row: seen.append(row))
        monitor.phase_start("outer", None, 2)
        monitor.phase_start("inner", "outer", 3)
        assert monitor.step_complete("inner", 0) is True
        assert monitor.step_complete("outer", 1) is True
        monitor.phase_finish("inner")
        assert seen == [("outer", 0, 2), ("inner", 0, 3), ("inner", 1, 3), ("outer", 2, 2), ("inner", 3, 3)]


def test_a_monitor_that_raised_cancels_the_build():
    with standin.installed("10.3.0"):
        import tensorrt

        guard = Guard()
        monitor = make_monitor(tensorrt, guard, raiser(BrokenPipeError()))
        monitor.phase_start("outer", None, 2)
        assert monitor.step_complete("outer", 0) is False
        with pytest.raises(BrokenPipeError):
            guard.raise_stored()


# calibration


def batches_of(*batches):
    return lambda names: iter([list(each) for each in batches])


def test_a_calibrator_gives_batches_as_addresses_until_they_end(tensorrt):
    guard = Guard()
    calibrator = make_calibrator(tensorrt, guard, Calibration("entropy2", b"", 4, batches_of([16], [32])), CacheStore())
    assert calibrator.get_batch_size() == 4
    assert calibrator.read_calibration_cache() is None
    assert [calibrator.get_batch(["image"]) for _ in range(3)] == [[16], [32], None]
    guard.raise_stored()


def test_a_calibrator_whose_data_fail_ends_and_the_failure_is_kept(tensorrt):
    guard = Guard()
    calibration = Calibration("minmax", b"", 1, raiser(ValueError("no picture")))
    calibrator = make_calibrator(tensorrt, guard, calibration, CacheStore())
    assert calibrator.get_batch(["image"]) is None
    with pytest.raises(ValueError, match="no picture"):
        guard.raise_stored()


def test_the_calibration_cache_goes_in_and_out(tensorrt):
    store = CacheStore()
    calibration = Calibration("entropy2", b"TRT-8201-EntropyCalibration2\n", 1, batches_of())
    calibrator = make_calibrator(tensorrt, Guard(), calibration, store)
    assert bytes(calibrator.read_calibration_cache()) == b"TRT-8201-EntropyCalibration2\n"
    memory = bytearray(b"TRT-8201-EntropyCalibration2\nimage: 3c010a14\n")
    calibrator.write_calibration_cache(memoryview(memory))
    memory[:] = bytes(len(memory))  # TensorRT frees it
    assert store.written.endswith(b"image: 3c010a14\n")


class Unusable:
    """No number, no bytes."""

    def __int__(self):
        raise ValueError("no number")

    def __bytes__(self):
        raise ValueError("no bytes")


@pytest.mark.parametrize(
    "changes, call, answer",
    [
        ({"batch_size": Unusable()}, lambda calibrator: calibrator.get_batch_size(), 1),
        ({"cache": Unusable()}, lambda calibrator: calibrator.read_calibration_cache(), None),
        ({"batches": raiser(ValueError("no batches"))}, lambda calibrator: calibrator.get_batch(["image"]), None),
        ({}, lambda calibrator: calibrator.write_calibration_cache(Unusable()), None),
    ],
)
def test_no_callback_of_a_calibrator_raises_and_after_it_nothing_is_kept(tensorrt, changes, call, answer):
    guard, store = Guard(), CacheStore()
    calibration = Calibration("entropy2", b"", 1, batches_of([16]))._replace(**changes)
    calibrator = make_calibrator(tensorrt, guard, calibration, store)
    assert call(calibrator) == answer
    calibrator.write_calibration_cache(b"ranges of part of the data")
    assert store.written == b""
    with pytest.raises(ValueError, match="no "):
        guard.raise_stored()


def test_where_there_are_no_calibrators_the_alternative_is_named():
    with standin.installed("11.0.0.114"):
        import tensorrt

        with pytest.raises(BuildError, match="has no calibrator entropy2") as caught:
            make_calibrator(tensorrt, Guard(), Calibration("entropy2", b"", 1, batches_of()), CacheStore())
        assert "--fp16" in caught.value.hint
