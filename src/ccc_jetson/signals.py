"""The signals that ask a program to end, and moments in which it must not be asked."""

import contextlib
import os
import signal
import threading
from typing import Any, Dict, Iterator, List

# Ctrl-C; a service's stop; a terminal or an SSH connection that has gone
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that ask to end come when the block is over: for the moment between two steps that belong together.

    A mask would not do: another thread would get the signal, and its handler runs in this one all the same. Outside the
    main thread, which alone is interrupted, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: List[int] = []
    before: Dict[int, Any] = {}
    try:
        for number in ENDING_SIGNALS:
            handler = signal.getsignal(number)
            if handler is not None and handler is not signal.SIG_IGN:  # None: it was set outside Python
                before[number] = handler
                signal.signal(number, lambda number, frame: heard.append(number))
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if heard:
            os.kill(os.getpid(), heard[0])
