"""Does a run grow? ccc-run for a long time, watched from outside: memory, descriptors, threads, children, FPS, latency.

    python benchmarks/soak.py MODEL OUT --minutes 30 --source "synthetic://?size=320x180&fps=10&live=1"

The run has the page with one reader, lines of JSON, an overlay video, telemetry and a report, all in the folder OUT,
and ends by SIGTERM, as a service does. What is looked at grows if its trend over the second half of the time
(the median slope between any two looks, Theil and Sen) makes more of it than is allowed: 1 MiB or 2 % of memory,
whichever is more, half a descriptor, thread, child or allocation. Writes OUT/soak.json and OUT/soak.svg; exit code 1
where something grows, the run does not end well, or something of it survives.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.command import number_from, run_command
from ccc_jetson.errors import CccError, UsageError
from ccc_jetson.files import write_text
from ccc_jetson.progress import say
from ccc_jetson.runtime.metrics import machine
from ccc_jetson.runtime.reports.document import Line, LineChart
from ccc_jetson.runtime.reports.svg import WIDTH, svg
from ccc_jetson.tables import aligned_table

SOURCE = "synthetic://?size=320x180&fps=10&live=1"
TOKEN = "the-token-of-a-soak"
READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "serve_clients.py")
MEMORY = "resident KiB"
ALLOWED = {MEMORY: 1024.0}  # over the second half of the time; of anything else half a one
ALLOWED_SHARE = 0.02
_MOST_PAIRS_OF = 400  # looks that the trend is taken from; the pairs are their square
_START_S, _END_S = 180.0, 60.0
_STYLE = (
    "text{font:12px sans-serif;fill:#333}.axis,.grid{stroke:#ccc;fill:none}"
    ".soft{fill:#666}.end{text-anchor:end}.middle{text-anchor:middle}"
    ".line{fill:none;stroke:#1f5fa8;stroke-width:1.5}.line-2{stroke:#b3541e;stroke-dasharray:5 3}"
)


class Look(NamedTuple):
    """What a process had at a time: seconds since the first look, and numbers by name."""

    at_s: float
    values: Dict[str, float]


class Minute(NamedTuple):
    """The frames of a minute: how many a second, and their latencies in milliseconds."""

    fps: float
    median_ms: float
    p99_ms: float
    dropped: int


class Trend(NamedTuple):
    """How one of the numbers went in the second half; ``growth`` is the slope times its length."""

    name: str
    first: float
    last: float
    growth: float
    allowed: float

    @property
    def grows(self) -> bool:
        return self.growth > self.allowed


def look(pid: int, gauges: Optional[str] = None) -> Dict[str, float]:
    """What a process has now; with what it writes of itself into the file ``gauges``, as lines ``name number``.

    Raises:
        CccError: there is no such process any more.
    """
    folder = "/proc/{}".format(pid)
    try:
        with open(folder + "/status") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
        found = {
            MEMORY: float(status["VmRSS"].split()[0]),
            "descriptors": float(len(os.listdir(folder + "/fd"))),
            "threads": float(status["Threads"]),
            "children": float(len(children_of(pid))),
        }
    except (OSError, KeyError):
        raise CccError("the run ended before its time")
    if gauges is not None and os.path.exists(gauges):
        with open(gauges) as file:
            found.update((name, float(number)) for name, number in (line.rsplit(" ", 1) for line in file))
    return found


def children_of(pid: int) -> List[int]:
    """The processes that a process has started and that are there, of all its threads."""
    found: List[int] = []
    tasks = "/proc/{}/task".format(pid)
    for task in os.listdir(tasks):
        try:
            with open("{}/{}/children".format(tasks, task)) as file:
                found += map(int, file.read().split())
        except OSError:  # the thread has just ended
            continue
    return found


def trend(name: str, looks: Sequence[Look]) -> Trend:
    """Of the second half of the looks; robust against single peaks."""
    half = [(each.at_s, each.values[name]) for each in looks[len(looks) // 2 :] if name in each.values]
    step = max(1, len(half) // _MOST_PAIRS_OF)
    points = half[::step]
    slopes = [
        (after[1] - before[1]) / (after[0] - before[0])
        for number, before in enumerate(points)
        for after in points[number + 1 :]
    ]
    length_s = points[-1][0] - points[0][0] if points else 0.0
    level = statistics.median(value for _, value in half) if half else 0.0
    allowed = max(ALLOWED[name], ALLOWED_SHARE * level) if name in ALLOWED else 0.5
    growth = statistics.median(slopes) * length_s if slopes else 0.0
    return Trend(name, half[0][1] if half else 0.0, half[-1][1] if half else 0.0, growth, allowed)


def minutes_of(path: str) -> List[Minute]:
    """What the run's lines of JSON say of each full minute, by the times at which the frames were captured."""
    by_minute: Dict[int, List[Dict[str, Any]]] = {}
    began_s = None
    with open(path) as file:
        for text in file:
            line = json.loads(text)
            at_s = _seconds(line["captured"])
            began_s = at_s if began_s is None else began_s
            by_minute.setdefault(int((at_s - began_s) // 60), []).append(line)
    minutes, dropped = [], 0
    for number in sorted(by_minute)[:-1]:  # the last one is not full
        lines = by_minute[number]
        latencies = sorted(each["latency_ms"] for each in lines)
        p99_ms = latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))]
        now = lines[-1]["dropped"]
        minutes.append(Minute(len(lines) / 60.0, statistics.median(latencies), p99_ms, now - dropped))
        dropped = now
    return minutes


