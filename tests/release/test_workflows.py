"""What GitHub is told to do: scripts that are there, the Pythons of the tests, and no more rights than needed."""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from tests.release.checkout import ROOT, text_of

WORKFLOWS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
WRITES = {  # (workflow, job): what it may write, and nothing else may write anything
    ("release.yml", "build"): {"id-token", "attestations"},
    ("release.yml", "draft"): {"contents"},
    ("release.yml", "pypi"): {"id-token"},
}
OLD_PYTHONS = ".github/old-pythons.sh"


def read(name):
    # YAML 1.1 has a truth value where GitHub has the word "on"
    workflow = yaml.safe_load(text_of(name))
    return {("on" if key is True else key): value for key, value in workflow.items()}


def jobs(name):
    return read(name)["jobs"].items()


def steps(name):
    return [step for _, job in jobs(name) for step in job["steps"]]


def test_there_are_three():
    assert [name.rpartition("/")[2] for name in WORKFLOWS] == ["audit.yml", "ci.yml", "release.yml"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_they_know_no_keys_but_githubs(name):
    assert set(read(name)) == {"name", "on", "permissions", "concurrency", "jobs"}
    known = {"container", "environment", "if", "needs", "permissions", "runs-on", "steps", "timeout-minutes"}
    for _, job in jobs(name):
        assert set(job) <= known
    for step in steps(name):
        assert set(step) <= {"env", "name", "run", "uses", "with", "working-directory"}
        assert ("run" in step) != ("uses" in step)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_rights_are_the_least(name):
    assert read(name)["permissions"] == {"contents": "read"}
    for key, job in jobs(name):
        given = {right for right, how in job.get("permissions", {}).items() if how == "write"}
        assert given == WRITES.get((name.rpartition("/")[2], key), set()), key
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_runs_for_ever(name):
    for _, job in jobs(name):
        assert 5 <= job["timeout-minutes"] <= 45
    assert "group" in read(name)["concurrency"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_to_commits_with_their_version_beside_them(name):
    lines = re.findall(r"uses: (.*)", text_of(name))
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_commit_in_all_of_them():
    pins = {line for name in WORKFLOWS for line in re.findall(r"uses: (.*)", text_of(name))}
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_scripts_that_they_run_are_there(name):
    found = 0
    for step in steps(name):
        for line in step.get("run", "").splitlines():
            words = shlex.split(line, comments=True)
            script = words[1] if words[0] == "python" and not words[1].startswith("-") else words[0]
            if "/" in script:
                path = ROOT / script
                assert path.is_file(), script
                assert words[0] == "python" or path.stat().st_mode & 0o100, f"{script} is not executable"
                found += 1
    assert found


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_comes_from_outside_is_no_part_of_a_command(name):
    for step in steps(name):
        assert "${{" not in step.get("run", ""), "a tag's name would be run by the shell"


def test_ci_is_what_ci_runs_on_the_pythons_that_the_tests_ask_for():
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()
    (step,) = [step for step in job["steps"] if step.get("run") == ".ci/run"]
    (line,) = re.findall(r"^versions=\((.*)\)$", text_of("tests/run.sh"), re.MULTILINE)
    for version in line.split():
        path = step["env"]["PYTHON" + version.replace(".", "")]
        full = re.fullmatch(rf"/opt/old-pythons/versions/({re.escape(version)}\.\d+)/bin/python{version}", path)[1]
        assert full in re.search(r"^versions=\((.*)\)$", text_of(OLD_PYTHONS), re.MULTILINE)[1].split()
    assert len(step["env"]) == len(line.split())
    assert job["container"] == "docker.io/library/python:3.11-bookworm"
    assert f'"Programming Language :: Python :: {job["container"].split(":")[1].split("-")[0]}"' in text_of(
        "pyproject.toml"
    )


def test_what_is_cached_of_a_build_is_what_the_tests_keep():
    (kept,) = re.findall(r"^find build .*$", text_of("tests/run.sh"), re.MULTILINE)
    given = [step["with"] for step in steps(".github/workflows/ci.yml") if "with" in step]
    cached = [each["path"] for each in given if each.get("key", "").startswith("build-")]
    assert set(cached[0].split()) == {"build/" + name for name in re.findall(r"! -name (\S+)", kept)}


def test_a_release_is_checked_against_its_tag():
    runs = [step["run"] for step in steps(".github/workflows/release.yml") if "run" in step]
    assert 'python scripts/dist.py --tag "$TAG"' in runs
    assert read(".github/workflows/release.yml")["on"] == {"push": {"tags": ["v*"]}}


def test_pypi_waits_for_a_variable_and_an_environment():
    job = read(".github/workflows/release.yml")["jobs"]["pypi"]
    assert job["environment"] == "pypi" and job["if"] == "vars.PUBLISH_TO_PYPI == 'true'"
    assert "secrets." not in text_of(".github/workflows/release.yml")


def test_the_script_for_old_pythons_takes_those_that_are_there(tmp_path):
    """With stand-ins for apt-get and for both Pythons; nothing is fetched."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "apt-get").write_text("#!/bin/sh\n")
    (programs / "git").write_text("#!/bin/sh\necho fetched; exit 1\n")
    for version in ("3.6.15", "3.8.20"):
        folder = tmp_path / "pythons" / "versions" / version / "bin"
        folder.mkdir(parents=True)
        (folder / "python").write_text(f"#!/bin/sh\necho {version}\n")
    for path in [*programs.iterdir(), *tmp_path.glob("pythons/versions/*/bin/python")]:
        path.chmod(0o755)

    def call():
        return subprocess.run(
            [shutil.which("bash"), str(ROOT / OLD_PYTHONS), str(tmp_path / "pythons")],
            env={"PATH": f"{programs}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = call()
    assert (done.returncode, done.stdout) == (0, "3.6.15\n3.8.20\n")
    shutil.rmtree(tmp_path / "pythons" / "versions" / "3.8.20")
    done = call()
    assert done.returncode != 0 and "fetched" in done.stdout
