#!/usr/bin/env python3
"""Builds what a release consists of, checks it, and prints its SHA-256s: the same bytes from the same commit, anywhere.

    python scripts/dist.py [--out FOLDER] [--tag v0.1.0]

The sdist is the commit: every file that git knows but those of ``LEFT_OUT``, links as links, and the metadata. The
wheel is built from the sdist. Bytes do not depend on the folder, the user, the umask, the time zone or the times of
files; they do on setuptools, which is asked for by its pin, and on the zlib of the Python that builds. Runs from an
unpacked sdist as well.

Needs ``build``, ``twine`` and the pinned ``setuptools`` in this Python: ``make dist`` sees to that.
"""

import argparse
import gzip
import hashlib
import importlib.metadata
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = (".gitignore",)  # of the commit; git's own
PACKAGE_FILES = re.compile(r"ccc_jetson/([a-z0-9_]+/)*[a-z0-9_]+\.py")
DATA_FILES = re.compile(
    r"ccc_jetson/(py\.typed|runtime/kernels/[a-z_]+\.(cu|cuh)|runtime/reports/page\.css"
    r"|runtime/serve/assets/[a-z]+\.(css|html|js|svg))"
)
RECORDS = re.compile(
    r"ccc_jetson-[0-9.]+\.dist-info/(METADATA|RECORD|WHEEL|entry_points\.txt|top_level\.txt|licenses/LICENSE)"
)
A_MACHINE = re.compile(rb"(?:/home/(?!me/|user/)|/root/|/Users/|/tmp/tmp|/private/var/)[A-Za-z0-9_.-]+")
# where such a path is an example, or made for a test
MENTIONS = (".ci/", ".github/", "deploy/", "docker/", "docs/", "scripts/", "tests/", "CONTRIBUTING.md", "README.md")


class Refused(Exception):
    """What keeps a release from being made, with what to do about it."""


def version() -> str:
    """What ``ccc_jetson/__init__.py`` says, read without importing it."""
    text = (ROOT / "src/ccc_jetson/__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)[1]


def source_names() -> list[str]:
    """The files of the commit, sorted: git's, or those of an unpacked sdist."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        names = [name for name in os.fsdecode(listed).split("\0") if name]
    else:
        names = []
        for folder, folders, files in os.walk(ROOT):
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            inside = Path(folder).relative_to(ROOT)
            names += [(inside / name).as_posix() for name in files + links]
            made = [name for name in folders if name.startswith(".") and name not in (".ci", ".github")]
            made += [*links, "build", "dist", "__pycache__"]
            folders[:] = [name for name in folders if name not in made]
        names = [
            name for name in names if name != "PKG-INFO" and not name.startswith(".cov") and ".egg-info/" not in name
        ]
    return sorted(name for name in names if name not in LEFT_OUT)


def uncommitted() -> str:
    """What differs from the commit; "" in a clean checkout and in an unpacked sdist."""
    if not (ROOT / ".git").exists():
        return ""
    asked = ["git", "status", "--porcelain", "--untracked-files=no"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, check=True, text=True).stdout


def epoch() -> int:
    """Seconds since 1970 that every file is dated: $SOURCE_DATE_EPOCH, the commit's time, or the sdist's own."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    if (ROOT / ".git").exists():
        asked = ["git", "log", "-1", "--format=%ct"]
        return int(subprocess.run(asked, cwd=ROOT, capture_output=True, check=True, text=True).stdout)
    return int((ROOT / "PKG-INFO").stat().st_mtime)


def write_sdist(path: Path, metadata: bytes, date: int) -> None:
    """A tar in the order of names, of nobody, with two kinds of modes, compressed without a name or time."""
    top = path.name[: -len(".tar.gz")]
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=date) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted([*source_names(), "PKG-INFO"]):
            entry, data = tarfile.TarInfo(f"{top}/{name}"), None
            entry.mtime, entry.mode = date, 0o644
            if name == "PKG-INFO":
                data = metadata
            elif (ROOT / name).is_symlink():
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(ROOT / name), 0o777
            else:
                data = (ROOT / name).read_bytes()
                if (ROOT / name).stat().st_mode & 0o100:
                    entry.mode = 0o755
            entry.size = len(data or b"")
            archive.addfile(entry, None if data is None else io.BytesIO(data))