def _seconds(captured: str) -> float:
    """``2026-03-01T12:00:00.123Z`` in seconds."""
    import datetime

    return datetime.datetime.strptime(captured, "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()


def watched(
    command: Sequence[str],
    folder: str,
    seconds: float,
    interval_s: float,
    environ: Mapping[str, str],
    gauges: Optional[str] = None,
) -> Tuple[List[Look], int, List[int]]:
    """Starts the run and its reader, looks at it until the time is over, and ends it by SIGTERM.

    Ctrl-C would not do: a job in a shell's background ignores it, and so do the processes that it starts.

    The time begins when the first frames are through: what it takes to start is no growth. What the run says lies in
    the folder's said.txt.

    Returns:
        The looks, the exit code, and which of its children survived it.
    """
    said = os.path.join(folder, "said.txt")
    with open(said, "wb") as file:
        process = subprocess.Popen(list(command), stdout=file, stderr=file, env=dict(environ))
    reader, looks = None, []  # type: ignore[var-annotated]
    children: List[int] = []
    try:
        reader = subprocess.Popen(
            [sys.executable, READER, "follower", _port(said, process), TOKEN],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # the page ends under it
        )
        time.sleep(min(10.0, seconds / 4))
        began_s = time.monotonic()
        while time.monotonic() - began_s < seconds:
            looks.append(Look(time.monotonic() - began_s, look(process.pid, gauges)))
            children = children_of(process.pid)
            if reader.poll() is not None:
                raise CccError("the reader of the page ended before its time")
            time.sleep(interval_s)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):  # its exit code will tell
            process.wait(_END_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if reader is not None:
            assert reader.stdin is not None
            reader.stdin.close()  # its way to end
            reader.wait(_END_S)
    return looks, process.returncode, [pid for pid in children if os.path.exists("/proc/{}".format(pid))]


def _port(said: str, process: "subprocess.Popen[bytes]") -> str:
    """Of the page, as soon as the run has said it."""
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s and process.poll() is None:
        with open(said) as file:
            found = re.search(r"^page: http://[^/]*:([0-9]+)/.*\n", file.read(), re.MULTILINE)
        if found:
            return found.group(1)
        time.sleep(0.1)
    with open(said) as file:
        raise CccError("the run did not start:\n" + file.read())


def charts(looks: Sequence[Look], minutes: Sequence[Minute], title: str) -> str:
    """Memory, and the latencies of each minute, as one SVG file."""
    until = looks[-1].at_s / 60.0
    memory = [(each.at_s / 60.0, each.values[MEMORY] / 1024.0) for each in looks]
    parts = [
        LineChart("Memory", title, "minutes", "MiB", until, (Line("resident", memory),)),
        LineChart(
            "Latency",
            title,
            "minutes",
            "ms",
            until,
            (
                Line("median", [(number + 0.5, each.median_ms) for number, each in enumerate(minutes)]),
                Line("99th percentile", [(number + 0.5, each.p99_ms) for number, each in enumerate(minutes)]),
            ),
        ),
    ]
    drawn, top = [], 0.0
    for number, chart in enumerate(parts if minutes else parts[:1]):
        picture = str(svg(chart, "soak{}".format(number)))
        found = re.search('viewBox="0 0 ([0-9]+) ([0-9]+)"', picture)
        assert found is not None
        width, height = map(int, found.groups())
        drawn.append('<text x="12" y="{:.0f}">{} ({})</text>'.format(top + 16, chart.title, chart.unit))
        drawn.append(
            picture.replace("<svg", '<svg y="{:.0f}" width="{}" height="{}"'.format(top + 22, width, height), 1)
        )
        top += height + 34
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1:.0f}" width="{0}" height="{1:.0f}">'
        '<style>{2}</style><rect width="100%" height="100%" fill="#fff"/>\n{3}\n</svg>\n'
    ).format(WIDTH, top, _STYLE, "\n".join(drawn))


