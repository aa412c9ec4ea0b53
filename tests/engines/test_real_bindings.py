"""What we ask of TensorRT, asked of NVIDIA's own bindings of 8.6, 10 and 11 over a fake library, without a GPU."""

import importlib
import os
import platform
import sys

import pytest

from tests.doubles import standin
from tests.doubles.fetching import Missing, NoWheels, becoming, build_folder, run, skip_or_fail
from tests.doubles.real_bindings import prepare as preparing
from tests.doubles.real_bindings.prepare import LIBRARY, prepare
from tests.doubles.real_bindings.releases import RELEASES, releases_of
from tests.doubles.real_bindings.run import run_checks

PACKAGE = "tests.doubles.real_bindings."
NAMES = ("checks_bindings", "checks_building", "checks_running", "checks_build_plan", "checks_calibrating")
MODULES = [PACKAGE + name for name in NAMES]
CHECKS = [check.__name__ for module in MODULES for check in importlib.import_module(module).CHECKS]
HERE = releases_of()
# What there is nothing to call with: 8 has no progress monitors, 11 no calibrators
NOT_CALLED = {
    8: {"make_monitor", "Phases.__init__", "Phases.start", "Phases.step", "Phases.finish"},
    11: {"TensorRT.calibrate_with"},
}


@pytest.fixture(scope="session")
def cache():
    """Where the bindings are kept."""
    return build_folder("real-bindings")


@pytest.fixture(scope="session")
def prepared(cache):
    """A release's folders; a skip with the reason where they cannot be had, in CI a failure."""
    known = {}

    def get(release):
        if release not in known:
            try:
                known[release] = prepare(sys.executable, release, cache)
            except (Missing, NoWheels) as error:
                known[release] = error
        if isinstance(known[release], Exception):
            skip_or_fail(known[release])
        return known[release]

    return get


@pytest.fixture(scope="session")
def reports(prepared, tmp_path_factory):
    """The report of all checks over a release."""
    known = {}

    def get(release):
        if release not in known:
            path = str(tmp_path_factory.mktemp("report") / "report.json")
            known[release] = run_checks(prepared(release), MODULES, path)
        return known[release]

    return get


@pytest.fixture(params=HERE, ids=[release.version for release in HERE])
def release(request):
    return request.param


@pytest.mark.parametrize("check", CHECKS)
def test_with_real_bindings(reports, release, check):
    problem = reports(release).problem_of(check)
    assert problem is None, "{} over TensorRT {}: {}".format(check, release.version, problem)


def test_the_process_says_which_bindings_it_has_and_ends_in_order(reports, release):
    report = reports(release)
    assert report.version == release.version
    assert report.returncode == 0, report.end() + "\n" + report.errors
    # what the bindings print when an exception has left a callback
    assert "Exception caught" not in report.errors, report.errors


def test_every_public_function_on_tensorrt_was_called(reports, release):
    report = reports(release)
    assert "TensorRT.build" in report.public and "make_logger" in report.public
    assert report.public - report.called == NOT_CALLED.get(release.major, set()), "add a check that calls it"


def members_listed(version):
    """Members by class that the stand-in shows for a version, from lines with an x for each version that has them:

    # cols: 8.0.1 8.2.1 8.6.1 (x = present)
    ## BuilderFlag xxx
       .xx DIRECT_IO OBEY_PRECISION_CONSTRAINTS
    """
    found = {}
    with open(standin.MEMBERS_FILE) as file:
        columns = file.readline().split(":")[1].split()[: -len(["(x", "=", "present)"])]
        index = columns.index(version)
        for line in file:
            words = line.split()
            if words[0] == "##":
                kind, present = words[1], words[2][index] == "x"
                if present:
                    found[kind] = set()
            elif words[0] != "#" and words[0][index] == "x":
                found[kind].update(words[1:])
    return found


def classes_listed():
    with open(standin.MEMBERS_FILE) as file:
        return {line.split()[1] for line in file if line.startswith("## ")}


def test_the_stand_in_shows_what_the_real_bindings_have_and_nothing_else(reports, release):
    real, listed = reports(release).members, members_listed(release.version)
    assert len(listed) > 20
    assert {name for name in classes_listed() if name in real} == set(listed)
    wrong = {name: sorted(shown.symmetric_difference(real[name])) for name, shown in listed.items()}
    assert {name: members for name, members in wrong.items() if members} == {}


def test_the_stand_ins_enumerations_have_the_real_numbers(reports, release):
    real = reports(release).integers
    with standin.installed(release.version):
        trt = importlib.import_module("tensorrt")
        shown = {name: getattr(trt, name) for name in members_listed(release.version) if name in real}
        numbers = {name: {each: int(getattr(kind, each)) for each in real[name]} for name, kind in shown.items()}
    assert len(numbers) > 8
    assert numbers == {name: real[name] for name in numbers}


# the harness itself


