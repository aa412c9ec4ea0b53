"""The one room that knows TensorRT's versions: everybody else asks for what they want, never for a version.

Differences are found by looking whether a member is there, by name: the integers behind enums move between versions,
and members come and go (8.0 to 11.4 were compared, member by member). A call that reports failure as ``None`` or
``False`` becomes an error here, with TensorRT's last messages or the known cause behind them.

What differs, by version:

    networks       8: explicit batch has to be asked for; 10: strongly typed ones exist; 11: there are no others
    workspace      up to 8.3: config.max_workspace_size (0 unless set); from 8.4: a pool limit (all memory unless set)
    precisions     up to 10: builder flags; 11: none, the network's own types count
    constraints    8.0: STRICT_TYPES; 8.2 to 10: OBEY_PRECISION_CONSTRAINTS; 11: none
    hardware asked up to 10: builder.platform_has_fast_*; 11: the compute capability tells
    calibrators    up to 10
    progress       from 10: IProgressMonitor; before: the verbose log names the layer that is timed
    inspector      from 8.2
    inputs and     up to 8.4: bindings by index, execute_async_v2; from 8.5: tensors by name, execute_async_v3 (8.5 and
    outputs        8.6 have both)
"""

from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ccc_jetson.engines.cuda import cannot_import
from ccc_jetson.engines.manifest import Binding
from ccc_jetson.engines.preflight import MIB
from ccc_jetson.engines.tensorrt_callbacks import Guard, make_logger, make_monitor, make_profiler
from ccc_jetson.engines.tensorrt_log import TensorRTLog
from ccc_jetson.errors import BackendError, BuildError, CccError

FP32, FP16, INT8 = "fp32", "fp16", "int8"
_FLAGS = {FP16: "FP16", INT8: "INT8"}
_FAST = {FP16: "platform_has_fast_fp16", INT8: "platform_has_fast_int8"}
_TYPES = {
    "FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "BOOL": "bool", "UINT8": "uint8",
    "INT64": "int64", "BF16": "bfloat16", "FP8": "float8e4m3fn", "INT4": "int4", "FP4": "float4e2m1",
}  # fmt: skip
# Operators whose output TensorRT computes in a floating-point type that can be chosen
_UNTYPED_LAYERS = ("CONSTANT", "SHAPE", "QUANTIZE", "DEQUANTIZE", "IDENTITY", "CAST", "ASSERTION")


class ParseError(NamedTuple):
    """Why the parser stopped: its words, and the index of the ONNX node concerned (-1: none)."""

    text: str
    node: int


