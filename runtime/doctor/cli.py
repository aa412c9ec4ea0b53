"""``ccc-doctor``: what is wrong with this machine, and the line that fixes it."""

import argparse
import json
import sys
from typing import List, Optional, Sequence

from ccc_jetson import __version__
from ccc_jetson.command import Parser, run_command
from ccc_jetson.progress import Progress
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.probes import PROBES, Result, chosen, examine
from ccc_jetson.runtime.doctor.verdicts import BROKEN, EXIT_CODES, NOT_HERE, NOTE, OK, PROBLEM, worst
from ccc_jetson.tables import aligned_table

SCHEMA = 1
EXAMPLE = """ccc-doctor
ccc-doctor model.engine
ccc-doctor --only cameras --only argus
ccc-doctor --json > doctor.json"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(
        "ccc-doctor",
        "Looks at this machine and says what is wrong with it, with the line that fixes it. Needs nothing but Python.\n"
        "Exit code: 0 where nothing is worse than a note, 1 for a problem, 3 where something is broken.",
        EXAMPLE,
    )
    parser.add_argument("files", metavar="FILE", nargs="*", help="engines and ONNX files: can this machine run them?")
    parser.add_argument("--only", metavar="PROBE", action="append", help="this probe alone; may be given again")
    parser.add_argument("--list", action="store_true", help="name the probes and end")
    parser.add_argument("--all", action="store_true", help="show what does not apply here, too")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(build_parser(), _work, argv)


def _work(arguments: argparse.Namespace) -> int:
    if arguments.list:
        print(aligned_table([[probe.name, probe.title] for probe in PROBES], left=(0, 1)))
        return 0
    only = arguments.only
    if only is not None and arguments.files and "models" not in only:
        only = [*only, "models"]
    probes = chosen(only)
    with Progress("looking", len(probes)) as progress:
        results = examine(Place(), arguments.files, probes, lambda probe: progress.step(note=probe.name))
    print(to_json(results).rstrip() if arguments.json else to_text(results, arguments.all or only is not None))
    return EXIT_CODES[worst([result.finding.verdict for result in results])]


def to_json(results: List[Result]) -> str:
    """Indented JSON, schema 1."""
    record = {
        "schema": SCHEMA,
        "kind": "doctor",
        "tool": "ccc-jetson " + __version__,
        "worst": worst([result.finding.verdict for result in results]),
        "findings": [dict(result.finding.to_json(), probe=result.probe) for result in results],
    }
    return json.dumps(record, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def to_text(results: List[Result], everything: bool) -> str:
    """A line for each finding, the one that fixes it below it, and how many there are of each kind.

    Args:
        everything: what does not apply here is shown as well.
    """
    shown = [result for result in results if everything or result.finding.verdict != NOT_HERE]
    width = max((len(result.finding.verdict) for result in shown), default=0)
    names = max((len(result.probe) for result in shown), default=0)
    lines = []
    for probe, finding in shown:
        lines.append("{}  {}  {}".format(finding.verdict.ljust(width), probe.ljust(names), finding.evidence))
        if finding.fix:
            lines.append("{}-> {}".format(" " * (width + names + 4), finding.fix))
    verdicts = [result.finding.verdict for result in results]
    counts = ["{} {}".format(verdict, verdicts.count(verdict)) for verdict in (BROKEN, PROBLEM, NOTE, OK, NOT_HERE)]
    return "\n".join([*lines, "", ", ".join(counts)])


if __name__ == "__main__":
    sys.exit(main())
