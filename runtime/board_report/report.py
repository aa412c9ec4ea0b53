"""Makes a board's report: runs the steps, notes what becomes of each, sets the power mode back, packs one file."""

import contextlib
import json
import os
import shlex
import shutil
import time
from importlib.util import find_spec
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson import __version__
from ccc_jetson.board import read_board
from ccc_jetson.carried import read_contract
from ccc_jetson.clean_text import clean
from ccc_jetson.command import INTERRUPTED as INTERRUPTED_CODE
from ccc_jetson.engines.machine import target_of
from ccc_jetson.environment import environment
from ccc_jetson.errors import CccError, UsageError
from ccc_jetson.files import sha256_of, write_text
from ccc_jetson.progress import say
from ccc_jetson.revision import revision
from ccc_jetson.runtime.board_report import plan as planning
from ccc_jetson.runtime.board_report.bundle import write_bundle
from ccc_jetson.runtime.board_report.outcome import read_outcome
from ccc_jetson.runtime.board_report.page import About, board_document
from ccc_jetson.runtime.board_report.plan import Board, Step, Wishes, plan
from ccc_jetson.runtime.board_report.power import PowerSwitch, modes_to_measure
from ccc_jetson.runtime.board_report.privacy import (
    check_scrubbed,
    known_here,
    scrubbed_file,
    scrubbed_json,
    scrubbed_value,
)
from ccc_jetson.runtime.board_report.running import run, text_of_log
from ccc_jetson.runtime.board_report.state import DONE, FAILED, INTERRUPTED, LEFT_OUT, NAME, TIME_FORMAT, Outcome, State
from ccc_jetson.tables import aligned_table
from ccc_jetson.targets import Target

SCHEMA = 1
KIND = "board"
COMMENT = "comment.md"  # in the report's folder, too: to be pasted into the issue
_OF_STEPS = (".json", ".html", ".txt", ".svg")
_OF_EVERY_BOARD = ("NVIDIA", "Developer", "Kit", "Engineering", "Reference")  # words of a device tree's model


class Request(NamedTuple):
    """What is to be reported, and where: ``model`` is the ONNX file, ``folder`` the work's, ``out`` the archive's name,
    "" for one by board and date; ``root`` of the files that describe the board."""

    model: str
    wishes: Wishes
    folder: str
    out: str = ""
    command: str = ""
    may_switch: bool = True
    root: str = "/"


def make_report(request: Request) -> int:
    """Runs everything that is not done yet, and packs what there is; the exit code.

    Raises:
        UsageError: this is no Jetson, or the folder holds a report of something else, or files of the user's.
        FileProblem, ContractError: the model is none of ``ccc-export``, or the archive cannot be written.
    """
    board = read_board(request.root)
    if not board.board and not board.l4t:
        raise UsageError(
            "this is no Jetson, by its files: there is no board to report",
            hint="ccc-bench MODEL measures any machine, ccc-doctor looks at it",
        )
    contract = read_contract(request.model)
    about = _about_work(request)
    _check_folder(request)
    os.makedirs(request.folder, exist_ok=True)
    state = State(request.folder, about, time.strftime(TIME_FORMAT, time.gmtime()))
    state.take_up()
    found_now, modes = modes_to_measure(request.root)
    if state.found_mode is None:
        state.found_mode = found_now
    state.write()
    _place_model(request)
    switch = PowerSwitch(state.found_mode, request.root, request.may_switch)
    if state.is_resumed and found_now != state.found_mode and not switch.why_not:
        switch.expect_another()
        say("the power mode is {}, left by a run that was interrupted; at the end it is set back to {}".format(
            found_now, state.found_mode
        ))  # fmt: skip
    target = target_of("", board.board)
    described = Board(target, modes, found_now, switch.why_not, contract.is_classifier, find_spec("pytest") is not None)
    steps = plan(request.wishes, described)
    _announce(request, steps, state, switch)
    problems, interrupted = _run_all(request, steps, state, switch)
    about_report = About(
        facts=tuple(_facts(request)),
        board=clean(board.board) or "a Jetson",
        short=short_name(clean(board.board), target),
        is_tx2=target is not None and target.name == "tx2",
        model="{}, {}x{}".format(clean(contract.architecture.title), contract.input.width, contract.input.height),
        command=request.command,
        tool=_tool(),
        quick=request.wishes.quick,
        main_precision=planning.main_precision(described),
        labelled=bool(request.wishes.images),
        problems=tuple(problems),
    )
    path = _pack(request, about_report, steps, state, described)
    return _tell(path, request, steps, state, problems, interrupted)