def test_a_crash_names_its_check_and_shows_where(prepared, tmp_path):
    if not HERE:
        pytest.skip("NVIDIA has no bindings for this Python")
    report = run_checks(prepared(HERE[0]), [PACKAGE + "checks_crashing"], str(tmp_path / "report.json"))
    assert report.problem_of("one_that_is_right") is None
    assert "ZeroDivisionError" in report.problem_of("one_with_a_wrong_answer")
    crash = report.problem_of("one_that_crashes")
    assert crash.startswith("the process died in it; it died of SIGSEGV")
    assert "in one_that_crashes" in crash
    assert report.problem_of("one_after_the_crash").startswith("not run")


def test_a_process_that_never_began_is_reported(tmp_path):
    report = run_checks(preparing.Prepared(str(tmp_path), str(tmp_path)), MODULES, str(tmp_path / "report.json"))
    problem = report.problem_of(CHECKS[0])
    assert problem.startswith("not run; it ended with code 1") and "tensorrt" in problem


def test_without_a_package_index_the_reason_is_pips(tmp_path, monkeypatch):
    needs_x86()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(Missing, match=r"(?s)tensorrt-bindings==8\.6\.1 cannot be fetched: .*No matching distribution"):
        prepare(sys.executable, RELEASES[0], str(tmp_path))
    assert os.listdir(str(tmp_path)) == []


def test_without_a_compiler_the_reason_names_it(prepared, cache, tmp_path, monkeypatch):
    if not HERE:
        pytest.skip("NVIDIA has no bindings for this Python")
    site = prepared(HERE[0]).site
    os.symlink(site, str(tmp_path / os.path.basename(site)))
    monkeypatch.setattr(preparing, "COMPILER", "no-such-compiler")
    with pytest.raises(Missing, match=r"no-such-compiler cannot compile fake\.cpp: .*No such file"):
        prepare(sys.executable, HERE[0], str(tmp_path))
    assert os.listdir(str(tmp_path)) == [os.path.basename(site)]


def test_a_machine_that_nvidia_has_no_wheels_for_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(NoWheels, match="x86_64 Linux, this is aarch64"):
        prepare(sys.executable, RELEASES[0], str(tmp_path))


def test_the_second_time_nothing_is_fetched_or_compiled(prepared, cache, monkeypatch):
    if not HERE:
        pytest.skip("NVIDIA has no bindings for this Python")
    first = prepared(HERE[0])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(preparing, "COMPILER", "no-such-compiler")
    assert os.path.exists(os.path.join(first.lib, LIBRARY))
    assert os.path.dirname(first.site) == cache
    assert prepare(sys.executable, HERE[0], cache) == first


@pytest.mark.parametrize("in_ci, outcome", [("", "Skipped"), ("true", "Failed")])
def test_what_is_missing_is_a_skip_here_and_a_failure_in_ci(monkeypatch, in_ci, outcome):
    monkeypatch.setenv("CI", in_ci)
    with pytest.raises(BaseException) as caught:
        skip_or_fail(Missing("no index"))
    assert type(caught.value).__name__ == outcome and "no index" in str(caught.value)
    with pytest.raises(pytest.skip.Exception):
        skip_or_fail(NoWheels("this is aarch64"))


def test_what_was_made_is_kept_in_the_folder_that_the_variable_names(tmp_path, monkeypatch):
    monkeypatch.setenv("CCC_TEST_BUILD", str(tmp_path / "kept"))
    assert build_folder("things") == str(tmp_path / "kept" / "things")
    assert os.listdir(str(tmp_path / "kept")) == ["things"]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CCC_TEST_BUILD", str(tmp_path / "file"))
    elsewhere = build_folder("things")
    assert os.listdir(elsewhere) == [] and not elsewhere.startswith(str(tmp_path))
    assert build_folder("things") == elsewhere != build_folder("others")


def test_of_two_that_make_the_same_the_first_is_kept(tmp_path):
    path = str(tmp_path / "made")
    with becoming(path) as slower:
        with becoming(path) as faster:
            os.mkdir(os.path.join(faster, "first"))
        os.mkdir(os.path.join(slower, "second"))
    assert os.listdir(path) == ["first"] and os.listdir(str(tmp_path)) == ["made"]


def test_a_command_that_takes_too_long_is_ended_and_one_that_fails_has_its_last_words():
    with pytest.raises(Missing, match=r"^it cannot be: no answer in 0\.2 s$"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], "it cannot be", 0.2)
    says = "import sys; print('out'); sys.exit('\\n'.join(map(str, range(9))))"
    with pytest.raises(Missing, match=r"^it cannot be: 4\n5\n6\n7\n8$"):
        run([sys.executable, "-c", says], "it cannot be", 60)


def test_pythons_have_the_releases_that_nvidia_built_for_them():
    assert [release.version for release in releases_of((3, 6))] == ["8.6.1"]
    assert releases_of((3, 8)) == releases_of((3, 11)) == RELEASES
    assert [release.major for release in releases_of((3, 12))] == [10, 10, 11]


def needs_x86():
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("NVIDIA publishes these bindings for x86_64 Linux")
