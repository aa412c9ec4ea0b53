"""The pages on troubles and on other tools: what they say of our commands is so; nothing is left out or there twice."""

import ast
import os
import re
import sys

import pytest

import ccc_jetson
from ccc_jetson.runtime.doctor.probes import PROBES

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs", "troubleshooting.md")
COMPARISON = os.path.join(ROOT, "docs", "comparison.md")
SCRIPTS = ("docker/entrypoint.sh", "docker/run.sh", "docker/jetpack4/Dockerfile")
GAP = "\0"  # what is filled in when a message is made
VERDICTS = ("Prevents", "Explains", "Documents")

if not os.path.exists(os.path.join(ROOT, "pyproject.toml")):
    pytest.skip("the documents are the checkout's, and so is what they tell of", allow_module_level=True)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def entries(page):
    """Heading to text, of what stands under ``###``."""
    found = re.findall(r"^### (.+)\n((?:(?!#).*\n)*)", page, re.MULTILINE)
    assert len(dict(found)) == len(found), "two entries of one name"
    return dict(found)


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rows(page):
    """Number, verdict and linked entries, of the list of all points."""
    cells = re.findall(r"^\| (K?\d+) \| (.+) \| (\w+) \| (.+) \|$", page, re.MULTILINE)
    return [(number, verdict, re.findall(r"\]\(#([^)]+)\)", links)) for number, _, verdict, links in cells]


def test_every_point_is_there_once():
    assert [number for number, _, _ in rows(read(PAGE))] == [str(number) for number in range(1, 59)] + ["K1"]


def test_every_point_has_a_verdict_and_an_entry():
    page = read(PAGE)
    anchors = {anchor(heading) for heading in entries(page)}
    for number, verdict, links in rows(page):
        assert verdict in ("prevents", "explains", "documents"), number
        assert links and set(links) <= anchors, number


def test_every_entry_is_found_from_the_top():
    page = read(PAGE)
    top = page[: page.index("\n## Installing")]
    assert {anchor(heading) for heading in entries(page)} <= set(re.findall(r"\(#([^)]+)\)", top))


@pytest.mark.parametrize("heading, text", sorted(entries(read(PAGE)).items()))
def test_every_entry_says_why_what_to_type_what_we_do_and_who_says_so(heading, text):
    kinds = re.findall(r"^- \*\*(\w+)\*\*:", text, re.MULTILINE)
    assert kinds[:2] == ["Why", "Type"] and len(kinds) == 3 and kinds[2] in VERDICTS
    (origin,) = re.findall(r"^- From (.+)$", text, re.MULTILINE)
    assert re.search(r"\]\(https://github\.com/[\w.-]+/[\w.-]+/(issues|pull|blob)/", origin)


@pytest.mark.parametrize("path", (PAGE, COMPARISON))
def test_links_to_threads_say_which(path):
    """``[name#number](https://github.com/owner/name/issues/number)``, as written by hand by nobody."""
    for name, number, url in re.findall(r"\[([\w.-]+)#(\d+)\]\(([^)]+)\)", read(path)):
        assert re.match(r"https://github\.com/[\w.-]+/{}/(issues|pull)/{}$".format(re.escape(name), number), url)


def _words(node):
    """What an expression makes, as far as its source says; None where it makes no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"(?<!\{)\{[^{}]*\}(?!\})", GAP, node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(value) or GAP for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _words(node.left), _words(node.right)
        return None if left is None and right is None else (left or GAP) + (right or GAP)
    return None


def messages():
    """Texts in the product: of Python's expressions, without docstrings, and of the scripts as they are."""
    found = [read(os.path.join(ROOT, name)) for name in SCRIPTS]
    for folder, _, names in os.walk(os.path.dirname(ccc_jetson.__file__), followlinks=True):
        for name in names:
            if name.endswith(".py"):
                tree = ast.parse(read(os.path.join(folder, name)))
                documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
                found += [
                    _words(node) for node in ast.walk(tree) if isinstance(node, ast.expr) and id(node) not in documents
                ]
    return [text for text in found if text]


@pytest.mark.skipif(sys.version_info < (3, 8), reason="reads the source, whose other half is for newer Pythons")
def test_what_our_commands_are_said_to_say_is_in_their_source():
    """The words between two ``...``, in this order in one text, with something filled in between."""
    texts = messages()
    quotes = re.findall(r"<samp>(.+?)</samp>", read(PAGE))
    assert len(quotes) > 30
    for quote in quotes[1:]:  # the first is "like this"
        pieces = [piece.strip() for piece in re.split(r"\.\.\.(?!\.)", quote)]
        pattern = re.compile(".*?".join(re.escape(piece) for piece in pieces if piece), re.DOTALL)
        assert any(pattern.search(text) for text in texts), "none of our commands says: " + quote


def test_the_probes_that_it_names_exist():
    named = re.findall(r"probes? (`[a-z-]+`(?:(?:, | and )`[a-z-]+`)*)", read(PAGE))
    names = set(re.findall(r"`([a-z-]+)`", " ".join(named)))
    assert len(names) > 10 and names <= {probe.name for probe in PROBES}


def _options(folder):
    """As they are declared, or begin a complaint: ``--int8`` is made of a list of precisions."""
    found = set()
    for where, _, names in os.walk(folder, followlinks=True):
        for name in (name for name in names if name.endswith(".py")):
            found |= set(re.findall(r'["(](--[a-z0-9-]+)[":]', read(os.path.join(where, name))))
    return found


@pytest.mark.parametrize("path", (PAGE, COMPARISON))
def test_the_commands_and_options_that_it_names_exist(path):
    declared = set(re.findall(r"^(ccc-[a-z-]+) =", read(os.path.join(ROOT, "pyproject.toml")), re.MULTILINE))
    known = _options(os.path.dirname(ccc_jetson.__file__))
    lines = re.findall(r"`(ccc-[a-z-]+)((?: [^`]*)?)`", read(path))
    assert lines
    for command, rest in lines:
        assert command == "ccc-jetson" or command in declared
        assert set(re.findall(r" (--[a-z0-9-]+)", rest)) <= known, command + rest


def test_the_comparison_names_its_sources_and_no_speed_of_ours():
    page = read(COMPARISON)
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title = part.split("\n", 1)[0]
        if title not in ("Which one to take", "At a glance", "What ccc-jetson lacks"):
            assert "](https://" in part, title
    assert "not measured on a TX2 yet" in page and "Nothing of\nccc-jetson has run on a Jetson yet" in page
    assert "```sh" not in page  # others' commands, which no test of ours runs
