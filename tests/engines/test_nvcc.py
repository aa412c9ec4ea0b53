"""NVIDIA's compiler: where it is found, how it is called, and what its failures become."""

import errno
import os
import signal
import threading
import time

import pytest

from ccc_jetson.engines import nvcc as module
from ccc_jetson.engines.nvcc import Nvcc, can_load, compile_cubin, find_nvcc
from ccc_jetson.errors import BackendError, BuildError, DependencyMissing, FileProblem
from tests.doubles.fake_nvcc import FakeNvcc

SOURCES = {"unit.cu": b'#include "more.cuh"\n', "more.cuh": b"// nothing\n"}


@pytest.fixture(autouse=True)
def prefix(monkeypatch, tmp_path):
    """/usr/local of a machine without CUDA."""
    folder = tmp_path / "usr local"
    folder.mkdir()
    monkeypatch.setattr(module, "PREFIX", str(folder))
    return folder


def failure(tmp_path, error, **told):
    """What a compiler that behaves so ends in."""
    fake = FakeNvcc(tmp_path / "cuda", **told)
    with pytest.raises(error) as caught:
        compile_cubin(find_nvcc("10.2", {"CUDA_HOME": fake.home}), SOURCES, "unit.cu", "6.2", None, os.environ)
    print("{}\n  -> {}".format(caught.value, caught.value.hint))
    return caught.value


# where it is


def test_cuda_home_comes_before_path_and_path_before_nvidias_own_place(tmp_path, prefix):
    home, path = FakeNvcc(tmp_path / "home", "10.2.1"), FakeNvcc(tmp_path / "path", "10.2.2")
    usual, numbered = FakeNvcc(prefix / "cuda", "10.2.3"), FakeNvcc(prefix / "cuda-9.2", "9.2.4")
    newest = FakeNvcc(prefix / "cuda-10.0", "10.0.5")
    environ = {"CUDA_HOME": home.home, "PATH": os.pathsep.join(["/nowhere", os.path.dirname(path.path)])}
    assert find_nvcc("10.2", environ) == Nvcc(home.path, "10.2", "10.2.1")
    assert find_nvcc("10.2", dict(environ, CUDA_HOME="")).version == "10.2.2"
    assert find_nvcc("10.2", {}).version == "10.2.3"
    os.unlink(usual.path)
    assert find_nvcc("10.2", {"CUDA_HOME": "/nowhere"}).version == "10.0.5"
    os.unlink(newest.path)
    assert find_nvcc("10.2", {}) == Nvcc(numbered.path, "9.2", "9.2.4")


def test_nothing_in_the_current_folder_is_run(tmp_path, monkeypatch):
    fake = FakeNvcc(tmp_path / "cuda")
    monkeypatch.chdir(os.path.dirname(fake.path))
    with pytest.raises(DependencyMissing):
        find_nvcc("", {"PATH": "::.", "CUDA_HOME": ".."})


def test_without_any_the_user_learns_how_to_get_one():
    with pytest.raises(DependencyMissing, match=r"no nvcc .* not in \$CUDA_HOME, on PATH or in ") as caught:
        find_nvcc("10.2", {"PATH": "/nowhere"})
    for cure in (
        "sudo apt install cuda-nvcc-10-2",
        "/cuda/bin:$PATH",
        "NVIDIA_REQUIRE_JETPACK=csv-mounts=all",
        "copy MODEL.engine.kernels",
    ):
        assert cure in caught.value.hint


@pytest.mark.parametrize(
    ("running", "compiled", "loads"),
    [
        ("10.2", "10.2", True),
        ("10.2", "10.0", True),
        ("10.0", "10.2", False),  # before CUDA 11 every minor release wants its own driver
        ("10.2", "13.0", False),
        ("12.2", "12.6", True),
        ("11.4", "11.8", True),
        ("12.6", "11.4", True),
        ("11.8", "12.0", False),
        ("12.2", "12.10", True),
        ("", "13.0", True),
        ("10.2", "", True),
    ],
)
def test_a_driver_takes_what_is_older_and_from_cuda_11_on_what_is_of_its_major_release(running, compiled, loads):
    assert can_load(running, compiled) is loads


