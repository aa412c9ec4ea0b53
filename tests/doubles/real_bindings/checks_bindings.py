"""Checks of the double itself: NVIDIA's classes work over it, and its failures look like TensorRT's."""

import ctypes

from tests.doubles.real_bindings.scene import CACHE, ERROR, FEATURES, IMAGE, PLAN
from tests.doubles.real_bindings.world import PHONY, UNIVERSAL, World


def the_whole_way_from_a_builder_to_a_run_works(scene):
    trt = scene.trt
    builder = trt.Builder(trt.Logger())
    network = builder.create_network(1)
    parser = trt.OnnxParser(network, trt.Logger())
    assert parser.parse(b"model") is True
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 28)
    plan = builder.build_serialized_network(network, config)
    assert bytes(plan) == PLAN and plan.nbytes == len(PLAN)
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
    context = engine.create_execution_context()
    assert context.set_tensor_address("image", 4096) is True
    assert context.execute_async_v3(7) is True


def what_was_not_answered_is_harmless(scene):
    world = World(wide=scene.major >= 10)  # a world without a scene
    network = scene.trt.Builder(scene.trt.Logger()).create_network(1)
    assert network.num_layers == 0
    assert network.get_layer(0).name == PHONY
    assert tuple(network.get_input(0).shape) == ()
    assert {call.object for call in world.calls} == {0, UNIVERSAL}
    world.close()


def a_failure_is_none_or_false_as_on_a_real_machine(scene):
    trt, builder, network, config = scene.trt, scene.builder, scene.network, scene.config
    runtime = trt.Runtime(trt.Logger())
    parser = trt.OnnxParser(network, trt.Logger())
    for name, call in (
        ("Builder.create_network", lambda: builder.create_network(1)),
        ("Builder.create_builder_config", builder.create_builder_config),
        ("Builder.build_serialized_network", lambda: builder.build_serialized_network(network, config)),
        ("IBuilderConfig.create_timing_cache", lambda: config.create_timing_cache(b"")),
        ("IBuilderConfig.get_timing_cache", config.get_timing_cache),
        ("Runtime.deserialize_cuda_engine", lambda: runtime.deserialize_cuda_engine(PLAN)),
        ("ICudaEngine.create_execution_context", scene.engine.create_execution_context),
        ("ICudaEngine.create_engine_inspector", scene.engine.create_engine_inspector),
    ):
        with scene.instead(name, 0):
            assert call() is None, name
        assert call() is not None, name
    for name, call in (
        ("OnnxParser.parse", lambda: parser.parse(b"model")),
        ("IExecutionContext.set_tensor_address", lambda: scene.context.set_tensor_address("image", 1)),
        ("IExecutionContext.execute_async_v3", lambda: scene.context.execute_async_v3(0)),
    ):
        with scene.instead(name, 0):
            assert call() is False, name
        assert call() is True, name


def a_constructor_without_a_gpu_raises_what_users_see(scene):
    trt = scene.trt
    for name, construct in (
        ("Builder", lambda: trt.Builder(trt.Logger())),
        ("Runtime", lambda: trt.Runtime(trt.Logger())),
        ("OnnxParser", lambda: trt.OnnxParser(scene.network, trt.Logger())),
    ):
        with scene.instead(name, 0):
            try:
                construct()
            except TypeError as error:
                assert str(error) == "pybind11::init(): factory function returned nullptr", error
            else:
                raise AssertionError("{} was made".format(name))


def shapes_and_names_come_through(scene):
    engine = scene.engine
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    assert names == ["image", "features"]
    assert [tuple(engine.get_tensor_shape(name)) for name in names] == [IMAGE, FEATURES]
    assert [engine.get_tensor_dtype(name) for name in names] == [scene.trt.float32, scene.trt.float16]
    assert bytes(scene.config.get_timing_cache().serialize()) == CACHE


def arguments_arrive_as_they_were_given(scene):
    data = bytes(range(256))
    arrived = []

    def parse(call):
        arrived.append(ctypes.string_at(call.arguments[0], call.arguments[1]))
        return 1

    with scene.instead("OnnxParser.parse", parse):
        scene.trt.OnnxParser(scene.network, scene.trt.Logger()).parse(data)
    assert arrived == [data]
    scene.config.set_memory_pool_limit(scene.trt.MemoryPoolType.WORKSPACE, 5 << 30)
    assert scene.arguments("IBuilderConfig.set_memory_pool_limit")[:2] == (0, 5 << 30)


def argument_types_are_as_strict_as_on_a_real_machine(scene):
    trt, config, context = scene.trt, scene.config, scene.context
    pool = trt.MemoryPoolType.WORKSPACE
    for what, call in (
        ("a flag as a number", lambda: config.set_flag(3)),
        ("a shift by a flag", lambda: 1 << trt.BuilderFlag.TF32),
        ("a pool limit with a fraction", lambda: config.set_memory_pool_limit(pool, 1.5)),
        ("no stream", lambda: context.execute_async_v3(None)),
        ("an address as text", lambda: context.set_tensor_address("image", "1")),
        ("a model as text", lambda: trt.OnnxParser(scene.network, trt.Logger()).parse("model")),
    ):
        try:
            call()
        except TypeError:
            continue
        raise AssertionError("{} was taken".format(what))
    try:
        config.no_such_member = 1
    except AttributeError:
        return
    raise AssertionError("a member that does not exist could be set")


def a_logger_of_ours_is_called(scene):
    trt, heard = scene.trt, []

    class Logger(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)

        def log(self, severity, message):
            heard.append((int(severity), message))

    logger = Logger()
    builder = trt.Builder(logger)  # keeps the logger
    del logger
    scene.log(ERROR, "no memory")
    assert heard == [(ERROR, "no memory")]
    del builder


def the_end_of_an_object_is_noticed(scene):
    runtime = scene.trt.Runtime(scene.trt.Logger())
    before = scene.deaths("Runtime")
    del runtime
    assert scene.deaths("Runtime") == before + 1


CHECKS = (
    the_whole_way_from_a_builder_to_a_run_works,
    what_was_not_answered_is_harmless,
    a_failure_is_none_or_false_as_on_a_real_machine,
    a_constructor_without_a_gpu_raises_what_users_see,
    shapes_and_names_come_through,
    arguments_arrive_as_they_were_given,
    argument_types_are_as_strict_as_on_a_real_machine,
    a_logger_of_ours_is_called,
    the_end_of_an_object_is_noticed,
)
