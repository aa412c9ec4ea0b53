"""Which commit this is, where the package runs from a checkout of its repository; git itself is not asked."""

import os
import re

_PACKAGE = os.path.dirname(os.path.realpath(__file__))
_COMMIT = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_DIGITS = 12
_MOST_BYTES = 1 << 20  # a repository with thousands of packed references has less


def revision(package: str = _PACKAGE) -> str:
    """The first digits of the commit that is checked out; "" for an installed wheel, and where git would be needed.

    Changes on top of the commit are not looked for: that means reading every file.
    """
    source, name = os.path.split(package)
    if (os.path.basename(source), name) != ("src", "ccc_jetson"):
        return ""  # a folder above site-packages may be anybody's repository
    git = os.path.join(os.path.dirname(source), ".git")
    if os.path.isfile(git):  # "gitdir: ../main/.git/worktrees/name", of a worktree
        git = os.path.join(os.path.dirname(git), _after(_text(git), "gitdir: "))
    head = _text(os.path.join(git, "HEAD"))
    commit = head if _COMMIT.match(head) else _commit_of(git, _after(head, "ref: "))
    return commit[:_DIGITS]


def _commit_of(git: str, reference: str) -> str:
    """The commit of "refs/heads/main"; "" where it is not found."""
    if not reference:
        return ""
    common = os.path.join(git, _text(os.path.join(git, "commondir")))
    for folder in (git, common):
        commit = _text(os.path.join(folder, reference))
        if _COMMIT.match(commit):
            return commit
    for line in _text(os.path.join(common, "packed-refs")).splitlines():
        commit, _, name = line.partition(" ")  # "<commit> refs/heads/main"
        if name == reference and _COMMIT.match(commit):
            return commit
    return ""


def _after(text: str, start: str) -> str:
    return text[len(start) :] if text.startswith(start) else ""


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace").strip()
    except (OSError, ValueError):  # no file has such a name
        return ""
