"""The table of commands and faults, and the law that every cell keeps.

    python -m tests.faults.matrix                      # all of it, as a table in Markdown; about an hour of a CPU
    python -m tests.faults.matrix --only ccc-eval --fault killed

The law: no traceback, and where it fails a message with an exit code that is not 0; results are whole or as they were;
nothing else is left in the folder, and no process; the next run, undisturbed, succeeds and leaves nothing but results.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from typing import NamedTuple

from tests.faults.commands import COMMANDS, OUT, commands_here, why_no_pair, why_not_whole, write_inputs
from tests.faults.disturbed import Disturber

INTERRUPTED = 130
_ERROR = ": error: "
PLACES = 10  # that a fault strikes at, evenly over the run; of each signal, half as many of two kinds
_SHORTEST_S, _LONGEST_S = -0.001, 600.0  # of any duration in a report: the clock jumps by an hour
_SESSION = ".ses"  # ONNX Runtime's own, in the folder for temporary files
QUARTERS = (0.0, 0.25, 0.5, 0.75)


class Broken(NamedTuple):
    """A cell that does not keep the law: where, and in what."""

    command: str
    fault: str
    case: str
    problem: str


class Room:
    """The inputs of all commands, what each makes of them undisturbed, and folders to disturb it in."""

    def __init__(self, disturber, folder, commands):
        self.disturber, self._folder = disturber, folder
        self._inputs = os.path.join(folder, "inputs")
        os.mkdir(self._inputs)
        write_inputs(self._inputs, any("weights.pth" in each.reads for each in commands))
        build = next(each for each in COMMANDS if each.name == "ccc-build-engine")
        ended = disturber.run(build, self._inputs, ("model.onnx", "--fp16", "--min-agreement", "0"))
        assert ended.code == 0, ended
        for name in ("cache", "tmp"):
            shutil.rmtree(os.path.join(self._inputs, name))
        self.good = {}
        for command in commands:
            fresh = self.fresh(command, with_results=False)
            ended = disturber.run(command, fresh)
            assert ended.code in (0, 1) and "Traceback" not in ended.err, (command.name, ended)
            again = disturber.run(command, fresh, events="all")  # with its results there, as in every cell
            self.good[command.name] = (fresh, ended.code, self.listing(fresh), again.events)
        self._number = 0

    def fresh(self, command, with_results=True):
        """A new folder with the inputs, and with the results of the undisturbed run."""
        folder = tempfile.mkdtemp(dir=self._folder)
        for name in os.listdir(self._inputs):
            source, target = os.path.join(self._inputs, name), os.path.join(folder, name)
            if os.path.isdir(source):
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)
        if with_results:
            shutil.copytree(os.path.join(self.good[command.name][0], OUT), os.path.join(folder, OUT))
        else:
            os.mkdir(os.path.join(folder, OUT))
        return folder

    @staticmethod
    def listing(folder):
        """Every file below a folder by its path there, but those of the caches, with what it holds."""
        found = {}
        for place, _, names in os.walk(folder):
            if os.path.relpath(place, folder).split(os.sep)[0] == "cache":
                continue
            for name in names:
                path = os.path.join(place, name)
                if name == _SESSION:
                    continue
                held = None
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        held = file.read()
                found[os.path.relpath(path, folder)] = held
        return found


class Cell:
    """One command under one fault, struck at one or many places."""

    def __init__(self, room, command, fault, broken):
        self._room, self.command, self._fault, self._broken = room, command, fault, broken
        self.outcomes = {"refused": 0, "ran": 0, "ended": 0}

    def judge(self, case, folder, ended, before, may_succeed=True, may_leave=False, recovers=True, in_pairs=True):
        """Adds the case to the outcomes, and what it breaks of the law to the list.

        Args:
            before: the listing of the folder when the command began.
            may_succeed: a fault that may not matter; else exit code 0 breaks the law.
            may_leave: temporary files, which the next run removes: after SIGKILL.
            recovers: the next run is tried.
            in_pairs: files that are of use together fit; SIGKILL between two renames is what the SHA-256 in one is for.
        """
        problems = []
        good_code = self._room.good[self.command.name][1]
        if ended.code is None:
            problems.append("hangs")
        elif ended.code == good_code:
            self.outcomes["ran"] += 1
            if not may_succeed:
                problems.append("exit code {} all the same".format(ended.code))
        elif ended.code < 0 or ended.code == INTERRUPTED or _before_it_began(ended):
            self.outcomes["ended"] += 1
        else:
            self.outcomes["refused"] += 1
            if _ERROR not in ended.err and ended.out is not None and self._fault not in ("reader gone",):
                problems.append("exit code {} without a message".format(ended.code))
        if "Traceback" in ended.err and not _before_it_began(ended):
            problems.append("traceback: " + ended.err.strip().splitlines()[-1])
        if ended.left:
            problems.append("{} processes are left".format(len(ended.left)))
        problems += self._of_results(folder, before, may_leave, in_pairs and not may_leave)
        if recovers and not problems:
            problems += self._of_recovery(folder)
        for problem in problems:
            self._broken.append(Broken(self.command.name, self._fault, case, problem))
        if not problems:
            shutil.rmtree(folder, ignore_errors=True)

    def _of_results(self, folder, before, may_leave, in_pairs):
        problems = []
        now = self._room.listing(folder)
        for name in sorted(set(before) - set(now)):
            problems.append("{} is gone".format(name))
        allowed = {os.path.join(OUT, each) for each in self.command.writes + self.command.streams}
        for name in sorted(now):
            inside = os.path.join(*name.split(os.sep)[:2])
            is_part = ".part" in name or name.startswith("tmp" + os.sep)
            if name not in before and (is_part or inside not in allowed):
                if not (may_leave and is_part):
                    problems.append("{} is left".format(name))
            elif now[name] is not None and now[name] != before.get(name):
                if inside not in allowed:
                    problems.append("{} was changed".format(name))
                elif os.path.basename(name) != "state":
                    problems.append(why_not_whole(os.path.join(folder, name), name))
        problems.append(why_no_pair(os.path.join(folder, OUT), self.command) if in_pairs else "")
        return [each for each in problems if each]

    def _of_recovery(self, folder):
        _, code, good, _ = self._room.good[self.command.name]
        ended = self._room.disturber.run(self.command, folder)
        if ended.code != code:
            return ["the next run fails: exit code {}, {}".format(ended.code, ended.err.strip()[-300:])]
        now = self._room.listing(folder)
        problems = ["{} is left after the next run".format(name) for name in sorted(set(now) - set(good))]
        problems += ["{} is missing after the next run".format(name) for name in sorted(set(good) - set(now))]
        problems += [why_not_whole(os.path.join(folder, OUT, each), each) for each in self.command.writes]
        problems.append(why_no_pair(os.path.join(folder, OUT), self.command))
        return [each for each in problems if each]

    @property
    def text(self):
        """``12: 9 refused, 3 ran``."""
        total = sum(self.outcomes.values())
        if not total:
            return "-"
        return "{}: {}".format(total, ", ".join("{} {}".format(n, name) for name, n in self.outcomes.items() if n))


def _before_it_began(ended):
    """Ctrl-C while Python was still importing the command: there is nobody yet who could say it more nicely."""
    return "in run_command" not in ended.err and ended.err.rstrip().endswith("KeyboardInterrupt")


def spread(count, most):
    """At most so many of 1 .. count, evenly, with both ends."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(index * (count - 1) / (most - 1)) for index in range(most)})


