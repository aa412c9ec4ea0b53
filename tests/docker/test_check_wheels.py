"""docker/check_wheels.sh with a pip that answers as told: what it asks for, and that a missing package fails."""

import re

import pytest

from tests.docker.dockerfile import FOLDER, JETSONS, pins, read
from tests.docker.machine import Machine

SCRIPT = str(FOLDER / "check_wheels.sh")
# python3 -m pip download ... PIN: every call is a line of "asked"; SOURCES have no wheel, MISSING nothing at all
PIP = """
printf '%s ' "$@" >> "$ASKED"; echo >> "$ASKED"
for pin in "$@"; do :; done
case " $MISSING " in *" $pin "*) echo "ERROR: No matching distribution found for $pin"; exit 1 ;; esac
case " $SOURCES " in *" $pin "*) case "$*" in *--only-binary*) exit 1 ;; esac ;; esac
"""


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.command("python3", PIP)
    machine.environment.update(ASKED=str(tmp_path / "asked"), MISSING="", SOURCES="")
    yield machine
    machine.close()


def pin_of(image, name):
    return "{}=={}".format(name, pins(read(image).constraints())[name])


@pytest.mark.parametrize("image", JETSONS)
def test_every_pin_is_asked_for_with_the_python_and_the_machine_of_the_image(machine, image, tmp_path):
    done = machine.run(SCRIPT, image, SOURCES=pin_of(image, "pycuda"))
    assert (done.code, done.err) == (0, "")
    assert pin_of(image, "pycuda") + ", source" in done.out
    asked = (tmp_path / "asked").read_text().splitlines()
    python = {"jetpack4": "3.6", "jetpack5": "3.8", "jetpack6": "3.10"}[image]
    assert all(f"--python-version {python} " in line for line in asked)
    wheels = [line for line in asked if "--only-binary=:all:" in line]
    assert len(wheels) == len(pins(read(image).constraints()))
    assert all("--abi cp" + python.replace(".", "") in line for line in wheels)
    assert all("--platform manylinux2014_aarch64" in line and "x86" not in line for line in wheels)


def test_a_c_library_is_asked_for_no_newer_than_the_image_has_it(machine, tmp_path):
    machine.run(SCRIPT, "jetpack4")
    versions = {int(number) for number in re.findall(r"manylinux_2_(\d+)_aarch64", (tmp_path / "asked").read_text())}
    assert versions == set(range(17, 28))  # Ubuntu 18.04


def test_all_three_are_asked_for_where_none_is_named(machine):
    assert [line.split(":")[0] for line in machine.run(SCRIPT).out.splitlines() if line[0] != " "] == list(JETSONS)


def test_a_pin_that_is_not_there_fails_with_its_name(machine):
    gone = pin_of("jetpack4", "numpy")
    done = machine.run(SCRIPT, MISSING=gone)
    assert done.code == 1
    assert f"  {gone}: NOT FOUND: ERROR: No matching distribution found for {gone}" in done.out
    assert "jetpack6: " in done.out  # the others are looked at all the same


def test_a_package_that_the_image_would_have_to_compile_unasked_fails(machine):
    done = machine.run(SCRIPT, "jetpack5", SOURCES=pin_of("jetpack5", "numpy"))
    assert done.code == 1 and "numpy has no wheel, and the image does not build it" in done.out


def test_an_unknown_image_is_refused_with_those_that_there_are(machine):
    done = machine.run(SCRIPT, "jetpack7")
    assert done.code == 2 and "there are jetpack4, jetpack5, jetpack6" in done.err
