"""``ccc-report``: a saved JSON becomes its page, here or on another machine."""

import json
import os

import pytest

pytest.importorskip("onnx")

from ccc_jetson.runtime.reports.cli import build_parser, main
from ccc_jetson.runtime.reports.writing import write_reports
from tests.doubles.reports import benchmark_record, comparison_record, evaluation_record, run_record


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(run_record()))
    (tmp_path / "eval.json").write_text(json.dumps(evaluation_record()))
    (tmp_path / "bench.json").write_text(json.dumps(benchmark_record()))
    (tmp_path / "compare.json").write_text(json.dumps(comparison_record()))
    return tmp_path


def test_a_saved_comparison_becomes_its_page(folder):
    assert main(["compare.json", "a.html"]) == 0
    assert "<h1>B against A, frames per second</h1>" in (folder / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["run", "eval", "bench"])
def test_a_saved_report_becomes_its_pages(folder, capsys, name):
    assert main([name + ".json", "a.html", "a.md"]) == 0
    assert capsys.readouterr().out == ""
    assert "<h1>Tiny on " in (folder / "a.html").read_text(encoding="utf-8")
    assert (folder / "a.md").read_text(encoding="utf-8").startswith("# ccc-{}: Tiny on ".format(name))


def test_the_page_of_a_run_and_of_its_saved_json_are_the_same(folder):
    write_reports(["now.html", "now.json"], json.dumps(run_record()))
    assert main(["now.json", "later.html"]) == 0
    assert (folder / "now.html").read_bytes() == (folder / "later.html").read_bytes()


@pytest.mark.parametrize(
    "argv, code, message",
    [
        (["none.json", "a.html"], 1, "none.json: cannot be read"),
        (["run.json", "a.pdf"], 2, "a.pdf: no report has the suffix '.pdf'"),
        (["run.json", "b.json"], 2, "b.json: JSON is what is read here"),
        (["run.json", "run.json"], 2, "is another file of this command"),
        (["run.json", "none/a.html"], 2, "its folder does not exist"),
        (["bad.json", "a.html"], 2, "bad.json: the report is damaged"),
        (["other.json", "a.html"], 2, "is no report of ccc-run, ccc-eval or ccc-bench"),
    ],
)
def test_mistakes_are_told_with_their_cure_and_nothing_is_written(folder, capsys, argv, code, message):
    (folder / "bad.json").write_text((folder / "run.json").read_text()[:500])
    (folder / "other.json").write_text('{"schema": 1}')
    before = sorted(os.listdir("."))
    assert main(argv) == code
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err
    assert sorted(os.listdir(".")) == before


def test_a_file_that_is_too_large_for_a_report_is_not_read(folder, capsys, monkeypatch):
    monkeypatch.setattr("ccc_jetson.runtime.reports.saved._MOST_BYTES", 1000)
    assert main(["run.json", "a.html"]) == 1
    assert "as no report does" in capsys.readouterr().err


def test_where_a_page_cannot_be_made_the_json_is_there_already(folder):
    with pytest.raises(Exception, match="damaged"):
        write_reports(["a.html", "a.json"], "{")
    assert os.path.exists("a.json") and not os.path.exists("a.html")


def test_the_help_has_an_example():
    assert "ccc-report run.json run.html" in build_parser().format_help()
