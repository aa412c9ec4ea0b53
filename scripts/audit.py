#!/usr/bin/env python3
"""Asks which pins in ``constraints/`` have known vulnerabilities, and compares the answer with the reviewed exceptions.

    python scripts/audit.py [--service pypi|osv]

Fails on a vulnerability without an exception in ``constraints/exceptions.json``, on an exception that is past its end,
and where a pin could not be asked about: pip-audit alone calls that "no known vulnerabilities". Needs ``pip-audit`` and
the network, so it is no part of ``make test``; the workflow audit.yml runs it every week.
"""

import argparse
import datetime
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints"


class Finding(NamedTuple):
    """A vulnerability of a pin: its own identifier and others that mean the same."""

    package: str
    version: str
    names: frozenset[str]


def pins(folder: Path) -> set[tuple[str, str]]:
    """(package, version) of every pin, whatever Python it is for."""
    lines = (line for path in sorted(folder.glob("*.txt")) for line in path.read_text().splitlines())
    found = (line.partition(";")[0].strip().partition("==") for line in lines if line and not line.startswith("#"))
    return {(normal(name), version) for name, _, version in found}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def ask(wanted: set[tuple[str, str]], service: str) -> tuple[list[Finding], list[str]]:
    """What pip-audit knows of the pins, and those that it could not ask about, with its reasons."""
    findings: list[Finding] = []
    unanswered: list[str] = []
    rest = sorted(wanted)
    while rest:  # a file of requirements has one version of each package
        batch = dict(reversed(rest))
        rest = [pin for pin in rest if pin not in batch.items()]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.writelines(f"{name}=={version}\n" for name, version in sorted(batch.items()))
            file.flush()
            command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
            command += ["--vulnerability-service", service, "--format", "json", "--requirement", file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            answers = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            reason = (done.stderr.strip() or "no answer").splitlines()[-1]
            return findings, [
                *unanswered,
                *(f"{name} {version}: {reason}" for name, version in sorted([*batch.items(), *rest])),
            ]
        answered = {normal(each["name"]) for each in answers}
        unanswered += [f"{name} {version}: no answer" for name, version in batch.items() if name not in answered]
        for each in answers:
            if "skip_reason" in each:
                unanswered.append(f"{each['name']}: {each['skip_reason']}")
            for one in each.get("vulns", ()):
                names = frozenset([one["id"], *one.get("aliases", ())])
                findings.append(Finding(normal(each["name"]), each["version"], names))
    return findings, unanswered


def complaints(findings: list[Finding], exceptions: list[dict], today: datetime.date) -> list[str]:
    """What has to be done: new vulnerabilities, and exceptions that have ended."""
    found = []
    for each in findings:
        covered = any(
            each.package == one["package"] and each.version in one["versions"] and each.names & set(one["advisories"])
            for one in exceptions
        )
        if not covered:
            found.append(f"{each.package} {each.version}: {', '.join(sorted(each.names))} is not reviewed")
    for one in exceptions:
        if datetime.date.fromisoformat(one["ends"]) < today:
            what = f"{one['package']} {', '.join(one['versions'])}: {', '.join(one['advisories'])}"
            found.append(f"{what}: the exception ended on {one['ends']}; review it again")
    return found


def no_longer_known(findings: list[Finding], exceptions: list[dict]) -> list[str]:
    """Exceptions that nobody needs, as far as this service knows; told, but no failure, as services differ."""
    names = {name for each in findings for name in each.names}
    return [
        f"{one['package']}: {name}" for one in exceptions for name in one["advisories"] if names and name not in names
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Known vulnerabilities of the pins, less the reviewed exceptions.")
    parser.add_argument("--service", choices=("pypi", "osv"), default="osv", help="who is asked")
    arguments = parser.parse_args(argv)
    exceptions = json.loads((CONSTRAINTS / "exceptions.json").read_text())
    wanted = pins(CONSTRAINTS)
    findings, unanswered = ask(wanted, arguments.service)
    problems = complaints(findings, exceptions, datetime.date.today())
    for line in no_longer_known(findings, exceptions):
        print(f"audit.py: not known to {arguments.service}: {line}")
    for line in [*problems, *(f"not answered: {each}" for each in unanswered)]:
        print(f"audit.py: error: {line}", file=sys.stderr)
    print(
        f"{len(wanted)} pins, {len(findings)} vulnerabilities, {len(problems)} to act on, {len(unanswered)} unanswered"
    )
    return 1 if problems or unanswered else 0


if __name__ == "__main__":
    sys.exit(main())
