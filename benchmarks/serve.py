"""What the page costs the run: FPS with it and its clients, divided by FPS without, in rounds.

    python benchmarks/serve.py MODEL VIDEO --rounds 5 --frames 100 --threads 1

A round runs the same frames in all conditions, in another order each time, and each ratio is of one round: a machine's
speed drifts. The run's own CPU time is compared as well, which other programs disturb less. Clients are processes of
their own and take their share of the CPU, which on a board nobody's browser does; with ``--threads`` fewer than the
cores it is theirs. ``--elsewhere MS`` puts a stand-in in the network's place, which leaves the CPU alone and takes so
many milliseconds, as one on a GPU does; ``--pace FPS`` gives frames no faster, as a camera does: is the rate held?
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ccc_jetson.command import count_from, number_from, run_command
from ccc_jetson.contract import Contract
from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import Backend, Segmentation, contract_of_model, open_backend
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.frames.video import VideoFile
from ccc_jetson.runtime.metrics import machine
from ccc_jetson.runtime.pipeline import Pipeline
from ccc_jetson.runtime.serve.address import Address
from ccc_jetson.runtime.serve.entrance import open_entrance
from ccc_jetson.runtime.serve.page import Page
from ccc_jetson.runtime.sinks import Sink
from ccc_jetson.runtime.sinks.shares import ClassShares

TOKEN = "the-token-of-a-benchmark"
WITHOUT = "no page"
CONDITIONS: Tuple[Tuple[str, Optional[Sequence[str]]], ...] = (
    (WITHOUT, None),
    ("page, nobody looks", ()),
    ("one reader", ("follower",)),
    ("one reader, one deaf", ("follower", "deaf")),
    ("hostile", ("hostile",)),
    ("flood", ("flood",)),
)


class Round(NamedTuple):
    """One condition's run: end to end, the pipeline's own thread of sinks, this process's CPU, what clients got."""

    fps: float
    sink_ms: float
    cpu_s: float
    clients: List[Dict[str, float]]


class Elsewhere(Backend):
    """Stands for a network on a GPU: takes its time and not the CPU's, and gives the same four classes every time."""

    description = "stand-in for a network on a GPU"

    def __init__(self, contract: Contract, seconds: float) -> None:
        self.contract, self.facts = contract, {}
        self._seconds = seconds
        self._size = (contract.input.width, contract.input.height)
        rows = np.arange(self._size[1]) * 4 // self._size[1]
        self._class_map = np.repeat(rows.astype(np.uint8)[:, np.newaxis], self._size[0], axis=1)

    def start(self, staged: Any) -> Any:
        image, _ = staged
        return image.shape, time.monotonic() + self._seconds

    def finish(self, running: Any) -> Segmentation:
        shape, due_s = running
        time.sleep(max(0.0, due_s - time.monotonic()))
        geometry = fitting((shape[1], shape[0]), self._size, "stretch")
        return Segmentation(self._class_map.copy(), geometry, {"infer": self._seconds})


class Paced(VideoFile):
    """A video file that gives frames at a rate, from the first on; all of them, however late."""

    def __init__(self, path: str, fps: Optional[float]) -> None:
        super().__init__(path)
        self._interval_s = 1.0 / fps if fps else 0.0
        self._due_s = 0.0

    def read(self) -> Optional[Frame]:
        now_s = time.monotonic()
        self._due_s = max(self._due_s + self._interval_s, now_s - self._interval_s)
        time.sleep(max(0.0, self._due_s - now_s))
        frame = super().read()
        return None if frame is None else frame._replace(captured_s=time.monotonic())


