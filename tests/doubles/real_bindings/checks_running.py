"""Checks of callbacks during a build, and of loading and running an engine, in success and in failure."""

import ctypes
import gc
import weakref

from ccc_jetson.engines.manifest import Binding
from ccc_jetson.engines.tensorrt_callbacks import CacheStore, Calibration, make_calibrator
from ccc_jetson.errors import BackendError, BuildError
from tests.doubles.real_bindings.checks_building import api_of, refusal
from tests.doubles.real_bindings.older import as_in_8_0, as_in_8_2, of_8_2
from tests.doubles.real_bindings.scene import CACHE, ERROR, FEATURES, IMAGE, INFORMATION, PLAN

BINDINGS = (Binding("image", True, "float32", IMAGE), Binding("features", False, "float16", FEATURES))
ADDRESSES = {"image": 0x7F0000000000, "features": 0x7F0000100000}
STREAM = 0x5500000000


class Heard:
    """A sink that remembers what it was called with, and may refuse."""

    def __init__(self, error=None):
        self.calls = []
        self._error = error

    def __call__(self, *arguments):
        self.calls.append(arguments)
        if self._error is not None:
            raise self._error


def phases_are_reported_where_tensorrt_does(scene):
    api, _ = api_of(scene)
    heard = Heard()
    assert api.watch(scene.config, heard) is (scene.major >= 10)
    if scene.major < 10:
        return
    gc.collect()
    monitor = scene.arguments("IBuilderConfig.progress_monitor")[0]
    scene.callbacks.phase_start(monitor, "Tactics", 20)
    assert scene.callbacks.step_complete(monitor, "Tactics", 0) is True
    scene.callbacks.phase_finish(monitor, "Tactics")
    assert heard.calls == [("Tactics", 0, 20), ("Tactics", 1, 20), ("Tactics", 20, 20)], heard.calls


def a_sink_of_phases_that_raises_cancels_the_build(scene):
    api, _ = api_of(scene)
    if not api.watch(scene.config, Heard(KeyboardInterrupt("stop"))):
        return
    monitor = scene.arguments("IBuilderConfig.progress_monitor")[0]
    goes_on = []

    def build(call):
        scene.callbacks.phase_start(monitor, "Tactics", 20)
        goes_on.append(scene.callbacks.step_complete(monitor, "Tactics", 0))
        return 0

    with scene.instead("Builder.build_serialized_network", build):
        try:
            api.build(scene.builder, scene.network, scene.config)
        except KeyboardInterrupt:
            assert goes_on == [False]
            return
    raise AssertionError("the interrupt was lost")


def _calibration(batches, cache=b""):
    return Calibration("entropy2", cache, 3, batches)


def a_calibrator_gives_addresses_until_there_are_no_more(scene):
    api, guard = api_of(scene)
    asked, store = [], CacheStore()

    def batches(names):
        asked.append(names)
        return iter([[4096], [8192]])

    if scene.major >= 11:
        refusal(BuildError, lambda: make_calibrator(api.module, guard, _calibration(batches), store))
        return
    for algorithm in ("entropy2", "minmax"):
        calibration = _calibration(batches)._replace(algorithm=algorithm)
        api.calibrate_with(scene.config, make_calibrator(api.module, guard, calibration, store))
        gc.collect()  # the configuration has to keep it alive
        calibrator = scene.arguments("IBuilderConfig.int8_calibrator")[0]
        callbacks = scene.callbacks
        assert callbacks.batch_size(calibrator) == 3
        assert callbacks.read_cache(calibrator) is None
        assert [callbacks.batch(calibrator, ["image"]) for _ in range(3)] == [[4096], [8192], None]
        callbacks.write_cache(calibrator, CACHE)
        assert store.written == CACHE
        guard.raise_stored()
    assert asked == [["image"], ["image"]]


def a_calibrator_with_a_cache_gives_it_byte_by_byte(scene):
    api, guard = api_of(scene)
    if scene.major >= 11:
        return
    cache = bytes(range(256))
    calibrator = make_calibrator(api.module, guard, _calibration(None, cache), CacheStore())
    api.calibrate_with(scene.config, calibrator)
    assert scene.callbacks.read_cache(scene.arguments("IBuilderConfig.int8_calibrator")[0]) == cache


def an_error_in_calibration_ends_it_and_comes_back_from_the_build(scene):
    api, guard = api_of(scene)
    if scene.major >= 11:
        return

    def batches(names):
        yield [4096]
        raise BuildError("the picture is damaged")

    api.calibrate_with(scene.config, make_calibrator(api.module, guard, _calibration(batches), CacheStore()))
    calibrator = scene.arguments("IBuilderConfig.int8_calibrator")[0]
    answers = []

    def build(call):
        answers.extend(scene.callbacks.batch(calibrator, ["image"]) for _ in range(3))
        return 0

    with scene.instead("Builder.build_serialized_network", build):
        try:
            api.build(scene.builder, scene.network, scene.config)
        except BuildError as error:
            assert str(error) == "the picture is damaged", error
    assert answers == [[4096], None, None], answers


def a_plan_is_loaded_byte_by_byte_or_refused_with_the_reason(scene):
    api, _ = api_of(scene)
    arrived = []

    def deserialize(call):
        arrived.append(ctypes.string_at(call.arguments[0], call.arguments[1]))
        return scene.address("Runtime.deserialize_cuda_engine")

    with scene.instead("Runtime.deserialize_cuda_engine", deserialize):
        assert isinstance(api.deserialize(PLAN, "model.engine"), scene.trt.ICudaEngine)
    assert arrived == [PLAN]
    api.builder()  # whose logger the scene speaks through
    text = "6: The engine plan file is not compatible, expecting library version 8.2.3 got 8.2.1, please rebuild."
    with scene.saying("Runtime.deserialize_cuda_engine", ERROR, text):
        said = refusal(BuildError, lambda: api.deserialize(PLAN, "model.engine"))
    assert said.startswith("model.engine: ") and "8.2.3 and 8.2.1" in said, said
    with scene.instead("Runtime", 0):
        refusal(BuildError, lambda: api.deserialize(PLAN, "model.engine"))


