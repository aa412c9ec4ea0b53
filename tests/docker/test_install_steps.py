"""The steps that put Python packages into an image, taken out of its Dockerfile and run by that image's real Python.

What is left out: Ubuntu's packages (apt-get), the look for CUDA, and compiling pycuda, which needs CUDA. A stand-in
with pycuda's name, version and requirements takes its place; the real one is compiled for ``tests/runtime``. The wheels
are those of this machine, an x86_64 one: aarch64's are a matter of ``docker/check_wheels.sh``.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ccc_jetson
from tests.docker.dockerfile import JETSONS, ROOT, Instruction, Stage, normal, pins, read
from tests.doubles.fetching import Missing, run, skip_or_fail

PYTHON = {"jetpack4": "3.6", "jetpack5": "3.8", "jetpack6": "3.10"}
NEEDS = {
    "2022.1": ("pytools>=2011.2", "appdirs>=1.4.0", "mako"),  # its setup.py
    "2024.1.2": ("pytools>=2011.2", "platformdirs>=2.2.0", "mako"),
}
ELSEWHERE = re.compile(r"apt-get|/usr/local/cuda/include|pip wheel .* pycuda$")
_SECONDS = 600


def find_python(version):
    """As tests/run.sh looks for one: where PYTHON36 points, on PATH, below pyenv."""
    given = os.environ.get("PYTHON" + version.replace(".", ""), "")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for candidate in [given, shutil.which("python" + version), *sorted(pyenv.glob(version + ".*/bin/python"))]:
        if candidate:
            asked = [str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            if done.stdout.strip() == version:
                return str(candidate)
    return None


class Room:
    """A folder that stands for an image's disk while its steps run in it."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        # a link would be taken for another installation of Python
        (self.bin / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
        (self.bin / "python3").chmod(0o755)
        self.path = f"{self.bin}:{os.environ['PATH']}"
        self.here = folder
        self.left_out: list[str] = []

    def inside(self, text: str) -> str:
        """A text with the image's folders as they are called here."""
        return re.sub(r"(?<![\w./-])/(opt|wheels|src)\b", lambda match: f"{self.folder}/{match[1]}", text)

    def follow(self, stage: Stage, others: dict[str, "Room"]) -> None:
        for each in stage.instructions:
            getattr(self, "_" + each.name.lower())(each, others)

    def _workdir(self, each: Instruction, others: dict[str, "Room"]) -> None:
        self.here = Path(self.inside(each.text))
        self.here.mkdir(parents=True, exist_ok=True)

    def _env(self, each: Instruction, others: dict[str, "Room"]) -> None:
        for word in each.words:
            key, _, value = word.partition("=")
            if key == "PATH":
                self.path = self.inside(value).replace("$PATH", self.path)

    def _copy(self, each: Instruction, others: dict[str, "Room"]) -> None:
        origin = ROOT
        if each.words[0].startswith("--from="):
            origin = others[each.words[0].partition("=")[2]].folder
        *sources, target = (word for word in each.words if not word.startswith("--"))
        there = self.here / self.inside(target)
        for source in sources:
            what = origin / source.lstrip("/")
            if what.is_dir():
                # links stay links, as Docker leaves them
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")  # .dockerignore
                shutil.copytree(what, there, symlinks=True, ignore=ignored, dirs_exist_ok=True)
            else:
                file = there / what.name if target.endswith("/") or len(sources) > 1 else there
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(what, file)

    def _run(self, each: Instruction, others: dict[str, "Room"]) -> None:
        if ELSEWHERE.search(each.text):
            self.left_out.append(each.text)
            return
        command = self.inside(each.text)
        print("RUN", command)
        script = f"cd {self.here} && PATH='{self.path}' && {command}"
        run(["env", "-u", "PYTHONPATH", "sh", "-ec", script], each.text, _SECONDS)


def stand_in(folder: Path, release: str) -> None:
    """A wheel without contents that pip takes for pycuda."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"pycuda-{release}.dist-info"
    lines = [f"Requires-Dist: {name}" for name in NEEDS[release]]
    with zipfile.ZipFile(folder / f"pycuda-{release}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", "\n".join(["Metadata-Version: 2.1", "Name: pycuda", f"Version: {release}", *lines])
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The folder of the stage ``wheel``: built of what it copies, by the Python that runs the tests."""
    if sys.version_info < (3, 11):
        pytest.skip("the stage that builds the wheel is of Python 3.11")
    room = Room(tmp_path_factory.mktemp("wheel"), sys.executable)
    stage = read("jetpack4").stages[0]
    try:
        # build and setuptools are among what the tests need, in the same versions
        room.follow(
            stage._replace(instructions=[each for each in stage.instructions if "pip install" not in each.text]), {}
        )
    except Missing as problem:
        pytest.fail(str(problem))
    return room


def test_the_stage_of_the_wheel_copies_all_that_a_wheel_needs(wheel):
    (path,) = (wheel.folder / "wheels").iterdir()
    assert path.name == f"ccc_jetson-{ccc_jetson.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        there = set(archive.namelist())
    expected = {f"ccc_jetson/{path.name}" for path in (ROOT / "src" / "ccc_jetson").glob("*.py")}
    for stage in ("export", "calib", "engines", "runtime"):
        files = (path for path in (ROOT / stage).rglob("*") if path.suffix in (".py", ".cu", ".cuh"))
        expected |= {f"ccc_jetson/{path.relative_to(ROOT)}" for path in files}
    assert expected - there == set() and any(name.endswith(".cu") for name in there)


def test_the_wheel_is_built_alike_for_every_image():
    stages = {image: read(image).stages[0].instructions for image in (*JETSONS, "workstation")}
    assert all(each == stages["jetpack4"] for each in stages.values())


@pytest.mark.parametrize("image", JETSONS)
def test_the_images_own_python_installs_and_starts_every_command(image, wheel, tmp_path):
    version = PYTHON[image]
    python = find_python(version)
    if python is None:
        reason = f"Python {version}, the one of {image}, is not installed"
        pytest.skip(reason) if version == "3.10" else skip_or_fail(Missing(reason))
    dockerfile = read(image)
    known = pins(dockerfile.constraints())
    room = Room(tmp_path, python)
    stand_in(room.folder / "wheels", known["pycuda"])
    try:
        room.follow(dockerfile.stages[1], {"wheel": wheel})
    except Missing as problem:
        if re.search(r"No matching distribution|Temporary failure|resolve|connection", str(problem)):
            skip_or_fail(problem)
        pytest.fail(str(problem))
    print("left out:", *room.left_out, sep="\n  ")
    assert len(room.left_out) == (3 if image == "jetpack4" else 2)

    programs = room.folder / "opt" / "ccc" / "bin"

    def said(*words):
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env={"PATH": f"{programs}:/usr/bin:/bin"}
        )
        return done.returncode, done.stdout, done.stderr

    # the environment also sees what is installed beside that Python, which is nobody's pin
    code, out, err = said(str(programs / "python3"), "-m", "pip", "list", "--local", "--format=freeze")
    assert code == 0, err
    installed = dict(line.split("==") for line in out.split())
    installed = {normal(name): number for name, number in installed.items()}
    assert installed.pop("ccc-jetson") == ccc_jetson.__version__
    assert installed == {name: known[name] for name in installed}
    assert {"numpy", "pip", "pycuda", "pytools"} <= installed.keys()
    code, out, err = said("ccc-run", "--version")
    assert (code, out.splitlines()[0], err) == (0, f"ccc-run {ccc_jetson.__version__}", "")
    for command in ("ccc-run", "ccc-build-engine", "ccc-bench", "ccc-eval", "ccc-inspect"):
        code, out, err = said(command, "--help")
        assert (code, err) == (0, "") and f"example:\n  {command}" in out