class Faults:
    """What can be done to a command; at so many ``places``; 0 is one, chosen by ``rng``."""

    def __init__(self, room, places, rng):
        self.room, self.places, self.rng = room, places, rng
        self.short = places == 0
        self._counted = {}

    def _places(self, count, most):
        if not self.short:
            return spread(count, most)
        return sorted(self.rng.sample(range(1, count + 1), min(1, count)))

    def _changes(self, command):
        """How many events a run makes that changes its results."""
        if command.name not in self._counted:
            folder = self.room.fresh(command)
            self._counted[command.name] = self.room.disturber.run(command, folder).events
            shutil.rmtree(folder)
        return self._counted[command.name]

    def _struck(self, cell, what, events, count, most=None, **law):
        for at in self._places(count, most or self.places):
            folder = self.room.fresh(cell.command)
            before = self.room.listing(folder)
            ended = self.room.disturber.run(cell.command, folder, what=what, at=at, events=events)
            cell.judge("{} at event {} of {}".format(what, at, count), folder, ended, before, **law)

    def disk_full(self, cell):
        self._struck(cell, "full", "changes", self._changes(cell.command))

    def killed(self, cell):
        self._struck(cell, int(signal.SIGKILL), "changes", self._changes(cell.command), may_leave=True)

    def signals(self, cell):
        count = self.room.good[cell.command.name][3]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            half = (self.places + 1) // 2
            self._struck(cell, int(number), "all", count, half, recovers=False)
            self._struck(cell, int(number), "changes", self._changes(cell.command), half)

    def read_only(self, cell):
        folder = self.room.fresh(cell.command)
        before = self.room.listing(folder)
        ended = self.room.disturber.run(cell.command, folder, what="readonly")
        cell.judge("readonly", folder, ended, before, may_succeed=not cell.command.writes)

    def missing_folder(self, cell):
        if cell.command.writes:
            arguments = [each.replace(OUT + "/", "missing/") for each in cell.command.arguments]
            folder = self.room.fresh(cell.command)
            before = self.room.listing(folder)
            ended = self.room.disturber.run(cell.command, folder, arguments)
            cell.judge("missing/", folder, ended, before, may_succeed=False)

    def in_place(self, cell):
        """A folder, a pipe, a device where a result goes."""
        for name in cell.command.writes:
            if name in cell.command.streams and "." not in name:
                continue  # a folder is what belongs there
            for kind in ("folder", "pipe", "device"):
                folder = self.room.fresh(cell.command)
                path = os.path.join(folder, OUT, name)
                os.unlink(path)
                _put(kind, path)
                before = self.room.listing(folder)
                ended = self.room.disturber.run(cell.command, folder)
                case = "a {} in place of {}".format(kind, name)
                cell.judge(case, folder, ended, before, may_succeed=False, recovers=False, in_pairs=False)

    def clock_jumps(self, cell):
        folder = self.room.fresh(cell.command)
        before = self.room.listing(folder)
        ended = self.room.disturber.run(cell.command, folder, clock="jumps")
        case = "an hour ahead and back"
        strange = [
            problem for name in cell.command.writes for problem in _strange_times(os.path.join(folder, OUT, name))
        ]
        strange += ["exit code {}".format(ended.code)] * (ended.code != self.room.good[cell.command.name][1])
        for problem in strange:
            cell._broken.append(Broken(cell.command.name, cell._fault, case, problem))
        cell.judge(case, folder, ended, before)

    def reader_gone(self, cell):
        self._printed_to(cell, "", "standard output to a reader that has gone")

    def output_full(self, cell):
        self._printed_to(cell, "/dev/full", "standard output to a full disk")

    def _printed_to(self, cell, out, case):
        folder = self.room.fresh(cell.command)
        before = self.room.listing(folder)
        ended = self.room.disturber.run(cell.command, folder, out=out)
        cell.judge(case, folder, ended, before)

    def damaged(self, cell):
        """Every input, shorter, changed, zeros, missing, a folder, a pipe, a device."""
        for name in cell.command.reads:
            whole = self.room.fresh(cell.command)
            path = os.path.join(whole, name)
            names = (
                [os.path.join(name, each) for each in sorted(os.listdir(path))[:1]] if os.path.isdir(path) else [name]
            )
            for each in names:
                kinds = [("cut", q) for q in QUARTERS] + [("flip", q) for q in QUARTERS] + [("zeros", 0.0)]
                kinds += [(kind, 0.0) for kind in ("missing", "folder", "pipe", "device")]
                if self.short:
                    kinds = self.rng.sample(kinds, 1)
                for kind, where in kinds:
                    folder = self.room.fresh(cell.command)
                    _damage(os.path.join(folder, each), kind, where)
                    before = self.room.listing(folder)
                    ended = self.room.disturber.run(cell.command, folder)
                    cell.judge("{} {:g} of {}".format(kind, where, each), folder, ended, before, recovers=False)
            shutil.rmtree(whole)


