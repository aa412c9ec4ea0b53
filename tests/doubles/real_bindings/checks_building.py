"""Checks of what ``engines/tensorrt_api.py`` asks of a builder, in success and in failure.

The version of the bindings decides which of two outcomes is right. What goes wrong is a ``CccError`` with a cure; a
TypeError or AttributeError fails the check.
"""

import ctypes
import sys

from ccc_jetson.engines.tensorrt_api import FP16, FP32, INT8, TensorRT, import_tensorrt, layers, tensors
from ccc_jetson.engines.tensorrt_callbacks import Guard
from ccc_jetson.engines.tensorrt_log import OutOfMemory, TensorRTLog
from ccc_jetson.errors import BuildError, CccError, DependencyMissing
from tests.doubles.real_bindings.older import as_in_8_2, of_8_0, of_8_2
from tests.doubles.real_bindings.scene import CACHE, ERROR, INFO, LAYERS, PLAN, WARNING

MIB = 1 << 20


def api_of(scene, sink=None, module=None):
    """The product's view of the bindings, and the guard that its callbacks run under."""
    guard = Guard()
    return TensorRT(module or scene.trt, TensorRTLog(), guard, sink), guard


def refusal(kind, call):
    """What the error says that a call has to raise."""
    try:
        call()
    except kind as error:
        assert isinstance(error, CccError) and error.hint, "no cure: {}".format(error)
        return str(error)
    raise AssertionError("it raised no {}".format(kind.__name__))


def the_package_is_found_or_its_absence_explained(scene):
    assert import_tensorrt() is scene.trt
    api, _ = api_of(scene)
    assert api.module is scene.trt
    assert api.version == scene.trt.__version__
    kept = sys.modules["tensorrt"]
    sys.modules["tensorrt"] = None
    try:
        assert "cannot be imported" in refusal(DependencyMissing, import_tensorrt)
    finally:
        sys.modules["tensorrt"] = kept


def a_builder_needs_a_gpu(scene):
    api, _ = api_of(scene)
    assert isinstance(api.builder(), scene.trt.Builder)
    # NVIDIA/TensorRT#2913: it is a warning there
    text = "CUDA initialization failure with error: 35. Please check your CUDA installation"
    with scene.saying("Builder", WARNING, text):
        assert "35" in refusal(BuildError, api.builder)


def messages_reach_the_sink_with_their_severity(scene):
    heard = []
    api, guard = api_of(scene, lambda severity, text: heard.append((severity, text)))
    api.builder()
    for severity in range(5):
        scene.log(severity, "text {}".format(severity))
    severities = ("internal error", "error", "warning", "info", "verbose")
    assert heard == [(name, "text {}".format(number)) for number, name in enumerate(severities)], heard
    guard.raise_stored()


def an_error_in_the_sink_stays_out_of_tensorrt_and_comes_back_from_the_build(scene):
    def sink(severity, text):
        raise KeyboardInterrupt(text)

    api, _ = api_of(scene, sink)
    builder = api.builder()
    with scene.saying("Builder.build_serialized_network", INFO, "stop", value=0):
        try:
            api.build(builder, scene.network, scene.config)
        except KeyboardInterrupt as error:
            assert str(error) == "stop"
        else:
            raise AssertionError("the interrupt was lost")


def a_network_has_an_explicit_batch_and_states_its_types_where_it_can(scene):
    api, _ = api_of(scene)
    builder, kinds = api.builder(), scene.trt.NetworkDefinitionCreationFlag
    explicit = 1 << int(kinds.EXPLICIT_BATCH) if hasattr(kinds, "EXPLICIT_BATCH") else 0
    assert isinstance(api.network(builder, False), scene.trt.INetworkDefinition)
    assert scene.arguments("Builder.create_network")[0] & 0xFFFFFFFF == explicit
    if scene.major >= 10:
        api.network(builder, True)
        wanted = explicit | 1 << int(kinds.STRONGLY_TYPED)
        assert scene.arguments("Builder.create_network")[0] & 0xFFFFFFFF == wanted
    else:
        assert scene.trt.__version__ in refusal(BuildError, lambda: api.network(builder, True))
    with scene.instead("Builder.create_network", 0):
        assert "no network" in refusal(BuildError, lambda: api.network(builder, False))


