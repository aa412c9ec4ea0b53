"""Commands that stand in a sentence, a table or an output name options that the command has."""

import importlib
import re

import pytest

from tests.documents.blocks import OUTPUT, blocks_of, pages, text_of
from tests.doubles.terminal.programs import entry_points

PAGES = [page for page in pages() if page != "CHANGELOG.md"]  # which tells of options that are gone, too
_MORE = {"ccc-calibrate": ["ccc_jetson.calib.cache_cli"]}


@pytest.fixture(scope="module")
def options():
    """The options of each command, its verbs' as well."""
    found = {}
    for name, entry in entry_points().items():
        modules = [importlib.import_module(each) for each in [entry.partition(":")[0], *_MORE.get(name, [])]]
        makers = [
            value for module in modules for key, value in vars(module).items() if re.match(r"build_\w*parser$", key)
        ]
        found[name] = {option for make in makers for option in make()._option_string_actions}
    return found


def commands_in(page):
    """The commands of ours that a page shows outside the blocks that are typed, each as a text."""
    prose = re.sub(r"^( *)(```|~~~).*?^\1\2$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", prose)
    outputs = [block.text for block in blocks_of(page) if block.language in OUTPUT]
    shown = re.findall(r"^ *(?:\$|->) (.*)$", "\n".join(outputs), re.MULTILINE)
    pieces = [piece for text in spans + shown for piece in re.split(r"&&|[;|]", text.partition(" # ")[0])]
    return [piece.strip() for piece in pieces if re.match(r" *ccc-[a-z]", piece)]


@pytest.mark.parametrize("page", PAGES)
def test_a_command_in_a_page_has_the_options_that_it_is_shown_with(page, options):
    for command in commands_in(page):
        name = command.split()[0]
        if name in options:
            unknown = set(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", command)) - options[name]
            assert not unknown, "{}: `{}`: there is no {}".format(page, command, ", ".join(sorted(unknown)))


def test_commands_are_found_in_sentences_and_outputs():
    found = commands_in("docs/engines.md") + commands_in("docs/manifest.md")
    assert "ccc-build-engine --fp16 model.onnx" in found
    assert len(found) > 5
