"""How fast the network is on this PC's CPU: other runtimes and ours, by turns.

Every run is a process of its own with one runtime; the rounds go through the contenders forwards and backwards by
turns, and each ratio is of two runs of one round, because a machine's speed drifts. All get the same picture as a
ready float32 input (ours as its contract wants it, where it has one) and give a class map, which is compared with FP32
PyTorch's. What cannot run here is named with its reason.

A run costs its start, 1 to 3 s, and --frames + 2 frames, but not much more than a quarter of --limit; all of it is
multiplied by contenders and rounds, some 5 minutes with the defaults on two cores. A frame grows with --size. Exit
code 1: our class map is not PyTorch's, or there is none; times have no say in it, because machines are noisy.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from host_report import OURS, PLAIN, Contender, Measured, by_name, profile_table, table, verdict

from ccc_jetson.carried import METADATA_KEY, read_contract
from ccc_jetson.command import INTERRUPTED, Parser, count_from, run_command, size
from ccc_jetson.contract import Contract, Preprocessing
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import check_output, write_bytes, write_text
from ccc_jetson.images import read_frame
from ccc_jetson.onnx_file import read_onnx
from ccc_jetson.preprocess import Preprocessor
from ccc_jetson.progress import Progress, say
from ccc_jetson.runtime.metrics import machine
from ccc_jetson.targets import DEFAULT_TARGET, TARGETS, target_named

CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "host_child.py")
OURS_TARGET = "cpu"  # of ccc-export
WARM_UP = 2
SCENE = 3  # the drawn street, where no picture is given

# OpenCV's second graph is for versions that refuse ArgMax. OpenVINO's own choice of precision is bfloat16 where the
# processor has it. Ours comes beside the plain export, because theirs is the ratio that counts most.
CONTENDERS = (
    Contender("pytorch", "pytorch", "pytorch"),
    Contender("pytorch-flushed", "pytorch, denormals flushed", "pytorch", flush=True),
    Contender("opencv", "opencv dnn, plain export", "opencv", ("class_map", "logits")),
    Contender("openvino", "openvino, plain export, float32", "openvino", ("class_map",), precision="f32"),
    Contender("openvino-default", "openvino, plain export, its own precision", "openvino", ("class_map",)),
    Contender(
        "onnxruntime-flushed", "onnxruntime, plain export, denormals flushed", "onnxruntime", ("class_map",), flush=True
    ),
    Contender(PLAIN, "onnxruntime, plain export", "onnxruntime", ("class_map",)),
    Contender(OURS, "ccc-jetson", "ccc-jetson"),
)


class ChildProblem(Exception):
    """Why a child gave no times, in one line."""


def run_child(python: str, task: dict[str, Any], limit_s: int) -> dict[str, Any]:
    """The answer of a contender's process; ends it with all that it started when it takes too long, or on Ctrl-C."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(task["answer"])
    log_path = task["answer"] + ".log"
    with open(log_path, "wb") as log:
        try:
            child = subprocess.Popen(
                [python, CHILD, json.dumps(task)], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            raise ChildProblem(f"{python}: {error.strerror}") from None
    try:
        code = child.wait(limit_s)
    except subprocess.TimeoutExpired:
        raise ChildProblem(f"no result within {limit_s} s (--limit)") from None
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    try:
        with open(task["answer"], encoding="utf-8") as file:
            answer = json.load(file)
    except (OSError, ValueError):
        raise ChildProblem(_ending(code, log_path)) from None
    if "absent" in answer:
        raise ChildProblem(f"not installed: {answer['absent']}")
    if "problem" in answer:
        raise ChildProblem(answer["problem"])
    return answer


def _ending(code: int, log_path: str) -> str:
    ending = f"ended with code {code} and without an answer" if code >= 0 else f"ended by {signal.Signals(-code).name}"
    with open(log_path, encoding="utf-8", errors="replace") as log:
        said = log.read().strip().splitlines()
    return ending + (f": {said[-1].strip()}" if said else "")


class Bench(NamedTuple):
    """What all runs share; ``task`` holds the files and settings that every child gets."""

    task: dict[str, Any]
    reference: np.ndarray  # (H, W) classes of FP32 PyTorch
    numbers: np.ndarray  # PyTorch's number for each class of ours, which may have fewer
    pythons: dict[str, str]  # by contender or runtime
    limit_s: int

    def ask(self, contender: Contender, **more: Any) -> dict[str, Any]:
        """One child's answer."""
        own = {"runtime": contender.runtime, "flush": contender.flush, "precision": contender.precision}
        if contender.name == OURS:
            own["input"] = self.task["our_input"]
        python = self.pythons.get(contender.name) or self.pythons.get(contender.runtime) or sys.executable
        return run_child(python, {**self.task, **own, "budget_s": self.limit_s / 4, **more}, self.limit_s)

    def measure(self, measured: Measured) -> None:
        """One run. A problem is noted, and is this contender's last run: a limit is waited for once."""
        run_ms = None
        if not measured.problem:
            try:
                answer = self.ask(measured.contender)
                agreement = self._agreement(measured.contender)
                run_ms = statistics.median(answer["times_ms"])
                measured.about = answer["about"]
                measured.agreement = min(measured.agreement, agreement)
            except ChildProblem as problem:
                measured.problem = str(problem)
        measured.runs_ms.append(run_ms)

    def _agreement(self, contender: Contender) -> float:
        """Share of the pixels whose class is PyTorch's."""
        classes, expected = np.load(self.task["classes"]), (1, *self.reference.shape)
        if classes.shape != expected:
            raise ChildProblem(f"its class map has shape {classes.shape}, expected {expected}")
        if contender.name == OURS:
            if classes.min() < 0 or classes.max() >= len(self.numbers):
                raise ChildProblem(f"its classes are {classes.min()} to {classes.max()} of {len(self.numbers)}")
            classes = self.numbers[classes]
        return float((classes[0] == self.reference).mean())


def measure_rounds(bench: Bench, measured: list[Measured], rounds: int) -> bool:
    """All rounds, every second one backwards; False where Ctrl-C ended them."""
    try:
        with Progress("measuring", rounds * len(measured)) as progress:
            for index in range(rounds):
                for each in measured if index % 2 == 0 else measured[::-1]:
                    progress.step(0, each.contender.title)
                    bench.measure(each)
                    progress.step(1, each.contender.title)
    except KeyboardInterrupt:
        return False
    return True


def profiles(bench: Bench, measured: list[Measured], folder: str) -> dict[str, list[dict[str, Any]]]:
    """Time by operator of the plain export and of ours, by their names; a problem is told and leaves one out."""
    found = {}
    for each in measured:
        name = each.contender.name
        if name in (PLAIN, OURS) and not each.problem:
            say(f"profiling {name}")
            try:
                found[name] = bench.ask(each.contender, profile=os.path.join(folder, "profile"))["profile"]
            except ChildProblem as problem:
                say(f"no profile of {name}: {problem}")
    return found


class Prepared(NamedTuple):
    """What ``write_files`` wrote, by the task's keys, and what class maps are compared with (see ``Bench``)."""

    files: dict[str, str]
    reference: np.ndarray
    numbers: np.ndarray


def write_files(arguments: argparse.Namespace, contenders: list[Contender], folder: str) -> Prepared:
    """Input, plain exports and our file in ``folder``; PyTorch's class map."""
    import torch

    from ccc_jetson.export.checkpoint import load_checkpoint
    from ccc_jetson.export.networks.registry import recognise
    from ccc_jetson.export.onnx_graph import torch_export
    from ccc_jetson.export.scenes import street_scene

    recognised = recognise(load_checkpoint(arguments.checkpoint).state, arguments.checkpoint)
    frame = read_frame(arguments.image) if arguments.image else street_scene(SCENE).frame
    image = plain_input(frame, recognised.defaults.preprocessing, arguments.size)
    files = {key: os.path.join(folder, key + ".npy") for key in ("input", "our_input", "classes")}
    files.update(checkpoint=arguments.checkpoint, answer=os.path.join(folder, "answer.json"))
    np.save(files["input"], image)
    with torch.inference_mode():
        reference = recognised.module(torch.from_numpy(image)).argmax(dim=1)[0].numpy()
    for output in sorted({output for each in contenders for output in each.graphs}):
        say(f"exporting with PyTorch alone, output {output}")
        model = torch_export(recognised.module, image.shape, output, target_named(DEFAULT_TARGET))
        files[output] = os.path.join(folder, output + ".onnx")
        write_bytes(files[output], model.SerializeToString())
    numbers = np.arange(recognised.arguments["classes"])
    if any(each.name == OURS for each in contenders):
        files["ours"] = arguments.ours or _exported(arguments, os.path.join(folder, "ours.onnx"))
        if METADATA_KEY in read_onnx(files["ours"]).metadata:
            contract = read_contract(files["ours"])
            image, numbers = Preprocessor(contract)(frame), kept_classes(contract, len(numbers))
        np.save(files["our_input"], image)
    return Prepared(files, reference, numbers)


def plain_input(frame: np.ndarray, preprocessing: Preprocessing, network_size: tuple[int, int]) -> np.ndarray:
    """(1, 3, H, W) float32 of a picture for the network as it was trained; size (W, H)."""
    width, height = network_size
    contract: Any = SimpleNamespace(preprocessing=preprocessing, input=SimpleNamespace(width=width, height=height))
    return Preprocessor(contract)(frame)


def kept_classes(contract: Contract, outputs: int) -> np.ndarray:
    """The checkpoint's number for each class of an exported file, from which export may have cut some, by their names.

    Raises:
        UsageError: it has classes that a network of so many outputs has not.
    """
    from ccc_jetson.export.classes import classes_for

    names = [each.name for each in classes_for(None, outputs)[0]]
    kept = [each.name for each in contract.classes]
    if len(kept) == outputs:
        return np.arange(outputs)  # whatever they are called
    if not set(kept) <= set(names):
        raise UsageError(
            f"our file has {len(kept)} classes, the checkpoint {outputs}; which are left cannot be told by their names",
            hint="export it without --classes for this comparison",
        )
    return np.array([names.index(name) for name in kept])


def _exported(arguments: argparse.Namespace, path: str) -> str:
    from ccc_jetson.export.api import ExportOptions, export_onnx

    say(f"exporting as ccc-export --target {OURS_TARGET} does")
    width, height = arguments.size
    export_onnx(arguments.checkpoint, path, ExportOptions(target=OURS_TARGET, width=width, height=height))
    return path


def python_of(text: str) -> tuple[str, str]:
    """Argument type: ``openvino=/path/python`` -> (name, path)."""
    name, _, path = text.partition("=")
    known = sorted({each.name for each in CONTENDERS} | {each.runtime for each in CONTENDERS})
    if name not in known:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=PATH, NAME one of {', '.join(known)}")
    if shutil.which(path) is None:
        raise argparse.ArgumentTypeError(f"{text!r}: {path!r} is no program")
    return name, path


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        "host.py",
        __doc__ or "",
        "python benchmarks/host.py C3Net_setting2.pth --image street.png\n"
        "python benchmarks/host.py C3Net_setting2.pth --python openvino=other/bin/python --json host.json\n"
        "python benchmarks/host.py C3Net_setting2.pth --ours model.onnx --only onnxruntime ccc-jetson --profile",
    )
    parser.add_argument("checkpoint", metavar="CKPT")
    parser.add_argument("--image", metavar="STREET.png", help="the input's picture (default: a drawn street)")
    parser.add_argument(
        "--ours", metavar="MODEL.onnx", help=f"in place of what ccc-export --target {OURS_TARGET} writes"
    )
    parser.add_argument("--size", type=size, default=(1024, 512), metavar="WxH", help="input (default: 1024x512)")
    parser.add_argument("--rounds", type=count_from(1), default=5, metavar="N", help="default: 5")
    parser.add_argument("--frames", type=count_from(1), default=10, metavar="N", help="of each run (default: 10)")
    parser.add_argument("--threads", type=count_from(0), default=0, metavar="N", help="0: each runtime's own default")
    parser.add_argument("--limit", type=count_from(1), default=120, metavar="S", help="seconds a run (default: 120)")
    names = [each.name for each in CONTENDERS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="of " + ", ".join(names))
    parser.add_argument(
        "--python",
        type=python_of,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="the interpreter for a contender, or for all with a runtime",
    )
    parser.add_argument("--profile", action="store_true", help="time by operator, of ours and of the plain export")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="everything; without FILE, for the table")
    return parser


