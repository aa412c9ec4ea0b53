"""The longest part of a build: every layer is timed, unless the timing cache knows it."""

import threading
import time

from standin_faults import fault

from tensorrt._native import call_back
from tensorrt._types import MAJOR
from tensorrt._version import VERSION

_BUILD, _TIMING = "Building Engine", "Timing graph nodes"


class Cancelled(Exception):
    """The progress monitor has ended the build."""


class _Progress:
    """Tells a progress monitor, if there is one."""

    def __init__(self, monitor):
        self._monitor = monitor if MAJOR >= 10 else None

    def start(self, phase, parent, steps):
        if self._monitor is not None:
            call_back(self._monitor, "phase_start", phase, parent, steps)

    def step(self, phase, step):
        """Raises Cancelled where the monitor says so; an exception of its own means that, too."""
        if self._monitor is not None:
            goes_on = call_back(self._monitor, "step_complete", phase, step, convert=bool, default=False)
            if not goes_on and not fault("cancel_ignored"):
                raise Cancelled()

    def finish(self, phase):
        if self._monitor is not None:
            call_back(self._monitor, "phase_finish", phase)


def time_layers(engine, config, voice, between):
    """Times every layer; ``between`` is called after the first.

    Raises:
        Cancelled: by the progress monitor.
    """
    cache = None if "DISABLE_TIMING_CACHE" in config._flags else config._timing_cache
    _announce(cache, voice)
    progress = _Progress(config.progress_monitor)
    progress.start(_BUILD, None, 1)
    try:
        _on_a_thread_of_its_own(lambda: _time_all(engine, cache, voice, between, progress))
        progress.step(_BUILD, 0)
    finally:
        progress.finish(_BUILD)


def _announce(cache, voice):
    if VERSION >= (8, 4):
        which, stored = ("Local", "not be") if cache is None else ("Global", "be")
        voice.info(
            "{} timing cache in use. Profiling results in this builder pass will {} stored.".format(which, stored)
        )
    elif cache is None:
        voice.warning("Detected invalid timing cache, setup a local cache instead")


def _time_all(engine, cache, voice, between, progress):
    progress.start(_TIMING, _BUILD, len(engine))
    try:
        for index, layer in enumerate(engine):
            if cache is None or layer.key not in cache._keys:
                _time_one(layer, voice, fault("build_seconds") / len(engine))
                if cache is not None:
                    cache._keys.add(layer.key)
            if index == 0:
                between()
            progress.step(_TIMING, index)
    finally:
        progress.finish(_TIMING)


def _time_one(layer, voice, seconds):
    dtype = "Half" if layer.is_half else "Float"
    voice.verbose("*************** Autotuning format combination: {} -> {} ***************".format(dtype, dtype))
    runner = layer.runner + ("[0x80000009]" if VERSION >= (8, 5) else "")
    voice.verbose("--------------- Timing Runner: {} ({})".format(layer.name, runner))
    time.sleep(seconds)
    voice.verbose("Tactic: 1002 Time: 0.25")
    voice.verbose("Fastest Tactic: 1002 Time: 0.25")


def _on_a_thread_of_its_own(work):
    """From 10 on a build reports from other threads than the one that called it."""
    if MAJOR < 10:
        work()
        return
    raised = []

    def run():
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="builder")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