def build_wheel(source: Path, out: Path, date: int) -> Path:
    """The wheel of an unpacked sdist, by setuptools in a process of its own."""
    environment = {
        **os.environ,
        "SOURCE_DATE_EPOCH": str(date),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
    }
    code = "import os, runpy; os.umask(0o022); runpy.run_module('build', run_name='__main__')"
    command = [sys.executable, "-c", code, "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"setuptools failed:\n{done.stdout}{done.stderr}")
    (wheel,) = out.glob("*.whl")
    return wheel


def unpack(sdist: Path, folder: Path) -> Path:
    """As pip does since PEP 721: links that stay inside are links."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / sdist.name[: -len(".tar.gz")]


def make(out: Path) -> tuple[Path, Path]:
    """Both files, in ``out``: (sdist, wheel)."""
    pin = re.search(r"^setuptools==(\S+)$", (ROOT / "constraints/workstation.txt").read_text(), re.MULTILINE)[1]
    found = importlib.metadata.version("setuptools")
    if found != pin:
        raise Refused(
            f"setuptools {found} writes other bytes than {pin}, the pinned one: pip install setuptools=={pin}"
        )
    date, number = epoch(), version()
    out.mkdir(parents=True, exist_ok=True)
    sdist = out / f"ccc_jetson-{number}.tar.gz"
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        # the metadata are setuptools', out of a wheel of the same files
        write_sdist(folder / sdist.name, b"", date)
        first = build_wheel(unpack(folder / sdist.name, folder / "first"), folder / "wheel", date)
        with zipfile.ZipFile(first) as archive:
            metadata = archive.read(f"ccc_jetson-{number}.dist-info/METADATA")
        write_sdist(sdist, metadata, date)
        (folder / "final").mkdir()
        wheel = build_wheel(unpack(sdist, folder / "second"), folder / "final", date)
        if wheel.read_bytes() != first.read_bytes():
            raise Refused("two builds of the same files gave different wheels")
        return sdist, Path(shutil.copy(wheel, out / wheel.name))


def contents_problems(sdist: Path, wheel: Path) -> list[str]:
    """What is in the files that should not be, and what is missing."""
    problems = []
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for name in names:
            if not any(pattern.fullmatch(name) for pattern in (PACKAGE_FILES, DATA_FILES, RECORDS)):
                problems.append(f"{wheel.name}: {name} is nothing that a wheel of ours has")
            problems += machine_problems(wheel.name, name, archive.read(name))
    missing = {f"ccc_jetson/{each}" for each in package_files()} - set(names)
    problems += [f"{wheel.name}: {name} is missing" for name in sorted(missing)]
    with tarfile.open(sdist) as archive:
        inside = {entry.name.partition("/")[2]: entry for entry in archive}
        for name in (
            "LICENSE",
            "README.md",
            "PKG-INFO",
            "pyproject.toml",
            "CHANGELOG.md",
            "SECURITY.md",
            "tests/run.sh",
        ):
            if name not in inside:
                problems.append(f"{sdist.name}: {name} is missing")
        for name, entry in inside.items():
            if entry.isfile() and not name.startswith(MENTIONS):
                problems += machine_problems(sdist.name, name, archive.extractfile(entry).read())
    return problems


def machine_problems(archive: str, name: str, data: bytes) -> list[str]:
    """Paths of the machine that built this, in a file."""
    here = bytes(ROOT) if bytes(ROOT) in data else None
    found = A_MACHINE.search(data)
    if not found and not here:
        return []
    return [f"{archive}: {name} has the path of a machine: {(here or found[0]).decode()}"]


def package_files() -> set[str]:
    """What belongs into a wheel, of the commit's files: "runtime/run_cli.py"."""
    stages = ("calib", "engines", "export", "runtime")
    names = {name for name in source_names() if name.split("/")[0] in stages}
    names |= {name[len("src/ccc_jetson/") :] for name in source_names() if name.startswith("src/ccc_jetson/")}
    return names - set(stages)


def tag_problem(tag: str) -> str:
    """Why this tag cannot be released from this commit; "" where it can."""
    number = version()
    if tag != f"v{number}":
        return f"the tag is {tag}, and ccc_jetson.__version__ is {number}"
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(number)}\] - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE):
        return f"CHANGELOG.md has no heading '## [{number}] - YEAR-MONTH-DAY'"
    return ""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Builds and checks the sdist and the wheel.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for both files and SHA256SUMS")
    parser.add_argument("--tag", default="", help="as in v0.1.0: refuse if version or changelog say otherwise")
    arguments = parser.parse_args(argv)
    try:
        problem = tag_problem(arguments.tag) if arguments.tag else ""
        if problem:
            raise Refused(problem)
        if uncommitted():
            raise Refused("not committed yet, and a release is a commit:\n" + uncommitted())
        files = make(arguments.out)
        problems = contents_problems(*files)
        if problems:
            raise Refused("\n".join(problems))
        checked = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], check=False)
        if checked.returncode:
            raise Refused("twine finds fault with the metadata")
    except Refused as refusal:
        print(f"dist.py: error: {refusal}", file=sys.stderr)
        return 1
    sums = "".join(f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files)
    (arguments.out / "SHA256SUMS").write_text(sums, encoding="ascii")
    print(sums, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
