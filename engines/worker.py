"""The supervisor's end of the process that has TensorRT: starts it, asks it, notices how it ends, tidies up."""

import contextlib
import fcntl
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

from ccc_jetson.engines.build_child import MODULE
from ccc_jetson.engines.job import Facts, Job, LayerProfile, LayerTime, Outcome, decode, encode
from ccc_jetson.engines.tensorrt_log import LESS_MEMORY, OutOfMemory
from ccc_jetson.errors import BackendError, BuildError, CccError, DependencyMissing
from ccc_jetson.files import translated_os_errors
from ccc_jetson.signals import uninterrupted

_SUFFIX = ".part"
_KINDS = {each.__name__: each for each in (BackendError, BuildError, DependencyMissing)}
# Python puts the current folder before all others, and what lies there is not ours to import
_CHILD = "import sys; sys.path[:] = filter(None, sys.path); from {} import main; main(*sys.argv[1:])".format(MODULE)
_GOODBYE_S = 10.0  # to close CUDA in order; a driver may hang
_TAIL = 12  # lines of what the process printed, when it died
HEARTBEAT_S = 1.0


class WorkerKilled(OutOfMemory):
    """The process was killed from outside: on a board that is the kernel, short of memory."""


class Worker:
    """A child process with TensorRT, and a folder for what is unfinished, both gone after ``close``.

    Args:
        beside: the file to be written in the end; the folder lies in the same one, so that a rename is enough.
        on_event: gets every message of the child that is no answer, and ``{"event": "waiting"}`` in between.
        verbose: hands on all that TensorRT says.
    """

    def __init__(self, beside: str, on_event: Callable[[Dict[str, Any]], None], verbose: bool = False) -> None:
        self._on_event, self._verbose = on_event, verbose
        self._beside = os.path.realpath(beside)
        folder, name = os.path.split(self._beside)
        with uninterrupted(), translated_os_errors(beside):
            _remove_abandoned(folder, name)
            self.folder, self._claim = _claimed_folder(folder, name)
        self._process: Optional[subprocess.Popen] = None
        self._is_busy = False
        self._answers: Any = queue.Queue()
        self._log = os.path.join(self.folder, "printed.log")

    def path(self, name: str) -> str:
        """A file in the folder of what is unfinished."""
        return os.path.join(self.folder, name)

    def facts(self) -> Facts:
        """What the machine has."""
        return Facts(*self._ask({"do": "facts"})["facts"])

    def build(self, job: Job) -> Outcome:
        """Builds.

        Raises:
            OutOfMemory: with a smaller workspace it may work; ``WorkerKilled`` where the process was killed.
            CccError: what the child says.
        """
        return Outcome.from_record(self._ask({"do": "build", "job": job.to_record()})["outcome"])

    def calibrate(self, job: Job, frames: List[Any], cache: str) -> None:
        """Measures ranges on frames (the fields of ``calibrating.Frames``) into a file; raises as ``build``."""
        self._ask({"do": "calibrate", "job": job.to_record(), "frames": frames, "cache": cache})

    def profile(self, plan: str, runs: int) -> LayerProfile:
        """Measures every layer of the engine in the file ``plan``, which has a manifest."""
        times, information = self._ask({"do": "profile", "plan": os.path.realpath(plan), "runs": runs})["profile"]
        return LayerProfile(tuple(LayerTime(*each) for each in times), information)

    def _ask(self, request: Dict[str, Any]) -> Dict[str, Any]:
        if self._process is None:
            self._start()
        self._is_busy = True
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died: its end says why
            self._process.stdin.write(encode(request))
            self._process.stdin.flush()
        while True:
            try:
                message = self._answers.get(timeout=HEARTBEAT_S)
            except queue.Empty:
                self._on_event({"event": "waiting"})
                continue
            if message is None:
                raise self._death()
            if message["event"] not in ("done", "failed"):
                self._on_event(message)
                continue
            self._is_busy = False
            if message["event"] == "failed":
                raise _failure(dict(message, message=self._named(message["message"])))
            return message

    def _start(self) -> None:
        command = [sys.executable, "-c", _CHILD, self.folder] + ["verbose"] * self._verbose
        # a session of its own: Ctrl-C is for the supervisor, which ends the child itself
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self._answers = queue.Queue()
        threading.Thread(
            target=_forward, args=(self._process.stdout, self._answers), name="answers", daemon=True
        ).start()

    def _death(self) -> CccError:
        """What to say of a process that ended without an answer; the next request starts another one."""
        assert self._process is not None
        code = self._process.wait()
        self._process = None
        if code == -signal.SIGKILL:
            return WorkerKilled(
                "the builder was killed: on a board that is the kernel's way to say that memory has run out",
                hint=LESS_MEMORY,
            )
        how = "code {}".format(code)
        if code < 0:
            how = next((each.name for each in signal.Signals if each == -code), "signal {}".format(-code))
        return BuildError(
            "the builder ended with {} and no answer; it printed last:{}".format(how, _tail(self._log)),
            hint="run it again with --verbose; if it ends the same way, report it with this text",
        )

    def _named(self, text: str) -> str:
        """Names the file that is asked for where a message names the unfinished one."""
        return text.replace(self.path("plan"), self._beside)

    def close(self) -> None:
        """Ends the process, in order if it is idle, else at once, and removes the folder; may be called twice."""
        process, self._process = self._process, None
        try:
            if process is not None and not self._is_busy:
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(b"\n")
                    process.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GOODBYE_S)
        finally:  # a second Ctrl-C, too, leaves neither process nor folder
            if process is not None:
                process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
            if self._claim >= 0:
                os.close(self._claim)
                self._claim = -1
            if process is not None:
                process.wait()
                if process.stdin is not None:
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _claimed_folder(folder: str, name: str) -> Tuple[str, int]:
    """A new folder for what is unfinished, and the descriptor whose lock says that somebody works there."""
    while True:
        path = tempfile.mkdtemp(prefix=".{}.".format(name), suffix=_SUFFIX, dir=folder)
        claim = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another build takes it for one that was abandoned, and removes it
            os.close(claim)
            continue
        except OSError:  # this file system has no locks
            return path, claim
        if os.path.isdir(path):
            return path, claim
        os.close(claim)


def _remove_abandoned(folder: str, name: str) -> None:
    """Removes what builds of the same engine left when they could not tidy up."""
    for entry in os.listdir(folder):
        path = os.path.join(folder, entry)
        if entry.startswith(".{}.".format(name)) and entry.endswith(_SUFFIX) and os.path.isdir(path):
            with contextlib.suppress(OSError):
                claim = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(claim)


def _forward(stream: Any, answers: Any) -> None:
    """Puts every message of the child into a queue, and ``None`` when it has ended."""
    with stream:
        for line in iter(stream.readline, b""):
            try:
                answers.put(decode(line))
            except ValueError:  # the last line of a process that was killed while it wrote
                break
    answers.put(None)


def _failure(message: Dict[str, Any]) -> CccError:
    kind, text, hint = message["kind"], message["message"], message["hint"]
    if kind == "memory":
        return OutOfMemory(text, hint=hint)
    if kind == "unexpected":
        return BuildError(
            "the builder failed in a way that is not foreseen:\n{}".format(text.rstrip()),
            hint="please report it with this text and the TensorRT version",
        )
    return _KINDS.get(kind, BuildError)(text, hint=hint)


def _tail(path: str) -> str:
    try:
        with open(path, "rb") as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return "".join("\n  " + line for line in lines[-_TAIL:]) or " nothing"
