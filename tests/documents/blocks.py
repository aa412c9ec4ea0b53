"""The code blocks of the documents, and what a comment above one says of it.

    ```sh       (or bash) typed into a terminal: every command is run
    ```python   run, all blocks of a page in one interpreter
    ```json     (or yaml, toml, ini) read by a parser
    ```text     (or console) what something printed, or a shape: not run

A comment on the line above a block may say ``<!-- board: xavier -->``, for a block that is typed on another board than
a TX2, or ``<!-- not run: REASON -->``, for one that cannot be run by a test.
"""

import os
import re
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHELL, PYTHON, OUTPUT = ("sh", "bash"), ("python",), ("text", "console")
DATA = ("json", "yaml", "toml", "ini")
LANGUAGES = SHELL + PYTHON + DATA + OUTPUT
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_COMMENT = re.compile(r"^ *<!-- *(?P<key>board|not run): *(?P<value>.*?) *-->$")


class Block(NamedTuple):
    """A block: ``line`` is the number of its first line of text, ``board`` where it is typed, ``not_run`` why not."""

    page: str
    line: int
    language: str
    text: str
    board: str = "tx2"
    not_run: str = ""

    @property
    def place(self):
        return "{}:{}".format(self.page, self.line)


class Malformed(Exception):
    """A block that is no block of ours; the message begins with its place."""


def pages():
    """README.md, SECURITY.md ... and all pages below docs/, as paths below the checkout."""
    found = [name for name in sorted(os.listdir(ROOT)) if name.endswith(".md")]
    for folder, folders, names in os.walk(os.path.join(ROOT, "docs")):
        folders.sort()
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in sorted(names) if name.endswith(".md")]
    return found


def text_of(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def blocks_of(page, text=None):
    """The blocks of a page, in order.

    Raises:
        Malformed: a block says not what it is, says it in an unknown word, or does not end; a comment has no block.
    """
    lines = (text_of(page) if text is None else text).splitlines()
    found, said, number = [], {}, 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        comment = _COMMENT.match(lines[number])
        number += 1
        if comment:
            said[comment.group("key")] = comment.group("value")
        elif fence:
            language, inside = fence.group("info").strip().split(" ")[0], []
            place = "{}:{}".format(page, number)
            while number < len(lines) and lines[number].strip() != fence.group("fence"):
                inside.append(lines[number][len(fence.group("indent")) :])
                number += 1
            if number == len(lines):
                raise Malformed("{}: a block that does not end".format(place))
            number += 1
            if language not in LANGUAGES:
                raise Malformed("{}: a block says what it is: one of {}, not {!r}".format(
                    place, ", ".join(LANGUAGES), language
                ))  # fmt: skip
            if said and language in OUTPUT:
                raise Malformed("{}: a block of output is not run, and needs no comment that says so".format(place))
            first = number - len(inside)
            said = {key.replace(" ", "_"): value for key, value in said.items()}
            found.append(Block(page, first, language, "\n".join(inside) + "\n", **said))
            said = {}
        elif said and lines[number - 1].strip():
            raise Malformed("{}:{}: a comment about a block stands right above it".format(page, number))
    if said:
        raise Malformed("{}: a comment about a block, and no block".format(page))
    return found
