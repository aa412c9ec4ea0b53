"""The stand-in TensorRT builds, runs as ONNX Runtime does, and fails in the real one's ways and words."""

import json
import os
import re
import signal
import time

import numpy as np
import pytest
from onnx import helper

from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.ort import cpu_session
from tests.doubles import standin
from tests.doubles.graphs import graph_bytes
from tests.doubles.standin.lab import Bench, in_child, run
from tests.doubles.tiny_model import tiny_model_bytes

VERSIONS = ("8.0.1.6", "8.2.1.8", "8.5.3.1", "8.6.1", "10.3.0", "11.0.0.114")
IMAGE = np.random.RandomState(3).rand(1, 3, 32, 64).astype(np.float32)
CLASSES, FEATURES, LOGITS = cpu_session(with_extra_outputs(tiny_model_bytes(), ["features", "logits"]), "tiny").run(
    ["class_map", "features", "logits"], {"image": IMAGE}
)
REASONS = {
    "8.2.1.8": r"10: \[optimizer\.cpp::computeCosts::2011\] Error Code 10: Internal Error \(Could not find any",
    "8.5.3.1": r"10: \[optimizer\.cpp::computeCosts::2011\] Error Code 10: Internal Error \(Could not find any",
    "10.3.0": r"IBuilder::buildSerializedNetwork: Error Code 10: Internal Error \(Could not find any implementation",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_gives_what_onnx_runtime_gives(version):
    with standin.installed(version):
        import tensorrt as trt

        (classes,) = run(trt, Bench(trt, tiny_model_bytes()).engine(), IMAGE)
        assert classes.dtype == np.int32
        np.testing.assert_array_equal(classes, CLASSES)


def test_execute_v2_is_there_in_every_version():
    for version in VERSIONS:
        with standin.installed(version):
            import tensorrt as trt

            context, found = Bench(trt, tiny_model_bytes()).engine().create_execution_context(), np.zeros_like(CLASSES)
            assert context.execute_v2([IMAGE.ctypes.data, found.ctypes.data])
            np.testing.assert_array_equal(found, CLASSES)


def test_another_tensor_can_be_the_output_and_what_lies_behind_it_is_not_built():
    with standin.installed():
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        bench.output_only("relu")
        engine = bench.engine()
        np.testing.assert_array_equal(run(trt, engine, IMAGE)[0], FEATURES)
        assert engine.num_layers == 1


@pytest.mark.parametrize("version", ["8.2.1.8", "10.3.0"])
def test_half_precision_rounds_the_output_and_can_be_the_type_of_both_ends(version):
    with standin.installed(version):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes(), ["FP16"])
        bench.output_only("relu")
        (found,) = run(trt, bench.engine(), IMAGE)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, FEATURES.astype(np.float16).astype(np.float32))
        for tensor in (bench.network.get_input(0), bench.network.get_output(0)):
            tensor.dtype = trt.float16
        (found,) = run(trt, bench.engine(), IMAGE.astype(np.float16))
        assert found.dtype == np.float16
        assert float(np.abs(found - FEATURES).max()) < 0.02


def test_what_half_precision_cannot_hold_becomes_infinite():
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"], "mul")]
    model = graph_bytes(nodes, {"x": [1, 2]}, {"y": [1, 2]}, {"factor": np.array(1e5, np.float32)})
    with standin.installed():
        import tensorrt as trt

        (found,) = run(trt, Bench(trt, model, ["FP16"]).engine(), np.array([[0.5, -2]], np.float32))
        assert found.tolist() == [[49984.0, -float("inf")]]


def pin(bench, trt, with_output_type=True):
    layer = bench.layer("conv")
    layer.precision = trt.float32
    if with_output_type:
        layer.set_output_type(0, trt.float32)


