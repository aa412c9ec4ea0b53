"""``ccc-calibrate rewrite`` and ``diff`` on caches, as a user sees them."""

import json
import os

import pytest

from ccc_jetson.calib.cache import cache_of_ranges, read_cache
from ccc_jetson.calib.cli import main
from ccc_jetson.calib.provenance import read_provenance
from ccc_jetson.errors import FileProblem
from ccc_jetson.files import sha256_of
from tests.doubles.calibrations import RANGES, tiny_cache, write_tiny_cache


@pytest.fixture()
def cache(tmp_path):
    return write_tiny_cache(tmp_path / "model.calib")


def run(capsys, *words):
    """Exit code, standard output, standard error."""
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_another_first_line_keeps_every_row_and_the_provenance_tells(cache, tmp_path, capsys):
    out = tmp_path / "new.calib"
    code, printed, _ = run(capsys, "rewrite", cache, "--tensorrt", "8.6.1", "--algorithm", "minmax", "--out", out)
    assert code == 0
    assert "TRT-8502-EntropyCalibration2 is TRT-8601-MinMaxCalibration now" in printed
    before, after = read_cache(cache), read_cache(str(out))
    assert after.header == "TRT-8601-MinMaxCalibration"
    assert after.scales == before.scales
    provenance = read_provenance(str(out))
    assert provenance.rewritten_from == "TRT-8502-EntropyCalibration2"
    assert provenance.cache_sha256 == sha256_of(str(out))
    again = tmp_path / "again.calib"
    assert run(capsys, "rewrite", out, "--tensorrt", "10.3.0", "--out", again)[0] == 0
    assert read_cache(str(again)).header == "TRT-100300-MinMaxCalibration"
    assert read_provenance(str(again)).rewritten_from == "TRT-8502-EntropyCalibration2"


def test_rows_that_tensorrt_numbered_are_named(tmp_path, capsys):
    row = "(Unnamed Layer* 22) [Constant]_output"
    path = tmp_path / "board.calib"
    path.write_bytes(cache_of_ranges(8502, "EntropyCalibration2", RANGES + ((row, 1.0),)).to_bytes())
    code, printed, _ = run(capsys, "rewrite", path, "--tensorrt", "8.6.1", "--out", tmp_path / "new.calib")
    assert code == 0
    assert "1 rows are of tensors that TensorRT itself numbered" in printed and row in printed
    assert "has no provenance, so neither has the new one" in printed
    assert not os.path.exists(str(tmp_path / "new.calib.json"))


def test_a_foreign_provenance_is_not_left_beside_a_new_cache(tmp_path, capsys):
    plain = tmp_path / "plain.calib"
    plain.write_bytes(tiny_cache().to_bytes())
    (tmp_path / "new.calib.json").write_text("{}")
    code, _, err = run(capsys, "rewrite", plain, "--tensorrt", "8.6.1", "--out", tmp_path / "new.calib")
    assert code == 2
    assert "is there, of another cache" in err
    assert not os.path.exists(str(tmp_path / "new.calib"))


def test_a_first_line_that_comes_back_is_no_rewriting_any_more(cache, tmp_path, capsys):
    there, back = tmp_path / "there.calib", tmp_path / "back.calib"
    assert run(capsys, "rewrite", cache, "--tensorrt", "8.6.1", "--out", there)[0] == 0
    assert run(capsys, "rewrite", there, "--tensorrt", "8.5.2-1+cuda11.4", "--out", back)[0] == 0
    assert read_cache(str(back)) == read_cache(cache)
    assert read_provenance(str(back)).rewritten_from == ""


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (["--tensorrt", "11.0", "--out", "new"], 2, "TensorRT 11 takes no calibration cache"),
        (["--tensorrt", "new", "--out", "new"], 2, "is no version of TensorRT"),
        (["--tensorrt", "8.6.1", "--out", "model.calib"], 2, "model.calib"),
        (["--tensorrt", "8.6.1", "--out", "nowhere/new"], 2, "folder does not exist"),
    ],
)
def test_what_cannot_be_written_is_refused(cache, tmp_path, capsys, monkeypatch, more, code, says):
    monkeypatch.chdir(tmp_path)
    found, _, err = run(capsys, "rewrite", "model.calib", *more)
    assert found == code
    assert says in err
    assert sorted(os.listdir(str(tmp_path))) == ["model.calib", "model.calib.json"]


