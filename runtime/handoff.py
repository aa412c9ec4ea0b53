"""What carries items from one thread to the next: a short queue, or a slot that keeps only the newest."""

import threading
from collections import deque
from typing import Any, Callable


class Handoff:
    """Hands items from one producer to one consumer; both wait without polling.

    Args:
        capacity: items that may wait.
        newest_only: a full hand-off replaces its oldest item and counts it as dropped, instead of making ``put`` wait.
        on_drop: called with an item that is replaced, in the producer's thread.
    """

    def __init__(
        self, capacity: int = 1, newest_only: bool = False, on_drop: Callable[[Any], None] = lambda item: None
    ) -> None:
        self.dropped = 0
        self._on_drop = on_drop
        self._capacity = capacity
        self._newest_only = newest_only
        self._items: deque = deque()
        self._ended = False
        self._changed = threading.Condition()

    def put(self, item: Any) -> bool:
        """Adds an item, once there is room; False when nobody will take it any more."""
        with self._changed:
            while len(self._items) >= self._capacity and not self._ended:
                if self._newest_only:
                    self._on_drop(self._items.popleft())
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._ended:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self, wait: bool = True) -> Any:
        """The next item, once there is one; None after the last, and where there is none yet and nobody waits."""
        with self._changed:
            while wait and not self._items and not self._ended:
                self._changed.wait()
            item = self._items.popleft() if self._items else None
            self._changed.notify_all()
            return item

    def end(self) -> None:
        """Nothing more will be put; what waits can still be taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Ends, and forgets what waits."""
        with self._changed:
            self._items.clear()
            self._ended = True
            self._changed.notify_all()