@pytest.mark.parametrize(
    "version, flags, with_output_type, helps",
    [
        ("8.0.1.6", ["STRICT_TYPES"], True, True),
        ("8.2.1.8", ["OBEY_PRECISION_CONSTRAINTS"], True, True),
        ("10.3.0", ["PREFER_PRECISION_CONSTRAINTS"], True, True),
        ("8.2.1.8", [], True, False),
        ("8.2.1.8", ["OBEY_PRECISION_CONSTRAINTS"], False, False),
    ],
)
@pytest.mark.parametrize("fault", ["nan_unless_fp32", "wrong_unless_fp32"])
def test_a_layer_is_kept_in_fp32_only_by_all_that_it_takes(version, flags, with_output_type, helps, fault):
    with standin.installed(version, **{fault: ["conv"]}):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes(), ["FP16"] + flags)
        pin(bench, trt, with_output_type)
        agreement = float((run(trt, bench.engine(), IMAGE)[0] == CLASSES).mean())
        assert (agreement == 1.0) == helps, agreement
        bench.output_only("head")
        (logits,) = run(trt, bench.engine(), IMAGE)
        assert np.isfinite(logits).all() == (helps or fault != "nan_unless_fp32")


def test_a_faulty_layer_does_no_harm_in_fp32_or_behind_the_output():
    with standin.installed(nan_unless_fp32=["logits"]):
        import tensorrt as trt

        np.testing.assert_array_equal(run(trt, Bench(trt, tiny_model_bytes()).engine(), IMAGE)[0], CLASSES)
        bench = Bench(trt, tiny_model_bytes(), ["FP16"])
        bench.output_only("relu")
        assert np.isfinite(run(trt, bench.engine(), IMAGE)[0]).all()
        standin.set_faults(nan_unless_fp32=["no such layer"])
        with pytest.raises(ValueError, match="no such layer"):
            bench.build()


def test_wrong_results_are_wrong_in_half_of_the_frame():
    with standin.installed(wrong=True):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        (classes,) = run(trt, bench.engine(), IMAGE)
        assert 0.4 < float((classes == CLASSES).mean()) < 0.6
        bench.output_only("head")
        (logits,) = run(trt, bench.engine(), IMAGE)
        assert float((logits.argmax(axis=1) == LOGITS.argmax(axis=1)).mean()) < 0.6
        np.testing.assert_array_equal(logits[:, :, 16:], LOGITS[:, :, 16:])


@pytest.mark.parametrize("fault", ["build_none", "network_none", "deserialize_none", "context_none", "execute_false"])
def test_calls_fail_without_an_exception(fault):
    with standin.installed(**{fault: True}):
        import tensorrt as trt

        if fault == "network_none":
            assert trt.Builder(trt.Logger()).create_network(1) is None
            return
        bench = Bench(trt, tiny_model_bytes())
        plan = bench.build()
        assert (plan is None) == (fault == "build_none")
        if plan is not None:
            engine = trt.Runtime(bench.logger).deserialize_cuda_engine(plan)
            assert (engine is None) == (fault == "deserialize_none")
            if engine is not None:
                context = engine.create_execution_context()
                assert (context is None) == (fault == "context_none")
                if context is not None:
                    assert context.execute_v2([IMAGE.ctypes.data, np.zeros_like(CLASSES).ctypes.data]) is False


def test_without_a_gpu_there_is_no_builder_and_no_runtime():
    with standin.installed(no_gpu=True):
        import tensorrt as trt

        for kind in (trt.Builder, trt.Runtime):
            with pytest.raises(TypeError, match="factory function returned nullptr"):
                kind(trt.Logger())


@pytest.mark.parametrize("version", sorted(REASONS))
def test_want_of_memory_ends_a_build_with_the_workspace_above_the_limit(version):
    with standin.installed(version, oom_above_mib=100):
        import tensorrt as trt

        assert Bench(trt, tiny_model_bytes(), workspace_mib=100).build() is not None
        bench = Bench(trt, tiny_model_bytes(), workspace_mib=101)
        assert bench.build() is None
        log = "\n".join(text for _, text in bench.logger.lines)
        assert re.search(REASONS[version], log)
        assert "Requested amount of GPU memory (105906176 bytes) could not be allocated." in log
        assert re.search("insuff?icient memory on requested size", log)