def work(arguments: argparse.Namespace) -> int:
    """Exports, measures, prints."""
    contenders = [each for each in CONTENDERS if arguments.only is None or each.name in arguments.only]
    _check(arguments, contenders)
    measured = [Measured(each) for each in contenders]
    with tempfile.TemporaryDirectory() as folder:
        files, reference, numbers = write_files(arguments, contenders, folder)
        settings = {"frames": arguments.frames, "warm_up": WARM_UP, "threads": arguments.threads}
        bench = Bench({**files, **settings}, reference, numbers, dict(arguments.python), arguments.limit)
        say(f"measuring {len(measured)} contenders in {arguments.rounds} rounds; Ctrl-C ends it with what there is")
        whole = measure_rounds(bench, measured, arguments.rounds)
        profiled = profiles(bench, measured, folder) if arguments.profile and whole else {}
    _report(arguments, measured, profiled)
    if not whole:
        return INTERRUPTED
    return 1 if any(each.contender.name == OURS and (each.problem or not each.agrees) for each in measured) else 0


def _check(arguments: argparse.Namespace, contenders: list[Contender]) -> None:
    given = [path for path in (arguments.checkpoint, arguments.image, arguments.ours) if path]
    for path in given:
        if not os.path.isfile(path):
            raise FileProblem(f"{path}: no such file")
    if arguments.json not in (None, "-"):
        check_output(arguments.json, given, "--json")
    is_known = OURS_TARGET in [target.name for target in TARGETS]
    if any(each.name == OURS for each in contenders) and not arguments.ours and not is_known:
        raise UsageError(
            f"ccc-export has no target {OURS_TARGET!r} to write our file for",
            hint=f"pass --ours MODEL.onnx, or leave {OURS} out with --only",
        )


def _report(arguments: argparse.Namespace, measured: list[Measured], profiled: dict[str, list[dict[str, Any]]]) -> None:
    here, found, plain = machine(), verdict(measured), by_name(measured, PLAIN)
    record = {
        "machine": here.to_json(),
        "checkpoint": arguments.checkpoint,
        "image": arguments.image,
        "ours": arguments.ours,
        "size": list(arguments.size),
        "rounds": arguments.rounds,
        "frames": arguments.frames,
        "threads": arguments.threads,
        "contenders": [each.to_json(plain) for each in measured],
        "verdict": found._asdict(),
        "profile": profiled,
    }
    text = json.dumps(record, indent=1)
    if arguments.json == "-":
        print(text)
        return
    if arguments.json:
        write_text(arguments.json, text + "\n")
    threads = f"{arguments.threads} threads" if arguments.threads else "each runtime's own number of threads"
    print(f"on {here}; {arguments.frames} frames a run, {arguments.rounds} rounds, {threads}; medians")
    print(table(measured))
    print(found.line(here))
    for name, operators in profiled.items():
        print("\n" + profile_table(name, operators))


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(build_parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
