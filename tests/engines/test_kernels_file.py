"""The file of compiled kernels: its bytes, and that no other bytes are taken for it."""

import hashlib
import json
import os
import tracemalloc

import pytest

from ccc_jetson.engines.kernels_file import MAGIC, CompiledKernels, kernels_path, parse_kernels, read_kernels
from ccc_jetson.errors import FileProblem
from tests.doubles.damage import flipped_bytes

CUBIN = b"\x7fELF, and what nvcc makes\n of it"
KERNELS = CompiledKernels("ccc-jetson 0.1.0", "ab" * 32, "6.2", "10.2", (20, 19), CUBIN)
HEADER = (
    b'{"cubin_bytes":32,"cubin_sha256":"' + hashlib.sha256(CUBIN).hexdigest().encode("ascii") + b'","cuda":"10.2",'
    b'"format":1,"head":[20,19],"sm":"6.2","sources_sha256":"' + b"ab" * 32 + b'","tool":"ccc-jetson 0.1.0"}'
)


def changed(**fields):
    """The file with other fields in its header; ``None`` as a name's value is JSON's null."""
    return MAGIC + json.dumps(dict(KERNELS.to_record(), **fields)).encode("ascii") + b"\n" + CUBIN


def refused(data):
    with pytest.raises(FileProblem) as caught:
        parse_kernels(data, "x.kernels")
    text = str(caught.value)
    assert text.startswith("x.kernels: ") and len(text) < 1000
    assert all(letter.isprintable() for letter in text), repr(text)
    return text, caught.value.hint


def test_the_files_bytes():
    assert KERNELS.to_bytes() == b"CCC-JETSON KERNELS\n" + HEADER + b"\n" + CUBIN


@pytest.mark.parametrize("kernels", [KERNELS, KERNELS._replace(head=None, sm="8.7", cuda="12.6", cubin=b"\n")])
def test_what_was_written_is_read(tmp_path, kernels):
    path = tmp_path / "a.kernels"
    path.write_bytes(kernels.to_bytes())
    assert read_kernels(str(path)) == kernels


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"format": 2}, "has format 2, this version reads up to 1"),
        ({"format": 0}, "format is 0, expected a number from 1"),
        ({"format": True}, "format is True"),
        ({"tool": ""}, "tool is '', expected a short text"),
        ({"tool": "a\nb"}, "tool is 'a\\nb', expected a short text"),
        ({"tool": "\x1b[2J"}, "expected a short text"),
        ({"tool": "x" * 101}, "expected a short text"),
        ({"tool": 3}, "tool is 3, expected text"),
        ({"sources_sha256": "ab"}, "sources_sha256 is 'ab', expected 64 hexadecimal digits"),
        ({"sm": "62"}, "sm is '62', expected a compute capability, as 6.2"),
        ({"sm": "6.2\n"}, "expected a compute capability"),
        ({"sm": "../6.2"}, "expected a compute capability"),
        ({"sm": 6.2}, "sm is 6.2, expected text"),
        ({"cuda": ""}, "cuda is '', expected a version of CUDA, as 10.2"),
        ({"cuda": "10"}, "expected a version of CUDA"),
        ({"head": [20]}, "head is [20], expected null, or channels in and out"),
        ({"head": [20, 0]}, "head[1] is 0, expected a whole number from 1 to 4096"),
        ({"head": [20, 1e3]}, "head[1] is 1000.0, expected a whole number"),
        ({"head": "20x20"}, "head is '20x20', expected a list"),
        ({"cubin_bytes": 31}, "their header says 31 bytes with SHA-256"),
        ({"cubin_bytes": -1}, "cubin_bytes is -1, expected a whole number from 1"),
        ({"cubin_bytes": 10**30}, "expected a whole number"),
        ({"cubin_sha256": "cd" * 32}, "their header says 32 bytes with SHA-256 " + "cd" * 32),
        ({"more": 1}, "it has unknown more"),
    ],
)
def test_every_field_is_checked(fields, says):
    text, hint = refused(changed(**fields))
    assert says in text
    assert "ccc-build-engine again where nvcc is" in hint


def test_a_missing_field_is_named():
    record = KERNELS.to_record()
    for name in record:
        rest = {key: value for key, value in record.items() if key != name}
        assert name in refused(MAGIC + json.dumps(rest).encode("ascii") + b"\n" + CUBIN)[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is no file of compiled kernels"),
        (b"ftrt", "is no file of compiled kernels"),
        (MAGIC[:-1], "is no file of compiled kernels"),
        (MAGIC, "it has no end within 4096 bytes"),
        (MAGIC + b"{" + b" " * 5000 + b"}\n", "it has no end within 4096 bytes"),
        (MAGIC + b"\n", "is damaged"),
        (MAGIC + b"3\n", "the kernels' header is 3, expected an object"),
        (MAGIC + b"\xff\n", "is damaged"),
        (MAGIC + b"[" * 4000 + b"\n", "is damaged"),
        (MAGIC + HEADER.replace(b'"sm"', b'"cuda"') + b"\n" + CUBIN, "the key 'cuda' comes twice"),
        (KERNELS.to_bytes() + b"\n", "33 others are there"),
        (KERNELS.to_bytes()[:-1], "31 others are there"),
    ],
)
def test_what_is_something_else_or_cut_off_is_refused(data, says):
    assert says in refused(data)[0]


def test_no_prefix_is_taken_for_the_whole():
    data = KERNELS.to_bytes()
    for length in range(len(data)):
        refused(data[:length])


def test_no_flipped_byte_of_the_cubin_goes_unnoticed():
    refusals = 0
    for damaged in flipped_bytes(KERNELS.to_bytes(), seed=5):
        try:
            found = parse_kernels(damaged, "x.kernels")
        except FileProblem:
            refusals += 1
        else:
            assert found.cubin == CUBIN
    print(refusals, "of 400 refused")
    assert refusals > 300


def test_what_cannot_be_read_is_named_and_nothing_is_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    with open(str(tmp_path / "huge"), "wb") as file:
        file.truncate((1 << 26) + 1)
    for name, says in (
        ("missing", "cannot be read: No such file or directory"),
        ("pipe", "is no ordinary file"),
        (".", "is no ordinary file"),
        ("huge", "has more than 67,108,864 bytes, which no kernels have"),
    ):
        with pytest.raises(FileProblem, match=says):
            read_kernels(str(tmp_path / name))


def test_the_file_lies_beside_the_engine_itself(tmp_path):
    engine = str(tmp_path / "real.engine")
    os.symlink(engine, str(tmp_path / "link.engine"))
    assert kernels_path(engine) == engine + ".kernels"
    assert kernels_path(str(tmp_path / "link.engine")) == engine + ".kernels"


def test_a_short_file_takes_little_memory(tmp_path):
    path = tmp_path / "a.kernels"
    path.write_bytes(KERNELS.to_bytes())
    read_kernels(str(path))
    tracemalloc.start()
    read_kernels(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20, peak
