"""The stand-in TensorRT on real streams, and what of ours loads an engine; in a child process, too."""

import numpy as np
import pytest

from ccc_jetson.engines.cuda import Cuda
from ccc_jetson.engines.loaded import LoadedEngine
from ccc_jetson.engines.tensorrt_api import TensorRT, import_tensorrt
from ccc_jetson.engines.tensorrt_callbacks import Guard
from ccc_jetson.engines.tensorrt_log import TensorRTLog
from tests.doubles import cuda_driver
from tests.doubles.cuda_driver.lab import in_child, live
from tests.doubles.standin.lab import Bench
from tests.doubles.tiny_model import tiny_model_bytes


class Engine:
    """The tiny model on a stream, and what it should give."""

    def __init__(self, bed):
        import tensorrt

        self.image = np.random.RandomState(3).rand(1, 3, 32, 64).astype(np.float32)
        self.bench = Bench(tensorrt, tiny_model_bytes())
        self.context = self.bench.engine().create_execution_context()
        self.given, self.wanted = bed.cuda.mem_alloc(self.image.nbytes), bed.cuda.mem_alloc(4 * 32 * 64)
        self.found = bed.cuda.pagelocked_empty((1, 32, 64), np.int32)
        bed.cuda.memcpy_htod(self.given, self.image)
        assert self.context.execute_v2([int(self.given), int(self.wanted)])
        self.expected = np.empty((1, 32, 64), np.int32)
        bed.cuda.memcpy_dtoh(self.expected, self.wanted)
        bed.cuda.memset_d32(int(self.wanted), 77, 32 * 64)

    def queue(self, stream):
        return self.context.execute_async_v2([int(self.given), int(self.wanted)], stream.handle)


def test_an_engine_runs_in_the_order_of_a_real_stream_and_in_graphs(bed, graphs):
    engine = Engine(bed)
    assert engine.queue(bed.stream)
    bed.cuda.memcpy_dtoh_async(engine.found, engine.wanted, bed.stream)
    assert set(engine.found.view(np.uint8).reshape(-1)) == {0xCB}
    bed.stream.synchronize()
    np.testing.assert_array_equal(engine.found, engine.expected)
    graphs.begin(bed.stream)
    assert engine.queue(bed.stream)
    bed.cuda.memcpy_dtoh_async(engine.found, engine.wanted, bed.stream)
    graph = graphs.end(bed.stream)
    for _ in range(2):
        engine.found[:] = 99
        graphs.launch(graph, bed.stream)
        assert engine.found.min() == 99
        bed.stream.synchronize()
        np.testing.assert_array_equal(engine.found, engine.expected)
    assert bed.driver.counters.snapshot()["host_calls"] == 4
    import standin_cuda

    assert len(standin_cuda._WORK) == 1, "the graph's"
    graphs.close()
    assert not standin_cuda._WORK


def test_an_engine_does_not_run_on_a_foreign_stream_or_memory(bed):
    engine = Engine(bed)
    assert engine.context.execute_async_v2([int(engine.given), int(engine.wanted)], 12345) is False
    assert "invalid resource handle" in engine.bench.logger.texts("ERROR")[-1]
    assert engine.context.execute_async_v2([int(engine.given), engine.image.ctypes.data], bed.stream.handle)
    with pytest.raises(bed.cuda.LogicError, match="illegal memory access"):
        bed.stream.synchronize()


WAITING = """
import time
from standin_cuda import enqueue
began = threading.Event()
def work():
    began.set()
    time.sleep(0.2)
    print("worked")
with new_context(cuda) as context:
    stream, memory = cuda.Stream(), cuda.mem_alloc(4)
    enqueue(stream.handle, work)
    def wait():
        context.push()
        stream.synchronize()
        context.pop()
    thread = threading.Thread(target=wait)
    thread.start()
    began.wait()
    memory.free()
    print("freed")
    thread.join()
    del stream
"""


def test_a_call_with_pythons_lock_waits_for_a_python_function_in_another_thread(tmp_path):
    code, out, _ = in_child(WAITING, tmp_path)  # in this process, a failure would stop all tests
    assert (code, out) == (0, "worked\nfreed\n")


def test_a_loaded_engine_runs_on_it_and_leaves_nothing():
    with cuda_driver.installed() as driver:
        import tensorrt

        plan = Bench(tensorrt, tiny_model_bytes()).build()
        image = np.random.RandomState(3).rand(1, 3, 32, 64).astype(np.float32)
        found = []
        for _ in range(2):
            with Cuda() as cuda:
                assert cuda.facts()[:4] == ("NVIDIA Tegra X2", "6.2", True, "10.2")
                api = TensorRT(import_tensorrt(), TensorRTLog(), Guard())
                with LoadedEngine(api, cuda, plan, "test") as engine:
                    found.append(engine.run({engine.inputs[0].name: image})[engine.outputs[0].name])
            assert live(driver) == {}
        np.testing.assert_array_equal(found[0], found[1])
        assert len(np.unique(found[0])) > 1


def test_a_child_process_leaves_its_counters(tmp_path):
    reports = tmp_path / "reports"
    reports.mkdir()
    code = "from ccc_jetson.engines.cuda import Cuda\nwith Cuda() as one:\n    print(one.facts().name)\n"
    ended, out, err = in_child(code, tmp_path, reports=reports)
    assert (ended, out, err) == (0, "NVIDIA Tegra X2\n", "")
    (report,) = cuda_driver.read_reports(reports)
    assert report["made.streams"] == 1 and report["live.contexts"] == report["live.streams"] == 0