def short_name(board: str, target: Optional[Target]) -> str:
    """``Jetson TX2`` of ``NVIDIA Jetson TX2 Developer Kit``; the known target's for a code name."""
    words = [word for word in board.split() if word not in _OF_EVERY_BOARD]
    if "Jetson" not in words and target is not None:
        return target.title
    return " ".join(words) or "Jetson"


def _tool() -> str:
    found = revision()
    return "ccc-jetson " + __version__ + (", revision " + found if found else "")


def _about_work(request: Request) -> Dict[str, Any]:
    """What a report that goes on must have in common with this one."""
    wishes = request.wishes
    given = {"calib": list(wishes.calib), "images": wishes.images, "labels": wishes.labels, "mapping": wishes.mapping}
    return dict(given, model=sha256_of(request.model), quick=wishes.quick, tool=_tool(), camera=wishes.camera)


def _check_folder(request: Request) -> None:
    """What lies in the folder is replaced and packed, so nothing of the user's may lie there.

    Raises:
        UsageError: it holds files and no report, or the model itself.
    """
    cure = "name a folder that is empty or not there yet, as in --folder report-of-this-board"
    if os.path.lexists(request.folder) and not os.path.isdir(request.folder):
        raise UsageError("--folder {}: is no folder".format(request.folder), hint=cure)
    is_ours = os.path.isfile(os.path.join(request.folder, NAME))
    if not is_ours and os.path.isdir(request.folder) and os.listdir(request.folder):
        raise UsageError("--folder {}: holds other files, and no report".format(request.folder), hint=cure)
    if os.path.realpath(request.model) == os.path.join(os.path.realpath(request.folder), planning.MODEL):
        raise UsageError("--folder {}: the model itself lies there".format(request.folder), hint=cure)


def _place_model(request: Request) -> None:
    """The model under a name of our own, and the folders that steps write to."""
    place, model = os.path.join(request.folder, planning.MODEL), os.path.realpath(request.model)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place)
    try:
        os.symlink(model, place)
    except OSError:  # a stick's file system has no links
        shutil.copyfile(model, place)
    os.makedirs(os.path.join(request.folder, planning.SOAK), exist_ok=True)


def _announce(request: Request, steps: Sequence[Step], state: State, switch: PowerSwitch) -> None:
    """What will be done, how long it takes, and what is left out and why."""
    rows = []
    for step in steps:
        is_done = state.is_done(step.name)
        what = "left out: " + step.why_left_out if step.why_left_out else "done already" if is_done else step.expected
        rows.append([step.name, step.title, what])
    say(aligned_table(rows, left=(0, 1, 2)))
    lengths = request.wishes.lengths
    say("Together {} and more: what has no time was not measured on a board yet, and building engines takes "
        "minutes. Ctrl-C ends it, and the same command goes on.".format(
            "a few minutes" if request.wishes.quick else "{:.0f} min".format(_known_minutes(steps, lengths))
        ))  # fmt: skip
    if switch.why_not:
        say("power modes are left as they are: " + switch.why_not)


def _known_minutes(steps: Sequence[Step], lengths: planning.Lengths) -> float:
    """Of the steps whose length is chosen here."""
    seconds = 0.0
    for step in steps:
        if not step.why_left_out and step.name.startswith("bench-"):
            seconds += float(step.expected.split(" ")[0])
        if not step.why_left_out and step.name == "soak":
            seconds += 60.0 * lengths.soak_minutes
    return seconds / 60.0


