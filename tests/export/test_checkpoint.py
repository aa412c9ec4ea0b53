"""Loading weights: every format that occurs, and every file that must be refused."""

import argparse
import collections
import os
import pathlib
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ccc_jetson.errors import CheckpointError, FileProblem
from ccc_jetson.export.checkpoint import load_checkpoint

STATE = {"encoder.weight": torch.arange(6.0).reshape(2, 3), "encoder.count": torch.tensor(4)}


class Hostile:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def assert_is_state(checkpoint):
    assert set(checkpoint.state) == set(STATE)
    assert all(torch.equal(checkpoint.state[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("zipped", [True, False])
def test_old_and_new_torch_formats(tmp_path, zipped):
    path = str(tmp_path / "a.pth")
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    assert_is_state(load_checkpoint(path))


def test_safetensors(tmp_path):
    path = str(tmp_path / "a.safetensors")
    save_file(STATE, path)
    assert_is_state(load_checkpoint(path))


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net", "network"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "module._orig_mod."])
def test_wrappers_and_prefixes(tmp_path, wrapper, prefix):
    path = str(tmp_path / "a.pth")
    torch.save({wrapper: {prefix + key: value for key, value in STATE.items()}, "epoch": 3}, path)
    assert_is_state(load_checkpoint(path))


def test_wrappers_in_wrappers(tmp_path):
    path = str(tmp_path / "a.pth")
    torch.save({"model": {"state_dict": STATE}}, path)
    assert_is_state(load_checkpoint(path))


@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_scripts_store_beside_the_weights_is_harmless(tmp_path, zipped):
    path = str(tmp_path / "a.pth")
    extras = {
        "args": argparse.Namespace(lr=0.1, folder=pathlib.Path("runs")),
        "best": np.float64(0.6),
        "scores": np.arange(3.0),
        "epoch": np.int64(4),
        "history": collections.Counter(a=1),
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
    }
    torch.save({"state_dict": STATE, **extras}, path, _use_new_zipfile_serialization=zipped)
    assert_is_state(load_checkpoint(path))


def test_the_official_checkpoint_holds_cuda_storages_and_loads_on_a_cpu(shared_data):
    checkpoint = load_checkpoint(shared_data("C3Net_setting2.pth"))
    assert checkpoint.sha256.startswith("4f80e0f0")
    assert len(checkpoint.state) == 925
    assert {tensor.device.type for tensor in checkpoint.state.values()} == {"cpu"}


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle2", "pickle4"])
def test_a_pickle_that_runs_code_is_refused_by_name_and_runs_nothing(tmp_path, how):
    path, witness = str(tmp_path / "a.pth"), tmp_path / "witness"
    content = {"state_dict": STATE, "callback": Hostile(witness)}
    if how.startswith("pickle"):
        with open(path, "wb") as file:
            pickle.dump(Hostile(witness), file, protocol=int(how[-1]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(CheckpointError, match=r"would run code.*posix\.system"):
        load_checkpoint(path)
    assert not witness.exists()


def test_a_whole_pickled_model_is_refused_with_the_way_to_save_weights(tmp_path):
    path = str(tmp_path / "a.pth")
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()), path)
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.container\.Sequential") as caught:
        load_checkpoint(path)
    assert "model.state_dict()" in caught.value.hint


def test_numpys_constructors_are_not_called_with_the_files_arguments(tmp_path):
    class Forged:
        """ndarray of object pointers that the file made up: to look at one is to read any memory."""

        def __reduce__(self):
            return np.ndarray, ((1,), "O8", b"AAAAAAAA")

    path = str(tmp_path / "a.pth")
    torch.save({"state_dict": STATE, "forged": Forged()}, path)
    assert_is_state(load_checkpoint(path))


def test_a_dictionary_inside_itself_ends(tmp_path):
    content = {}
    content["model"] = content
    torch.save(content, str(tmp_path / "a.pth"))
    with pytest.raises(CheckpointError, match="no tensors: model"):
        load_checkpoint(str(tmp_path / "a.pth"))


def test_parameters_are_taken_as_tensors(tmp_path):
    path = str(tmp_path / "a.pth")
    torch.save({"encoder.weight": torch.nn.Parameter(STATE["encoder.weight"]), "encoder.count": torch.tensor(4)}, path)
    checkpoint = load_checkpoint(path)
    assert_is_state(checkpoint)
    assert not checkpoint.state["encoder.weight"].requires_grad


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(2, 2).to_sparse(), "no dense, real numbers in memory: w"),
        (torch.zeros(2, dtype=torch.complex64), "no dense, real numbers in memory: w"),
        (torch.zeros(2, device="meta"), "no dense, real numbers in memory: w"),
        (torch.tensor([1.0, float("nan")]), "NaN or infinity: w"),
    ],
)
def test_tensors_that_are_no_weights_are_named(tmp_path, tensor, message):
    path = str(tmp_path / "a.pth")
    torch.save({"w": tensor}, path)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_safetensors_under_another_name_are_recognised(tmp_path):
    save_file(STATE, str(tmp_path / "a.safetensors"))
    os.rename(tmp_path / "a.safetensors", tmp_path / "a.pth")
    assert_is_state(load_checkpoint(str(tmp_path / "a.pth")))


