"""How to build: flags, memory, timing cache, calibrator."""

import json
import warnings

from standin_cuda import MIB
from standin_faults import fault

from tensorrt._callbacks import IInt8Calibrator, IProgressMonitor
from tensorrt._network import ILayer
from tensorrt._plan import IHostMemory
from tensorrt._pybind import Attribute, Object, data, instance, integer, optional, size, strict
from tensorrt._types import BuilderFlag, DeviceType, MemoryPoolType, ProfilingVerbosity
from tensorrt._version import TEXT, VERSION

_WORKSPACE = "WORKSPACE"
_CACHE_BEGINS = b"standin timing cache\n"


class ITimingCache(Object):
    """Which layers have been timed, on which machine."""

    _constructible = False

    def __init__(self, content):
        super().__init__()
        self._machine, self._keys, self._is_readable = (TEXT, fault("sm")), set(), True
        if content:
            try:
                begin, facts = content[: len(_CACHE_BEGINS)], json.loads(content[len(_CACHE_BEGINS) :].decode("utf-8"))
                self._is_readable = begin == _CACHE_BEGINS
                self._machine, self._keys = (facts["tensorrt"], facts["sm"]), set(facts["layers"])
            except (KeyError, TypeError, ValueError):
                self._is_readable = False

    def _fits(self, ignore_mismatch):
        """The version has to be this one; another GPU may be allowed."""
        version, sm = self._machine
        return self._is_readable and version == TEXT and (ignore_mismatch or sm == fault("sm"))

    def serialize(self):
        """Its bytes."""
        facts = {"tensorrt": self._machine[0], "sm": self._machine[1], "layers": sorted(self._keys)}
        return IHostMemory(_CACHE_BEGINS + json.dumps(facts, sort_keys=True).encode("utf-8"))

    @strict(ignore_mismatch=bool)
    def combine(self, input_cache, ignore_mismatch):
        """Takes over what another has."""
        if not input_cache._fits(ignore_mismatch):
            return False
        self._keys |= input_cache._keys
        return True

    def reset(self):
        """Forgets everything."""
        self._keys = set()
        return True


class IBuilderConfig(Object):
    """Settings; ``_flags`` are names."""

    _constructible = False
    default_device_type = Attribute(instance(DeviceType), DeviceType.GPU)
    profiling_verbosity = Attribute(instance(ProfilingVerbosity), ProfilingVerbosity(0))
    int8_calibrator = Attribute(optional(instance(IInt8Calibrator)))
    progress_monitor = Attribute(optional(instance(IProgressMonitor)))
    DLA_core = Attribute(integer, -1)
    avg_timing_iterations = Attribute(integer, 1)
    min_timing_iterations = Attribute(integer, 1)
    builder_optimization_level = Attribute(integer, 3)
    max_aux_streams = Attribute(integer, -1)
    profile_stream = Attribute(size, 0)

    def __init__(self):
        super().__init__()
        self.reset()

    def reset(self):
        """Everything as it was."""
        self._flags, self._pools, self._devices, self._timing_cache = set(), {}, {}, None
        if "TF32" in BuilderFlag._members:
            self._flags.add("TF32")
        self._tactic_sources = None

    @strict(flag=instance(BuilderFlag))
    def set_flag(self, flag):
        """Switches it on."""
        self._flags.add(flag.name)

    @strict(flag=instance(BuilderFlag))
    def clear_flag(self, flag):
        """Switches it off."""
        self._flags.discard(flag.name)

    @strict(flag=instance(BuilderFlag))
    def get_flag(self, flag):
        """Whether it is on."""
        return flag.name in self._flags

    @property
    def flags(self):
        """All of them, a bit each."""
        return sum(1 << int(member) for name, member in BuilderFlag._members.items() if name in self._flags)

    @flags.setter
    @strict(value=integer)
    def flags(self, value):
        self._flags = {name for name, member in BuilderFlag._members.items() if value >> int(member) & 1}

    @property
    def max_workspace_size(self):
        """In bytes."""
        return self._workspace

    @max_workspace_size.setter
    @strict(value=size)
    def max_workspace_size(self, value):
        if VERSION >= (8, 4):
            warnings.warn("Use set_memory_pool_limit instead.", DeprecationWarning, stacklevel=3)
        self._pools[_WORKSPACE] = value

    @property
    def _workspace(self):
        """In bytes: nothing unless it was set, from 8.4 on all of the device's memory."""
        return self._pools.get(_WORKSPACE, fault("total_mib") * MIB if VERSION >= (8, 4) else 0)

    @strict(pool=instance(MemoryPoolType), pool_size=size)
    def set_memory_pool_limit(self, pool, pool_size):
        """In bytes."""
        self._pools[pool.name] = pool_size

    @strict(pool=instance(MemoryPoolType))
    def get_memory_pool_limit(self, pool):
        """In bytes."""
        return self._workspace if pool.name == _WORKSPACE else self._pools.get(pool.name, 0)

    @strict(tactic_sources=integer)
    def set_tactic_sources(self, tactic_sources):
        """A bit each."""
        self._tactic_sources = tactic_sources
        return True

    def get_tactic_sources(self):
        """A bit each."""
        return self._tactic_sources or 0

    @strict(layer=instance(ILayer), device_type=instance(DeviceType))
    def set_device_type(self, layer, device_type):
        """Where a layer is to run."""
        self._devices[layer] = device_type

    @strict(layer=instance(ILayer))
    def get_device_type(self, layer):
        """Where a layer is to run."""
        return self._devices.get(layer, self.default_device_type)

    @strict(layer=instance(ILayer))
    def is_device_type_set(self, layer):
        """Whether it was said for this layer."""
        return layer in self._devices

    @strict(layer=instance(ILayer))
    def reset_device_type(self, layer):
        """As for all layers."""
        self._devices.pop(layer, None)

    @strict(layer=instance(ILayer))
    def can_run_on_DLA(self, layer):
        """Convolutions and what goes with them can, where there is one."""
        return dla_cores() > 0 and layer._type in (
            "CONVOLUTION",
            "DECONVOLUTION",
            "ACTIVATION",
            "POOLING",
            "ELEMENTWISE",
        )

    @strict(serialized_timing_cache=data)
    def create_timing_cache(self, serialized_timing_cache):
        """From another one's bytes, or an empty one."""
        return None if fault("timing_cache_none") else ITimingCache(serialized_timing_cache)

    @strict(cache=instance(ITimingCache), ignore_mismatch=bool)
    def set_timing_cache(self, cache, ignore_mismatch):
        """False where it is of another version or, unless that is ignored, of another GPU."""
        if not cache._fits(ignore_mismatch):
            return False
        self._timing_cache = cache
        return True

    def get_timing_cache(self):
        """The one that was set."""
        return self._timing_cache


def dla_cores():
    """Of this machine: Xavier and Orin have two."""
    cores = fault("dla_cores")
    return {"7.2": 2, "8.7": 2}.get(fault("sm"), 0) if cores is None else cores