def the_model_reaches_the_parser_byte_by_byte(scene):
    api, _ = api_of(scene)
    model, arrived = bytes(range(256)) * 3, []

    def parse(call):
        arrived.append(ctypes.string_at(call.arguments[0], call.arguments[1]))
        return 1

    with scene.instead("OnnxParser.parse", parse):
        parser, errors = api.parse(scene.network, model)
    assert isinstance(parser, scene.trt.OnnxParser)
    assert errors == [] and arrived == [model]


def a_parser_that_stops_says_where_and_why(scene):
    api, _ = api_of(scene)
    api.builder()  # whose logger the scene speaks through
    with scene.instead("OnnxParser.parse", 0), scene.instead("OnnxParser.num_errors", 1):
        _, errors = api.parse(scene.network, b"model")
    assert [tuple(error) for error in errors] == [("No importer registered for op: Einsum", 2)], errors
    with scene.saying("OnnxParser.parse", ERROR, "ModelImporter.cpp:73: the file is damaged"):
        _, errors = api.parse(scene.network, b"model")
    assert len(errors) == 1 and errors[0].node == -1 and "the file is damaged" in errors[0].text, errors


def a_parser_that_is_not_there_is_an_error_of_ours(scene):
    api, _ = api_of(scene)
    with scene.instead("OnnxParser", 0):
        refusal(BuildError, lambda: api.parse(scene.network, b"model"))


def a_configuration_keeps_the_names_of_layers(scene):
    api, _ = api_of(scene)
    builder = api.builder()
    assert isinstance(api.config(builder), scene.trt.IBuilderConfig)
    verbosity = scene.arguments("IBuilderConfig.profiling_verbosity")[0] & 0xFFFFFFFF
    assert verbosity == int(scene.trt.ProfilingVerbosity.DETAILED)
    with scene.instead("Builder.create_builder_config", 0):
        refusal(BuildError, lambda: api.config(builder))
    if scene.major == 8:
        old, _ = api_of(scene, module=of_8_0(scene.trt))
        old.config(builder)
        verbosity = scene.arguments("IBuilderConfig.profiling_verbosity")[0] & 0xFFFFFFFF
        assert verbosity == int(scene.trt.ProfilingVerbosity.VERBOSE)


def the_workspace_is_given_in_bytes(scene):
    api, _ = api_of(scene)
    api.set_workspace(scene.config, 5000)
    pool, size = scene.arguments("IBuilderConfig.set_memory_pool_limit")[:2]
    assert (pool & 0xFFFFFFFF, size) == (int(scene.trt.MemoryPoolType.WORKSPACE), 5000 * MIB)
    if scene.major == 8:
        old, _ = api_of(scene, module=of_8_2(scene.trt))
        old.set_workspace(as_in_8_2(scene.config), 5000)
        assert scene.arguments("IBuilderConfig.max_workspace_size")[0] == 5000 * MIB


def precisions_are_asked_for_where_the_builder_chooses_them(scene):
    api, _ = api_of(scene)
    assert api.has_precision_flags is (scene.major < 11)
    for precision, fast in ((FP16, True), (INT8, False)):
        assert api.is_fast(scene.builder, precision) is (fast if scene.major < 11 else None)
        if scene.major < 11:
            api.allow(scene.config, precision)
            wanted = int(getattr(scene.trt.BuilderFlag, precision.upper()))
            assert scene.arguments("IBuilderConfig.set_flag")[0] & 0xFFFFFFFF == wanted
        else:
            assert "no flag" in refusal(BuildError, lambda name=precision: api.allow(scene.config, name))


