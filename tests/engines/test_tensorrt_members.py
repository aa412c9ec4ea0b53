"""The members of TensorRT that the product touches, version by version: docs/tensorrt-members.md is what is found."""

import os
import re

import pytest

from tests.conftest import ROOT
from tests.doubles import standin
from tests.engines.conftest import VERSIONS

PAGE = os.path.join(ROOT, "docs", "tensorrt-members.md")
COLUMNS = [".".join(version.split(".")[:2]) for version in VERSIONS]


def exercised(board, version):
    """Everything that the command can do on a version; the members that it asked for."""
    board.be(version)
    typed = version.startswith("11")
    assert board.build(*["--profile"] if typed else ["--profile", "--fp16"])[0] == 0
    assert board.build("--rebuild", *[] if typed else ["--layer-precision", "conv=fp32"])[0] == 0
    if not typed:
        cache = board.folder / "model.calib"
        major, minor, patch = (int(part) for part in version.split(".")[:3])
        number = major * (1000 if major < 10 else 10000) + minor * 100 + patch
        cache.write_text("TRT-{}-EntropyCalibration2\nimage: 3c010a14\n".format(number))
        board.be(version, sm="7.2", device="Xavier", dla_cores=2)
        assert board.build("--int8", "--dla", "0", "--calib", str(cache))[0] == 0
    board.be(version, parse_fail_node="relu")
    assert board.build("--rebuild")[0] == 1
    with open(board.members) as file:
        return {line.strip() for line in file}


def listed():
    """What the page says: for every version, its members."""
    with open(PAGE, encoding="utf-8") as file:
        rows = re.findall(r"^\| `([\w.]+)` \|(.+)\|$", file.read(), re.MULTILINE)
    found = {version: set() for version in VERSIONS}
    for member, marks in rows:
        for version, mark in zip(VERSIONS, marks.split("|")):
            if mark.strip() == "x":
                found[version].add(member)
    return found


def page_of(found):
    """The rows that the page should have."""
    rows = []
    for member in sorted(set().union(*found.values())):
        marks = ["x" if member in found[version] else " " for version in VERSIONS]
        rows.append("| `{}` | {} |".format(member, " | ".join(marks)))
    return "\n".join(rows)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_members_that_are_touched_are_those_of_the_page(board, version):
    found = exercised(board, version)
    print(page_of(dict({other: set() for other in VERSIONS}, **{version: found})))
    assert found == listed()[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_member_of_the_page_is_one_that_the_version_has(version):
    with standin.installed(version):
        import tensorrt

        for member in sorted(listed()[version]):
            owner, _, name = member.rpartition(".")
            assert hasattr(getattr(tensorrt, owner) if owner else tensorrt, name), member


def test_the_page_has_a_column_for_every_version():
    with open(PAGE, encoding="utf-8") as file:
        assert "| member | {} |".format(" | ".join(COLUMNS)) in file.read()
