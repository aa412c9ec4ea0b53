"""HTML and SVG as text in which nothing that comes from a file or a user is markup.

A child or an attribute that is no ``Markup`` is escaped; only this module makes ``Markup``.
"""

import html
from typing import Mapping, Union

Value = Union[str, float, None]


class Markup(str):
    """Text in which ``<`` begins an element."""


def printable(text: str) -> str:
    """``text`` in one line, with the replacement character for what is no visible letter: controls, bidi marks, halves
    of surrogate pairs."""
    return "".join(letter if letter.isprintable() else " " if letter in "\n\t" else "\ufffd" for letter in text)


def escaped(text: str) -> Markup:
    """Text as markup that shows it."""
    return text if isinstance(text, Markup) else Markup(html.escape(printable(text)))


def element(name: str, attributes: Mapping[str, Value], *children: str) -> Markup:
    """An element on one line; an attribute that is None is left out."""
    return Markup("{}{}</{}>".format(_start(name, attributes), "".join(map(escaped, children)), name))


def block(name: str, attributes: Mapping[str, Value], *children: str) -> Markup:
    """An element with a child a line, indented; "" for a child leaves it out."""
    lines = [escaped(child).replace("\n", "\n ") for child in children if child]
    return Markup("\n ".join([_start(name, attributes)] + lines) + "\n</{}>".format(name))


def empty(name: str, attributes: Mapping[str, Value]) -> Markup:
    """An element that has no content, such as ``<img>``; with a slash, which SVG wants and HTML allows."""
    return Markup(_start(name, attributes)[:-1] + "/>")


def number(value: float) -> str:
    """A coordinate: two digits are a hundredth of a pixel."""
    text = "{:.2f}".format(value).rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _start(name: str, attributes: Mapping[str, Value]) -> str:
    shown = "".join(
        ' {}="{}"'.format(key, number(value) if isinstance(value, (int, float)) else escaped(value))
        for key, value in attributes.items()
        if value is not None
    )
    return "<{}{}>".format(name, shown)
