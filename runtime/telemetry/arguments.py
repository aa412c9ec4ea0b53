"""The command line's part of telemetry, the same for every command that runs a network."""

import argparse
import contextlib
from typing import Iterator, List, Optional

from ccc_jetson.command import number_from
from ccc_jetson.progress import say
from ccc_jetson.runtime.telemetry.monitor import DEFAULT_INTERVAL_S, SHORTEST_INTERVAL_S, Monitor
from ccc_jetson.runtime.telemetry.power_mode import consequence, power_warnings

_LONGEST_INTERVAL_S = 3600.0  # threads can wait for some hundred years, and not for any number


def add_telemetry_options(parser: argparse.ArgumentParser) -> None:
    """``--no-telemetry`` and ``--telemetry-interval``."""
    group = parser.add_argument_group("telemetry")
    group.add_argument("--no-telemetry", action="store_true", help="do not watch power, heat, clocks and memory")
    group.add_argument(
        "--telemetry-interval",
        metavar="S",
        type=number_from(SHORTEST_INTERVAL_S, _LONGEST_INTERVAL_S),
        default=DEFAULT_INTERVAL_S,
        help="seconds between two looks; default: %(default)g",
    )


@contextlib.contextmanager
def monitored(arguments: argparse.Namespace) -> Iterator[Optional[Monitor]]:
    """A monitor that runs as long as the block; None where none is wanted."""
    if arguments.no_telemetry:
        yield None
        return
    with Monitor(arguments.telemetry_interval) as monitor:
        yield monitor


def say_power_warnings() -> List[str]:
    """Says what makes this board slower than it is, and the commands that cure it; nothing off a Jetson.

    Returns:
        What was said, for a record; without the figures of others.
    """
    warnings = power_warnings()
    for warning in warnings:
        say("warning: " + warning)
    if warnings and consequence():
        say("({})".format(consequence()))
    return warnings
