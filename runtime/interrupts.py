"""Ctrl-C as a wish to finish, not as a crash."""

import signal
import threading
from typing import Any, Callable, Dict


class FinishOnInterrupt:
    """Within the block, the first Ctrl-C or SIGTERM calls ``on_first``; the second does what it did before.

    ``received`` says whether there was one. Signals that the caller of this program switched off stay off; outside the
    main thread, which alone can handle signals, nothing changes.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        self.received = False
        self._on_first = on_first
        self._previous: Dict[int, Any] = {}

    def __enter__(self) -> "FinishOnInterrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: Any) -> None:
        self.received = True
        self._restore()
        self._on_first()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