def test_a_compiler_that_is_too_new_is_passed_over_for_an_older_one(tmp_path, prefix):
    new = FakeNvcc(tmp_path / "new", "13.0.88")
    environ = {"PATH": os.path.dirname(new.path)}
    with pytest.raises(DependencyMissing) as caught:
        find_nvcc("10.2", environ)
    assert "{} is of CUDA 13.0, newer than this machine's 10.2".format(new.path) in str(caught.value)
    assert find_nvcc("", environ).version == "13.0.88"
    old = FakeNvcc(prefix / "cuda-10.2")
    assert find_nvcc("10.2", environ).path == old.path


def test_what_is_no_compiler_is_passed_over_and_named(tmp_path, monkeypatch, prefix):
    empty, wrong, slow = tmp_path / "empty", tmp_path / "wrong", FakeNvcc(tmp_path / "slow", version_sleep=20)
    for folder, text in ((empty, ""), (wrong, "#!/bin/sh\necho this is no compiler\nexit 3\n")):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "nvcc").write_text(text)
        (folder / "bin" / "nvcc").chmod(0o755)
    (tmp_path / "hidden" / "nvcc").mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "nvcc").write_text("not executable")
    monkeypatch.setattr(module, "_ANSWER_S", 0.5)
    path = [str(wrong / "bin"), os.path.dirname(slow.path), str(tmp_path / "hidden"), str(tmp_path / "plain")]
    environ = {"CUDA_HOME": str(empty), "PATH": os.pathsep.join(path)}
    with pytest.raises(DependencyMissing) as caught:
        find_nvcc("10.2", environ)
    first, second, third = str(caught.value).split("\n  " + str(tmp_path))[1:]
    assert first.startswith("/empty/bin/nvcc cannot be started: Exec format error")
    assert second.startswith("/wrong/bin/nvcc is no nvcc: --version ends with code 3\n  this is no compiler")
    assert third == "/slow/bin/nvcc did not answer within 0 s"
    good = FakeNvcc(prefix / "cuda")
    assert find_nvcc("10.2", environ).path == good.path


@pytest.mark.parametrize(
    ("line", "cuda", "version"),
    [
        ("Cuda compilation tools, release 10.2, V10.2.300", "10.2", "10.2.300"),  # JetPack 4.6
        ("Cuda compilation tools, release 11.4, V11.4.315", "11.4", "11.4.315"),  # JetPack 5
        ("Cuda compilation tools, release 13.0, V13.0.88", "13.0", "13.0.88"),
        ("Cuda compilation tools, release 10.2, V10.2.300.1.2.3", None, None),
        ("Cuda compilation tools, release ten", None, None),
    ],
)
def test_the_version_is_read_from_the_line_that_nvcc_prints(tmp_path, line, cuda, version):
    path = tmp_path / "bin" / "nvcc"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho 'nvcc: NVIDIA (R) Cuda compiler driver'\necho '{}'\n".format(line))
    path.chmod(0o755)
    if cuda is None:
        with pytest.raises(DependencyMissing, match="is no nvcc"):
            find_nvcc("", {"CUDA_HOME": str(tmp_path)})
    else:
        assert find_nvcc("", {"CUDA_HOME": str(tmp_path)}) == Nvcc(str(path), cuda, version)


# how it is called