def test_the_workspace_is_all_memory_or_none_unless_it_is_set():
    for version, fails in (("8.2.1.8", False), ("8.5.3.1", True)):
        with standin.installed(version, oom_above_mib=4000):
            import tensorrt as trt

            bench = Bench(trt, tiny_model_bytes())
            bench.config = bench.builder.create_builder_config()
            assert (bench.build() is None) == fails


@pytest.mark.parametrize(
    "builds, loads, reason",
    [
        (("8.2.1.8", "6.2"), ("8.2.1.9", "6.2"), "6: The engine plan file is not compatible .* 8.2.1.9 got 8.2.1.8"),
        (("8.2.1.8", "6.2"), ("8.5.3.1", "6.2"), "Current Version: 232, Serialized Engine Version: 205"),
        (("8.2.1.8", "5.3"), ("8.2.1.8", "6.2"), "6: .* incompatible device, expecting compute 6.2 got compute 5.3"),
        (("10.3.0", "8.6"), ("10.3.1", "8.6"), r"IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error \(The"),
    ],
)
def test_a_plan_of_another_machine_is_refused_with_the_reason(builds, loads, reason):
    with standin.installed(builds[0], sm=builds[1]):
        import tensorrt as trt

        plan = Bench(trt, tiny_model_bytes()).build()
    with standin.installed(loads[0], sm=loads[1]):
        import tensorrt as trt

        bench = Bench(trt, None)
        assert trt.Runtime(bench.logger).deserialize_cuda_engine(plan) is None
        assert re.search(reason, bench.logger.texts("ERROR")[0])


def test_a_damaged_plan_is_refused_and_one_of_another_board_is_doubted():
    with standin.installed():
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        plan = bench.build()
        assert plan[:4] == b"ftrt" and tuple(plan[24:28]) == (8, 2, 1, 8)
        runtime = trt.Runtime(bench.logger)
        for damaged in (b"", b"x" + plan, plan[:30], plan[:-1], plan[:-1] + b"x", plan + b"x"):
            assert runtime.deserialize_cuda_engine(damaged) is None
        assert "Magic tag does not match" in bench.logger.texts("ERROR")[0]
        standin.set_faults(device="NVIDIA Tegra X2 NX")
        assert runtime.deserialize_cuda_engine(plan) is not None
        assert "different models of devices" in bench.logger.texts("WARNING")[-1]


def test_a_layer_in_the_timing_cache_is_not_timed_again_and_the_cache_fits_its_machine_alone():
    with standin.installed(build_seconds=0.3):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        assert bench.config.set_timing_cache(bench.config.create_timing_cache(b""), False)
        started = time.monotonic()
        assert bench.build() is not None
        assert time.monotonic() - started >= 0.3
        said = len(bench.logger.lines)
        assert bench.build() is not None
        assert not [text for _, text in bench.logger.lines[said:] if "Timing Runner" in text]
        data = bytes(bench.config.get_timing_cache().serialize())
        assert b"conv + relu|fp32" in data
        assert bench.config.set_timing_cache(bench.config.create_timing_cache(data), False)
        for other in (b"rubbish", data[:-5], data.replace(b"8.2.1.8", b"8.2.1.9")):
            assert bench.config.set_timing_cache(bench.config.create_timing_cache(other), False) is False
        standin.set_faults(sm="5.3")
        cache = bench.config.create_timing_cache(data)
        assert bench.config.set_timing_cache(bench.config.create_timing_cache(b""), False)
        standin.set_faults()
        assert bench.config.set_timing_cache(cache, False)
        standin.set_faults(sm="5.3")
        assert bench.config.set_timing_cache(cache, False) is False
        assert bench.config.set_timing_cache(cache, True)
        standin.set_faults(timing_cache_none=True)
        assert bench.config.create_timing_cache(b"") is None


