"""A checkout of this repository to type in, with sample files in it; what may be installed from it."""

import os
import re
import shutil

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_COPIED = ("docs",)  # a command may write there
_LEFT_OUT = (".git", ".venv", "build", "dist")


def lay_out(folder, samples):
    """``folder`` with links to what the repository holds, and copies of the samples; what is there already stays."""
    os.makedirs(folder, exist_ok=True)
    for name in sorted(os.listdir(ROOT)):
        path, there = os.path.join(ROOT, name), os.path.join(folder, name)
        if name.startswith(_LEFT_OUT) or os.path.lexists(there):
            continue
        if name in _COPIED:
            shutil.copytree(path, there)
        else:
            os.symlink(path, there)
    put_samples(samples, folder)


def put_samples(samples, folder):
    """Copies of all samples, in folders as well."""
    for name in sorted(os.listdir(samples)):
        path, there = os.path.join(samples, name), os.path.join(folder, name)
        if os.path.lexists(there):
            continue
        if os.path.isdir(path):
            shutil.copytree(path, there)
        else:
            shutil.copy(path, there)


def distributions():
    """The names of the wheel and of the archive of sources."""
    from ccc_jetson import __version__

    return ["ccc_jetson-{}-py3-none-any.whl".format(__version__), "ccc_jetson-{}.tar.gz".format(__version__)]


def check_requirement(requirement, refused):
    """Raises ``refused``: an extra that pyproject.toml has not, a version that no list of constraints has, no wheel."""
    place, _, extras = requirement.rstrip("]").partition("[")
    if place in (".", "ccc-jetson") or place.startswith((".", "/")):
        unknown = sorted({each for each in extras.split(",") if each} - _extras())
        if unknown:
            raise refused("there is no extra {}".format(", ".join(unknown)))
        if place.startswith(".") and not os.path.exists(os.path.join(place, "pyproject.toml")):
            raise refused("{} is no checkout".format(os.path.abspath(place)))
    elif place.endswith(".whl"):
        if not re.match(r"(.*/)?ccc_jetson-(\*|[\w.]+-py3-none-any)\.whl$", place):
            raise refused("{} is no wheel of ours".format(place))
    elif "==" in requirement:
        name, _, version = requirement.partition("==")
        pins = _pins().get(name.partition("[")[0].lower(), set())
        if version not in pins:
            raise refused(
                "{} is pinned to {} in constraints/ and the Makefile".format(name, ", ".join(pins) or "nothing")
            )


def _extras():
    with open(os.path.join(ROOT, "pyproject.toml"), encoding="utf-8") as file:
        section = file.read().partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    return set(re.findall(r"^([a-z]+) = \[", section, re.MULTILINE))


def _pins():
    """Versions by name, of all files that pin any."""
    pins = {}
    folder = os.path.join(ROOT, "constraints")
    paths = [os.path.join(folder, name) for name in os.listdir(folder)] + [os.path.join(ROOT, "tests", "run.sh")]
    paths += [os.path.join(ROOT, "docker", name, "Dockerfile") for name in ("jetpack4", "jetpack5", "jetpack6")]
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for name, version in re.findall(r"([A-Za-z][\w.-]*)(?:\[\w+\])?==([\w.]+)", file.read()):
                pins.setdefault(name.lower(), set()).add(version)
    return pins
