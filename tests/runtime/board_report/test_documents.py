"""What the page and the issue forms say of a board's report is so."""

import argparse
import os
import re

import pytest

from ccc_jetson.runtime.board_report.cli import build_parser
from ccc_jetson.runtime.board_report.plan import FULL, QUICK, Board, Wishes, plan
from ccc_jetson.runtime.board_report.power import Mode
from ccc_jetson.targets import target_named

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PAGE, FORMS = os.path.join(ROOT, "docs", "board-report.md"), os.path.join(ROOT, ".github", "ISSUE_TEMPLATE")

if not os.path.exists(PAGE) or not os.path.isdir(FORMS):
    pytest.skip("the documents are not part of the wheel", allow_module_level=True)


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_the_page_has_every_option_and_no_other():
    known = {
        word
        for action in build_parser()._actions
        for word in action.option_strings
        if action.help is not argparse.SUPPRESS
    }
    described = set(re.findall(r"--[a-z][a-z-]+", text_of(PAGE).split("## The device tests alone")[0]))
    assert described <= known
    assert known - described <= {"-h", "--help", "--version", "--print-completion", "--checkout"}


def test_the_page_has_every_step_and_the_lengths():
    board = Board(target_named("tx2"), (Mode(0, "MAXN", ""), Mode(3, "MAXP_CORE_ARM", "")), 3, "")
    text = text_of(PAGE)
    for step in plan(Wishes(()), board):
        assert "`{}`".format(step.name) in text or "`{}-*`".format(step.name.split("-")[0]) in text, step.name
    assert "{} s for FP16, {} s for others".format(*FULL) in text
    assert "`--quick`: {} and {} s".format(*QUICK) in text
    assert "{} min (`--quick`: {})".format(FULL.soak_minutes, QUICK.soak_minutes) in text


@pytest.mark.parametrize("name", ["board-report.yml", "bug-report.yml"])
def test_a_form_is_one_that_github_takes(name):
    yaml = pytest.importorskip("yaml")
    form = yaml.safe_load(text_of(os.path.join(FORMS, name)))
    assert set(form) <= {"name", "description", "title", "labels", "body"} and form["name"] and form["description"]
    names = []
    for part in form["body"]:
        assert part["type"] in ("markdown", "input", "textarea", "dropdown", "checkboxes")
        if part["type"] == "markdown":
            assert set(part) == {"type", "attributes"} and part["attributes"]["value"]
            continue
        names.append(part["id"])
        assert re.match(r"\A[A-Za-z0-9_-]+\Z", part["id"]) and part["attributes"]["label"]
        assert set(part) <= {"type", "id", "attributes", "validations"}
    assert names and len(set(names)) == len(names)


def test_a_bug_report_asks_for_what_the_doctor_says_and_a_boards_for_the_file():
    assert "ccc-doctor --all" in text_of(os.path.join(FORMS, "bug-report.yml"))
    assert "scripts/board-report.sh model.onnx" in text_of(os.path.join(FORMS, "board-report.yml"))
