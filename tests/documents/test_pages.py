"""Every block of every page is typed, run or parsed, from the top of the page to its end."""

import configparser
import json

import pytest
import yaml

from tests.documents.blocks import DATA, OUTPUT, PYTHON, SHELL, blocks_of, pages
from tests.doubles.terminal import BOARDS, Failed, Terminal

MOST_NOT_RUN = 6  # of all pages together
PAGES = pages()


def _ini(text):
    reader = configparser.ConfigParser(strict=False, interpolation=None)
    reader.optionxform = str
    reader.read_string(text)


def _toml(text):
    pytest.importorskip("tomllib", reason="Python 3.10 has no parser of TOML").loads(text)


PARSERS = {"json": json.loads, "yaml": yaml.safe_load, "ini": _ini, "toml": _toml}
assert set(PARSERS) == set(DATA)


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.language not in OUTPUT for b in blocks_of(page))])
def test_what_a_page_says_to_type_works(page, machine, tmp_path, typed, not_run):
    blocks = [block for block in blocks_of(page) if block.language not in OUTPUT]
    runs = [block for block in blocks if block.language in SHELL + PYTHON and not block.not_run]
    said = ""
    terminal = Terminal(machine, tmp_path / "t", "".join(block.text for block in runs)) if runs else None
    try:
        for block in blocks:
            if block.not_run:
                not_run.append(block)
                continue
            if block.language in DATA:
                _parse(block)
            elif block.language in PYTHON:
                terminal.interpret(block.place, block.text)
            else:
                terminal.type(block.place, block.text, block.board)
            typed[block.language] += 1
    except Failed as failed:
        said = str(failed)
    finally:
        typed["commands"] += len(machine.ended())
        if terminal is not None:
            terminal.close()
    if said:
        pytest.fail(said, pytrace=False)


def _parse(block):
    try:
        PARSERS[block.language](block.text)
    except (ValueError, configparser.Error, yaml.YAMLError) as error:
        raise Failed("{}: no {}: {}".format(block.place, block.language, error))


@pytest.mark.parametrize("page", PAGES)
def test_a_block_says_what_it_is_and_where_it_is_typed(page):
    for block in blocks_of(page):
        assert block.board in BOARDS, block.place
        assert block.language not in SHELL or "..." not in block.text, block.place + ": a block is typed as it stands"


def test_next_to_nothing_is_not_run():
    marked = [block for page in PAGES for block in blocks_of(page) if block.not_run]
    assert len(marked) <= MOST_NOT_RUN, [block.place for block in marked]
    for block in marked:
        assert len(block.not_run.split()) >= 3, block.place + ": not run, and no reason"
