"""What becomes of a program's own methods that the stand-in calls: logger, progress monitor, recorder, calibrator."""

import signal

import numpy as np
import pytest

from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.ort import cpu_session
from tests.doubles import standin
from tests.doubles.standin.lab import Bench, in_child
from tests.doubles.tiny_model import tiny_model_bytes

IMAGE = np.random.RandomState(3).rand(1, 3, 32, 64).astype(np.float32)


class TestCallbacks:
    """What happens to a program's own methods."""

    RAISING = (
        "class Bad(trt.ILogger):\n"
        "    def __init__(self): trt.ILogger.__init__(self)\n"
        "    def log(self, severity, msg): raise ValueError('from the logger')\n"
        "bench = Bench(trt, tiny.tiny_model_bytes())\n"
        "builder = trt.Builder(Bad())\n"
        "print(builder.build_serialized_network(bench.network, bench.config) is not None)\n"
    )

    def test_an_exception_ends_the_process_up_to_8_2(self):
        code, _, err = in_child(self.RAISING, "8.2.1.8")
        assert code == -signal.SIGABRT
        assert "terminate called after throwing an instance of 'pybind11::error_already_set'" in err
        assert "ValueError: from the logger" in err

    def test_an_exception_is_printed_and_forgotten_from_8_4_on(self):
        code, out, err = in_child(self.RAISING, "8.5.3.1")
        assert (code, out) == (0, "True\n")
        assert "[ERROR] Exception caught in log(): ValueError: from the logger" in err

    def test_other_threads_run_while_a_build_lasts(self):
        with standin.installed(build_seconds=0.4):
            import threading

            import tensorrt as trt

            bench, ticks, is_over = Bench(trt, tiny_model_bytes()), [], threading.Event()

            def tick():
                while not is_over.wait(0.02):
                    ticks.append(None)

            thread = threading.Thread(target=tick)
            thread.start()
            bench.build()
            is_over.set()
            thread.join()
            assert len(ticks) > 5

    INTERRUPTED = (
        "import os, signal, sys, threading, time\n"
        "bench = Bench(trt, tiny.tiny_model_bytes())\n"
        "bench.builder = trt.Builder(bench.logger if sys.argv[1:] else trt.Logger(trt.Logger.ERROR))\n"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "started = time.monotonic()\n"
        "try:\n"
        "    bench.build()\n"
        "except KeyboardInterrupt:\n"
        "    print('after', time.monotonic() - started >= 0.5)\n"
    )

    def test_ctrl_c_waits_for_the_end_of_a_build(self):
        for version in ("8.2.1.8", "10.3.0"):
            code, out, _ = in_child(self.INTERRUPTED, version, build_seconds=0.5)
            assert (code, out) == (0, "after True\n")

    def test_ctrl_c_in_a_callback_is_an_exception_like_any_other(self):
        code, out, err = in_child(self.INTERRUPTED, "8.2.1.8", "logger", build_seconds=0.5)
        assert (code, out) == (-signal.SIGABRT, "")
        assert "KeyboardInterrupt" in err
        code, out, err = in_child(self.INTERRUPTED, "8.5.3.1", "logger", build_seconds=0.5)
        assert (code, out) == (0, "")
        assert "Exception caught in log(): KeyboardInterrupt" in err

    def test_a_progress_monitor_is_told_of_phases_and_can_end_the_build(self):
        with standin.installed("10.3.0"):
            import tensorrt as trt

            class Monitor(trt.IProgressMonitor):
                def __init__(self, last=99):
                    trt.IProgressMonitor.__init__(self)
                    self.last, self.calls = last, []

                def phase_start(self, phase_name, parent_phase, num_steps):
                    self.calls.append(("start", phase_name, parent_phase, num_steps))

                def step_complete(self, phase_name, step):
                    self.calls.append(("step", phase_name, step))
                    return step < self.last

                def phase_finish(self, phase_name):
                    self.calls.append(("finish", phase_name))

            bench = Bench(trt, tiny_model_bytes())
            bench.config.progress_monitor = all_of_it = Monitor()
            assert bench.build() is not None
            outer, inner = "Building Engine", "Timing graph nodes"
            assert all_of_it.calls == [
                ("start", outer, None, 1), ("start", inner, outer, 4),
                ("step", inner, 0), ("step", inner, 1), ("step", inner, 2), ("step", inner, 3), ("finish", inner),
                ("step", outer, 0), ("finish", outer),
            ]  # fmt: skip
            bench.config.progress_monitor = ends_it = Monitor(last=1)
            assert bench.build() is None
            assert [call[0] for call in ends_it.calls] == ["start", "start", "step", "step", "finish", "finish"]
            standin.set_faults(cancel_ignored=True)
            assert bench.build() is not None

    def test_errors_reach_the_recorder(self):
        with standin.installed():
            import tensorrt as trt

            class Recorder(trt.IErrorRecorder):
                def __init__(self):
                    trt.IErrorRecorder.__init__(self)
                    self.found = []

                def report_error(self, code, desc):
                    self.found.append((code.name, desc))

            bench = Bench(trt, tiny_model_bytes())
            bench.builder.error_recorder = recorder = Recorder()
            bench.network.unmark_output(bench.network.get_output(0))
            assert bench.build() is None
            assert recorder.found[0][0] == "INVALID_CONFIG" and "at least one output" in recorder.found[0][1]