def test_the_command_line_is_the_documented_one_and_nothing_stays_behind(tmp_path):
    fake = FakeNvcc(tmp_path / "cuda")
    found = find_nvcc("10.2", {"CUDA_HOME": fake.home})
    cubin = compile_cubin(found, SOURCES, "unit.cu", "6.2", (20, 19), os.environ)
    assert cubin.startswith(b"\x7fELF") and len(cubin) == 96
    (call,) = fake.calls
    assert " ".join(call["arguments"]) == (
        "-cubin -arch=sm_62 -std=c++14 -O3 -DCCC_HEAD_CI=20 -DCCC_HEAD_CO=19 -o kernels.cubin unit.cu"
    )
    assert call["files"] == ["more.cuh", "unit.cu"]
    assert call["tmp"] == call["folder"]  # a compiler that is killed leaves its temporary files where they are removed
    assert not os.path.exists(call["folder"])


def test_without_a_head_its_macros_are_left_out(tmp_path):
    fake = FakeNvcc(tmp_path / "cuda")
    compile_cubin(find_nvcc("", {"CUDA_HOME": fake.home}), SOURCES, "unit.cu", "8.7", None, os.environ)
    assert " ".join(fake.calls[0]["arguments"]) == "-cubin -arch=sm_87 -std=c++14 -O3 -o kernels.cubin unit.cu"


def test_a_real_compiler_makes_a_cubin(monkeypatch):
    monkeypatch.setattr(module, "PREFIX", "/usr/local")
    try:
        real = find_nvcc()
    except DependencyMissing:
        pytest.skip("this machine has no nvcc")
    sm = "6.2" if int(real.cuda.split(".")[0]) < 13 else "7.5"
    kernel = b'extern "C" __global__ void ccc_k(int* a) { *a = CCC_HEAD_CI; }\n'
    sources = {"unit.cu": b'#include "k.cuh"\n', "k.cuh": kernel}
    cubin = compile_cubin(real, sources, "unit.cu", sm, (20, 19))
    print("{}: {:,} bytes for sm {}".format(real, len(cubin), sm))
    assert b"ccc_k" in cubin
    with pytest.raises(BuildError) as caught:
        compile_cubin(real, sources, "unit.cu", sm, None)
    assert 'k.cuh(1): error: identifier "CCC_HEAD_CI" is undefined' in str(caught.value)
    with pytest.raises(BackendError, match="does not compile for sm_11"):
        compile_cubin(real, sources, "unit.cu", "1.1", None)


# how it fails


@pytest.mark.parametrize(
    "printed",
    [
        "nvcc fatal   : Unsupported gpu architecture 'sm_62'\n",
        "nvcc fatal   : Value 'sm_62' is not defined for option 'gpu-architecture'\n",
    ],
)
def test_a_gpu_that_nvcc_does_not_know_is_said_with_both_versions(tmp_path, printed):
    error = failure(tmp_path, BackendError, prints=printed, code=1)
    assert "/cuda/bin/nvcc: nvcc 10.2.300 does not compile for sm_62\n  nvcc fatal   : " in str(error)
    assert "CUDA_HOME=FOLDER" in error.hint


def test_an_error_in_the_sources_is_quoted_from_its_end(tmp_path):
    lines = "".join("unit.cu({}): error: \x1b[1mnumber {}\n\n".format(number, number) for number in range(40))
    error = failure(tmp_path, BuildError, prints=lines, code=2)
    assert str(error).startswith(
        "nvcc 10.2.300 ended with code 2; it printed last:\n  unit.cu(28): error: ?[1mnumber 28"
    )
    assert str(error).endswith("number 39")
    assert error.hint == "report it with this text"


@pytest.mark.parametrize(
    "printed",
    [
        "gcc: No such file or directory\nnvcc fatal   : Failed to preprocess host compiler properties.\n",
        "sh: 1: gcc: not found\n",
        "gcc: error trying to exec 'cc1plus': execvp: No such file or directory\n",
    ],
)
def test_a_missing_host_compiler_has_its_own_cure(tmp_path, printed):
    assert "sudo apt install build-essential" in failure(tmp_path, BuildError, prints=printed, code=1).hint


