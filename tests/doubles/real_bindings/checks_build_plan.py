"""Checks of a whole build: ``engines/builder.py`` from an ONNX file's bytes to a plan, every object NVIDIA's."""

import os
import tempfile

from ccc_jetson.engines.builder import build_plan
from ccc_jetson.engines.job import Job
from ccc_jetson.errors import BuildError
from tests.doubles.real_bindings.checks_building import api_of, refusal
from tests.doubles.real_bindings.scene import CACHE, PLAN
from tests.doubles.tiny_model import tiny_contract, tiny_model_bytes

JOB = Job(
    model="",
    plan="",
    contract="",
    strongly_typed=False,
    precisions=(),
    output="classes",
    layer_precisions=(),
    pinned=(),
    workspace_mib=256,
    dla_core=None,
    timing_cache_in="",
    timing_cache_out="",
    calibration_cache="",
    calibration_algorithm="",
    judge=False,
)


def built(scene, files=None, calibration=None, **wanted):
    """What ``build_plan`` gives for a job; ``files`` are those that it names, by field."""
    api, guard = api_of(scene)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in dict(files or {}, model=tiny_model_bytes(attachments=False)).items():
            wanted[name] = os.path.join(folder, name)
            with open(wanted[name], "wb") as file:
                file.write(data)
        return build_plan(api, guard, JOB._replace(**wanted), tiny_contract(), lambda *phase: None, calibration)


def _flags(scene, since):
    """Flags that were set, by name, after the first ``since``."""
    names = {int(flag): name for name, flag in scene.trt.BuilderFlag.__members__.items()}
    return sorted(names[call[0] & 0xFFFFFFFF] for call in scene.all_arguments("IBuilderConfig.set_flag")[since:])


def a_network_in_fp32_becomes_a_plan(scene):
    since = len(scene.all_arguments("IBuilderConfig.set_flag"))
    found = built(scene)
    assert (found.plan, found.pinned, found.timing_cache) == (PLAN, (), b"")
    assert scene.outputs() == ["class_map"]
    assert _flags(scene, since) == []


def a_network_that_states_its_types_becomes_a_plan_from_10_on(scene):
    if scene.major >= 10:
        assert built(scene, strongly_typed=True, precisions=("fp16",)).plan == PLAN
    else:
        refusal(BuildError, lambda: built(scene, strongly_typed=True, precisions=("fp16",)))


def a_network_in_fp16_has_half_ends_but_for_pinned_layers(scene):
    since = len(scene.all_arguments("IBuilderConfig.set_flag"))
    wanted = {
        "precisions": ("fp16",),
        "output": "features",
        "pinned": ("features",),
        "layer_precisions": (("conv*", "fp16"),),
        "timing_cache_out": "timing.out",
    }
    if scene.major >= 11:
        refusal(BuildError, lambda: built(scene, **wanted))
        return
    typed = len(scene.all_arguments("features.dtype"))
    found = built(scene, {"timing_cache_in": CACHE}, **wanted)
    assert (found.plan, found.timing_cache, found.timing_cache_reused) == (PLAN, CACHE, True)
    assert found.pinned == ("relu",)
    assert scene.outputs() == ["features"]
    assert _flags(scene, since) == ["FP16", "OBEY_PRECISION_CONSTRAINTS"]
    half, full = int(scene.trt.float16), int(scene.trt.float32)
    wanted = {"image.dtype": half, "relu.precision": full, "conv.precision": half}
    assert {name: scene.arguments(name)[0] & 0xFFFFFFFF for name in wanted} == wanted
    assert len(scene.all_arguments("features.dtype")) == typed  # what relu gives in FP32 has to leave in FP32


def a_layer_cannot_be_given_a_precision_where_the_network_states_them(scene):
    if scene.major >= 11:
        refusal(BuildError, lambda: built(scene, layer_precisions=(("conv*", "fp32"),)))
    else:
        built(scene, precisions=("fp16",), layer_precisions=(("conv*", "fp32"),))
        assert scene.arguments("conv.precision")[0] & 0xFFFFFFFF == int(scene.trt.float32)


def a_network_in_int8_takes_a_calibration_cache_where_there_are_calibrators(scene):
    wanted = {"precisions": ("int8",), "calibration_algorithm": "entropy2"}
    files = {"calibration_cache": b"TRT-8601-EntropyCalibration2\nimage: 3c010a14\n"}
    if scene.major >= 11:
        refusal(BuildError, lambda: built(scene, files, **wanted))
        return
    seen = []

    def build(call):
        seen.append(scene.callbacks.read_cache(scene.arguments("IBuilderConfig.int8_calibrator")[0]))
        return scene.address("Builder.build_serialized_network")

    with scene.instead("Builder.build_serialized_network", build):
        assert built(scene, files, **wanted).plan == PLAN
    assert seen == [files["calibration_cache"]]


def a_file_that_cannot_be_read_names_the_node(scene):
    with scene.instead("OnnxParser.parse", 0), scene.instead("OnnxParser.num_errors", 1):
        said = refusal(BuildError, lambda: built(scene))
    assert "head (ConvTranspose): No importer registered for op: Einsum" in said, said


CHECKS = (
    a_network_in_fp32_becomes_a_plan,
    a_network_that_states_its_types_becomes_a_plan_from_10_on,
    a_network_in_fp16_has_half_ends_but_for_pinned_layers,
    a_layer_cannot_be_given_a_precision_where_the_network_states_them,
    a_network_in_int8_takes_a_calibration_cache_where_there_are_calibrators,
    a_file_that_cannot_be_read_names_the_node,
)