def _run_all(request: Request, steps: Sequence[Step], state: State, switch: PowerSwitch) -> Tuple[List[str], bool]:
    """Every step that is not done; whatever happens, the power mode is set back.

    Returns:
        What went wrong beside the steps, and whether somebody ended it.
    """
    problems: List[str] = []
    interrupted = False
    try:
        for index, step in enumerate(steps, 1):
            if state.is_done(step.name):
                continue
            state.note(step.name, _run(request, step, state, switch, "[{}/{}] {}".format(index, len(steps), step.name)))
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted; the power mode is set back, and what there is is packed")
    finally:
        problem = switch.restore()
        if problem:
            problems.append("The power mode was not set back ({}): {}".format(problem, switch.command_back))
            say(problems[-1])  # now: what comes after may fail
    if state.unwritten:
        problems.append("What is done could not be kept, so nothing goes on from it: " + state.unwritten)
    return problems, interrupted


def _run(request: Request, step: Step, state: State, switch: PowerSwitch, title: str) -> Outcome:
    """One step to its end."""
    if step.why_left_out:
        return Outcome(LEFT_OUT, 0.0, step.why_left_out)
    missing = [name for name in step.needs if not state.is_done(name)]
    if missing:
        return Outcome(LEFT_OUT, 0.0, "it needs {}, which is not done".format(", ".join(missing)))
    if step.mode is not None:
        problem = switch.set(step.mode.number)
        if problem and step.insists:
            say("{}: failed: {}".format(title, problem))
            return Outcome(FAILED, 0.0, problem)
        if problem:
            say("{}: in the mode that is set: {}".format(title, problem))
    say("{}: {} ({})".format(title, step.title, step.expected))
    started = time.monotonic()
    log = os.path.join(request.folder, step.name + ".log")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(log)
    try:
        for command in step.commands:
            ended = run(command, request.folder, log, step.limit_s, title)
            if ended.code not in step.good:
                say("{}: failed after {:.0f} s: {}".format(title, time.monotonic() - started, ended.complaint))
                return Outcome(FAILED, round(time.monotonic() - started, 1), ended.complaint, ended.code)
    except KeyboardInterrupt:
        state.note(step.name, Outcome(INTERRUPTED, round(time.monotonic() - started, 1), "interrupted"))
        raise
    except CccError as problem:  # a full disk
        say("{}: failed: {}".format(title, problem))
        return Outcome(FAILED, round(time.monotonic() - started, 1), str(problem))
    seconds = round(time.monotonic() - started, 1)
    lacking = [name for name in step.makes if not _has_content(os.path.join(request.folder, name))]
    if lacking:
        say("{}: failed: {} was not written".format(title, ", ".join(lacking)))
        return Outcome(FAILED, seconds, "{} was not written".format(", ".join(lacking)), ended.code)
    say("{}: done in {:.0f} s".format(title, seconds))
    return Outcome(DONE, seconds, "", ended.code)


