"""The builder: checks a network, times its layers, writes a plan; or says why not, and gives None."""

import signal

from standin_cuda import MIB
from standin_faults import compute_capability, crash, die, fault

from tensorrt._calibration import calibrate
from tensorrt._callbacks import IErrorRecorder, ILogger
from tensorrt._config import IBuilderConfig, dla_cores
from tensorrt._layers import engine_layers, needed, pinned
from tensorrt._native import native_code
from tensorrt._network import FLOATS, INetworkDefinition
from tensorrt._plan import IHostMemory, pack
from tensorrt._pybind import Attribute, Object, instance, integer, optional, size, strict
from tensorrt._timing import Cancelled, time_layers
from tensorrt._types import MAJOR
from tensorrt._version import VERSION
from tensorrt._voice import Voice

_FAST_FP16, _FAST_INT8 = ((5, 3), (6, 0), (6, 2)), ((6, 1),)  # and everything from 7.0 on
_NO_GPU = (
    "CUDA initialization failure with error: 100. Please check your CUDA installation: "
    "http://docs.nvidia.com/cuda/cuda-installation-guide-linux/index.html"
)
_CALL = "IBuilder::buildSerializedNetwork"
_CONSTRAINTS = {"STRICT_TYPES", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"}


class Builder(Object):
    """Makes networks and engines."""

    error_recorder = Attribute(optional(instance(IErrorRecorder)))
    max_batch_size = Attribute(integer, 1)
    max_threads = Attribute(integer, 1)

    @strict(logger=instance(ILogger))
    def __init__(self, logger):
        super().__init__()
        no_factory(logger)
        self._logger = logger

    @property
    def logger(self):
        """Who hears what it says."""
        return self._logger

    @property
    def num_DLA_cores(self):
        """Of this machine."""
        return dla_cores()

    @property
    def max_DLA_batch_size(self):
        """Of this machine."""
        return 4096 if dla_cores() else 0

    @property
    def platform_has_fast_fp16(self):
        """Whether the GPU has units for it."""
        return _has_units(_FAST_FP16)

    @property
    def platform_has_fast_int8(self):
        """Whether the GPU has units for it."""
        return _has_units(_FAST_INT8)

    @property
    def platform_has_tf32(self):
        """Whether the GPU has units for it."""
        return compute_capability() >= (8, 0)

    def reset(self):
        """There is nothing to forget."""

    @strict(flags=size)
    def create_network(self, flags=0):
        """An empty one; the flags are a bit each."""
        return None if fault("network_none") else INetworkDefinition(self, flags)

    def create_builder_config(self):
        """Settings as they are by default."""
        return IBuilderConfig()

    @strict(network=instance(INetworkDefinition), config=instance(IBuilderConfig))
    def is_network_supported(self, network, config):
        """Whether a build would begin."""
        return _problem(network, config) is None

    @strict(network=instance(INetworkDefinition), config=instance(IBuilderConfig))
    def build_serialized_network(self, network, config):
        """The plan; ``None`` where the build fails."""
        with native_code():
            return self._build(network, config, Voice(self._logger, self.error_recorder))

    def _build(self, network, config, voice):
        _check_names(network)
        problem = _problem(network, config)
        if problem is not None:
            voice.error(problem[1], problem[0], "builder.cpp::buildSerializedNetwork", _CALL)
            return self._failed(voice)
        is_half = "FP16" in config._flags and not network._strongly_typed
        _warn(self, network, config, voice)
        has_ranges = config.int8_calibrator is None or "INT8" not in config._flags or _quantized(network)
        if not has_ranges and not calibrate(network, config.int8_calibrator, voice):
            return self._failed(voice)
        layers = needed(network)
        kept = pinned(network, layers, bool(_CONSTRAINTS & config._flags) and not network._strongly_typed)
        engine = engine_layers(network, layers, is_half, kept)
        try:
            time_layers(engine, config, voice, lambda: _fail_of_memory(config))
        except Cancelled:
            return None
        for severity, text in fault("build_log"):
            voice.say(severity, text)
        if fault("build_none"):
            return None
        if _is_above("oom_above_mib", config):
            _say_out_of_memory(engine, config, voice)
            return self._failed(voice)
        voice.info(
            "Detected {} inputs and {} output network tensors.".format(len(network._inputs), len(network._outputs))
        )
        return IHostMemory(pack(_facts(network, config, layers, engine, kept, is_half), network._onnx))

    def _failed(self, voice):
        """What 8 says behind the reason."""
        if MAJOR < 10:
            voice.error("Assertion engine != nullptr failed. ", 2, "builder.cpp::buildSerializedNetwork::609")


def no_factory(logger):
    """Ends the making of a Builder or Runtime where there is no GPU."""
    crash("create")
    if fault("no_gpu"):
        if MAJOR >= 10:
            Voice(logger).error(_NO_GPU, 6, call="createInferBuilder")
        else:
            Voice(logger).warning(_NO_GPU)
        raise TypeError("pybind11::init(): factory function returned nullptr")


def _has_units(capabilities):
    return compute_capability() in capabilities or compute_capability() >= (7, 0)


def _problem(network, config):
    """Why a build cannot begin: TensorRT's error code and its words."""
    if not network._outputs:
        return 4, "Network must have at least one output"
    if any(-1 in tensor._shape for tensor in network._inputs):
        return 4, "Network has dynamic or shape inputs, but no optimization profile has been defined."
    wishes = [layer._precision for layer in network._layers if layer._precision]
    wishes += [each for layer in network._layers for each in layer._output_types.values()]
    wishes += [tensor._wanted for tensor in network._inputs + network._outputs if tensor._wanted]
    if network._strongly_typed and (wishes or {"FP16", "INT8"} & config._flags):
        return 3, "Parameter check failed, condition: precision flags and constraints in a strongly typed network"
    if "float16" in wishes and "FP16" not in config._flags:
        return 4, "fp16 precision has been set for a layer or layer output, but fp16 is not configured in the builder"
    for layer in network._layers:
        for index, dtype in layer._output_types.items():
            if dtype in FLOATS and layer._outputs[index]._dtype not in FLOATS:
                return 4, "{}: output {} cannot be of a floating-point type".format(layer._name, index)
    if _quantized(network):
        if not _has_units(_FAST_INT8):
            return 9, "Networks with QuantizeLayer/DequantizeLayer layers require hardware with Int8 support."
        if "INT8" not in config._flags and not network._strongly_typed:
            return (
                4,
                "int8 precision has been set for a layer or layer output, but int8 is not configured in the builder",
            )
    if config.default_device_type.name == "DLA" and "GPU_FALLBACK" not in config._flags:
        for layer in network._layers:
            if not config.can_run_on_DLA(layer):
                return 4, (
                    "Default DLA is enabled but layer {} is not supported on DLA and falling back to GPU is not "
                    "enabled.".format(layer._name)
                )
    return None


def _warn(builder, network, config, voice):
    """What is suspicious, and goes on."""
    if "INT8" in config._flags and not builder.platform_has_fast_int8:
        voice.warning(
            "Int8 support requested on hardware without native Int8 support, performance will be negatively affected."
        )
    if "FP16" in config._flags and not builder.platform_has_fast_fp16:
        voice.warning(
            "Half2 support requested on hardware without native FP16 support, performance will be negatively affected."
        )
    if "INT8" in config._flags and config.int8_calibrator is None and not _quantized(network):
        voice.warning(
            "Calibrator is not being used. Users must provide dynamic range for all tensors that are not Int32 or Bool."
        )
    for layer in network._layers:
        if layer._precision in FLOATS and not any(tensor._dtype in FLOATS for tensor in layer._outputs):
            voice.warning("{} has invalid precision {}, ignored.".format(layer._name, layer._precision))
    if VERSION < (8, 4) and config._workspace < MIB:
        voice.info(
            "Some tactics do not have sufficient workspace memory to run. Increasing workspace size may increase "
            "performance, please check verbose output."
        )


def _fail_of_memory(config):
    """What happens in the middle of a build."""
    crash("build")
    if _is_above("kill_above_mib", config):
        die(signal.SIGKILL)


def _is_above(name, config):
    limit = fault(name)
    return limit is not None and config._workspace > limit * MIB


def _say_out_of_memory(engine, config, voice):
    """In the words of each version."""
    asked, node = config._workspace, engine[0].name
    voice.warning(
        "Requested amount of GPU memory ({} bytes) could not be allocated. There may not be enough free memory for "
        "allocation to succeed.".format(asked)
    )
    if VERSION < (8, 5):
        voice.warning(
            "Tactic Device request: {}MB Available: {}MB. Device memory is insufficient to use tactic.".format(
                asked // MIB, fault("free_mib")
            )
        )
        voice.warning(
            "Skipping tactic 3 due to insuficient memory on requested size of {} detected for tactic 4.\nTry "
            "decreasing the workspace size with IBuilderConfig::setMaxWorkspaceSize().".format(asked // MIB)
        )
    else:
        text = "[virtualMemoryBuffer.cpp::resizePhysical::154] Error Code 2: OutOfMemory (Requested size was {} bytes.)"
        voice.error(("" if MAJOR >= 10 else "2: ") + text.format(asked))
        voice.warning(
            "UNSUPPORTED_STATE: Skipping tactic 0 due to insufficient memory on requested size of {} detected for "
            "tactic 0x0000000000000000.".format(asked)
        )
    voice.error(
        "Could not find any implementation for node {}.".format(node), 10, "optimizer.cpp::computeCosts::2011", _CALL
    )


def _facts(network, config, layers, engine, kept, is_half):
    """What the plan says of the engine."""
    loose = {tensor for layer in layers if layer not in kept for tensor in layer._outputs}
    return {
        "inputs": [_end(tensor) for tensor in network._inputs],
        "outputs": [
            dict(_end(tensor), rounded=is_half and tensor in loose and tensor._dtype == "float32")
            for tensor in network._outputs
        ],
        "half": is_half,
        "names": _names(layers),
        "pinned": _names(kept),
        "layers": [each.facts() for each in engine],
        "verbosity": int(config.profiling_verbosity),
    }


def _end(tensor):
    return {
        "name": tensor._name,
        "onnx": tensor._onnx_name,
        "dtype": tensor._wanted or tensor._dtype,
        "shape": list(tensor._shape),
    }


def _names(layers):
    """Of layers and of what they compute, as the ONNX file has them."""
    return sorted(
        {name for layer in layers for name in [layer._onnx_name] + [each._onnx_name for each in layer._outputs]}
    )


def _quantized(network):
    return any(layer._type in ("QUANTIZE", "DEQUANTIZE") for layer in network._layers)


def _check_names(network):
    """A fault that names what the file does not have would never come to pass."""
    unknown = set(fault("nan_unless_fp32")) | set(fault("wrong_unless_fp32"))
    unknown -= set(_names(network._layers))
    if unknown:
        raise ValueError("no layer or tensor is called {}".format(", ".join(sorted(unknown))))