@pytest.mark.parametrize(
    "told",
    [
        {"killed": True},
        {"prints": "nvcc error   : 'cicc' died due to signal 9 (Kill signal)\n", "code": 255},
        {"prints": "gcc: fatal error: Killed signal terminated program cc1plus\n", "code": 1},
    ],
)
def test_a_compiler_that_the_kernel_killed_means_no_memory(tmp_path, told):
    error = failure(tmp_path, BuildError, **told)
    assert str(error) == "nvcc was killed: on a board that is the kernel's way to say that memory has run out"
    assert "multi-user.target" in error.hint


def test_a_full_disk_is_said_with_the_folder(tmp_path, monkeypatch):
    printed = "/tmp/x.ii: No space left on device\n"
    error = failure(tmp_path, FileProblem, prints=printed, code=1)
    assert "no space left on the disk for nvcc's temporary files" in str(error)
    assert "export TMPDIR=FOLDER" in error.hint

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileProblem, match="no space left on the disk"):
        compile_cubin(Nvcc("/nowhere", "10.2", "10.2.300"), SOURCES, "unit.cu", "6.2", None)


def test_a_machine_without_a_temporary_folder_is_told_what_to_set(monkeypatch):
    def full(**arguments):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(module.tempfile, "TemporaryDirectory", full)
    with pytest.raises(FileProblem, match="no folder for nvcc's temporary files: Read-only") as caught:
        compile_cubin(Nvcc("/nowhere", "10.2", "10.2.300"), SOURCES, "unit.cu", "6.2", None)
    assert "TMPDIR" in caught.value.hint


def test_a_compiler_that_has_gone_meanwhile_is_named():
    with pytest.raises(BuildError, match="/nowhere/nvcc: cannot be started: No such file"):
        compile_cubin(Nvcc("/nowhere/nvcc", "10.2", "10.2.300"), SOURCES, "unit.cu", "6.2", None)


@pytest.mark.parametrize("size", [0, 5, 63])
def test_success_without_a_whole_cubin_is_none(tmp_path, size):
    error = failure(tmp_path, BuildError, writes=size)
    assert "reported success and wrote no whole cubin ({} bytes)".format(size) in str(error)


def test_a_cubin_whose_tables_are_cut_off_is_not_whole():
    header = bytearray(b"\x7fELF\x02\x01" + bytes(58))
    header[32:36], header[54:58] = (64).to_bytes(4, "little"), b"\x38\0\x02\0"  # two program headers behind it
    whole = bytes(header) + bytes(112)
    assert module._is_whole_elf(whole)
    for length in range(len(whole)):
        assert not module._is_whole_elf(whole[:length]), length
    assert not module._is_whole_elf(b"\x7fELF\x01" + whole[5:])  # 32 bits: no GPU's


# how it ends


def is_running(number):
    try:
        with open("/proc/{}/stat".format(number)) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except IOError:
        return False


def gone(number):
    """Whether a process ends within ten seconds."""
    for _ in range(500):
        if not is_running(number):
            return True
        time.sleep(0.02)
    return False


def test_a_compiler_that_does_not_end_is_ended_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_COMPILE_S", 1.5)
    fake = FakeNvcc(tmp_path / "cuda", child_sleeps=60)
    started = time.monotonic()
    with pytest.raises(BuildError, match="was not done after 2 s, and was ended"):
        compile_cubin(find_nvcc("", {"CUDA_HOME": fake.home}), SOURCES, "unit.cu", "6.2", None)
    assert time.monotonic() - started < 30
    assert fake.child and gone(fake.child)
    assert not os.path.exists(fake.calls[0]["folder"])


def test_ctrl_c_ends_the_compiler_its_children_and_its_files(tmp_path):
    fake = FakeNvcc(tmp_path / "cuda", child_sleeps=60)

    def press():
        for _ in range(1000):
            if fake.child:
                break
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        compile_cubin(find_nvcc("", {"CUDA_HOME": fake.home}), SOURCES, "unit.cu", "6.2", None)
    thread.join()
    assert fake.child and gone(fake.child)
    assert not os.path.exists(fake.calls[0]["folder"])
