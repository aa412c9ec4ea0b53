"""The documents' commands, typed; and what was typed, told at the end of the run."""

import collections
import os
import sys

import pytest

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


def pytest_terminal_summary(terminalreporter):
    if not (_typed or _not_run):
        return
    terminalreporter.section("documents")
    counted = ", ".join("{} {}".format(number, kind) for kind, number in sorted(_typed.items()))
    terminalreporter.write_line("run: {}; not run: {}".format(counted, len(_not_run)))
    for block in _not_run:
        terminalreporter.write_line("not run: {}: {}".format(block.place, block.not_run))
