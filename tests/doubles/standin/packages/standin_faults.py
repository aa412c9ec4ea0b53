"""What a test asks the stand-in machine to be and to get wrong; the package ``tensorrt`` beside this says what each is.

The variable ``STANDIN_FAULTS`` holds them as JSON. It is read at every call, so that a test may change its mind.
"""

import json
import os
import resource
import signal
import time

FAULTS = {
    # the machine
    "device": "NVIDIA Tegra X2",
    "sm": "6.2",
    "integrated": True,
    "cuda": "10.2",
    "dla_cores": None,
    "total_mib": 7800,
    "free_mib": 4000,
    "no_gpu": False,
    "tensorrt_missing": False,
    "pycuda_missing": False,
    # the build
    "network_none": False,
    "parse_fail_node": None,
    "layer_names": {},
    "build_seconds": 0.0,
    "build_log": (),
    "build_none": False,
    "oom_above_mib": None,
    "kill_above_mib": None,
    "timing_cache_none": False,
    "cancel_ignored": False,
    # the run
    "deserialize_none": False,
    "context_none": False,
    "execute_false": False,
    "nan_unless_fp32": (),
    "wrong_unless_fp32": (),
    "wrong": False,
    # the process
    "abort": False,
    "segfault": False,
    "kill": False,
    "hang": False,
}
STAGES = ("create", "parse", "build", "deserialize", "execute")
_SIGNALS = {"abort": signal.SIGABRT, "segfault": signal.SIGSEGV, "kill": signal.SIGKILL}
_FOREVER_S = 3600.0


def fault(name):
    """The value of a fault: the test's, or what it is without one."""
    return given(os.environ.get("STANDIN_FAULTS", "")).get(name, FAULTS[name])


def given(text):
    """The faults in a text of JSON; one that nobody knows is a slip of the test's, and so is an unknown stage."""
    faults = json.loads(text or "{}")
    unknown = sorted(set(faults) - set(FAULTS))
    if unknown:
        raise ValueError("the stand-in knows no fault {}".format(", ".join(unknown)))
    for name in ("abort", "segfault", "kill", "hang"):
        if faults.get(name, True) not in (True, False) + STAGES:
            raise ValueError("the stand-in cannot {} in {!r}".format(name, faults[name]))
    return faults


def crash(stage):
    """Ends the process here, or stops it for good, if that was asked for at this stage."""
    for name, number in _SIGNALS.items():
        if _is_meant(name, stage):
            die(number)
    if _is_meant("hang", stage):
        time.sleep(_FOREVER_S)


def die(number):
    """Ends the process by a signal, and leaves no core file behind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), number)
    time.sleep(_FOREVER_S)  # the signal may reach another thread a moment later


def _is_meant(name, stage):
    value = fault(name)
    return value == stage or (value is True and stage == "build")


def missing_module(name, package):
    """Raises what ``import package`` raises where it is absent (True) or cannot load its library (a text)."""
    wanted = fault(name)
    if wanted is True:
        raise ModuleNotFoundError("No module named {!r}".format(package), name=package)
    if wanted:
        raise ImportError(wanted, name=package)


def compute_capability():
    """Of the GPU: (6, 2)."""
    major, minor = fault("sm").split(".")
    return int(major), int(minor)
