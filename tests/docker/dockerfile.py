"""Dockerfiles, read far enough to check them, and to run the steps of one without Docker."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker"
JETSONS = ("jetpack4", "jetpack5", "jetpack6")
IMAGES = (*JETSONS, "workstation")


class Instruction(NamedTuple):
    """One instruction; its continued lines are one, without the comments between them."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a RUN."""
        found, command = [], []
        for word in [*self.words, "&&"]:
            if word in ("&&", "||"):
                found.append(command)
                command = []
            else:
                command.append(word)
        return found


class Stage(NamedTuple):
    """From one FROM to the next."""

    base: str
    name: str
    instructions: list[Instruction]

    def named(self, *names: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name in names]

    def environment(self) -> dict[str, str]:
        """What its ENV instructions set, as written."""
        pairs = (word.partition("=") for each in self.named("ENV") for word in each.words)
        return {key: value for key, _, value in pairs}


class Dockerfile(NamedTuple):
    """``arguments`` are those before the first FROM, filled in."""

    image: str
    text: str
    arguments: dict[str, str]
    stages: list[Stage]

    @property
    def run(self) -> Stage:
        return self.stages[-1]

    def constraints(self) -> str:
        """The constraints file of what is installed into the image."""
        (found,) = re.findall(r"^COPY constraints/(\S+) /opt/constraints\.txt$", self.text, re.MULTILINE)
        return found


def read(image: str) -> Dockerfile:
    text = (FOLDER / image / "Dockerfile").read_text()
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            base, _, name = instruction.words
            stages.append(Stage(filled_in(base, arguments), name, []))
        elif stages:
            stages[-1].instructions.append(instruction)
        else:
            assert instruction.name == "ARG", instruction
            key, _, value = instruction.text.partition("=")
            arguments[key] = filled_in(value, arguments)
    return Dockerfile(image, text, arguments, stages)


def filled_in(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: values[match.group(1)], text)


def pins(constraints: str) -> dict[str, str]:
    """Name and version of every pin in a constraints file, names as pip compares them."""
    lines = (ROOT / "constraints" / constraints).read_text().splitlines()
    found = (line.partition(";")[0].strip().partition("==") for line in lines if line and not line.startswith("#"))
    return {normal(name): version for name, _, version in found}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _instructions(text: str) -> Iterator[Instruction]:
    kept = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    for line in kept.replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        assert name.isupper(), line
        yield Instruction(name, rest.strip())
