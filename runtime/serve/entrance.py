"""What a page needs of the machine and of the user, had before anything of the run is opened."""

import contextlib
from typing import Iterator, NamedTuple, Optional

from ccc_jetson.runtime.serve.access import Token, token_for
from ccc_jetson.runtime.serve.address import Address, Listener, listen


class Entrance(NamedTuple):
    """An open port, and the token that is asked for there, if any."""

    listener: Listener
    token: Optional[Token]


def open_entrance(address: Address, token: Optional[str]) -> Entrance:
    """Opens the port; connections wait there until a ``Page`` answers.

    Args:
        address: where to listen.
        token: as for ``token_for``.

    Raises:
        DependencyMissing: there is no Tornado.
        UsageError, FileProblem: the port cannot be opened, or the token is none.
    """
    import ccc_jetson.runtime.serve.server  # noqa: F401  (says that Tornado is missing)

    listener = listen(address)
    try:
        return Entrance(listener, token_for(listener.is_loopback, token))
    except BaseException:
        listener.socket.close()
        raise


@contextlib.contextmanager
def entrance(address: Optional[Address], token: Optional[str]) -> Iterator[Optional[Entrance]]:
    """``open_entrance`` as a block, closed at its end; None where no page is wanted."""
    if address is None:
        yield None
        return
    opened = open_entrance(address, token)
    try:
        yield opened
    finally:
        opened.listener.socket.close()
