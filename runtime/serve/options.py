"""Command-line options of the page. Imports nothing heavy."""

import argparse

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.serve.access import TOKEN_VARIABLE
from ccc_jetson.runtime.serve.address import Address, parse_address


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """Adds them."""
    group = parser.add_argument_group("the run in a browser")
    group.add_argument(
        "--serve",
        metavar="HOST:PORT",
        type=parse_address,
        nargs="?",
        const=Address(),
        help="a page with the live overlay and curves, /metrics and /healthz; default: 127.0.0.1:8080, port 0 takes a "
        "free one. Any address that others reach asks for a token",
    )
    group.add_argument(
        "--serve-token",
        metavar="TOKEN|@FILE",
        help="of the page; default: the variable {}, else one is made up and printed".format(TOKEN_VARIABLE),
    )


def check_serve_options(arguments: argparse.Namespace) -> None:
    """Refuses a token without a page."""
    if arguments.serve is None and arguments.serve_token is not None:
        raise UsageError(
            "--serve-token: there is no page without --serve", hint="--serve 0.0.0.0:8080 --serve-token ..."
        )


def word_taken(arguments: argparse.Namespace) -> str:
    """Words for a SOURCE that ``--serve`` may have taken for its address; empty where it has taken none."""
    if arguments.serve in (None, Address()):
        return ""
    return "--serve took {} for its address; SOURCE goes before it".format(arguments.serve.host)
