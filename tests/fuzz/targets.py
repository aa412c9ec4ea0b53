"""Every parser of what somebody else wrote, with the seeds that its inputs grow from. Runs on Python 3.6.

A target's ``parse`` takes bytes as a file, a device or a network gives them, and everything that follows from them
without another file: a report becomes a page, a graph its costs. It raises a CccError where it refuses them.
"""

import importlib.util
import sys

from tests.fuzz import files_targets, graph_targets, json_targets, machine_targets, source_targets

_EVERYWHERE = (*json_targets.TARGETS, *graph_targets.TARGETS, *files_targets.TARGETS, *machine_targets.TARGETS)
_EVERYWHERE += source_targets.TARGETS
if importlib.util.find_spec("tornado") is not None:
    from tests.fuzz import page_targets

    _EVERYWHERE += page_targets.TARGETS


def all_targets():
    """Those of this Python; checkpoints are read on the workstation alone."""
    if sys.version_info < (3, 10):
        return _EVERYWHERE
    from tests.fuzz import workstation_targets  # PyTorch takes seconds

    return _EVERYWHERE + workstation_targets.TARGETS


def target_named(name):
    """The target of that name; a KeyError where there is none."""
    known = {target.name: target for target in _EVERYWHERE}
    if name not in known:
        known = {target.name: target for target in all_targets()}
    return known[name]