FAULTS = {
    "disk full": Faults.disk_full,
    "killed": Faults.killed,
    "signals": Faults.signals,
    "read-only": Faults.read_only,
    "missing folder": Faults.missing_folder,
    "in its place": Faults.in_place,
    "clock jumps": Faults.clock_jumps,
    "reader gone": Faults.reader_gone,
    "output full": Faults.output_full,
    "damaged input": Faults.damaged,
}


def _put(kind, path):
    if kind == "folder":
        os.mkdir(path)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.symlink("/dev/zero", path)


def _damage(path, kind, where):
    if kind in ("missing", "folder", "pipe", "device"):
        os.unlink(path)
        if kind != "missing":
            _put(kind, path)
        return
    with open(path, "rb") as file:
        data = bytearray(file.read())
    place = int(where * len(data))
    if kind == "cut":
        data = data[:place]
    elif kind == "zeros":
        data = bytes(len(data))
    else:
        data[place] ^= 0x10
    with open(path, "wb") as file:
        file.write(data)


def _strange_times(path):
    """Durations in a JSON file that no run of a few seconds can have."""
    import json

    if not path.endswith(".json") or not os.path.isfile(path):
        return []
    found = []

    def look(value, name):
        if isinstance(value, dict):
            for key, each in value.items():
                look(each, key)
        elif isinstance(value, list):
            for each in value:
                look(each, name)
        elif isinstance(value, (int, float)) and name.endswith(("_s", "seconds", "_ms")):
            seconds = value / 1000.0 if name.endswith("_ms") else value
            if not _SHORTEST_S <= seconds <= _LONGEST_S:
                found.append("{} is {}".format(name, value))

    with open(path) as file:
        look(json.load(file), "")
    return found