def calibrator_of(trt, batches, cache=None, base="IInt8EntropyCalibrator2"):
    """A calibrator that gives the addresses of arrays, and keeps what it is told."""

    class Calibrator(getattr(trt, base)):
        def __init__(self):
            getattr(trt, base).__init__(self)
            self.left, self.written, self.asked, self.view = list(batches), None, [], None

        def get_batch_size(self):
            return 1

        def get_batch(self, names):
            self.asked.append(names)
            return [self.left.pop(0).ctypes.data] if self.left else None

        def read_calibration_cache(self):
            return cache

        def write_calibration_cache(self, cache):
            self.view, self.written = cache, bytes(cache)

    return Calibrator()


class TestCalibration:
    """INT8, on a GPU that has it."""

    def test_data_are_asked_for_until_there_are_none_and_the_cache_holds_the_largest_values(self):
        with standin.installed("8.5.3.1", sm="7.2"):
            import tensorrt as trt

            bench = Bench(trt, tiny_model_bytes(), ["INT8"])
            bench.config.int8_calibrator = calibrator = calibrator_of(trt, [IMAGE, IMAGE * np.float32(2)])
            assert bench.build() is not None
            assert calibrator.asked == [["image"]] * 3
            first, *rows = calibrator.written.decode().splitlines()
            assert first == "TRT-8503-EntropyCalibration2"
            scales = {
                name: float(np.frombuffer(bytes.fromhex(digits), ">f4")[0])
                for name, digits in (row.rsplit(": ", 1) for row in rows)
            }
            assert scales["image"] == pytest.approx(float(IMAGE.max()) * 2 / 127)
            session = cpu_session(with_extra_outputs(tiny_model_bytes(), ["features"]), "tiny")
            (features,) = session.run(["features"], {"image": IMAGE * np.float32(2)})
            assert scales["features"] == pytest.approx(float(features.max()) / 127, rel=1e-4)

    def test_the_memory_of_the_cache_is_gone_after_the_call(self):
        with standin.installed("8.5.3.1", sm="7.2"):
            import tensorrt as trt

            bench = Bench(trt, tiny_model_bytes(), ["INT8"])
            bench.config.int8_calibrator = calibrator = calibrator_of(trt, [IMAGE])
            assert bench.build() is not None
            with pytest.raises(ValueError, match="released"):
                bytes(calibrator.view)

    def test_a_cache_of_this_version_is_enough_and_another_one_is_not(self):
        for cache, asks in ((b"TRT-8503-MinMaxCalibration\nimage: 3c010a14\n", False), (b"TRT-8201-Mi", True)):
            with standin.installed("8.5.3.1", sm="7.2"):
                import tensorrt as trt

                bench = Bench(trt, tiny_model_bytes(), ["INT8"])
                calibrator = calibrator_of(trt, [IMAGE], cache, "IInt8MinMaxCalibrator")
                bench.config.int8_calibrator = calibrator
                assert bench.build() is not None
                assert bool(calibrator.asked) == asks
                warned = "Calibration table does not match calibrator algorithm type." in bench.logger.texts("WARNING")
                assert warned == asks

    def test_without_data_and_cache_there_are_no_scales(self):
        with standin.installed("8.5.3.1", sm="7.2"):
            import tensorrt as trt

            bench = Bench(trt, tiny_model_bytes(), ["INT8"])
            bench.config.int8_calibrator = calibrator_of(trt, [])
            assert bench.build() is None
            assert "Calibration failure occurred with no scaling factors" in bench.logger.texts("ERROR")[0]

    def test_on_a_tx2_int8_is_only_warned_of(self):
        with standin.installed():
            import tensorrt as trt

            bench = Bench(trt, tiny_model_bytes(), ["INT8"])
            bench.config.int8_calibrator = calibrator_of(trt, [IMAGE])
            assert bench.build() is not None
            assert "Int8 support requested on hardware without native Int8 support" in bench.logger.texts("WARNING")[-2]

    RAISING = (
        "class Bad(trt.IInt8EntropyCalibrator2):\n"
        "    def __init__(self): trt.IInt8EntropyCalibrator2.__init__(self)\n"
        "    def get_batch_size(self): return 1\n"
        "    def read_calibration_cache(self): return None\n"
        "    def get_batch(self, names): raise ValueError('no pictures')\n"
        "bench = Bench(trt, tiny.tiny_model_bytes(), ['INT8'])\n"
        "bench.config.int8_calibrator = calibrator = Bad()\n"
        "print(bench.build())\n"
    )

    def test_an_exception_of_a_calibrator_is_the_end_of_its_data(self):
        code, out, err = in_child(self.RAISING, "8.5.3.1", sm="7.2")
        assert (code, out) == (0, "None\n")
        assert "[ERROR] Exception caught in get_batch(): ValueError: no pictures" in err
        assert in_child(self.RAISING, "8.2.1.8")[0] == -signal.SIGABRT
