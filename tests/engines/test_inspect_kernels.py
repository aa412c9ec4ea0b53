"""``ccc-inspect`` on compiled kernels: alone, and beside their engine."""

import hashlib
import json
import os

import pytest

from ccc_jetson.engines.inspect_cli import main
from ccc_jetson.engines.kernel_store import read_sources
from ccc_jetson.engines.kernels_file import CompiledKernels
from tests.doubles.damage import flipped_bytes
from tests.doubles.manifests import TX2, tiny_manifest, write_tiny_engine

CUBIN = b"\x7fELF" + bytes(2000)


def kernels(**changes):
    return CompiledKernels("ccc-jetson 0.1.0", read_sources().sha256, "6.2", "10.2", (4, 19), CUBIN)._replace(**changes)


@pytest.fixture()
def engine(tmp_path):
    return write_tiny_engine(tmp_path / "tiny.engine")


def written(engine, **changes):
    with open(engine + ".kernels", "wb") as file:
        file.write(kernels(**changes).to_bytes())
    return engine + ".kernels"


def page(capsys, path, code=0):
    capsys.readouterr()
    assert main([path]) == code
    captured = capsys.readouterr()
    print(captured.out + captured.err)
    return captured.out, captured.err


def json_of(capsys, path):
    capsys.readouterr()
    assert main([path, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def row(text):
    (found,) = [line[13:] for line in text.splitlines() if line.startswith("kernels ")]
    return found


# beside an engine


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_an_engines_page_tells_of_its_kernels(engine, capsys, suffix):
    path = written(engine)
    assert row(page(capsys, engine + suffix)[0]) == path + ": for sm_62, CUDA 10.2, 2.0 kB; they fit"
    found = json_of(capsys, engine + suffix)["kernels"]
    assert (found["path"], found["misfit"], found["header"]) == (path, "", kernels().to_record())


def test_an_engine_without_kernels_is_said_to_have_none(engine, capsys):
    assert row(page(capsys, engine)[0]) == "none beside the engine: compiled where it is first run, which takes nvcc"
    assert json_of(capsys, engine)["kernels"] is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sources_sha256": "ab" * 32}, "compiled from other sources than this version's (by ccc-jetson 0.1.0)"),
        ({"sm": "8.7"}, "for sm_87, not sm_62"),
        ({"cuda": "12.6"}, "compiled with CUDA 12.6, newer than this machine's 10.2"),
        ({"head": (20, 19)}, "with the head of 20 -> 19 channels, not the head of 4 -> 19 channels"),
    ],
)
def test_kernels_that_do_not_fit_the_engine_are_told_with_the_reason(engine, capsys, changes, reason):
    written(engine, **changes)
    text, errors = page(capsys, engine)
    assert row(text).endswith(" kB; passed over: " + reason)
    assert errors == ""
    assert json_of(capsys, engine)["kernels"]["misfit"] == reason


def test_damaged_kernels_are_told_and_the_engine_is_as_good(engine, capsys):
    path = written(engine)
    with open(path, "r+b") as file:
        file.truncate(300)
    text, errors = page(capsys, engine)
    assert row(text).startswith("passed over: {}: the kernels".format(path)) and errors == ""
    found = json_of(capsys, engine)["kernels"]
    assert (found["path"], found["header"]) == (path, None) and "damaged" in found["misfit"]


def test_without_a_manifest_they_are_compared_with_this_version_alone(engine, capsys):
    written(engine, sm="8.7", head=None)
    os.unlink(engine + ".json")
    assert row(page(capsys, engine)[0]).endswith("for sm_87, CUDA 10.2, 2.0 kB; they fit")
    with open(engine + ".json", "w") as file:
        file.write("{")
    assert row(page(capsys, engine, code=1)[0]).endswith("; they fit")


def test_a_manifest_alone_has_no_such_row_but_for_kernels_beside_it(engine, capsys):
    os.unlink(engine)
    assert "kernels  " not in page(capsys, engine + ".json")[0]
    written(engine)
    assert row(page(capsys, engine + ".json")[0]).endswith("; they fit")


def test_what_the_machine_was_is_not_compared_where_it_is_not_known(tmp_path, capsys):
    manifest = tiny_manifest(machine=TX2._replace(sm="", cuda=""))
    engine = write_tiny_engine(tmp_path / "tiny.engine", manifest=manifest)
    written(engine, sm="8.7", cuda="12.6")
    assert row(page(capsys, engine)[0]).endswith("; they fit")


# alone


def test_a_file_of_kernels_is_known_by_its_content(engine, capsys):
    path = written(engine)
    os.rename(path, path + ".bin")
    text, errors = page(capsys, path + ".bin")
    assert errors == ""
    assert text.splitlines() == [
        "file         {}.bin: compiled CUDA kernels, 2.0 kB".format(path),
        "sha256       {} (of the cubin)".format(hashlib.sha256(CUBIN).hexdigest()),
        "for          sm_62, by nvcc of CUDA 10.2",
        "head         the head of 4 -> 19 channels",
        "by           ccc-jetson 0.1.0",
        "sources      SHA-256 " + read_sources().sha256,
        "             those of this version",
    ]
    found = json_of(capsys, path + ".bin")
    assert (found["kind"], found["schema"], found["misfit"]) == ("kernels", 1, "")
    assert found["header"] == kernels().to_record()


def test_another_versions_kernels_say_so(engine, capsys):
    text, _ = page(capsys, written(engine, sources_sha256="ab" * 32, head=None))
    assert "head         no head of its own\n" in text
    assert "the runtime passes it over: compiled from other sources than this version's (by ccc-jetson 0.1.0)\n" in text


def test_damage_is_an_error_of_the_file_itself(engine, capsys):
    path = written(engine)
    with open(path, "rb") as file:
        data = file.read()
    for damaged in flipped_bytes(data, seed=4, times=60):
        with open(path, "wb") as file:
            file.write(damaged)
        code = main([path])
        captured = capsys.readouterr()
        assert code in (0, 1) and "Traceback" not in captured.err
        assert code == 0 or captured.err.startswith("ccc-inspect: error: {}: ".format(path)), captured.err
    with open(path, "wb") as file:
        file.write(b"anything")
    text, errors = page(capsys, path, code=1)
    assert text == "" and "is no file of compiled kernels" in errors and "  -> delete it" in errors


def test_where_the_sources_are_missing_nothing_is_compared_with_them(engine, capsys, monkeypatch, tmp_path):
    path = written(engine, sources_sha256="ab" * 32)
    monkeypatch.setattr("ccc_jetson.engines.kernel_store.SOURCES", str(tmp_path / "nowhere"))
    assert page(capsys, path)[1] == ""
    assert row(page(capsys, engine)[0]).endswith("; they fit")