def run_once(arguments: argparse.Namespace, kinds: Optional[Sequence[str]]) -> Round:
    """One run with those clients; None: without a page."""
    contract = contract_of_model(arguments.model)
    with Paced(arguments.video, arguments.pace) as source:
        sinks: List[Sink] = [ClassShares(contract)]
        processes: List["subprocess.Popen[bytes]"] = []
        if kinds is not None:
            page = Page(open_entrance(Address("127.0.0.1", 0), TOKEN), contract, arguments.model, source, 0.5)
            sinks.append(page)
            port = page.url.rstrip("/").rsplit(":", 1)[1]
            script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "serve_clients.py")
            for kind in kinds:
                command = [sys.executable, script, kind, port, TOKEN]
                processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        before = resource.getrusage(resource.RUSAGE_SELF)
        measured = Pipeline(source, lambda: _backend(arguments, contract), sinks, arguments.frames).run()
        after = resource.getrusage(resource.RUSAGE_SELF)
        told = [json.loads(process.communicate(b"over\n")[0] or b"{}") for process in processes]
        for sink in sinks:
            sink.close()
    sink_ms = next(each.mean_ms for each in measured.stages if each.name == "sink")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Round(measured.fps, sink_ms, cpu_s, told)


def _backend(arguments: argparse.Namespace, contract: Contract) -> Backend:
    if arguments.elsewhere is not None:
        return Elsewhere(contract, arguments.elsewhere / 1000.0)
    return open_backend(arguments.model, threads=arguments.threads)


def compare(arguments: argparse.Namespace) -> int:
    """Runs and prints the rounds; exit code 1 where something is left behind, whatever the figures are."""
    print("on {}, load {:.1f}; {} frames a run".format(machine(), os.getloadavg()[0], arguments.frames), flush=True)
    rounds: Dict[str, List[Round]] = {name: [] for name, _ in CONDITIONS}
    threads = threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd"))
    for number in range(arguments.rounds):
        order = list(CONDITIONS)
        random.Random(number).shuffle(order)
        for name, kinds in order:
            rounds[name].append(run_once(arguments, kinds))
        for name, _ in CONDITIONS:
            each, without = rounds[name][-1], rounds[WITHOUT][-1]
            print(
                "round {}, {:<21} {:7.2f} FPS  ratio {:.3f}  sink {:6.2f} ms  CPU {:6.2f} s  {}".format(
                    number + 1, name, each.fps, each.fps / without.fps, each.sink_ms, each.cpu_s, _told(each.clients)
                ),
                flush=True,
            )
    for name, _ in CONDITIONS[1:]:
        ratios = [each.fps / without.fps for each, without in zip(rounds[name], rounds[WITHOUT])]
        more_ms = [
            1000.0 * (each.cpu_s - without.cpu_s) / arguments.frames
            for each, without in zip(rounds[name], rounds[WITHOUT])
        ]
        print(
            "{:<21} median {:.3f}, min {:.3f}, max {:.3f} of the FPS without a page; {:+.1f} ms of CPU a frame".format(
                name, statistics.median(ratios), min(ratios), max(ratios), statistics.median(more_ms)
            )
        )
    deaf, reader = rounds["one reader, one deaf"], rounds["one reader"]
    ratio = statistics.median(each.fps / beside.fps for each, beside in zip(deaf, reader))
    print("a deaf client beside a reader: median {:.3f} of the FPS with the reader alone".format(ratio))
    left = (threading.active_count() - threads, len(os.listdir("/proc/self/fd")) - descriptors)
    print("left behind: {} threads, {} open files or sockets".format(*left))
    return 1 if max(left) > 0 else 0


def _told(clients: Sequence[Dict[str, float]]) -> str:
    return "; ".join(", ".join("{} {}".format(value, name) for name, value in each.items()) for each in clients)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument("--rounds", type=count_from(1), default=5)
    parser.add_argument("--frames", type=count_from(1), default=100, help="of each run")
    parser.add_argument("--threads", type=count_from(0), default=0, help="of the network; 0 takes all cores")
    parser.add_argument("--elsewhere", metavar="MS", type=number_from(0), help="a stand-in that takes no CPU")
    parser.add_argument(
        "--pace", metavar="FPS", type=number_from(0.1), help="of the frames; default: as fast as can be"
    )
    return run_command(parser, compare)


if __name__ == "__main__":
    sys.exit(main())
