"""Every probe on machines that are well and on machines with the faults that boards have: every verdict is reached."""

import os
import random

import pytest

import tests
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.runtime.doctor.cli import to_text
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.probes import PROBES, Probe, chosen, examine
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, OK, PROBLEM, worst
from tests.doubles.doctored import (
    CV2,
    HANGS,
    MISSING,
    NUMPY,
    NVCC,
    PYCUDA,
    SIGILL,
    STATIC_TLS,
)
from tests.doubles.machines import meminfo
from tests.runtime.doctor.cases import CARD, CASES, ERROR, LIBRARIES, NANO, ORIN, PC, TX2, mode_3


@pytest.fixture(autouse=True)
def no_cuda_of_this_machine(tmp_path, monkeypatch):
    """NVIDIA's packages are looked for below a folder of the test's; an nvcc lies there and not on PATH."""
    folder = tmp_path / "cuda-prefix" / "cuda" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setattr("ccc_jetson.engines.nvcc.PREFIX", str(tmp_path / "cuda-prefix"))
    return folder


def put_nvcc(folder):
    path = folder / "nvcc"
    path.write_text("#!/bin/sh\n{}\n".format(NVCC.format("10.2")))
    path.chmod(0o755)


def place_of(machine, folder):
    place = machine.place(folder)
    if not os.path.isabs(place.prefix):
        place.prefix = os.path.join(place.root, place.prefix)
    return place


def look(machine, folder, name, files=()):
    """The findings of one probe."""
    return [result.finding for result in examine(place_of(machine, folder), files, chosen([name]))]


@pytest.mark.parametrize(
    "case", CASES, ids=["{}-{}-{}".format(number, each[0], each[1]) for number, each in enumerate(CASES)]
)
def test_a_probe_says_what_is_wrong_and_the_line_that_fixes_it(tmp_path, no_cuda_of_this_machine, case):
    name, verdict, machine, evidence, fix = case
    if name == "nvcc" and verdict == PROBLEM:
        put_nvcc(no_cuda_of_this_machine)
    (finding,) = look(machine, tmp_path, name)
    print(finding)
    assert finding.verdict == verdict
    assert evidence in finding.evidence
    assert fix in finding.fix
    assert "\n" not in finding.evidence and "probe itself failed" not in finding.evidence
    if verdict in (PROBLEM, BROKEN):
        assert finding.fix


def test_every_verdict_of_every_probe_is_reached():
    reached = {case[:2] for case in CASES if case[0] != "models"}  # those of files: test_models.py
    declared = {(probe.name, verdict) for probe in PROBES if probe.name != "models" for verdict in probe.verdicts}
    assert declared - reached == set()
    assert reached - declared == set()


@pytest.mark.parametrize("machine", [TX2, NANO, ORIN, PC], ids=["TX2", "Nano", "Orin", "PC"])
def test_a_machine_that_is_well_has_nothing_worse_than_ok(tmp_path, machine):
    results = examine(place_of(machine, tmp_path))
    bad = [result for result in results if result.finding.verdict not in (OK, NOT_HERE)]
    assert bad == []
    assert [result.probe for result in results] == [probe.name for probe in PROBES]


def test_a_tx2_with_many_faults_has_them_all_in_one_table(tmp_path):
    machine = TX2.but(
        dict(mode_3(), **{"proc/meminfo": meminfo(7854, 1900, 0, 0), "tmp/": None}),
        {"nvcc": None},
        {"numpy": SIGILL, "cv2": STATIC_TLS, "tensorrt": MISSING.format("tensorrt"), "pycuda": HANGS},
        {"dev/video0": ERROR},
    )
    place = place_of(machine, tmp_path)
    run = place.run
    place.run = lambda command, seconds=1.0: run(command, min(seconds, 1.0))
    results = examine(place)
    found = {result.probe: result.finding.verdict for result in results}
    for name in ("power-mode", "cores", "memory", "swap", "cameras", "argus"):
        assert found[name] == PROBLEM
    for name in ("numpy", "opencv", "tensorrt", "pycuda", "nvcc"):
        assert found[name] == BROKEN
    assert "no answer in 1 s" in next(result.finding.evidence for result in results if result.probe == "pycuda")
    assert worst(list(found.values())) == BROKEN


def after_pip_install():
    """A TX2 out of the box after ``pip install opencv-python numpy``: what imports numpy dies with it."""
    pip = CV2.format("4.6.0", "/home/nvidia/.local/lib/python3.6/site-packages", "NO")
    return TX2.but(
        dict(mode_3(), **{"tmp/": None, "proc/swaps": "Filename\n/dev/zram0 partition 506480 0 5\n"}),
        {"nvcc": None},
        {"numpy": SIGILL, "cv2": pip},
        {"dev/video0": ERROR},
    )


