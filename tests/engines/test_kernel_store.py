"""Compiled kernels: found beside the engine, in the cache, or made; what does not fit is passed over, and why."""

import os
import shutil

import pytest

import ccc_jetson
from ccc_jetson.contract import Head
from ccc_jetson.engines import nvcc as nvcc_module
from ccc_jetson.engines.kernel_store import (
    Wanted,
    carry_kernels,
    channels_of,
    kernels_for,
    misfit,
    read_sources,
)
from ccc_jetson.engines.kernels_file import CompiledKernels, kernels_path, read_kernels
from ccc_jetson.errors import BackendError, BuildError, DependencyMissing, FileProblem
from tests.doubles.fake_nvcc import FakeNvcc

HEAD = Head("transposed_conv_2x2", "features", 4, 19, 2, False)
FITTING = CompiledKernels("ccc-jetson 0.0.9", "ab" * 32, "6.2", "10.2", (4, 19), b"cubin")
WANTED = Wanted("ab" * 32, "6.2", "10.2", (4, 19))


class Machine:
    """A board with sources of its own, a cache folder, and nvcc where one is installed."""

    def __init__(self, folder):
        self.folder = folder
        self.engine = str(folder / "model.engine")
        self.beside = kernels_path(self.engine)
        self.cache = folder / "cache"
        self.sources = folder / "sources"
        self.sources.mkdir()
        (self.sources / "unit.cu").write_text('#include "pixels.cuh"\n')
        (self.sources / "pixels.cuh").write_text("// pixels\n")
        self.environ = {"PATH": os.defpath}
        self.said = []

    def install(self, version="10.2.300", **told):
        fake = FakeNvcc(self.folder / ("cuda-" + version), version, **told)
        self.environ["CUDA_HOME"] = fake.home
        return fake

    def remove_nvcc(self):
        del self.environ["CUDA_HOME"]

    def ask(self, do=kernels_for, sm="6.2", cuda="10.2", head=HEAD):
        """The kernels; what was said meanwhile is in ``said``."""
        del self.said[:]
        try:
            return do(self.engine, sm, cuda, head, str(self.cache), self.said.append, str(self.sources), self.environ)
        finally:
            print("\n".join(self.said))

    def cached(self):
        folder = str(self.cache / "kernels")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


@pytest.fixture()
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(nvcc_module, "PREFIX", str(tmp_path / "usr" / "local"))
    return Machine(tmp_path)


# sources


def test_the_sources_are_those_that_the_package_brings():
    found = read_sources()
    folder = os.path.join(os.path.dirname(os.path.abspath(ccc_jetson.__file__)), "runtime", "kernels")
    assert "unit.cu" in found.files
    for name, data in found.files.items():
        assert name.endswith((".cu", ".cuh"))
        with open(os.path.join(folder, name), "rb") as file:
            assert file.read() == data
    lines = [line for data in found.files.values() for line in data.splitlines()]
    included = [line.split(b'"')[1].decode("ascii") for line in lines if line.startswith(b'#include "')]
    assert set(included) <= set(found.files), "what is included is compiled, so it has to be delivered"


def test_every_byte_and_every_name_counts(machine, monkeypatch):
    folder = str(machine.sources)
    seen = [read_sources(folder).sha256]
    assert read_sources(folder).sha256 == seen[0]
    (machine.sources / "notes.txt").write_text("not compiled")
    assert read_sources(folder).sha256 == seen[0]
    (machine.sources / "pixels.cuh").write_text("// pixelS\n")
    seen.append(read_sources(folder).sha256)
    os.rename(folder + "/pixels.cuh", folder + "/pixel.cuh")
    seen.append(read_sources(folder).sha256)
    (machine.sources / "unit.cu").write_text('#include "pixels.cuh"\n// pi')  # the same bytes, divided differently
    (machine.sources / "pixel.cuh").write_text("xelS\n")
    seen.append(read_sources(folder).sha256)
    monkeypatch.setattr("ccc_jetson.engines.kernel_store.OPTIONS", ("-std=c++14", "-O2"))
    seen.append(read_sources(folder).sha256)
    assert len(set(seen)) == len(seen), seen


def test_an_incomplete_installation_is_said(machine):
    (machine.sources / "unit.cu").unlink()
    for folder in (str(machine.sources), str(machine.folder / "nowhere")):
        with pytest.raises(FileProblem, match="ccc-jetson is not installed completely"):
            read_sources(folder)