def run_matrix(commands, faults, places, seed, say=lambda text: None):
    """Runs cells: (texts by command and fault, what is broken). ``faults`` are names, for each command by its name."""
    rng, broken, table = random.Random(seed), [], {}
    folder = tempfile.mkdtemp(prefix="ccc-fault-matrix.")
    with Disturber(any(each.needs > (3, 6) for each in commands)) as disturber:
        room = Room(disturber, folder, commands)
        strikes = Faults(room, places, rng)
        for command in commands:
            for name in faults[command.name]:
                began_s, before = time.monotonic(), len(broken)
                cell = Cell(room, command, name, broken)
                FAULTS[name](strikes, cell)
                table[command.name, name] = cell.text
                took = "{:.0f} s".format(time.monotonic() - began_s)
                say("{} | {} | {} | {} broken | {}".format(command.name, name, cell.text, len(broken) - before, took))
                for each in broken[before:]:
                    say("    BROKEN {}: {}".format(each.case, each.problem))
    if not broken:
        shutil.rmtree(folder)
    return table, broken


def markdown(table, commands, faults):
    """The table."""
    lines = ["| command | " + " | ".join(faults) + " |", "|---" * (len(faults) + 1) + "|"]
    for command in commands:
        cells = [table.get((command.name, name), "**missing**") for name in faults]
        lines.append("| {} | {} |".format(command.name, " | ".join(cells)))
    return "\n".join(lines)


def main():
    """Entry point: 1 where a cell breaks the law."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="this command; may be given again")
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="this fault; may be given again")
    parser.add_argument("--places", type=int, default=PLACES, help="0: one of each, by chance, as the tests do")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    commands = [each for each in commands_here() if not given.only or each.name in given.only]
    commands.sort(key=lambda each: given.only.index(each.name) if given.only else 0)
    faults = [name for name in FAULTS if not given.fault or name in given.fault]

    def say(text):
        print(text, file=sys.stderr, flush=True)

    table, broken = run_matrix(commands, {each.name: faults for each in commands}, given.places, given.seed, say)
    print(markdown(table, commands, faults))
    print("\n{} broken".format(len(broken)))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
