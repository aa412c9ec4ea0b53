"""``ccc-report``: the page of a report that was saved as JSON, on this or another machine."""

import argparse
import sys
from typing import Optional, Sequence

from ccc_jetson.command import Parser, run_command
from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.reports.formats import JSON, check_reports, format_of
from ccc_jetson.runtime.reports.saved import read_saved

EXAMPLE = """ccc-report run.json run.html
ccc-report tx2.json tx2.html tx2.md"""


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        "ccc-report",
        "Writes the page of a report that ccc-run, ccc-eval or ccc-bench saved as JSON. Pictures are in the pages\n"
        "that these commands write themselves; JSON holds none.",
        EXAMPLE,
    )
    parser.add_argument("report", metavar="REPORT.json", help="of ccc-run, ccc-eval or ccc-bench")
    parser.add_argument("pages", metavar="FILE.html|md", nargs="+", help="what to write")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(build_parser(), _work, argv)


def _work(arguments: argparse.Namespace) -> int:
    check_reports(arguments.pages, [arguments.report], "")
    for path in arguments.pages:
        if format_of(path, "") == JSON:
            raise UsageError("{}: JSON is what is read here".format(path), hint="name a file .html or .md")
    text = read_saved(arguments.report)
    from ccc_jetson.runtime.reports.writing import write_reports

    write_reports(arguments.pages, text, origin=arguments.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
