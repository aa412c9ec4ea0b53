"""What makes a call into TensorRT unlike one of Python's: it is deaf to Ctrl-C, and its callbacks may not raise.

While the real library works, signal handlers written in Python wait: they run when the call returns, or in the next
callback on the main thread. Up to 8.2 an exception that leaves a callback ends the process; from 8.4 on it is printed,
and the callback has failed.
"""

import contextlib
import os
import resource
import signal
import sys
import threading

from tensorrt._pybind import is_ours
from tensorrt._version import VERSION

_CATCHES = VERSION >= (8, 4)
_WAITING = []  # (handler, signal, frame), oldest first


@contextlib.contextmanager
def native_code():
    """Keeps Python's signal handlers from running until the block ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    deferred = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in deferred:
        signal.signal(number, lambda number, frame: _WAITING.append((deferred[number], number, frame)))
    try:
        yield
    finally:
        for number, handler in deferred.items():
            signal.signal(number, handler)
        _run_waiting()


def call_back(target, name, *arguments, convert=lambda value: value, default=None):
    """Calls a method that a program overrode.

    Args:
        convert: what the binding makes of the answer; raises where it cannot.
        default: the answer where the call failed.
    """
    try:
        if threading.current_thread() is threading.main_thread() and not is_ours(type(target)):
            _run_waiting()
        return convert(getattr(target, name)(*arguments))
    except BaseException as error:  # pybind makes a C++ exception of every Python one, Ctrl-C included
        what = "{}: {}".format(type(error).__name__, error)
        if not _CATCHES:
            sys.stderr.write(
                "terminate called after throwing an instance of 'pybind11::error_already_set'\n  what():  {}\n".format(
                    what
                )
            )
            sys.stderr.flush()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.abort()
        sys.stderr.write("[ERROR] Exception caught in {}(): {}\n".format(name, what))
        return default


def _run_waiting():
    while _WAITING:
        handler, number, frame = _WAITING.pop(0)
        handler(number, frame)