# what fits


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"tool": "ccc-jetson 9"}, ""),
        ({"cuda": "10.0"}, ""),
        ({"sources_sha256": "cd" * 32}, "compiled from other sources than this version's (by ccc-jetson 0.0.9)"),
        ({"sm": "5.3"}, "for sm_53, not sm_62"),
        ({"cuda": "11.4"}, "compiled with CUDA 11.4, newer than this machine's 10.2"),
        ({"head": None}, "with no head of its own, not the head of 4 -> 19 channels"),
        ({"head": (20, 20)}, "with the head of 20 -> 20 channels, not the head of 4 -> 19 channels"),
        (
            {"sm": "8.7", "cuda": "12.6"},
            "for sm_87, not sm_62, compiled with CUDA 12.6, newer than this machine's 10.2",
        ),
    ],
)
def test_why_kernels_do_not_fit(change, reason):
    assert misfit(FITTING._replace(**change), WANTED) == reason


def test_what_is_not_known_is_not_compared_and_a_head_too_many_is_harmless():
    assert misfit(FITTING, Wanted("", "", "", None)) == ""
    assert misfit(FITTING, WANTED._replace(head=None)) == ""


def test_only_a_transposed_convolution_has_kernels_of_its_own():
    assert channels_of(HEAD) == (4, 19)
    assert channels_of(None) is None
    assert channels_of(Head("bilinear", "logits", 19, 19, 8, True)) is None


# where they come from


def test_nvcc_compiles_once_and_the_cache_gives_it_from_then_on(machine):
    fake = machine.install()
    first = machine.ask()
    assert first.origin.startswith("compiled by nvcc 10.2.300 in ")
    assert machine.said[0] == "compiling the runtime's kernels for sm_62 with nvcc 10.2.300"
    assert machine.said[1].startswith("compiled in ") and len(machine.said) == 2
    assert "-DCCC_HEAD_CI=4" in fake.calls[0]["arguments"]
    sha256 = read_sources(str(machine.sources)).sha256
    assert machine.cached() == ["{}-sm62-head4x19-cuda10.2.kernels".format(sha256[:16])]
    machine.remove_nvcc()
    second = machine.ask()
    assert second.cubin == first.cubin and machine.said == []
    assert second.origin == str(machine.cache / "kernels" / machine.cached()[0])
    assert second.compiled == CompiledKernels(
        "ccc-jetson " + ccc_jetson.__version__, sha256, "6.2", "10.2", (4, 19), first.cubin
    )
    assert not os.path.exists(machine.beside)  # whoever runs an engine writes nothing beside it


def test_what_lies_beside_the_engine_comes_first_and_needs_nothing_else(machine):
    machine.install()
    carried = machine.ask(carry_kernels)
    assert read_kernels(machine.beside) == carried.compiled
    shutil.rmtree(str(machine.cache))
    machine.remove_nvcc()
    found = machine.ask()
    assert (found.cubin, found.origin, machine.said) == (carried.cubin, machine.beside, [])
    assert machine.ask(head=None).origin == machine.beside
    before = os.stat(machine.beside).st_mtime_ns
    assert machine.ask(carry_kernels).origin == machine.beside
    assert os.stat(machine.beside).st_mtime_ns == before
    assert machine.cached() == []


def test_the_cache_is_carried_too(machine):
    machine.install()
    machine.ask()
    machine.remove_nvcc()
    found = machine.ask(carry_kernels)
    assert found.origin.startswith(str(machine.cache))
    assert read_kernels(machine.beside) == found.compiled


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        ({"sm": "5.3"}, "for sm_62, not sm_53"),
        ({"cuda": "10.0"}, "compiled with CUDA 10.2, newer than this machine's 10.0"),
        ({"head": HEAD._replace(channels_in=20)}, "the head of 4 -> 19 channels, not the head of 20 -> 19 channels"),
    ],
)
def test_what_was_compiled_for_another_machine_is_passed_over_and_compiled_again(machine, ask, reason):
    machine.install()
    machine.ask(carry_kernels)
    fake = machine.install("10.0.130")
    found = machine.ask(**ask)
    assert found.origin.startswith("compiled by nvcc 10.0.130")
    assert machine.said[0].startswith(machine.beside + ": ") and machine.said[0].endswith(reason + "; passed over")
    assert len(fake.calls) == 1


def test_another_versions_kernels_are_passed_over_and_replaced_when_carried(machine):
    machine.install()
    old = machine.ask(carry_kernels)
    (machine.sources / "pixels.cuh").write_text("// another version\n")
    new = machine.ask(carry_kernels)
    assert "compiled from other sources than this version's" in machine.said[0]
    assert new.cubin != old.cubin
    assert read_kernels(machine.beside) == new.compiled
    assert len(machine.cached()) == 2


