"""ccc-build-engine and the runtime's kernels: compiled with the engine, carried beside it, never in its way."""

import os
import signal
import threading
import time

import pytest

from ccc_jetson import __version__
from ccc_jetson.engines.kernel_store import read_sources
from ccc_jetson.engines.kernels_file import read_kernels
from ccc_jetson.engines.manifest import read_manifest
from tests.doubles.tiny_model import FEATURES, write_tiny_model
from tests.engines.conftest import WRITTEN

WITH_KERNELS = [*WRITTEN[:2], "model.engine.kernels", WRITTEN[2]]


def kernels_of(board):
    return read_kernels(board.engine + ".kernels")


def test_kernels_for_this_gpu_and_head_lie_beside_the_engine(board):
    fake = board.install_nvcc()
    code, out, err = board.build("--fp16")
    assert code == 0
    assert board.files() == WITH_KERNELS
    found = kernels_of(board)
    assert (found.tool, found.sm, found.cuda, found.head) == (
        "ccc-jetson " + __version__,
        "6.2",
        "10.2",
        (FEATURES, 19),
    )
    assert found.sources_sha256 == read_sources().sha256
    assert "compiling the runtime's kernels for sm_62 with nvcc 10.2.300\ncompiled in " in err
    assert (
        "kernels      {}.kernels, 0.1 kB for sm_62 with CUDA 10.2: compiled by nvcc 10.2.300 in ".format(board.engine)
        in out
    )
    assert len(fake.calls) == 1
    assert os.listdir(str(board.cache / "kernels"))


def test_an_engine_that_is_there_already_gets_what_it_lacks_and_no_more(board):
    board.build("--fp16")
    assert board.files() == WRITTEN
    before = os.stat(board.engine).st_mtime_ns
    fake = board.install_nvcc()
    _, out, err = board.build("--fp16")
    assert "already built" in out and "compiled by nvcc" in out
    assert board.files() == WITH_KERNELS
    _, out, err = board.build("--fp16")
    assert "kernels, 0.1 kB for sm_62 with CUDA 10.2: there already" in out
    assert "compil" not in err
    assert len(fake.calls) == 1
    assert os.stat(board.engine).st_mtime_ns == before


def test_another_engine_of_the_same_head_takes_them_from_the_cache(board):
    fake = board.install_nvcc()
    board.build("--fp16")
    other = board.folder / "other.engine"
    code, out, _ = board.build("--fp32", "-o", other)
    assert code == 0
    assert "CUDA 10.2: {}".format(board.cache / "kernels") in out
    assert board.bytes("other.engine.kernels") == board.bytes("model.engine.kernels")
    assert len(fake.calls) == 1


def test_without_nvcc_the_engine_is_written_and_the_note_says_what_to_do(board):
    code, out, err = board.build("--fp16")
    assert code == 0
    assert board.files() == WRITTEN
    assert "note: the engine is complete, but there are no compiled kernels beside it: no nvcc that compiles" in err
    assert "sudo apt install cuda-nvcc-10-2" in err
    assert "kernels      none beside the engine" in out
    assert read_manifest(board.engine).gate.passed


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"prints": "nvcc fatal   : Unsupported gpu architecture 'sm_62'\n", "code": 1}, "does not compile for sm_62"),
        (
            {"prints": "pre.cu(3): error: no such thing\n", "code": 2},
            "  pre.cu(3): error: no such thing\n  -> report it",
        ),
        ({"killed": True}, "memory has run out\n  -> close other programs"),
    ],
)
def test_an_nvcc_that_fails_takes_nothing_from_the_engine(board, told, says):
    board.install_nvcc(**told)
    code, _, err = board.build("--fp16")
    assert code == 0
    assert "there are no compiled kernels beside it: " in err and says in err
    assert "Traceback" not in err
    assert board.files() == WRITTEN


def test_a_compiler_newer_than_the_board_is_named(board):
    fake = board.install_nvcc("13.0.88")
    assert "{} is of CUDA 13.0, newer than this machine's 10.2".format(fake.path) in board.build("--fp16")[2]
    assert fake.calls == []


def test_kernels_can_be_left_out(board):
    fake = board.install_nvcc()
    code, out, err = board.build("--fp16", "--no-kernels")
    assert (code, fake.calls, board.files()) == (0, [], WRITTEN)
    assert "compil" not in err
    assert "kernels      none beside the engine" in out


def test_an_engine_without_a_head_of_its_own_has_kernels_too(board):
    write_tiny_model(board.model, attachments=False)
    board.install_nvcc()
    assert board.build("--no-gate")[0] == 0
    assert kernels_of(board).sm == "6.2"


def test_a_damaged_file_is_replaced(board):
    board.install_nvcc()
    board.build("--fp16")
    whole = board.bytes("model.engine.kernels")
    with open(board.engine + ".kernels", "wb") as file:
        file.write(whole[:-1])
    _, _, err = board.build("--fp16")
    assert "the kernels are damaged" in err and "; passed over" in err
    assert board.bytes("model.engine.kernels") == whole


def test_an_engine_that_fails_the_gate_gets_no_kernels(board):
    fake = board.install_nvcc()
    board.be(wrong=True)
    assert board.build("--fp32")[0] == 1
    assert (fake.calls, board.files()) == ([], ["model.onnx"])


def test_a_folder_in_their_place_is_a_usage_error_before_anything_is_built(board):
    os.mkdir(board.engine + ".kernels")
    code, _, err = board.build("--fp16")
    assert code == 2
    assert "model.engine.kernels: is a folder" in err


def test_the_kernels_go_where_the_engine_really_is(board):
    board.install_nvcc()
    (board.folder / "disk").mkdir()
    os.symlink(str(board.folder / "disk" / "real.engine"), board.engine)
    assert board.build("--fp16")[0] == 0
    names = sorted(os.listdir(str(board.folder / "disk")))
    assert names == ["real.engine", "real.engine.json", "real.engine.kernels"]
    assert "there already" in board.build("--fp16")[1]


def test_ctrl_c_while_nvcc_works_leaves_the_engine_and_nothing_half_written(board):
    fake = board.install_nvcc(child_sleeps=60)

    def press():
        for _ in range(3000):
            if fake.child:
                break
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    code = board.build("--fp16")[0]
    thread.join()
    assert code == 130
    assert board.files() == WRITTEN
    fake.be()
    assert "already built" in board.build("--fp16")[1]
    assert board.files() == WITH_KERNELS