def test_a_cache_that_was_changed_is_not_rewritten(cache, tmp_path, capsys):
    with open(cache, "ab") as file:
        file.write(b"more: 3c010a14\n")
    code, _, err = run(capsys, "rewrite", cache, "--tensorrt", "8.6.1", "--out", tmp_path / "new.calib")
    assert code == 1
    assert "its provenance says" in err


def test_equal_ranges_under_other_headers_do_not_differ(cache, tmp_path, capsys):
    other = tmp_path / "other.calib"
    other.write_bytes(tiny_cache(100300, "MinMaxCalibration").to_bytes())
    code, printed, _ = run(capsys, "diff", cache, other)
    assert code == 0
    assert "all ranges are the same" in printed and "TRT-100300-MinMaxCalibration, 4 tensors" in printed


def test_ranges_that_differ_are_told_the_largest_change_first(cache, tmp_path, capsys):
    other = tmp_path / "other.calib"
    ranges = (("image", 4.0), ("conv", 25.0), ("features", 0.0), ("new", 1.0))
    other.write_bytes(cache_of_ranges(8502, "EntropyCalibration2", ranges).to_bytes())
    code, printed, _ = run(capsys, "diff", cache, other)
    assert code == 1
    lines = printed.splitlines()
    assert "only in {}: logits".format(cache) in lines and "only in {}: new".format(other) in lines
    table = [line.split() for line in lines[-2:]]
    assert table == [["features", "12.5", "0", "0"], ["conv", "12.5", "25", "2"]]
    code, printed, _ = run(capsys, "diff", cache, other, "--json")
    record = json.loads(printed)
    assert code == 1
    assert (record["only_a"], record["only_b"]) == (["logits"], ["new"])
    assert [each["tensor"] for each in record["changed"]] == ["features", "conv"]
    code, printed, _ = run(capsys, "diff", other, cache, "--json")
    assert json.loads(printed)["changed"][0]["ratio"] is None


def test_of_many_changes_the_first_are_shown(tmp_path, capsys):
    paths = []
    for name, factor in (("a", 1.0), ("b", 2.0)):
        path = tmp_path / name
        ranges = [("t{}".format(index), (index + 1) * factor) for index in range(30)]
        path.write_bytes(cache_of_ranges(8502, "EntropyCalibration2", ranges).to_bytes())
        paths.append(path)
    code, printed, _ = run(capsys, "diff", *paths)
    assert code == 1
    assert printed.splitlines()[-1] == "and 10 more"


def test_damage_is_an_error_with_the_line(cache, tmp_path, capsys):
    other = tmp_path / "other.calib"
    other.write_bytes(b"TRT-8502-EntropyCalibration2\nimage: zzz\n")
    code, _, err = run(capsys, "diff", cache, other)
    assert code == 2
    assert "line 2" in err


def test_what_is_no_ordinary_file_is_not_waited_for(cache, tmp_path, capsys):
    os.mkfifo(str(tmp_path / "pipe"))
    code, _, err = run(capsys, "diff", cache, tmp_path / "pipe")
    assert code == 2
    assert "is no ordinary file" in err


def test_a_provenance_that_cannot_be_written_takes_the_new_cache_with_it(cache, tmp_path, capsys, monkeypatch):
    def refused(*arguments):
        raise FileProblem("new.calib.json: no space left on the disk")

    monkeypatch.setattr("ccc_jetson.calib.provenance.write_text", refused)
    code, _, err = run(capsys, "rewrite", cache, "--tensorrt", "8.6.1", "--out", tmp_path / "new.calib")
    assert code == 1 and "no space left" in err
    assert sorted(os.listdir(str(tmp_path))) == ["model.calib", "model.calib.json"]