def test_the_example_of_the_page_is_what_the_doctor_says_of_that_machine(tmp_path, no_cuda_of_this_machine):
    put_nvcc(no_cuda_of_this_machine)
    text = to_text(examine(place_of(after_pip_install(), tmp_path)), False)
    text = text.replace(os.path.dirname(os.path.dirname(str(no_cuda_of_this_machine))), "/usr/local")
    print(text)
    with open(os.path.join(os.path.dirname(tests.__file__), os.pardir, "docs", "doctor.md"), encoding="utf-8") as file:
        page = file.read()
    example = (
        page[page.index("## On a TX2 with many faults") :].split("```text\n")[1].split("```")[0].strip().splitlines()
    )
    assert len(example) > 20
    assert [line for line in example if line not in text.splitlines()] == []
    for probe in ("numpy", "opencv", "pycuda"):
        assert any(line.split()[:2] == ["broken", probe] for line in example)


def test_a_library_that_links_to_nothing_was_not_mounted(tmp_path):
    place = place_of(TX2.but({".dockerenv": ""}), tmp_path)
    os.makedirs(os.path.join(place.root, LIBRARIES))
    os.symlink("libnvinfer.so.8.2.1", os.path.join(place.root, LIBRARIES, "libnvinfer.so.8"))
    (result,) = examine(place, probes=chosen(["container"]))
    assert result.finding.verdict == BROKEN
    assert "/usr/lib/aarch64-linux-gnu/libnvinfer.so.8 is empty" in result.finding.evidence
    assert "--runtime nvidia" in result.finding.fix


def test_a_probe_that_fails_is_a_verdict_and_the_others_go_on(tmp_path):
    def fails(place, files):
        raise KeyError("what\x1b[2J")

    probes = (Probe("fails", "", fails, ()), *chosen(["disk"]))
    first, second = examine(place_of(TX2, tmp_path), probes=probes)
    assert (first.probe, first.finding.verdict) == ("fails", PROBLEM)
    assert "KeyError" in first.finding.evidence and first.finding.evidence.isprintable()
    assert second.finding.verdict == OK


def test_a_folder_that_is_gone_is_told(tmp_path):
    def gone(path):
        raise FileProblem("{}: its free space cannot be read".format(path))

    (finding,) = look(TX2.but(free_bytes=gone), tmp_path, "disk")
    assert finding.verdict == PROBLEM and "cannot be read" in finding.evidence


def test_a_name_that_is_no_probe_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match="expected one of jetpack, power-mode"):
        chosen(["numpi"])


def test_an_import_is_tried_once_and_what_it_starts_is_ended_with_it(tmp_path):
    counter = tmp_path / "count"
    text = "open({!r}, 'a').write('x')\n{}".format(str(counter), NUMPY.format("1", ""))
    place = place_of(TX2.but(modules={"numpy": text}), tmp_path)
    place.imported("numpy")
    place.imported("numpy")
    assert counter.read_text() == "x"
    answer = place.run(["/bin/sh", "-c", "/bin/sleep 600 & /bin/sleep 600"], 0.3)
    assert (answer.code, answer.why_not) == (None, "no answer in 0.3 s")
    assert place.run(["/nowhere"]).complaint.startswith("/nowhere: No such file or directory")
    assert place.run(["/bin/sh", "-c", "kill -40 $$"]).signal in ("signal 40", "SIGRTMIN+6")
    assert place.run(["/bin/sh", "-c", "exit 3"]).complaint == "exit code 3"


def test_output_without_end_does_not_fill_the_memory(tmp_path):
    answer = place_of(TX2, tmp_path).run(
        ["/bin/sh", "-c", "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done"], 0.3
    )
    assert len(answer.out) <= 1 << 20


def test_whatever_the_files_hold_the_table_is_whole(tmp_path):
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    cheap = chosen(
        ["jetpack", "power-mode", "cores", "clocks", "memory", "swap", "cameras", "argus", "docker", "container"]
    )
    for number in range(15):
        noise = {
            path: bytes(generator.randrange(256) for _ in range(generator.randrange(40)))
            for path in TX2.files
            if generator.random() < 0.4
        }
        results = examine(place_of(TX2.but(noise), tmp_path / str(number)), probes=cheap)
        assert {result.probe for result in results} == {probe.name for probe in cheap}
        for result in results:
            assert result.finding.evidence.isprintable()
            assert "probe itself failed" not in result.finding.evidence, result


def test_this_machine_is_looked_at_without_an_exception():
    results = examine(Place())
    assert {result.probe for result in results} == {probe.name for probe in PROBES}
    for result in results:
        assert "probe itself failed" not in result.finding.evidence


def test_pycuda_of_a_card_is_found_on_a_pc_too(tmp_path):
    machine = PC.but(CARD, modules={"pycuda": PYCUDA.format("NVIDIA H200", (9, 0), 12080)})
    (finding,) = look(machine, tmp_path, "pycuda")
    assert "NVIDIA H200 (compute capability 9.0), driver of CUDA 12.8" in finding.evidence
