"""Ctrl-C as a wish to finish, not as a crash."""

import os
import signal
import threading
import time
from typing import Any, Callable, Dict, List, Tuple

from ccc_jetson.command import ONE_WISH_S, Interrupt
from ccc_jetson.signals import ENDING_SIGNALS


def apart(work: Callable[[], Any]) -> Any:
    """What ``work`` returns or raises, done in a thread of its own: Ctrl-C is heard while that hangs in a library, and
    leaves it there."""
    outcome: List[Tuple[Any, Any]] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="ccc-apart", daemon=True)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


class FinishOnInterrupt:
    """Within the block, the first Ctrl-C, SIGTERM or SIGHUP calls ``on_first``; a later one does what it did before.

    What follows the first within a second is the same wish, for many a program sends a signal to the process and to its
    group. ``received`` says whether there was one. Signals that the caller of this program switched off stay off;
    outside the main thread, which alone can handle signals, nothing changes.
    """

    def __init__(self, on_first: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.received = False
        self._on_first = on_first
        self._clock = clock
        self._quiet_until_s = 0.0
        self._previous: Dict[int, Any] = {}

    def __enter__(self) -> "FinishOnInterrupt":
        if threading.current_thread() is threading.main_thread():
            for number in ENDING_SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: Any) -> None:
        now_s = self._clock()
        if not self.received:
            self.received = True
            self._quiet_until_s = now_s + ONE_WISH_S
            for handler in self._previous.values():
                if isinstance(handler, Interrupt):  # it is back at the block's end, which may come within the second
                    handler.heard()
            self._on_first()
        elif now_s >= self._quiet_until_s:
            self._restore()
            os.kill(os.getpid(), number)

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