def precisions_of_layers_are_made_binding(scene):
    api, _ = api_of(scene)
    if scene.major >= 11:
        assert "own types" in refusal(BuildError, lambda: api.obey_precisions(scene.config))
        return
    api.obey_precisions(scene.config)
    wanted = int(scene.trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    assert scene.arguments("IBuilderConfig.set_flag")[0] & 0xFFFFFFFF == wanted
    if scene.major == 8:
        old, _ = api_of(scene, module=of_8_0(scene.trt))
        old.obey_precisions(scene.config)
        assert scene.arguments("IBuilderConfig.set_flag")[0] & 0xFFFFFFFF == int(scene.trt.BuilderFlag.STRICT_TYPES)


def a_layer_gets_a_precision_where_it_has_one(scene):
    api, _ = api_of(scene)
    by_name = {layer.name: layer for layer in layers(scene.network)}
    assert list(by_name) == [name for name, _, _ in LAYERS]
    assert api.set_precision(by_name["constant"], FP32) is False
    if scene.major >= 11:
        refusal(BuildError, lambda: api.set_precision(by_name["conv"], FP32))
        return
    for precision, dtype in ((FP16, scene.trt.float16), (FP32, scene.trt.float32)):
        assert api.set_precision(by_name["conv"], precision) is True
        assert scene.arguments("conv.precision")[0] & 0xFFFFFFFF == int(dtype)
        index, given = scene.arguments("conv.set_output_type")[:2]
        assert (index & 0xFFFFFFFF, given & 0xFFFFFFFF) == (0, int(dtype))
    # Of TopK's two outputs one is INT32, which stays
    for order, floating in ((("values", "class_map"), 0), (("class_map", "values"), 1)):
        before = len(scene.all_arguments("argmax.set_output_type"))
        addresses = [scene.tensor(name) for name in order]
        with scene.instead("argmax.get_output", lambda call, given=addresses: given[call.arguments[0]]):
            assert api.set_precision(by_name["argmax"], FP32) is True
        given = [call[0] & 0xFFFFFFFF for call in scene.all_arguments("argmax.set_output_type")[before:]]
        assert given == [floating], given


def tensors_are_found_by_name(scene):
    found = tensors(scene.network)
    assert sorted(found) == sorted(name for _, _, outputs in LAYERS for name, _, _ in outputs)
    assert all(tensor.name == name for name, tensor in found.items())
    with scene.instead("relu.get_output", 0):  # an output that the layer does not have
        assert "features" not in tensors(scene.network)


def a_binding_becomes_half_and_row_major(scene):
    api, _ = api_of(scene)
    image = scene.network.get_input(0)
    assert api.is_float32(image) is True
    assert api.is_float32(tensors(scene.network)["class_map"]) is False
    if scene.major >= 11:
        refusal(BuildError, lambda: api.set_half_binding(image))
        return
    api.set_half_binding(image)
    assert scene.arguments("image.dtype")[0] & 0xFFFFFFFF == int(scene.trt.float16)
    assert scene.arguments("image.allowed_formats")[0] & 0xFFFFFFFF == 1 << int(scene.trt.TensorFormat.LINEAR)


def a_dla_core_is_used_if_there_is_one(scene):
    api, _ = api_of(scene)
    assert "no DLA" in refusal(BuildError, lambda: api.use_dla(scene.builder, scene.config, 0))
    with scene.instead("Builder.num_DLA_cores", 2):
        assert "2 DLA cores" in refusal(BuildError, lambda: api.use_dla(scene.builder, scene.config, 2))
        api.use_dla(scene.builder, scene.config, 1)
    assert scene.arguments("IBuilderConfig.default_device_type")[0] & 0xFFFFFFFF == int(scene.trt.DeviceType.DLA)
    assert scene.arguments("IBuilderConfig.DLA_core")[0] & 0xFFFFFFFF == 1
    assert scene.arguments("IBuilderConfig.set_flag")[0] & 0xFFFFFFFF == int(scene.trt.BuilderFlag.GPU_FALLBACK)


def a_timing_cache_is_taken_replaced_or_refused(scene):
    api, _ = api_of(scene)
    given = []

    def create(call):
        given.append(ctypes.string_at(call.arguments[0], call.arguments[1]))
        return scene.world.object()

    with scene.instead("IBuilderConfig.create_timing_cache", create):
        assert api.use_timing_cache(scene.config, CACHE) is True
        assert api.use_timing_cache(scene.config, b"") is False
        answers = iter((0, 1))  # another machine's; then the empty one
        with scene.instead("IBuilderConfig.set_timing_cache", lambda call: next(answers)):
            assert api.use_timing_cache(scene.config, CACHE) is False
        with scene.instead("IBuilderConfig.set_timing_cache", 0):
            refusal(BuildError, lambda: api.use_timing_cache(scene.config, b""))
    assert given == [CACHE, b"", CACHE, b"", b""], given
    ignored = [call[1] & 0xFF for call in scene.all_arguments("IBuilderConfig.set_timing_cache")]
    assert not any(ignored), "the timings of another machine would be taken"
    with scene.instead("IBuilderConfig.create_timing_cache", 0):
        refusal(BuildError, lambda: api.use_timing_cache(scene.config, CACHE))


def a_timing_cache_lives_until_the_build_has_ended(scene):
    api, _ = api_of(scene)
    before = scene.deaths("IBuilderConfig.create_timing_cache")
    api.use_timing_cache(scene.config, CACHE)
    alive = []

    def build(call):
        alive.append(scene.deaths("IBuilderConfig.create_timing_cache") == before)
        return 0

    with scene.instead("Builder.build_serialized_network", build):
        refusal(BuildError, lambda: api.build(scene.builder, scene.network, scene.config))
    assert alive == [True], "the cache was destroyed before the build, which uses it"


def measurements_come_back_or_are_empty(scene):
    api, _ = api_of(scene)
    assert api.timing_cache(scene.config) == CACHE
    with scene.instead("IBuilderConfig.get_timing_cache", 0):
        assert api.timing_cache(scene.config) == b""
    with scene.instead("ITimingCache.serialize", 0):
        assert api.timing_cache(scene.config) == b""


def a_build_gives_the_plan_or_its_reason(scene):
    api, _ = api_of(scene)
    builder = api.builder()
    assert api.build(builder, scene.network, scene.config) == PLAN
    name = "Builder.build_serialized_network"
    with scene.instead(name, 0):
        assert "gave no reason" in refusal(BuildError, lambda: api.build(builder, scene.network, scene.config))
    text = "Could not find any implementation for node conv + relu."
    with scene.saying(name, ERROR, "10: [optimizer.cpp::computeCosts::2011] Error Code 10: ({})".format(text)):
        assert "conv + relu" in refusal(BuildError, lambda: api.build(builder, scene.network, scene.config))
    text = "Requested amount of GPU memory (150994944 bytes) could not be allocated."
    with scene.saying(name, ERROR, text):
        assert text in refusal(OutOfMemory, lambda: api.build(builder, scene.network, scene.config))
    with scene.saying(name, WARNING, "a warning of the build before"):
        refusal(BuildError, lambda: api.build(builder, scene.network, scene.config))
    with scene.instead(name, 0):
        said = refusal(BuildError, lambda: api.build(builder, scene.network, scene.config))
    assert "gave no reason" in said, "a build explains itself with the log of another: {}".format(said)


CHECKS = (
    the_package_is_found_or_its_absence_explained,
    a_builder_needs_a_gpu,
    messages_reach_the_sink_with_their_severity,
    an_error_in_the_sink_stays_out_of_tensorrt_and_comes_back_from_the_build,
    a_network_has_an_explicit_batch_and_states_its_types_where_it_can,
    the_model_reaches_the_parser_byte_by_byte,
    a_parser_that_stops_says_where_and_why,
    a_parser_that_is_not_there_is_an_error_of_ours,
    a_configuration_keeps_the_names_of_layers,
    the_workspace_is_given_in_bytes,
    precisions_are_asked_for_where_the_builder_chooses_them,
    precisions_of_layers_are_made_binding,
    a_layer_gets_a_precision_where_it_has_one,
    tensors_are_found_by_name,
    a_binding_becomes_half_and_row_major,
    a_dla_core_is_used_if_there_is_one,
    a_timing_cache_is_taken_replaced_or_refused,
    a_timing_cache_lives_until_the_build_has_ended,
    measurements_come_back_or_are_empty,
    a_build_gives_the_plan_or_its_reason,
)
