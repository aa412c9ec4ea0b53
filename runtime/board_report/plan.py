"""The steps of a board's report: what is run, in which power mode, how long it takes, and why one is left out here.

Everything runs in the report's own folder under short names, so that no path of the user's gets into a report.
"""

import os
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.runtime.board_report.power import Mode
from ccc_jetson.runtime.board_report.running import Command
from ccc_jetson.shown_command import shown_command
from ccc_jetson.targets import Target

MODEL = "model.onnx"  # in the report's folder: a link to the one that was given
PRECISIONS = ("fp32", "fp16", "int8")
NOT_MEASURED = "not measured yet"
SOAK, GOLDEN = "soak", "golden"  # folders in it
SUITE = "tests/jetson"
_MODULES = {
    "ccc-doctor": "ccc_jetson.runtime.doctor.cli",
    "ccc-inspect": "ccc_jetson.engines.inspect_cli",
    "ccc-build-engine": "ccc_jetson.engines.build_cli",
    "ccc-eval": "ccc_jetson.runtime.eval_cli",
    "ccc-bench": "ccc_jetson.runtime.bench.cli",
    "ccc-run": "ccc_jetson.runtime.run_cli",
    "golden-frames": "ccc_jetson.runtime.board_report.golden_frames",
    "pytest": "pytest",
}
_START = "import sys; from {} import main; sys.exit(main(sys.argv[1:]))"
_MINUTE_S, _HOUR_S = 60.0, 3600.0
_CAMERA_FRAMES = 300
_NO_CALIBRATION = "there are no frames to calibrate on: --calib FOLDER (or a calibration cache)"


class Lengths(NamedTuple):
    """How long is measured: seconds of the engine that counts and of the others, minutes of the soak."""

    bench_s: int
    others_s: int
    soak_minutes: int


FULL, QUICK = Lengths(600, 60, 30), Lengths(20, 10, 1)


class Wishes(NamedTuple):
    """What the user has asked for. Paths are absolute; "" and empty where nothing was given.

    ``python`` are the words that start an interpreter, ``checkout`` the folder of the repository.
    """

    python: Tuple[str, ...]
    quick: bool = False
    checkout: str = ""
    calib: Tuple[str, ...] = ()
    images: str = ""
    labels: str = ""
    mapping: str = ""
    camera: str = ""

    @property
    def lengths(self) -> Lengths:
        return QUICK if self.quick else FULL


class Board(NamedTuple):
    """What the plan has to know of the board.

    ``target`` is the known one that it is, if any; ``modes`` are to be measured, ``found`` is the number of the one
    that is set; ``why_not`` says why no mode can be set, "" where one can.
    """

    target: Optional[Target]
    modes: Tuple[Mode, ...]
    found: Optional[int]
    why_not: str
    is_classifier: bool = False
    has_pytest: bool = False


class Step(NamedTuple):
    """One thing that is measured or made.

    ``needs`` are steps that must be done before; ``mode`` is set first, None leaves it alone, and one that
    ``insists`` on it is not run in another; ``good`` are exit codes of its commands that are no failure; ``makes`` are
    files without which it is not done, whatever its commands say, and ``leaves`` what it may leave beside them. One
    with ``why_left_out`` is not run.
    """

    name: str
    title: str
    commands: Tuple[Command, ...]
    limit_s: float
    expected: str
    needs: Tuple[str, ...] = ()
    mode: Optional[Mode] = None
    insists: bool = False
    good: Tuple[int, ...] = (0,)
    makes: Tuple[str, ...] = ()
    leaves: Tuple[str, ...] = ()
    why_left_out: str = ""


def plan(wishes: Wishes, board: Board) -> List[Step]:
    """All steps in order, those that are left out as well."""
    fastest = board.modes[0] if board.modes and not board.why_not else None
    precisions = [each for each in PRECISIONS if not _no_units(each, board.target)]
    counts = main_precision(board)
    steps = _looks(wishes)
    steps += [_build(wishes, board, precision)._replace(mode=fastest) for precision in PRECISIONS]
    steps += [_accuracy(wishes, board, precision)._replace(mode=fastest) for precision in precisions]
    for mode in measured_modes(board):
        steps += [_bench(wishes, board, precision, mode, precision == counts) for precision in precisions]
    steps += [each._replace(mode=fastest) for each in _of_checkout(wishes, counts)]
    steps += [_camera(wishes, counts)._replace(mode=fastest), _suite(wishes, board)]
    left_out = {step.name for step in steps if step.why_left_out}
    return [_without_what_it_needs(step, [name for name in step.needs if name in left_out]) for step in steps]


