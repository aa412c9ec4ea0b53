"""What the site has beside the pages in docs/: every command's options, and the pages at the top of the repository.

A hook of MkDocs. The options come from the parsers that the commands use, at every build, so that they cannot differ.
"""

import html
import importlib
import re
from pathlib import Path
from typing import NamedTuple

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
COMMANDS_PAGE, MARK = "reference/commands.md", "<!-- every command, from its parser -->"
IN_ALL = {"--help", "--version", "--print-completion"}
PAGE = re.compile(r"\n?\(docs/([\w-]+)\.md\)")
LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(([^)#\s]*)(#[^)\s]*)?\)")
TOP = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md"}


class Parser(NamedTuple):
    """Where a command's parser is made."""

    module: str
    function: str = "build_parser"


# In the order of the way from a checkpoint to masks
PARSERS = (
    Parser("ccc_jetson.export.cli"),
    Parser("ccc_jetson.engines.inspect_cli"),
    Parser("ccc_jetson.calib.cli"),
    Parser("ccc_jetson.calib.cache_cli", "build_rewrite_parser"),
    Parser("ccc_jetson.calib.cache_cli", "build_diff_parser"),
    Parser("ccc_jetson.engines.build_cli"),
    Parser("ccc_jetson.runtime.run_cli"),
    Parser("ccc_jetson.runtime.eval_cli"),
    Parser("ccc_jetson.runtime.bench.cli"),
    Parser("ccc_jetson.runtime.bench.cli", "build_compare_parser"),
    Parser("ccc_jetson.runtime.doctor.cli"),
    Parser("ccc_jetson.runtime.reports.cli"),
)


def on_files(files, config):
    """Adds the pages at the top of the repository."""
    known = {file.src_uri for file in files} | {page for name, page in TOP.items() if (ROOT / name).exists()}
    for name, page in TOP.items():
        if (ROOT / name).exists():
            text = (ROOT / name).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=LINK.sub(lambda link: _of_site(link, known), text)))
    return files


def _of_site(link, known):
    """A link to a page as the site has it; to a file of the repository that is no page, its words alone."""
    words, target, anchor = link.groups(default="")
    there = TOP.get(target, target.removeprefix("docs/"))
    if there in known:
        return f"[{words}]({there}{anchor})"
    return link[0] if "://" in target or not target else words


def on_page_markdown(markdown, page, config, files):
    """Puts the commands into their page."""
    if page.file.src_uri != COMMANDS_PAGE:
        return markdown
    assert MARK in markdown, f"{COMMANDS_PAGE} has no place for the commands"
    return markdown.replace(MARK, "\n".join(section(made(each)) for each in PARSERS))


def made(parser):
    """The argument parser."""
    return getattr(importlib.import_module(parser.module), parser.function)()


def section(parser):
    """A command: what it does, its examples, and a table of options for each group, but for what every command has."""
    lines = [f"## {parser.prog}", "", _sentences(parser.description), ""]
    if parser.epilog:
        examples = parser.epilog.removeprefix("example:\n").splitlines()
        lines += ["```console", *(f"$ {line.strip()}" for line in examples), "```", ""]
    given, general, *groups = parser._action_groups  # argparse's own two come first
    for group in (given, *groups, general):
        actions = [each for each in group._group_actions if not IN_ALL & set(each.option_strings)]
        if not actions:
            continue
        lines += [f"**{_title(group)}**", ""] if groups else []
        lines += _described(group.description or "")
        lines += ["| option | what it does |", "|---|---|"]
        lines += [f"| {_names(parser, each)} | {_help(parser, each)} |" for each in actions]
        lines.append("")
    return "\n".join(lines)


def _described(text):
    """A group's words: lines as they stand; the page that they name as a link."""
    (text, pages) = (PAGE.sub("", text).rstrip(), PAGE.findall(text))
    lines = ["```text", text, "```", ""] if text else []
    return lines + [f"More: [{page}](../{page}.md)" for page in pages] + [""] * bool(pages)


def _sentences(text):
    return " ".join(_escaped(text).split())


def _title(group):
    """The group's, as a heading: argparse's own two in words."""
    own = {"positional arguments": "what it is given", "options": "and", "optional arguments": "and"}
    title = own.get(group.title, group.title)
    return _escaped(title[0].upper() + title[1:])


def _names(parser, action):
    """``--option VALUE``, as its help shows it."""
    values = parser._get_formatter()._format_args(action, action.dest.upper()) if action.nargs != 0 else ""
    names = [f"{name} {values}".strip() for name in action.option_strings] or [values]
    return ", ".join(f"<code>{_cell(html.escape(name))}</code>" for name in names)


def _help(parser, action):
    if not action.help:
        return ""
    return _cell(_sentences(parser._get_formatter()._expand_help(action)))


def _escaped(text):
    """What Markdown would take for its own."""
    return text.replace("<", "&lt;").replace("*", r"\*").replace("_", r"\_")


def _cell(text):
    return text.replace("|", "&#124;")