def test_the_log_names_the_layer_that_is_timed_and_what_the_test_asks_for():
    for version, ending in (("8.2.1.8", r"\(CaskConvolution\)"), ("8.6.1", r"\(CaskConvolution\[0x\w+\]\)")):
        with standin.installed(version, build_log=[["WARNING", "odd"], ["ERROR", "bad"]]):
            import tensorrt as trt

            bench = Bench(trt, tiny_model_bytes())
            assert bench.build() is not None
            verbose = "\n".join(bench.logger.texts("VERBOSE"))
            assert re.search(r"--------------- Timing Runner: conv \+ relu " + ending, verbose)
            assert bench.logger.texts("WARNING")[-1] == "odd" and bench.logger.texts("ERROR") == ["bad"]


def test_a_profiler_and_the_inspector_tell_of_fused_layers():
    with standin.installed():
        import tensorrt as trt

        class Times(trt.IProfiler):
            def __init__(self):
                trt.IProfiler.__init__(self)
                self.found = []

            def report_layer_time(self, layer_name, ms):
                self.found.append((layer_name, ms))

        bench = Bench(trt, tiny_model_bytes(), ["FP16"])
        bench.config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        engine = bench.engine()
        context, found = engine.create_execution_context(), np.zeros_like(CLASSES)
        context.profiler = Times()
        assert context.execute_async_v2([IMAGE.ctypes.data, found.ctypes.data], 0)
        names = [name for name, _ in context.profiler.found]
        assert names == ["conv + relu", "head", "argmax"]
        assert all(ms > 0 for _, ms in context.profiler.found)
        told = json.loads(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
        assert told["Bindings"] == ["image", "class_map"]
        assert [layer["Name"] for layer in told["Layers"]] == names
        first = told["Layers"][0]
        assert first["Outputs"] == [
            {"Name": "features", "Dimensions": [1, 4, 16, 32], "Format/Datatype": "Row major linear FP16"}
        ]
        bench.config.profiling_verbosity = trt.ProfilingVerbosity.LAYER_NAMES_ONLY
        inspector = bench.engine().create_engine_inspector()
        assert json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))["Layers"] == names


def test_11_tells_of_inputs_and_outputs_in_other_words():
    with standin.installed("11.0.0.114"):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        bench.config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        inspector = bench.engine().create_engine_inspector()
        told = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
        assert [(end["Name"], end["IOMode"]) for end in told["I/O Tensors"]] == [
            ("image", "INPUT"),
            ("class_map", "OUTPUT"),
        ]
        assert told["Layers"][0]["Outputs"][0]["Datatype"] == "FP32"


@pytest.mark.parametrize(
    "fault, number",
    [({"abort": True}, signal.SIGABRT), ({"segfault": "parse"}, signal.SIGSEGV), ({"kill": "execute"}, signal.SIGKILL)]
    + [({"kill_above_mib": 32}, signal.SIGKILL)],
)
def test_the_process_can_be_ended(fault, number):
    program = (
        "import numpy as np\n"
        "bench = Bench(trt, tiny.tiny_model_bytes()); print('parsed', flush=True)\n"
        "engine = bench.engine(); print('built', flush=True)\n"
        "run(trt, engine, np.zeros((1, 3, 32, 64), np.float32))\n"
    )
    code, out, _ = in_child(program, **fault)
    assert code == -number
    assert out.split() == {signal.SIGSEGV: [], signal.SIGABRT: ["parsed"]}.get(
        number, ["parsed", "built"] if "kill" in fault else ["parsed"]
    )
    assert not [name for name in os.listdir(".") if name.startswith("core")]


def test_a_run_needs_addresses_for_everything():
    with standin.installed("8.5.3.1"):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        context = bench.engine().create_execution_context()
        assert context.set_tensor_address("image", IMAGE.ctypes.data)
        assert context.set_tensor_address("class", 1) is False
        assert context.execute_async_v3(0) is False
        assert "Address is not set for output tensor class_map" in bench.logger.texts("ERROR")[-1]
        assert context.execute_v2([IMAGE.ctypes.data, 0]) is False
        assert "Tensor class_map is bound to nullptr" in bench.logger.texts("ERROR")[-1]
        with pytest.raises(TypeError):
            context.execute_async_v3(None)
        with pytest.raises(TypeError):
            context.execute_v2([1.0, 2.0])
