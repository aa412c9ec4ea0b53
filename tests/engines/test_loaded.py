"""A plan, loaded and run on arrays."""

import numpy as np
import pytest

from ccc_jetson.engines.cuda import Cuda
from ccc_jetson.engines.loaded import LoadedEngine
from ccc_jetson.engines.manifest import Binding
from ccc_jetson.engines.tensorrt_api import TensorRT, import_tensorrt
from ccc_jetson.engines.tensorrt_callbacks import Guard
from ccc_jetson.engines.tensorrt_log import TensorRTLog
from ccc_jetson.errors import BackendError, BuildError
from ccc_jetson.ort import cpu_session
from tests.doubles import standin
from tests.doubles.tiny_model import tiny_contract, tiny_graph
from tests.engines.conftest import VERSIONS


class Machine:
    """TensorRT and CUDA in this process, and the plan of the tiny model there."""

    def __init__(self):
        self.api = TensorRT(import_tensorrt(), TensorRTLog(), Guard())
        self.cuda = Cuda()
        self.model = tiny_graph(tiny_contract()).SerializeToString()
        builder = self.api.builder()
        network = self.api.network(builder, False)
        parser, errors = self.api.parse(network, self.model)
        assert errors == []
        self.plan = self.api.build(builder, network, self.api.config(builder))
        del parser

    def load(self, plan=None):
        return LoadedEngine(self.api, self.cuda, self.plan if plan is None else plan, "x.engine")


@pytest.fixture(params=VERSIONS)
def machine(request):
    with standin.installed(request.param):
        found = Machine()
        yield found
        found.cuda.close()


def test_it_gives_what_the_network_gives(machine):
    image = np.random.RandomState(0).rand(1, 3, 32, 64).astype(np.float32)
    (expected,) = cpu_session(machine.model, "tiny").run(None, {"image": image})
    with machine.load() as engine:
        assert engine.inputs == (Binding("image", True, "float32", (1, 3, 32, 64)),)
        assert engine.outputs == (Binding("class_map", False, "int32", (1, 32, 64)),)
        for _ in range(2):
            assert (engine.run({"image": image.astype(np.float64)})["class_map"] == expected).all()
        assert engine.milliseconds(3) > 0


def test_layers_are_timed_in_every_run(machine):
    seen = []
    with machine.load() as engine:
        engine.profile(2, lambda name, ms: seen.append(name))
        information = engine.layer_information()
    assert len(seen) == 2 * len(set(seen))
    assert ("Layers" in information) == (not machine.api.version.startswith("8.0"))


def test_an_array_of_another_shape_is_refused(machine):
    with machine.load() as engine, pytest.raises(BackendError, match="has shape"):
        engine.run({"image": np.zeros((1, 3, 8, 8), np.float32)})


def test_a_damaged_plan_is_an_error_with_tensorrts_reason(machine):
    with pytest.raises(BuildError, match=r"x\.engine: TensorRT .* cannot load it"):
        machine.load(b"no plan at all")


def test_nothing_is_left_after_closing(machine):
    import pycuda.driver

    engine = machine.load()
    engine.close()
    engine.close()
    assert pycuda.driver.standin_live()["allocations"] == 0


def test_a_plan_of_another_tensorrt_or_gpu_says_so():
    with standin.installed("8.2.1.8"):
        machine = Machine()
        plan = machine.plan
        machine.cuda.close()
    for version, faults, reason in (
        ("8.5.3.1", {}, "for another TensorRT"),
        ("8.2.1.8", {"sm": "5.3"}, "for another GPU"),
    ):
        with standin.installed(version, **faults):
            other = Machine()
            with pytest.raises(BuildError, match=reason):
                other.load(plan)
            other.cuda.close()


def test_what_does_not_run_is_an_error_of_the_backend():
    with standin.installed():
        machine = Machine()
        with machine.load() as engine:
            standin.set_faults(execute_false=True)
            with pytest.raises(BackendError, match="the engine did not run"):
                engine.milliseconds(1)
        machine.cuda.close()
