"""What a name on the terminal's PATH runs: our commands, Python, or what only a board, root or a network can do."""

import contextlib
import ctypes
import json
import linecache
import os
import re
import runpy
import signal
import socket
import sys
import threading
import time
import traceback
from unittest import mock

from tests.doubles.terminal import outside, shortened

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PYTHONS = ("python", "python3", "python3.6", "python3.8", "python3.10", "python3.11")
INTERPRETER = "run-python-blocks"
_CAMERAS = 2
_ENOUGH_FRAMES = 12  # of a camera, and then Ctrl-C


def entry_points():
    """Our commands, as pyproject.toml declares them: "module:function" by name."""
    with open(os.path.join(ROOT, "pyproject.toml"), encoding="utf-8") as file:
        return dict(re.findall(r'^(ccc-[a-z-]+) = "([\w.:]+)"$', file.read(), re.MULTILINE))


def names():
    """All of them."""
    return sorted(set(entry_points()) | set(PYTHONS) | {INTERPRETER} | set(outside.COMMANDS))


def run(words):
    """Runs one, in a process of its own; returns the exit code."""
    ours = entry_points()
    if words[0] in ours:
        return _ours(ours[words[0]], words)
    if words[0] in PYTHONS:
        return _python(words)
    if words[0] == INTERPRETER:
        return _interpret()
    return outside.run(words)


def _ours(entry, words):
    module, _, function = entry.partition(":")
    _board()
    name, argv = words[0], shortened.words(words)[1:]
    with contextlib.ExitStack() as stack:
        if name == "ccc-doctor":
            stack.enter_context(_healthy_board())
        if name in ("ccc-run", "ccc-bench"):
            cameras = stack.enter_context(_cameras())
            if name == "ccc-run":
                threading.Thread(target=_press_ctrl_c, args=(cameras,), daemon=True).start()
        return getattr(__import__(module, fromlist=[function]), function)(argv)


def _board():
    """This process finds what the variables of ``cuda_driver.environment`` name, as if started with them."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        library = os.path.join(folder, "libcuda.so.1")
        if folder and os.path.exists(library):
            ctypes.CDLL(library, ctypes.RTLD_GLOBAL)


@contextlib.contextmanager
def _cameras():
    """A TX2 with two USB cameras, and GStreamer whose pipelines all deliver."""
    from tests.doubles import cameras

    usb = {number: cameras.FakeCamera(stamps=0.004) for number in range(_CAMERAS)}
    piped = cameras.FakeCamera(size=(1280, 720))
    with cameras.installed(usb, [("", piped, "BGR")], gstreamer=True):
        yield [*usb.values(), piped]


def _press_ctrl_c(cameras):
    """As a person does who has seen enough: a live run does not end by itself."""
    while not any(camera.delivered >= _ENOUGH_FRAMES for camera in cameras):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def _healthy_board():
    """ccc-doctor looks at a TX2 with nothing wrong, below the terminal's own folder."""
    from tests.doubles.doctored import healthy_tx2

    place = healthy_tx2().place(os.path.join(os.environ["CCC_TERMINAL_FOLDER"], "doctored"))
    return mock.patch("ccc_jetson.runtime.doctor.cli.Place", lambda: place)


def _python(words):
    """``python FILE``, ``-c TEXT``, ``-m MODULE``; pip and what else needs a network or minutes is played."""
    if words[1:2] == ["--version"]:
        print("Python {}.{}.{}".format(*sys.version_info[:3]))
        return 0
    _board()
    if words[1:2] == ["-m"]:
        if words[2] in outside.COMMANDS:
            return outside.run(words[2:])
        sys.argv = words[2:]
        sys.path.insert(0, "")
        with _cameras():
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    elif words[1:2] == ["-c"]:
        sys.argv = ["-c"] + words[3:]
        sys.path.insert(0, "")
        with _cameras():
            exec(compile(words[2], "<string>", "exec"), {"__name__": "__main__"})
    else:
        words = shortened.words(words)
        sys.argv = words[1:]
        sys.path.insert(0, os.path.dirname(os.path.realpath(words[1])))
        with _cameras():
            runpy.run_path(words[1], run_name="__main__")
    return 0


def _interpret():
    """Blocks of Python from standard input, which is a socket: one at a time, in one namespace."""
    _board()
    with contextlib.closing(socket.socket(fileno=os.dup(0))) as connection, _cameras():
        conversation = connection.makefile("rw")
        namespace = {"__name__": "__main__"}
        for line in conversation:
            block = json.loads(line)
            os.chdir(block["cwd"])
            failure = _executed(block, namespace)
            sys.stdout.flush()
            sys.stderr.flush()
            conversation.write(json.dumps({"failure": failure}) + "\n")
            conversation.flush()
    return 0


def _executed(block, namespace):
    """What went wrong in a block, with the lines of the page that it stands in; empty for nothing."""
    text = "\n" * (block["line"] - 1) + block["text"]
    linecache.cache[block["page"]] = (len(text), None, text.splitlines(True), block["page"])
    try:
        exec(compile(text, block["page"], "exec"), namespace)
    except BaseException:
        return traceback.format_exc()
    return ""
