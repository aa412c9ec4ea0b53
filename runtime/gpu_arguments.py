"""Command-line options of backends on a GPU, the same for every command that runs a model."""

import argparse
from typing import TYPE_CHECKING, Any, Optional, Tuple

from ccc_jetson.choices import MEMORY_POLICIES, SHARED_MEMORY
from ccc_jetson.command import pairs_of

if TYPE_CHECKING:  # numpy is no part of --help
    from ccc_jetson.runtime.backends import GpuOptions


def add_gpu_options(parser: argparse.ArgumentParser) -> None:
    """Adds them."""
    group = parser.add_argument_group("engines on a GPU")
    group.add_argument(
        "--no-cuda-graph", action="store_true", help="launch kernel by kernel even where a graph is faster"
    )
    group.add_argument(
        "--memory",
        metavar="NAME=POLICY",
        type=_policy,
        action="append",
        default=[],
        help="instead of the fastest that a trial finds: {} = {}".format(
            "|".join(SHARED_MEMORY), "|".join(MEMORY_POLICIES)
        ),
    )


def gpu_options(arguments: argparse.Namespace, opacity: Optional[float] = None, serial: bool = False) -> "GpuOptions":
    """What the options say; the rest as for ``GpuOptions``."""
    from ccc_jetson.runtime.backends import GpuOptions

    return GpuOptions(opacity, not arguments.no_cuda_graph, tuple(arguments.memory), serial)


def memory_policies(pairs: Any) -> Tuple[Tuple[str, str], ...]:
    """What a caller gives for ``memory``, (name, policy) each, as ``--memory`` takes them."""
    return pairs_of("memory", pairs, _policy)


def _policy(text: str) -> Tuple[str, str]:
    name, _, policy = text.partition("=")
    if name not in SHARED_MEMORY or policy not in MEMORY_POLICIES:
        raise argparse.ArgumentTypeError(
            "{!r} is not one of {} with one of {}, as in input=mapped".format(
                text, ", ".join(SHARED_MEMORY), ", ".join(MEMORY_POLICIES)
            )
        )
    return name, policy