def tell(folder: str, source: str, looks: Sequence[Look], code: int, left: Sequence[int]) -> int:
    """Writes soak.json and soak.svg, prints the tables, and gives the exit code."""
    minutes = minutes_of(os.path.join(folder, "frames.jsonl"))
    names = sorted({name for each in looks for name in each.values})
    trends = [trend(name, looks) for name in names]
    title = "{:.1f} minutes of {}".format(looks[-1].at_s / 60.0, source)
    print("on {}, load {:.1f}; {}, {} looks".format(machine(), os.getloadavg()[0], title, len(looks)))
    rows = [["minute", "FPS", "median ms", "p99 ms", "dropped"]]
    for number, each in enumerate(minutes):
        rows.append([str(number), *("{:.1f}".format(value) for value in each[:3]), str(each.dropped)])
    print(aligned_table(rows, left=()) if minutes else "less than a minute: no table of minutes")
    print("\nthe second half:")
    rows = [["", "at its start", "at its end", "trend", "allowed", ""]]
    for one in trends:
        numbers = ["{:,.0f}".format(one.first), "{:,.0f}".format(one.last)]
        numbers += ["{:+,.2f}".format(one.growth), "{:,.1f}".format(one.allowed)]
        rows.append([one.name, *numbers, "GROWS" if one.grows else "flat"])
    print(aligned_table(rows, left=(0, 5)))
    problems = ["{} grows".format(each.name) for each in trends if each.grows]
    problems += ["exit code {}".format(code)] * (code != 0)
    problems += ["process {} survived".format(pid) for pid in left]
    print("\n" + ("; ".join(problems) if problems else "nothing grows; it ended well, and nothing of it is left"))
    record = {
        "source": source,
        "machine": str(machine()),
        "looks": [dict(each.values, at_s=round(each.at_s, 3)) for each in looks],
        "minutes": [each._asdict() for each in minutes],
        "trends": [dict(each._asdict(), grows=each.grows) for each in trends],
        "exit_code": code,
        "problems": problems,
    }
    write_text(os.path.join(folder, "soak.json"), json.dumps(record, indent=1) + "\n")
    write_text(os.path.join(folder, "soak.svg"), charts(looks, minutes, title))
    return 1 if problems else 0


def run_of(model: str, source: str, folder: str) -> List[str]:
    """The arguments of ccc-run: the whole live way."""
    results = ["--out", os.path.join(folder, "overlay.mp4"), "--jsonl", os.path.join(folder, "frames.jsonl")]
    for name in ("run.json", "run.html"):
        results += ["--report", os.path.join(folder, name)]
    page = ["--serve", "127.0.0.1:0", "--serve-token", TOKEN]
    return [source, "--model", model, "--headless", "--threads", "1", *page, *results]


def _work(arguments: argparse.Namespace) -> int:
    if not os.path.isdir(arguments.folder):
        raise UsageError("{}: is no folder".format(arguments.folder), hint="mkdir -p " + arguments.folder)
    code = "import sys; from ccc_jetson.runtime.run_cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *run_of(arguments.model, arguments.source, arguments.folder)]
    say("soaking for {:g} minutes".format(arguments.minutes))
    looks, code_of_run, left = watched(
        command, arguments.folder, 60.0 * arguments.minutes, arguments.interval, os.environ
    )
    return tell(arguments.folder, arguments.source, looks, code_of_run, left)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("folder", metavar="OUT", help="for all that is written")
    parser.add_argument("--minutes", type=number_from(0.01), default=30.0)
    parser.add_argument("--source", default=SOURCE, help="a live one (default: %(default)s)")
    parser.add_argument("--interval", type=number_from(0.01), default=2.0, metavar="S", help="between two looks")
    return run_command(parser, _work, argv)


if __name__ == "__main__":
    sys.exit(main())