def test_a_torchscript_archive_is_called_a_program(tmp_path):
    path = str(tmp_path / "a.pt")
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with pytest.raises(CheckpointError, match="TorchScript archive") as caught:
        load_checkpoint(path)
    assert "state_dict" in caught.value.hint


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_a_truncated_checkpoint_is_called_so(tmp_path, zipped, share):
    path = tmp_path / "a.pth"
    torch.save(STATE, str(path), _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="truncated or damaged") as caught:
        load_checkpoint(str(path))
    assert "download it again" in caught.value.hint


def test_a_truncated_safetensors_file_is_called_damaged(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(STATE, str(path))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="damaged safetensors"):
        load_checkpoint(str(path))


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\x1f\x8b\x08", "a gzip archive"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, start, what):
    path = tmp_path / "a.pth"
    path.write_bytes(start + b"x" * 100)
    with pytest.raises(CheckpointError, match=what):
        load_checkpoint(str(path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "weights.pth")
    with pytest.raises(FileProblem, match="no ordinary file"):
        load_checkpoint(str(tmp_path / "weights.pth"))


def test_empty_missing_and_folder(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"")
    with pytest.raises(CheckpointError, match="is empty"):
        load_checkpoint(str(tmp_path / "a.pth"))
    with pytest.raises(FileProblem, match="No such file"):
        load_checkpoint(str(tmp_path / "b.pth"))
    with pytest.raises(FileProblem, match="Is a directory"):
        load_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list"),
        ({"a": 1, **STATE}, "no tensors: a"),
        ({}, "it is empty"),
        (torch.ones(2), "holds a Tensor"),
    ],
)
def test_what_is_no_state_dict_is_said(tmp_path, content, message):
    path = str(tmp_path / "a.pth")
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(path))
    assert len(str(caught.value)) < 1500 and str(caught.value).isprintable()
    return str(caught.value)


def with_bytes_at(path, start, offset, value):
    """The archive's bytes with others behind the last ``start``."""
    data = bytearray(path.read_bytes())
    at = data.rfind(start) + offset
    data[at : at + len(value)] = value
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_numbers_of_eight_bits_are_no_weights(tmp_path, dtype):
    state = {"w": torch.ones(3).to(getattr(torch, dtype))}
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        assert "no dense, real numbers" in refused(tmp_path / name)


@pytest.mark.parametrize(
    "start, offset, value",
    [
        (b"PK\x01\x02", 6, b"\xff"),  # needs a version of zip that there is not
        (b"PK\x01\x02", 28, b"\xff\xff"),  # a name longer than the file
        (b"PK\x01\x02", 30, b"\x01\x02"),  # an extra field that is none
        (b"PK\x06\x07", 16, b"\x02"),  # several disks
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, start, offset, value):
    torch.save(STATE, tmp_path / "a.pth")
    with_bytes_at(tmp_path / "a.pth", start, offset, value)
    if start in (tmp_path / "a.pth").read_bytes():
        assert "truncated or damaged" in refused(tmp_path / "a.pth")
    else:
        pytest.skip("this PyTorch writes no such record")


def test_a_view_that_repeats_a_number_without_end_is_refused(tmp_path):
    torch.save({"w": torch.ones(1).as_strided((1 << 60,), (0,))}, tmp_path / "a.pth")
    assert "claims 4,611,686,018,427,387,904 of weights" in refused(tmp_path / "a.pth")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(tmp_path / "a.pth"))
    assert "save its clone()" in caught.value.hint
    torch.save({"w": torch.ones(1).expand(64)}, tmp_path / "a.pth")
    assert load_checkpoint(str(tmp_path / "a.pth")).state["w"].shape == (64,)


def test_what_many_names_share_is_counted_once(tmp_path):
    weight = torch.ones(1 << 19)
    torch.save({f"block{index}.weight": weight for index in range(100)}, tmp_path / "a.pth")
    state = load_checkpoint(str(tmp_path / "a.pth")).state
    assert len(state) == 100 and len({tensor.data_ptr() for tensor in state.values()}) == 1
    weight[7] = float("nan")
    torch.save({"a": weight, "b": weight, "c": torch.ones(1)}, tmp_path / "a.pth")
    assert refused(tmp_path / "a.pth").endswith("NaN or infinity: a, b")


def test_many_different_views_of_one_storage_are_not_counted_once(tmp_path):
    weight = torch.ones(1 << 19)
    torch.save({f"w{index}": weight[index:] for index in range(100)}, tmp_path / "a.pth")
    assert "of weights" in refused(tmp_path / "a.pth")


def test_compressed_nothing_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10 << 20))
    assert "claims 10,485,760 of weights" in refused(tmp_path / "a.pth")


def test_the_length_of_a_text_is_not_believed(tmp_path):
    """An unpickler asks for as many bytes as a text claims to have."""
    start = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    (tmp_path / "a.pth").write_bytes(start + b"\x80\x02}q\x00(X\xff\xff\xff\x7fshort")
    tracemalloc.start()
    assert "truncated or damaged" in refused(tmp_path / "a.pth")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 24, peak


def test_names_in_a_checkpoint_are_listed_and_cleaned(tmp_path):
    torch.save({f"\x1b[2J{index}": 3 for index in range(5000)}, tmp_path / "a.pth")
    text = refused(tmp_path / "a.pth")
    assert "?[2J0, ?[2J1, " in text and "and 4980 more" in text