def _has_content(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _facts(request: Request) -> Iterator[Tuple[str, str]]:
    board = read_board(request.root)
    yield "board", clean(board.board)
    yield "L4T, JetPack", clean(", ".join(filter(None, (board.l4t, board.jetpack))))
    for name, value in environment(request.root):
        if name != "board":
            yield name, value
    yield "model", "SHA-256 " + sha256_of(request.model)


def _pack(request: Request, about: About, steps: Sequence[Step], state: State, board: Board) -> str:
    """Writes the archive and the comment; the archive's path.

    Raises:
        CccError: something in it still tells who made it, or it cannot be written.
    """
    from ccc_jetson.runtime.reports.html import page
    from ccc_jetson.runtime.reports.markdown import markdown

    done = tuple(step.name for step in steps if state.is_done(step.name))
    modes = tuple(dict.fromkeys(planning.measured_modes(board)))
    known = known_here(request.root, _named_paths(request), request.wishes.camera)
    document = board_document(about, steps, state.outcomes, read_outcome(request.folder, modes, done))
    document = scrubbed_value(document, known)
    record = {
        "schema": SCHEMA,
        "kind": KIND,
        "tool": about.tool,
        "started": state.started,
        "command": about.command,
        "quick": about.quick,
        "board": about.board,
        "model": about.model,
        "facts": dict(about.facts),
        "found_mode": state.found_mode,
        "modes": [mode._asdict() for mode in board.modes],
        "problems": list(about.problems),
        "steps": [
            dict(state.outcomes[step.name]._asdict(), name=step.name, title=step.title)
            for step in steps
            if step.name in state.outcomes
        ],
    }
    comment = markdown(document)
    files = [
        ("comment.md", comment),
        ("report.html", page(document)),
        ("report.json", scrubbed_json(json.dumps(record), known)),
    ]
    files += [(name, scrubbed_file(name, _text(path), known)) for name, path in _left_files(request.folder, steps)]
    for name, content in files[1:]:  # the comment is the page's texts among marks of our own
        check_scrubbed(name, content, known)
    write_text(os.path.join(request.folder, COMMENT), comment)
    day = time.strftime("%Y%m%d", time.strptime(state.started, TIME_FORMAT))
    name = "board-report-{}-{}".format(_slug(about.short), day)
    path = request.out or os.path.join(os.path.dirname(os.path.abspath(request.folder)), name + ".tar.gz")
    size = write_bundle(path, name, files, time.time())
    say("{}: {} files, {:.2f} MB".format(path, len(files), size / 1e6))
    return path


def _slug(board: str) -> str:
    """``jetson-tx2``."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in board.lower()).split())[:60] or "board"


def _named_paths(request: Request) -> List[Tuple[str, str]]:
    """What the user has named, by its last part: where it lies is nobody's business."""
    wishes = request.wishes
    given = [request.model, wishes.images, wishes.labels, wishes.mapping, wishes.checkout, *wishes.calib]
    given += [] if wishes.camera.startswith("/dev/") else [wishes.camera]
    found = [(each, os.path.basename(each)) for each in given if os.path.isabs(each)]
    found += [(os.path.realpath(each), shown) for each, shown in found]
    # as a log's first line has it
    found += [(shlex.quote(each), shlex.quote(shown)) for each, shown in found if "'" in each]
    return found + [(os.path.abspath(request.folder), "."), (os.path.realpath(request.folder), ".")]


def _left_files(folder: str, steps: Sequence[Step]) -> Iterator[Tuple[str, str]]:
    """(name in the archive, path) of what steps have left: logs, records, pages; no engines, no pictures, and nothing
    that somebody else has put there."""
    for step in steps:
        path = os.path.join(folder, step.name + ".log")
        if os.path.isfile(path):
            yield "logs/{}.txt".format(step.name), path
    for name in sorted({each for step in steps for each in step.makes + step.leaves}):
        path = os.path.join(folder, name)
        if name.endswith(_OF_STEPS) and os.path.isfile(path):
            yield name, path


def _text(path: str) -> str:
    if path.endswith(".log"):
        return text_of_log(path)
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def _tell(
    path: str, request: Request, steps: Sequence[Step], state: State, problems: Sequence[str], interrupted: bool
) -> int:
    """The end: what went wrong, and what to do with the file."""
    failed = [step.name for step in steps if state.outcomes.get(step.name, Outcome(DONE, 0.0)).status == FAILED]
    rows = [
        [step.name, outcome.status, outcome.why]
        for step, outcome in ((step, state.outcomes.get(step.name)) for step in steps)
        if outcome is not None and outcome.status != DONE
    ]
    if rows:
        say(aligned_table(rows, left=(0, 1, 2)))
    for problem in problems:
        say("problem: " + problem)
    say("{} of {} steps are done".format(sum(state.is_done(step.name) for step in steps), len(steps)))
    say("attach {} to an issue, and paste {} as its text (docs/board-report.md)".format(
        path, os.path.join(request.folder, COMMENT)
    ))  # fmt: skip
    if interrupted:
        say("it is not complete: the same command goes on")
        return INTERRUPTED_CODE
    return 1 if failed or problems else 0