@pytest.mark.parametrize("damage", ["cut", "other", "folder", "link", "pipe"])
def test_a_damaged_file_is_passed_over_with_the_reason(machine, damage):
    machine.install()
    whole = machine.ask(carry_kernels)
    with open(machine.beside, "rb") as file:
        data = file.read()
    os.unlink(machine.beside)
    if damage == "folder":
        os.mkdir(machine.beside)
    elif damage == "link":
        os.symlink("nowhere", machine.beside)
    elif damage == "pipe":
        os.mkfifo(machine.beside)
    else:
        with open(machine.beside, "wb") as file:
            file.write(data[:-1] if damage == "cut" else b"\x08\x07an ONNX file")
    found = machine.ask()
    assert found.cubin == whole.cubin and found.origin.startswith(str(machine.cache))
    assert machine.said[0].startswith(machine.beside + ": ") and machine.said[0].endswith("; passed over")
    if damage in ("cut", "other"):
        machine.ask(carry_kernels)
        assert read_kernels(machine.beside) == whole.compiled


def test_a_damaged_file_in_the_cache_is_compiled_again(machine):
    fake = machine.install()
    machine.ask()
    path = machine.cache / "kernels" / machine.cached()[0]
    path.write_bytes(path.read_bytes()[:-1])
    machine.ask()
    assert "the kernels are damaged" in machine.said[0] and machine.said[0].endswith("; passed over")
    assert len(fake.calls) == 2
    assert machine.ask().origin == str(path)


def test_of_several_cudas_in_the_cache_the_newest_that_runs_is_taken(machine):
    for version in ("9.0.176", "10.0.130", "10.2.300"):
        machine.install(version)
        machine.ask(cuda=version.rsplit(".", 1)[0])
        shutil.move(str(machine.cache / "kernels"), str(machine.folder / ("kept" + version)))
    (machine.cache / "kernels").mkdir()
    for version in ("9.0.176", "10.0.130", "10.2.300"):
        (name,) = os.listdir(str(machine.folder / ("kept" + version)))
        shutil.move(str(machine.folder / ("kept" + version) / name), str(machine.cache / "kernels" / name))
    machine.remove_nvcc()
    assert [machine.ask(cuda=cuda).compiled.cuda for cuda in ("10.2", "10.1", "9.2", "11.4")] == [
        "10.2",
        "10.0",
        "9.0",
        "10.2",
    ]
    with pytest.raises(DependencyMissing):
        machine.ask(cuda="8.0")
    assert len(machine.said) == 3


def test_a_cache_that_cannot_be_written_costs_a_sentence(machine):
    machine.install()
    machine.cache.write_text("a file where the folder should be")
    found = machine.ask()
    assert found.origin.startswith("compiled by")
    assert machine.said[-1].startswith("the compiled kernels are not kept in the cache: ")
    assert "cannot be made" in machine.said[-1]


def test_the_users_own_cache_folder_is_the_default(machine):
    machine.install()
    machine.environ["CCC_JETSON_CACHE"] = str(machine.folder / "own")
    kernels_for(machine.engine, "6.2", "10.2", None, "", machine.said.append, str(machine.sources), machine.environ)
    (name,) = os.listdir(str(machine.folder / "own" / "kernels"))
    assert "-nohead-" in name


# what goes wrong


def test_without_nvcc_and_kernels_the_way_out_is_named_and_nothing_is_written(machine):
    with pytest.raises(DependencyMissing, match="no nvcc that compiles for this machine"):
        machine.ask(carry_kernels)
    assert machine.cached() == [] and not os.path.exists(machine.beside)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"prints": "nvcc fatal   : Unsupported gpu architecture 'sm_62'\n", "code": 1}, BackendError),
        ({"prints": "unit.cu(1): error\n", "code": 2}, BuildError),
        ({"killed": True}, BuildError),
        ({"writes": 0}, BuildError),
    ],
)
def test_a_compiler_that_fails_leaves_neither_file_nor_cache_entry(machine, told, error):
    machine.install(**told)
    with pytest.raises(error):
        machine.ask(carry_kernels)
    assert machine.cached() == [] and not os.path.exists(machine.beside)


def test_a_folder_that_cannot_be_written_keeps_what_was_compiled_in_the_cache(machine):
    machine.install()
    os.mkdir(machine.beside)
    with pytest.raises(FileProblem, match="is no ordinary file, so it is not replaced"):
        machine.ask(carry_kernels)
    assert len(machine.cached()) == 1
