"""Runs the commands of a terminal: a process that has imported what is slow to import, and forks for each of them.

    python -m tests.doubles.terminal.server SOCKET

A command gets the words, the folder, the variables and the files 0, 1 and 2 of the ``client`` that stands for it on
PATH. A line of JSON on standard output tells of each that ended: its words and its exit code.
"""

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback

from tests.doubles.terminal import programs, shortened

# Slow to import, and harmless to fork; where one is missing, the command that needs it says so
_HEAVY = (
    "numpy", "torch._dynamo", "torch.onnx", "torch.distributed", "cv2", "yaml", "onnx", "onnxruntime", "onnx_ir",
    "ccc_jetson.export.api", "ccc_jetson.runtime.run_cli", "ccc_jetson.runtime.backends",
    "ccc_jetson.runtime.bench.report", "ccc_jetson.calib.cli", "ccc_jetson.engines.build_cli",
    "ccc_jetson.runtime.reports.writing", "tests.doubles.cameras", "tests.doubles.doctored",
)  # fmt: skip


class Server:
    """One connection for each command that runs: by its process, and the words of it."""

    def __init__(self, path):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(16)
        self._running = {}  # process -> (connection, words)
        self._alarm, self._child_ended = socket.socketpair()
        for end in (self._alarm, self._child_ended):
            end.setblocking(False)
        signal.set_wakeup_fd(self._child_ended.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._alarm, selectors.EVENT_READ)

    def serve(self):
        """Until standard input ends: whoever started this process has gone."""
        self._selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    return self._end()
                if key.fileobj is self._listener:
                    self._start()
                elif key.fileobj is self._alarm:
                    self._alarm.recv(4096)
                    self._reap()
                else:
                    self._left(key.fileobj)

    def _start(self):
        connection, _ = self._listener.accept()
        try:
            call, files = _received(connection)
        except (OSError, ValueError, IndexError):  # its client was ended before it had said all
            connection.close()
            return
        process = os.fork()
        if process == 0:
            self._listener.close()
            _become(call, files)  # does not return
        for file in files:
            os.close(file)
        self._running[process] = (connection, call["words"])
        self._selector.register(connection, selectors.EVENT_READ)
        _tell(connection, process)

    def _reap(self):
        while self._running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            connection, words = self._running.pop(process)
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            print(json.dumps({"words": words, "code": code}), flush=True)
            self._selector.unregister(connection)
            _tell(connection, code if code >= 0 else 128 - code)
            connection.close()

    def _left(self, connection):
        """A client says nothing more, so it has ended: its command is not to outlive it."""
        for process, (other, _) in self._running.items():
            if other is connection:
                os.kill(process, signal.SIGKILL)

    def _end(self):
        for process in self._running:
            os.kill(process, signal.SIGKILL)


def _tell(connection, number):
    """A line for a client, which may have been ended meanwhile: then nobody waits for it any more."""
    with contextlib.suppress(OSError):
        connection.sendall(b"%d\n" % number)


def _received(connection):
    """What a client hands over, and its three files."""
    kind = array.array("i", [0, 0, 0])
    head, ancillary, _, _ = connection.recvmsg(12, socket.CMSG_SPACE(kind.itemsize * len(kind)))
    files = array.array("i", ancillary[0][2])
    length, text = int(head), b""
    while len(text) < length:
        more = connection.recv(length - len(text))
        if not more:
            raise ValueError("it ended in the middle")
        text += more
    return json.loads(text.decode()), list(files)


def _become(call, files):
    """This process becomes the command."""
    code = 125
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(call["cwd"])
        os.environ.clear()
        os.environ.update(call["env"])
        sys.argv = list(call["words"])
        code = programs.run(call["words"])
    except SystemExit as ended:
        code = _code_of(ended.code)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        try:
            for thread in threading.enumerate():
                if thread is not threading.current_thread() and not thread.daemon:
                    thread.join()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)  # without taking torch and the rest of it down in order


def _code_of(given):
    """As Python ends: a text is printed, and means 1."""
    if given is None or isinstance(given, int):
        return given or 0
    print(given, file=sys.stderr)
    return 1


def main():
    for name in _HEAVY:
        try:
            importlib.import_module(name)
        except ImportError as error:
            print("not imported: {}: {}".format(name, error), file=sys.stderr)
    shortened.small_networks()
    gc.freeze()  # what is there now stays shared with the children
    server = Server(sys.argv[1])
    print(json.dumps({"ready": True}), flush=True)
    server.serve()


if __name__ == "__main__":
    main()