def import_tensorrt() -> Any:
    """NVIDIA's ``tensorrt`` package.

    Raises:
        DependencyMissing: with where it comes from.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise cannot_import(
            "TensorRT",
            error,
            "on a Jetson it comes with JetPack for the system's own python3 (python3 -m venv "
            "--system-site-packages to use it in an environment); on a PC with an NVIDIA GPU: pip install tensorrt",
        )
    return tensorrt


class TensorRT:
    """The installed TensorRT.

    Args:
        module: the package ``tensorrt``.
        log: where its messages are kept.
        guard: keeps exceptions of callbacks, the logger's included.
        sink: also gets every message: severity, text.
    """

    def __init__(self, module: Any, log: TensorRTLog, guard: Guard, sink: Any = None) -> None:
        self._module = module
        self._log = log
        self._guard = guard

        def listen(severity: str, text: str) -> None:
            log.add(severity, text)
            if sink is not None:
                sink(severity, text)

        self._logger = make_logger(module, guard, listen)
        # importers of TensorRT 8 make plugins of some operators (InstanceNormalization): they have to be registered
        if not module.init_libnvinfer_plugins(self._logger, ""):
            raise log.failure("TensorRT's own plugins cannot be registered")

    @property
    def module(self) -> Any:
        """The package itself, for callbacks' base classes."""
        return self._module

    @property
    def version(self) -> str:
        """As the package says it: ``8.2.1.8``."""
        return str(self._module.__version__)

    # building

    def builder(self) -> Any:
        """A builder.

        Raises:
            BuildError: no GPU can be used.
        """
        self._log.clear()
        what = "TensorRT {} can use no GPU here".format(self.version)
        return self._made(lambda: self._module.Builder(self._logger), what)

    def network(self, builder: Any, strongly_typed: bool) -> Any:
        """An empty network; ``strongly_typed`` where the ONNX file states the types (TensorRT 10 and newer)."""
        kinds = self._module.NetworkDefinitionCreationFlag
        flags = 0
        if hasattr(kinds, "EXPLICIT_BATCH"):
            flags |= 1 << int(kinds.EXPLICIT_BATCH)
        if strongly_typed:
            if not hasattr(kinds, "STRONGLY_TYPED"):
                raise BuildError(
                    "the network states its types (ccc-export --fp16), which TensorRT {} does not follow".format(
                        self.version
                    ),
                    hint="export it without --fp16; ccc-build-engine --fp16 chooses the types here",
                )
            flags |= 1 << int(kinds.STRONGLY_TYPED)
        return self._checked(builder.create_network(flags), "TensorRT gives no network")

    def parse(self, network: Any, model: bytes) -> Tuple[Any, List[ParseError]]:
        """Reads an ONNX file's bytes into ``network``: the parser, to be kept while the network is, and its errors."""
        self._log.clear()
        parser = self._made(lambda: self._module.OnnxParser(network, self._logger), "TensorRT gives no ONNX parser")
        parsed = parser.parse(model)
        self._guard.raise_stored()
        if parsed:
            return parser, []
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        found = [ParseError(str(error.desc()), int(error.node())) for error in errors]
        return parser, found or [ParseError(str(self._log.failure("it gives no reason")), -1)]

    def config(self, builder: Any) -> Any:
        """A configuration with this module's own defaults: names of layers are kept for reports."""
        config = self._checked(builder.create_builder_config(), "TensorRT gives no builder configuration")
        levels = self._module.ProfilingVerbosity
        config.profiling_verbosity = levels.DETAILED if hasattr(levels, "DETAILED") else levels.VERBOSE
        return config

    def set_workspace(self, config: Any, mib: int) -> None:
        """The scratch memory that a layer may use, in MiB."""
        if hasattr(config, "set_memory_pool_limit"):
            config.set_memory_pool_limit(self._module.MemoryPoolType.WORKSPACE, int(mib) * MIB)
        else:
            config.max_workspace_size = int(mib) * MIB

    def is_fast(self, builder: Any, precision: str) -> Optional[bool]:
        """Whether this GPU has units for ``FP16`` or ``INT8``; ``None`` where this TensorRT cannot say."""
        answer = getattr(builder, _FAST[precision], None)
        return None if answer is None else bool(answer)

    @property
    def has_precision_flags(self) -> bool:
        """Whether the builder chooses precisions; where it does not, the network's own types count."""
        return hasattr(self._module.BuilderFlag, "FP16")

    def allow(self, config: Any, precision: str) -> None:
        """Lets the builder use ``FP16`` or ``INT8`` beside FP32."""
        flag = getattr(self._module.BuilderFlag, _FLAGS[precision], None)
        if flag is None:
            raise BuildError(
                "TensorRT {} has no flag for {}: types are those of the network".format(
                    self.version, precision.upper()
                ),
                hint="ccc-export CHECKPOINT MODEL.onnx --target orin --fp16"
                if precision == FP16
                else "export a model with QuantizeLinear and DequantizeLinear nodes",
            )
        config.set_flag(flag)

    def obey_precisions(self, config: Any) -> None:
        """Makes precisions that layers ask for binding: without it they are wishes."""
        flags = self._module.BuilderFlag
        for name in ("OBEY_PRECISION_CONSTRAINTS", "STRICT_TYPES"):
            if hasattr(flags, name):
                config.set_flag(getattr(flags, name))
                return
        raise self._types_are_the_networks()

    def set_precision(self, layer: Any, precision: str) -> bool:
        """Asks for a layer's computation and outputs in ``FP32`` or ``FP16``; False where it has no such choice."""
        if str(layer.type).rsplit(".", 1)[-1] in _UNTYPED_LAYERS:
            return False
        wanted = self._module.DataType.FLOAT if precision == FP32 else self._module.DataType.HALF
        outputs = [(index, layer.get_output(index)) for index in range(layer.num_outputs)]
        floats = [index for index, tensor in outputs if self._type_name(tensor.dtype).startswith("float")]
        if not floats:
            return False
        if not hasattr(layer, "precision"):
            raise self._types_are_the_networks()
        layer.precision = wanted
        for index in floats:
            layer.set_output_type(index, wanted)
        return True

    def is_float32(self, tensor: Any) -> bool:
        """Whether an input or output of the network is FP32."""
        return self._type_name(tensor.dtype) == "float32"

    def set_half_binding(self, tensor: Any) -> None:
        """An input or output of the network in FP16 and row-major order, so that no reformatting is added."""
        if not self.has_precision_flags:
            raise self._types_are_the_networks()
        tensor.dtype = self._module.DataType.HALF
        tensor.allowed_formats = 1 << int(self._module.TensorFormat.LINEAR)

    def use_dla(self, builder: Any, config: Any, core: int) -> None:
        """Runs what it can on a DLA core, and the rest on the GPU.

        Raises:
            BuildError: there is no such core here.
        """
        cores = int(builder.num_DLA_cores)
        if core >= cores:
            raise BuildError(
                "--dla {}: this machine has {}".format(core, "{} DLA cores".format(cores) if cores else "no DLA"),
                hint="build without --dla" if not cores else "--dla 0 to {}".format(cores - 1),
            )
        config.default_device_type = self._module.DeviceType.DLA
        config.DLA_core = int(core)
        config.set_flag(self._module.BuilderFlag.GPU_FALLBACK)

    def use_timing_cache(self, config: Any, data: bytes) -> bool:
        """Starts from an earlier build's measurements; False, and from nothing, where they are of another machine."""
        if data:
            cache = config.create_timing_cache(data)
            if cache is not None and config.set_timing_cache(cache, False):
                return True
        cache = self._checked(config.create_timing_cache(b""), "TensorRT gives no timing cache")
        if not config.set_timing_cache(cache, False):
            raise self._log.failure("TensorRT takes no timing cache")
        return False

    def timing_cache(self, config: Any) -> bytes:
        """The measurements after a build; empty where there are none."""
        cache = config.get_timing_cache()
        if cache is None:
            return b""
        data = cache.serialize()
        return b"" if data is None else bytes(data)

    def calibrate_with(self, config: Any, calibrator: Any) -> None:
        """Attaches a calibrator (``tensorrt_callbacks.make_calibrator``); keep it until the engine is built."""
        config.int8_calibrator = calibrator

    def watch(self, config: Any, sink: Any) -> bool:
        """Reports phases of the build to ``sink`` (name, steps done, steps); False where this TensorRT cannot."""
        if not hasattr(self._module, "IProgressMonitor"):
            return False
        config.progress_monitor = make_monitor(self._module, self._guard, sink)
        return True

    def build(self, builder: Any, network: Any, config: Any) -> bytes:
        """The plan.

        Raises:
            OutOfMemory: with a smaller workspace it may work.
            BuildError: with TensorRT's reason; or what a callback raised.
        """
        self._log.clear()
        plan = builder.build_serialized_network(network, config)
        self._guard.raise_stored()
        return bytes(self._checked(plan, "the engine could not be built"))

    # running

    def deserialize(self, plan: bytes, origin: str, dla_core: Optional[int] = None) -> Any:
        """An engine; keeps what it needs alive. The DLA core is chosen when it is loaded, not when it is built."""
        self._log.clear()
        runtime = self._made(lambda: self._module.Runtime(self._logger), "TensorRT gives no runtime")
        if dla_core is not None:
            runtime.DLA_core = int(dla_core)
        return self._checked(
            runtime.deserialize_cuda_engine(plan), "{}: TensorRT {} cannot load it".format(origin, self.version)
        )

    def context(self, engine: Any) -> Any:
        """What runs an engine; takes the engine's activation memory."""
        self._log.clear()
        return self._checked(engine.create_execution_context(), "the engine cannot be prepared to run")

    def bindings(self, engine: Any) -> Tuple[Binding, ...]:
        """Inputs and outputs, in the engine's order."""
        if hasattr(engine, "num_io_tensors"):
            return tuple(self._tensor(engine, index) for index in range(engine.num_io_tensors))
        return tuple(
            Binding(
                engine.get_binding_name(index),
                bool(engine.binding_is_input(index)),
                self._type_name(engine.get_binding_dtype(index)),
                tuple(int(size) for size in engine.get_binding_shape(index)),
            )
            for index in range(engine.num_bindings)
        )

    def _tensor(self, engine: Any, index: int) -> Binding:
        name = engine.get_tensor_name(index)
        return Binding(
            name,
            engine.get_tensor_mode(name) == self._module.TensorIOMode.INPUT,
            self._type_name(engine.get_tensor_dtype(name)),
            tuple(int(size) for size in engine.get_tensor_shape(name)),
        )

    def bind(self, context: Any, bindings: Tuple[Binding, ...], addresses: Mapping[str, int]) -> "Bound":
        """Says where each input and output lies on the device; to be said once, the addresses must stay."""
        if hasattr(context, "set_tensor_address"):
            for binding in bindings:
                if not context.set_tensor_address(binding.name, int(addresses[binding.name])):
                    raise self._run_failure("TensorRT refuses the address of {!r}".format(binding.name))
            return Bound(context, None)
        return Bound(context, [int(addresses[binding.name]) for binding in bindings])

    def enqueue(self, bound: "Bound", stream: int) -> None:
        """Starts a run on a CUDA stream (its handle); returns before it has ended."""
        if bound.addresses is None:
            started = bound.context.execute_async_v3(int(stream))
        else:
            started = bound.context.execute_async_v2(bound.addresses, int(stream))
        self._guard.raise_stored()
        if not started:
            raise self._run_failure("the engine did not run")

    def profile(self, context: Any, sink: Any) -> None:
        """Reports every layer's name and milliseconds to ``sink`` from now on; a run has ended when it returns."""
        context.profiler = make_profiler(self._module, self._guard, sink)

    def layer_information(self, engine: Any) -> str:
        """The engine inspector's JSON; empty where this TensorRT has none (8.0)."""
        if not hasattr(engine, "create_engine_inspector"):
            return ""
        inspector = engine.create_engine_inspector()
        if inspector is None:
            return ""
        return str(inspector.get_engine_information(self._module.LayerInformationFormat.JSON) or "")

    # both

    def _type_name(self, dtype: Any) -> str:
        """As numpy names it where numpy has it."""
        for name, found in _TYPES.items():
            if getattr(self._module.DataType, name, None) == dtype:
                return found
        return str(dtype)

    def _made(self, make: Callable[[], Any], what: str) -> Any:
        """A new object; a constructor that fails raises a TypeError of pybind's, which speaks of a nullptr."""
        try:
            return make()
        except TypeError as error:
            if "nullptr" not in str(error):
                raise
            raise self._log.failure(what)

    def _checked(self, value: Any, what: str) -> Any:
        """``value``, unless it is the ``None`` that means failure."""
        if value is None:
            raise self._log.failure(what)
        return value

    def _types_are_the_networks(self) -> BuildError:
        return BuildError(
            "TensorRT {} follows the network's own types: no layer, input or output can be given another".format(
                self.version
            ),
            hint="export the model in the types it shall have: ccc-export with or without --fp16",
        )

    def _run_failure(self, what: str) -> CccError:
        failure = self._log.failure(what)
        return BackendError(str(failure), hint=failure.hint)


class Bound(NamedTuple):
    """A context that knows where its inputs and outputs lie; ``addresses`` where they go with every call."""

    context: Any
    addresses: Optional[List[int]]


def layers(network: Any) -> Iterator[Any]:
    """The layers of a parsed network, in order."""
    return (network.get_layer(index) for index in range(network.num_layers))


def tensors(network: Any) -> Dict[str, Any]:
    """Every layer's outputs, by name."""
    found = {}
    for layer in layers(network):
        for index in range(layer.num_outputs):
            tensor = layer.get_output(index)
            if tensor is not None:
                found[tensor.name] = tensor
    return found