def _without_what_it_needs(step: Step, left_out: Sequence[str]) -> Step:
    """The step, left out where what it needs is."""
    if step.why_left_out or not left_out:
        return step
    return step._replace(why_left_out="it needs {}, which is left out".format(", ".join(left_out)))


def main_precision(board: Board) -> str:
    """The one that the figures are of: FP16 where the hardware has it."""
    return "fp32" if _no_units("fp16", board.target) else "fp16"


def _command(wishes: Wishes, words: Sequence[str], output: str = "") -> Command:
    """One of our commands by its name, or a script of the checkout by its path in it."""
    name, rest = words[0], tuple(words[1:])
    shown = shown_command(words) + (" > " + output if output else "")
    if name in _MODULES:
        return Command(shown, wishes.python + ("-c", _START.format(_MODULES[name])) + rest, output)
    return Command("python3 " + shown, wishes.python + (os.path.join(wishes.checkout, name),) + rest, output)


def _looks(wishes: Wishes) -> List[Step]:
    """What the machine is and what the model holds."""
    limit_s = 20 * _MINUTE_S  # each probe may take half a minute
    return [
        Step("environment", "versions", (_command(wishes, ["ccc-doctor", "--version"], "environment.txt"),), limit_s,
             "seconds", makes=("environment.txt",)),
        Step("doctor", "what is wrong with this machine",
             (_command(wishes, ["ccc-doctor", "--json", MODEL], "doctor.json"),), limit_s, "up to a minute",
             good=(0, 1), makes=("doctor.json",)),  # 1: something costs speed, as the mode that a TX2 boots in
        Step("inspect", "what the model holds", (_command(wishes, ["ccc-inspect", MODEL], "inspect.txt"),), limit_s,
             "seconds", makes=("inspect.txt",)),
    ]  # fmt: skip


def _no_units(precision: str, target: Optional[Target]) -> str:
    """Why the hardware cannot compute so; "" where it can, or where nobody knows the board."""
    if target is None or precision == "fp32" or getattr(target, precision):
        return ""
    sm = "sm_{}{}".format(*target.compute_capability)
    return "a {} ({}) has no units for {}".format(target.title, sm, precision.upper())


def _build(wishes: Wishes, board: Board, precision: str) -> Step:
    words = ["ccc-build-engine", MODEL, "-o", precision + ".engine", "--" + precision, "--profile"]
    why_not = _no_units(precision, board.target)
    if precision == "int8":
        words += [word for each in wishes.calib for word in ("--calib", each)]
        words += ["--calib-not-in", wishes.images] if wishes.images and _measures(wishes.calib) else []
        why_not = why_not or ("" if wishes.calib else _NO_CALIBRATION)
    return Step(
        "build-" + precision,
        "engine in {}, judged on the golden frames".format(precision.upper()),
        (_command(wishes, words),),
        3 * _HOUR_S,
        "minutes; " + NOT_MEASURED,
        makes=(precision + ".engine", precision + ".engine.json"),
        leaves=(precision + ".layers.json",),
        why_left_out=why_not,
    )


def _measures(calib: Sequence[str]) -> bool:
    """Whether frames are calibrated on here; a cache was calibrated elsewhere."""
    return any(os.path.isdir(each) or each.endswith((".txt", ".mp4", ".avi", ".mkv")) for each in calib)


def _accuracy(wishes: Wishes, board: Board, precision: str) -> Step:
    """On the user's labelled frames, else on the golden ones against FP32's own classes."""
    engine, report = precision + ".engine", "accuracy-{}.json".format(precision)
    step = Step(
        "accuracy-" + precision, "accuracy in " + precision.upper(), (), 6 * _HOUR_S, NOT_MEASURED,
        needs=("build-" + precision,), makes=(report,),
    )  # fmt: skip
    if board.is_classifier:
        return step._replace(why_left_out="the network classifies whole pictures, which ccc-eval does not evaluate")
    if wishes.images:
        words = ["ccc-eval", engine, "--images", wishes.images, "--labels", wishes.labels, "--mapping", wishes.mapping]
        return step._replace(commands=(_command(wishes, [*words, "--report", report]),))
    words = ["ccc-eval", engine, "--images", "golden/images", "--labels", "golden/labels"]
    words += ["--mapping", "golden/mapping.json", "--report", report]
    frames = _command(wishes, ["golden-frames", MODEL, GOLDEN])
    return step._replace(
        title=step.title + ", on the golden frames against FP32's classes",
        commands=(frames, _command(wishes, words)),
        expected="up to a minute",
    )


