"""The GPU of the stand-in TensorRT, where pycuda is the real one: the CPU "CUDA driver" that both of them run on.

An engine's run is a host call on the driver's stream: done when the stream is waited for, captured into graphs, and
done again whenever they are launched. Addresses are the driver's, and only its.
"""

import ctypes
import itertools
import sys
import traceback

MIB = 1 << 20
_ILLEGAL_ADDRESS, _LAUNCH_FAILED = 700, 719
_NUMBERS = itertools.count(1)
_WORK = {}  # what the driver has, by number


class Error(Exception):
    """The root of what goes wrong here."""


class LogicError(Error):
    """A call that was wrong."""


class LaunchError(Error):
    """A run that failed."""


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
def _run(number):
    try:
        _WORK[number]()
    except LaunchError:
        return _ILLEGAL_ADDRESS
    except BaseException:
        sys.stderr.write("the stand-in engine failed:\n" + traceback.format_exc())
        return _LAUNCH_FAILED
    return 0


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _release(number):
    del _WORK[number]


def _driver():
    library = ctypes.CDLL("libcuda.so.1")
    library.fakecuda_host_call.argtypes = [ctypes.c_void_p, type(_run), type(_release), ctypes.c_void_p]
    library.fakecuda_room.argtypes, library.fakecuda_room.restype = [ctypes.c_void_p], ctypes.c_size_t
    library.cuStreamSynchronize.argtypes = [ctypes.c_void_p]
    return library


def enqueue(handle, work):
    """Does ``work`` when the stream is waited for; at once on the default stream, whose handle is 0.

    Raises:
        LogicError: no such stream in the calling thread's context, or none is current.
        LaunchError: on the default stream, that the work failed.
    """
    driver, number = _driver(), next(_NUMBERS)
    _WORK[number] = work
    _check(driver.fakecuda_host_call(handle, _run, _release, number), LogicError)
    if not handle:
        _check(driver.cuStreamSynchronize(0), LaunchError)


def finish_all():
    """Does the work of all streams of the current context.

    Raises:
        LaunchError: some of it failed.
    """
    _check(_driver().cuCtxSynchronize(), LaunchError)


def read(address, size):
    """Bytes of device memory.

    Raises:
        LaunchError: it is shorter, or none.
    """
    _check_room(address, size)
    return ctypes.string_at(address, size)


def write(address, data):
    """As ``read``, the other way."""
    _check_room(address, len(data))
    ctypes.memmove(address, data, len(data))


def _check_room(address, size):
    if _driver().fakecuda_room(address) < size:
        raise LaunchError(_text(_ILLEGAL_ADDRESS))


def _check(code, kind):
    if code:
        raise kind(_text(code))


def _text(code):
    text = ctypes.c_char_p()
    _driver().cuGetErrorString(code, ctypes.byref(text))
    return text.value.decode()
