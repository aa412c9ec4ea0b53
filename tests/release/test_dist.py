"""What a release consists of: the same bytes from the same commit, the right files, and nothing of a machine."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.release.checkout import ROOT, script

dist = script("dist")
SECONDS = 600

if not (ROOT / ".git").exists():
    pytest.skip("releases are made from a clone", allow_module_level=True)


def make(checkout, out, umask, **environment):
    """Runs the script of a checkout as somebody else on another machine would; the SHA-256s it printed."""
    code = f"import os, sys; os.umask({umask}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", code, str(checkout / "scripts" / "dist.py"), "--out", str(out)]
    done = subprocess.run(
        command,
        cwd="/",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """This commit in another folder, with a strict umask and other times of files."""
    folder = tmp_path_factory.mktemp("a clone") / "elsewhere"
    subprocess.run(["sh", "-c", 'umask 077; git clone -q "$0" "$1"', str(ROOT), str(folder)], check=True)
    for path in folder.rglob("*"):
        if path.is_file() and ".git/" not in str(path):
            os.utime(path, (1_000_000_000, 1_000_000_000))
    return folder


@pytest.fixture(scope="module")
def made(clone, tmp_path_factory):
    """(sdist, wheel, what was printed) of that clone."""
    out = tmp_path_factory.mktemp("first")
    said = make(clone, out, 0o077, TZ="Asia/Tokyo", LC_ALL="C")
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel, said


def test_an_unpacked_sdist_makes_the_same_bytes(made, tmp_path):
    sdist, _, said = made
    unpacked = dist.unpack(sdist, tmp_path)
    again = make(unpacked, tmp_path / "out", 0o002, TZ="America/Caracas", HOME=str(tmp_path))
    assert again.splitlines()[-2:] == said.splitlines()[-2:]


def test_what_is_printed_are_their_sums(made):
    sdist, wheel, said = made
    sums = dict(reversed(line.split()) for line in said.splitlines() if len(line.split()[0]) == 64)
    assert sums == {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in (sdist, wheel)}
    assert (wheel.parent / "SHA256SUMS").read_text().splitlines() == said.splitlines()[-2:]


def test_twine_has_looked(made):
    assert made[2].count("PASSED") == 2


def test_the_wheel_has_the_package_and_nothing_else(made):
    with zipfile.ZipFile(made[1]) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    inside = {name for name in entries if name.startswith("ccc_jetson/")}
    assert inside == {"ccc_jetson/" + name for name in dist.package_files()}
    for name in ("py.typed", "runtime/kernels/unit.cu", "runtime/kernels/head.cuh", "runtime/serve/assets/page.js"):
        assert "ccc_jetson/" + name in inside
    records = {name.partition("/")[2] for name in set(entries) - inside}
    assert records == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}
    assert {entry.external_attr >> 16 & 0o777 for entry in entries.values()} <= {0o644, 0o664}
    assert len({entry.date_time for entry in entries.values()}) == 1


def test_the_sdist_is_the_commit(made):
    with tarfile.open(made[0]) as archive:
        entries = {entry.name.partition("/")[2]: entry for entry in archive}
    known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    assert set(entries) == {*known, "PKG-INFO"} - {"", ".gitignore"}
    assert {"LICENSE", "tests/run.sh", "docs/index.md", "docker/run.sh", "runtime/run_cli.py"} <= entries.keys()
    for stage in ("calib", "engines", "export", "runtime"):
        assert entries["src/ccc_jetson/" + stage].linkname == "../../" + stage
    assert {(each.uid, each.gid, each.uname, each.gname) for each in entries.values()} == {(0, 0, "", "")}
    assert entries["tests/run.sh"].mode == 0o755 and entries["README.md"].mode == 0o644


def test_pip_takes_the_sdist(made, tmp_path):
    """Links and all; the wheel that it makes has the same files."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(made[0])], check=True, timeout=SECONDS)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as by_pip, zipfile.ZipFile(made[1]) as ours:
        assert {name: by_pip.read(name) for name in by_pip.namelist()} == {
            name: ours.read(name) for name in ours.namelist()
        }


def put(wheel, path, name, data):
    """A copy of a wheel with one file more."""
    shutil.copy(wheel, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("tests/doubles/cameras.py", b"", "is nothing that a wheel of ours has"),
        ("ccc_jetson/runtime/model.engine", b"", "is nothing that a wheel of ours has"),
        ("ccc_jetson/more.py", b"path = '/home/somebody/checkout'", "has the path of a machine: /home/somebody"),
        ("ccc_jetson/more.py", bytes(ROOT) + b"/runtime", "has the path of a machine: " + str(ROOT)),
    ],
)
def test_what_does_not_belong_there_is_found(made, tmp_path, name, data, complaint):
    sdist, wheel, _ = made
    assert dist.contents_problems(sdist, wheel) == []
    problems = dist.contents_problems(sdist, put(wheel, tmp_path / wheel.name, name, data))
    assert len(problems) == 1 and complaint in problems[0]


def test_what_is_missing_is_found(made, tmp_path):
    sdist, wheel, _ = made
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(tmp_path / wheel.name, "w") as less:
        for name in whole.namelist():
            if name != "ccc_jetson/py.typed":
                less.writestr(name, whole.read(name))
    (problem,) = dist.contents_problems(sdist, tmp_path / wheel.name)
    assert problem.endswith("ccc_jetson/py.typed is missing")


def test_what_is_not_committed_is_not_released(clone, tmp_path):
    readme = clone / "README.md"
    text = readme.read_text()
    readme.write_text(text + "more\n")
    try:
        done = subprocess.run(
            [sys.executable, str(clone / "scripts" / "dist.py"), "--out", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        readme.write_text(text)
    assert done.returncode == 1 and "not committed yet" in done.stderr and "README.md" in done.stderr
    assert not list(tmp_path.iterdir())
