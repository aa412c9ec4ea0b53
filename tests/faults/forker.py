"""Runs commands one after the other, each in a fork of a process that has imported all that is slow to import.

Reads requests as lines of JSON, answers with one each. Started with faulty.cpp loaded; needs no packages of the tests.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
import time
import traceback

_SLOW = ("numpy", "cv2", "onnxruntime")
_SLOW_OFF_DEVICE = ("torch", "onnx", "onnx_ir", "onnxsim")


def run(request):
    """Exit code (negative: the signal that ended it; None: it hung and was killed)."""
    child = os.fork()
    if child == 0:
        _become(request)
    until_s = time.monotonic() + request["limit_s"]
    while time.monotonic() < until_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _become(request):
    """In the fork: the command, as a shell would have started it. Does not return."""
    code = 70
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(request["folder"])
        os.environ.update(request["environ"])
        streams = [os.open(os.devnull, os.O_RDONLY), _output(request["out"]), _output(request["err"])]
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.argv = [request["program"]] + request["arguments"]
        main = importlib.import_module(request["module"]).main
        ctypes.CDLL(None).faulty_begin()
        try:
            code = main(request["arguments"])
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code or 0)


def _output(path):
    if path:
        return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666)
    reading, writing = os.pipe()  # whose reader has gone
    os.close(reading)
    return writing


def main():
    for name in _SLOW + (_SLOW_OFF_DEVICE if sys.argv[1:] else ()):
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps({"code": run(json.loads(line))}), flush=True)


if __name__ == "__main__":
    main()
