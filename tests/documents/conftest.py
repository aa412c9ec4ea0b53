"""The documents' commands, typed; and what was typed, told at the end of the run."""

import collections
import os
import sys

import pytest

from tests.conftest import tell_documents
from tests.documents.blocks import ROOT

_THERE = sys.version_info >= (3, 10) and os.path.exists(os.path.join(ROOT, "pyproject.toml"))
collect_ignore_glob = [] if _THERE else ["test_*"]  # they are the checkout's; export and the site want a newer Python
_typed, _not_run = collections.Counter(), []


@pytest.fixture(scope="session")
def typed():
    """Counts what was run, by kind."""
    return _typed


@pytest.fixture(scope="session")
def not_run():
    """The blocks that were not run, with their reasons."""
    return _not_run


@pytest.fixture(scope="session")
def machine():
    """Where all pages are typed."""
    from tests.doubles import cuda_driver
    from tests.doubles.terminal import Machine

    cuda_driver.available()  # or the tests end here, with the reason
    machine = Machine()
    yield machine
    machine.close()


def _told():
    """What is said at the end of a run, line by line."""
    if not (_typed or _not_run):
        return []
    counted = ", ".join("{} {}".format(number, kind) for kind, number in sorted(_typed.items()))
    lines = ["run: {}; not run: {}".format(counted, len(_not_run))]
    return lines + ["not run: {}: {}".format(block.place, block.not_run) for block in _not_run]


def pytest_sessionfinish(session):
    """A worker of pytest-xdist hands it to the process that prints (tests/conftest.py)."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["documents"] = _told()


def pytest_terminal_summary(terminalreporter):
    tell_documents(terminalreporter, _told())