def measured_modes(board: Board) -> Tuple[Optional[Mode], ...]:
    """The modes of the board, and the one that is set where no other can be; None where no mode is known."""
    if not board.modes:
        return (None,)
    if board.why_not and board.found not in [mode.number for mode in board.modes]:
        name = "" if board.found is None else "mode {}".format(board.found)
        return (None if board.found is None else Mode(board.found, name, "the one that is set"),) + board.modes
    return board.modes


def bench_name(precision: str, mode: Optional[Mode]) -> str:
    """``bench-fp16-maxn``."""
    return "bench-{}-{}".format(precision, "as-found" if mode is None else mode.name.lower().replace(" ", "-"))


def _bench(wishes: Wishes, board: Board, precision: str, mode: Optional[Mode], counts: bool) -> Step:
    name = bench_name(precision, mode)
    seconds = wishes.lengths.bench_s if counts else wishes.lengths.others_s
    words = ["ccc-bench", precision + ".engine", "--duration", str(seconds)]
    words += ["--report", name + ".json", "--report", name + ".html"]
    title = "speed in {}{}".format(precision.upper(), "" if mode is None else ", {} ({})".format(mode.name, mode.why))
    left_out = board.why_not if mode is not None and mode.number != board.found else ""
    return Step(
        name, title, (_command(wishes, words),), seconds + 30 * _MINUTE_S, "{} s and a warm-up".format(seconds),
        needs=("build-" + precision,), mode=None if board.why_not else mode, insists=True, makes=(name + ".json",),
        leaves=(name + ".html",), why_left_out=left_out,
    )  # fmt: skip


def _of_checkout(wishes: Wishes, precision: str) -> List[Step]:
    """The benchmarks that are no part of the package."""
    minutes = wishes.lengths.soak_minutes
    kernels, soak = "benchmarks/kernels.py", "benchmarks/soak.py"
    steps = [
        Step("kernels", "kernels against the memory's copy rate",
             (_command(wishes, [kernels, "--json"], "kernels.json"),), 30 * _MINUTE_S, NOT_MEASURED,
             makes=("kernels.json",)),
        Step("soak", "{} min of the whole pipeline: memory and descriptors".format(minutes),
             (_command(wishes, [soak, precision + ".engine", SOAK, "--minutes", str(minutes)]),),
             minutes * _MINUTE_S + 30 * _MINUTE_S, "{} min".format(minutes), needs=("build-" + precision,),
             makes=(SOAK + "/soak.json",), leaves=(SOAK + "/soak.svg",)),
    ]  # fmt: skip
    return [
        step if wishes.checkout and os.path.exists(os.path.join(wishes.checkout, script))
        else step._replace(why_left_out="{} is part of the repository, and no checkout of it is here".format(script))
        for step, script in zip(steps, (kernels, soak))
    ]  # fmt: skip


def _camera(wishes: Wishes, precision: str) -> Step:
    words = ["ccc-run", wishes.camera, "--model", precision + ".engine", "--headless"]
    words += ["--frames", str(_CAMERA_FRAMES), "--report", "camera.json"]
    return Step(
        "camera", "a camera, {} frames, none of them kept".format(_CAMERA_FRAMES), (_command(wishes, words),),
        10 * _MINUTE_S, "10 s at 30 FPS", needs=("build-" + precision,), makes=("camera.json",),
        why_left_out="" if wishes.camera else "none was named: --camera /dev/video0 or csi://0",
    )  # fmt: skip


def _suite(wishes: Wishes, board: Board) -> Step:
    words = ["pytest", "-q", "-ra", "-p", "no:cacheprovider", "-m", "jetson", os.path.join(wishes.checkout, SUITE)]
    why_not = ""
    if not (wishes.checkout and os.path.isdir(os.path.join(wishes.checkout, SUITE))):
        why_not = "{} is part of the repository, and no checkout of it is here".format(SUITE)
    elif not board.has_pytest:
        why_not = "this Python has no pytest (docs/board-report.md says how to install it)"
    return Step(
        "suite", "the device tests", (_command(wishes, words),), 2 * _HOUR_S, NOT_MEASURED, why_left_out=why_not
    )