def an_engine_keeps_its_runtime(scene):
    api, _ = api_of(scene)
    before = scene.deaths("Runtime")
    with scene.instead("Runtime.deserialize_cuda_engine", scene.world.object()):
        engine = api.deserialize(PLAN, "model.engine")
    gc.collect()
    assert scene.deaths("Runtime") == before, "the runtime was destroyed before its engine"
    del engine


def a_context_needs_memory(scene):
    api, _ = api_of(scene)
    assert isinstance(api.context(scene.engine), scene.trt.IExecutionContext)
    with scene.instead("ICudaEngine.create_execution_context", 0):
        refusal(BuildError, lambda: api.context(scene.engine))


def inputs_and_outputs_are_described(scene):
    api, _ = api_of(scene)
    assert api.bindings(scene.engine) == BINDINGS
    if scene.major == 8:
        old, _ = api_of(scene, module=of_8_2(scene.trt))
        assert old.bindings(as_in_8_2(scene.engine)) == BINDINGS


def a_run_gets_addresses_and_stream(scene):
    api, _ = api_of(scene)
    bound = api.bind(scene.context, BINDINGS, ADDRESSES)
    given = [arguments[1] for arguments in scene.all_arguments("IExecutionContext.set_tensor_address")]
    assert given[-2:] == [ADDRESSES["image"], ADDRESSES["features"]], given
    api.enqueue(bound, STREAM)
    assert scene.arguments("IExecutionContext.execute_async_v3")[0] == STREAM
    with scene.instead("IExecutionContext.set_tensor_address", 0):
        assert "'image'" in refusal(BackendError, lambda: api.bind(scene.context, BINDINGS, ADDRESSES))
    with scene.instead("IExecutionContext.execute_async_v3", 0):
        refusal(BackendError, lambda: api.enqueue(bound, STREAM))


def a_run_before_8_5_gets_addresses_in_the_order_of_bindings(scene):
    if scene.major != 8:
        return
    api, _ = api_of(scene, module=of_8_2(scene.trt))
    bound = api.bind(as_in_8_2(scene.context), BINDINGS, ADDRESSES)
    given = []

    def execute(call):
        given.append(list((ctypes.c_uint64 * 2).from_address(call.arguments[0])))
        given.append(call.arguments[1])
        return 1

    with scene.instead("IExecutionContext.execute_async_v2", execute):
        api.enqueue(bound, STREAM)
    assert given == [[ADDRESSES["image"], ADDRESSES["features"]], STREAM], given
    with scene.instead("IExecutionContext.execute_async_v2", 0):
        refusal(BackendError, lambda: api.enqueue(bound, STREAM))


def a_profiler_hears_every_layer_and_may_raise(scene):
    api, _ = api_of(scene)
    heard = Heard()
    api.profile(scene.context, heard)
    gc.collect()
    profiler = scene.arguments("IExecutionContext.profiler")[0]
    scene.callbacks.report_layer_time(profiler, "conv + relu", 1.5)
    assert heard.calls == [("conv + relu", 1.5)]
    api.profile(scene.context, Heard(ValueError("no more")))
    profiler = scene.arguments("IExecutionContext.profiler")[0]
    bound = api.bind(scene.context, BINDINGS, ADDRESSES)

    def execute(call):
        scene.callbacks.report_layer_time(profiler, "conv + relu", 1.5)
        return 1

    with scene.instead("IExecutionContext.execute_async_v3", execute):
        try:
            api.enqueue(bound, STREAM)
        except ValueError as error:
            assert str(error) == "no more"
            return
    raise AssertionError("the error was lost")


def a_profiler_lives_as_long_as_its_context(scene):
    api, _ = api_of(scene)
    sink = Heard()
    alive = weakref.ref(sink)
    context = api.context(scene.engine)
    api.profile(context, sink)
    del sink
    gc.collect()
    assert alive() is not None, "TensorRT would call a profiler that is gone"


def the_inspector_tells_what_the_engine_is_made_of(scene):
    api, _ = api_of(scene)
    assert api.layer_information(scene.engine) == INFORMATION.decode()
    kind = scene.arguments("EngineInspector.get_engine_information")[0] & 0xFFFFFFFF
    assert kind == int(scene.trt.LayerInformationFormat.JSON)
    with scene.instead("ICudaEngine.create_engine_inspector", 0):
        assert api.layer_information(scene.engine) == ""
    with scene.instead("EngineInspector.get_engine_information", b""):
        assert api.layer_information(scene.engine) == ""
    assert api.layer_information(as_in_8_0(scene.engine)) == ""


CHECKS = (
    phases_are_reported_where_tensorrt_does,
    a_sink_of_phases_that_raises_cancels_the_build,
    a_calibrator_gives_addresses_until_there_are_no_more,
    a_calibrator_with_a_cache_gives_it_byte_by_byte,
    an_error_in_calibration_ends_it_and_comes_back_from_the_build,
    a_plan_is_loaded_byte_by_byte_or_refused_with_the_reason,
    an_engine_keeps_its_runtime,
    a_context_needs_memory,
    inputs_and_outputs_are_described,
    a_run_gets_addresses_and_stream,
    a_run_before_8_5_gets_addresses_in_the_order_of_bindings,
    a_profiler_hears_every_layer_and_may_raise,
    a_profiler_lives_as_long_as_its_context,
    the_inspector_tells_what_the_engine_is_made_of,
)
