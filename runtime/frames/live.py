"""Live sources: the newest frame only, a watchdog for silence, and back again after a loss."""

import threading
import time
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.board import read_board
from ccc_jetson.clean_text import clean
from ccc_jetson.errors import CccError, SourceError
from ccc_jetson.progress import say
from ccc_jetson.runtime.frames import Frame, FrameSource
from ccc_jetson.runtime.frames.attempts import NO_GSTREAMER, NO_GSTREAMER_FIX, Attempt, all_failed
from ccc_jetson.runtime.frames.connection import Arrival, Connection, Counts
from ccc_jetson.runtime.frames.details import BY_DRIVER, ON_ARRIVAL, SourceDetails, Stream
from ccc_jetson.runtime.frames.failures import cause_of, telling_lines
from ccc_jetson.runtime.frames.native_words import NativeWords
from ccc_jetson.runtime.frames.slow import SLOW_SHARE, slow_camera
from ccc_jetson.runtime.pixels import frame_size

_SLICE_S = 0.1  # between two looks at whether the run is to end
_CLOSE_S = 2.0
_MEASURE_S = 5.0  # before a slow camera is told
_SLOWEST_FRAMES = 3  # of the asked rate, as a watchdog's patience
_LOSSES = 5  # without a connection that settled between them, before they are a fault that stays


class Patience(NamedTuple):
    """Seconds to wait: for the first frame, for the next before the source is given up, for a lost source to come back
    for good (0: not at all), between two tries at first and at most, and until a source that came back counts as well.
    """

    open_s: float = 20.0
    stall_s: float = 5.0
    reconnect_for_s: float = 60.0
    first_delay_s: float = 0.5
    longest_delay_s: float = 2.0
    settled_s: float = 10.0


DEFAULT_PATIENCE = Patience()


class Feed(NamedTuple):
    """A live source that is to be opened.

    ``kind`` and ``source`` are the grammar's; ``title`` names it for people; ``hint`` is what to do where nothing works
    and no cause is known; ``lost_hint`` is what to do when it is lost.
    """

    kind: str
    source: str
    title: str
    asked: Stream
    attempts: Sequence[Attempt]
    hint: str
    lost_hint: str


class LiveSource(FrameSource):
    """A camera, read as fast as it delivers in a thread of its own.

    Args:
        feed: what to open, and how.
        stop: once it is set, ``read`` returns None.
        patience: how long to wait for what.
        tell: called with lines for people.

    Raises:
        SourceError: none of the ways to open it works; or (from ``read``) it is lost and does not come back.
    """

    live = True

    def __init__(
        self,
        feed: Feed,
        stop: Optional[threading.Event] = None,
        patience: Patience = DEFAULT_PATIENCE,
        tell: Callable[[str], None] = say,
    ) -> None:
        self._feed, self._patience, self._tell = feed, patience, tell
        self._stop = threading.Event() if stop is None else stop
        self._counting = self._slow_told = False
        self._before = Counts()  # of the connections that ended
        self._moving = threading.Lock()  # held while counts pass from a connection to _before, so that none is missed
        self._reconnects = self._stalls = 0
        self._lost_s = 0.0
        self._delay_s = patience.first_delay_s
        self._losses, self._well_s = 0, 0.0  # since it last counted as well, and when that was
        self._passed_over: List[Tuple[str, str]] = []
        self._attempt, self._connection, first = self._open()
        opened = self._connection.opened
        assert opened is not None  # a frame came
        self.pixel_format, self.fps = opened.pixel_format, opened.fps
        self.size = frame_size(first.image, opened.pixel_format)
        self._format, self._backend = opened.format or opened.pixel_format, opened.backend
        asked_size = feed.asked.size
        self.description = "{}, {} by {}{}".format(
            feed.title,
            self._delivered(),
            self._attempt.name,
            "" if asked_size in (None, self.size) else " (asked for {})".format(feed.asked),
        )
        self._counted_from_s = 0.0

    @property
    def replaced(self) -> int:
        """Frames that a newer one replaced before they were read."""
        return self._all_counts().replaced

    @property
    def details(self) -> SourceDetails:
        """What is known by now."""
        counts = self._all_counts()
        return SourceDetails(
            kind=self._feed.kind,
            source=self._feed.source,
            asked=self._feed.asked,
            delivered=self._delivered(),
            measured_fps=counts.fps,
            backend=self._backend,
            pipeline=self._attempt.pipeline,
            passed_over=tuple("{}: {}".format(name, reason) for name, reason in self._passed_over),
            reconnects=self._reconnects,
            lost_s=self._lost_s,
            stalls=self._stalls,
            replaced=counts.replaced,
            stamped=BY_DRIVER if counts.stamped else ON_ARRIVAL,
            age_ms=1000.0 * counts.ages_s / counts.arrived if counts.stamped else None,
        )

    def read(self) -> Optional[Frame]:
        if not self._counting:
            self._counting = True
            self._start_counting()
        while not self._stop.is_set():
            arrival = self._connection.take(_SLICE_S)
            if arrival is not None:
                self._check_rate()
                number = self._before.arrived + arrival.number
                return Frame(
                    number, "frame_{:06d}".format(number), arrival.image, arrival.captured_s, self.pixel_format
                )
            if self._connection.ended:
                self._come_back(_reason(self._connection, self._feed))
                continue
            silent_s = time.monotonic() - self._last_came_s()
            if silent_s > self._stall_s:
                self._stalls += 1
                self._come_back("nothing came for {:.1f} s".format(silent_s))
        return None

    def close(self) -> None:
        self._connection.close(_CLOSE_S)

    @property
    def _stall_s(self) -> float:
        slowest_s = _SLOWEST_FRAMES / self._feed.asked.fps if self._feed.asked.fps else 0.0
        return max(self._patience.stall_s, slowest_s)

    def _start_counting(self) -> None:
        self._connection.start_counting()
        self._counted_from_s = time.monotonic()

    def _last_came_s(self) -> float:
        """When the newest frame came, whether anybody took it or not."""
        return max(self._connection.last_s, self._counted_from_s)

    def _delivered(self) -> Stream:
        return Stream(self.size, self.fps, self._format)

    def _all_counts(self) -> Counts:
        with self._moving:
            return self._before.plus(self._connection.counts) if self._counting else Counts()

    def _open(self) -> Tuple[Attempt, Connection, Arrival]:
        """The first way that gives a frame."""
        hint = ""
        for attempt in self._feed.attempts:
            if attempt.missing:
                self._passed_over.append((attempt.name, attempt.missing))
                if attempt.missing == NO_GSTREAMER:
                    hint = NO_GSTREAMER_FIX
                continue
            if attempt.pipeline:
                self._tell("trying {}: {}".format(attempt.name, attempt.pipeline))
            with NativeWords() as words:
                connection, first = self._try(attempt, self._patience.open_s)
            if first is not None:
                if self._passed_over:
                    self._tell("\n".join("passed over {}: {}".format(*each) for each in self._passed_over))
                return attempt, connection, first
            said = attempt.hide(words.text)
            reason = _reason(connection, self._feed, self._patience.open_s)
            cause = cause_of(said + reason)
            if cause is not None:
                reason += ": " + cause.means
                hint = cause.fix
            if isinstance(connection.problem, CccError):
                hint = connection.problem.hint or hint  # of the last way that knows one, for it needs the least
            lines = telling_lines(said)
            self._passed_over.append((attempt.name, reason + (" [{}]".format(lines) if lines else "")))
        raise all_failed(self._feed.title, self._passed_over, hint or self._feed.hint)

    def _try(self, attempt: Attempt, patience_s: float) -> Tuple[Connection, Optional[Arrival]]:
        """A connection and its first frame; where that is None, the connection was given up."""
        connection = Connection(attempt)
        first = None
        try:
            until_s = time.monotonic() + patience_s
            while first is None and not connection.ended and time.monotonic() < until_s and not self._stop.is_set():
                first = connection.take(_SLICE_S)
        finally:
            if first is None:
                connection.close(0.0)
        _raise_bugs(connection)
        return connection, first

    def _come_back(self, reason: str) -> None:
        """Connects again; returns when that worked, or when the run is to end.

        Raises:
            SourceError: it did not come back in time, or never for long enough.
        """
        lost_s = self._last_came_s()
        self._connection.close(0.0)
        _raise_bugs(self._connection)
        with self._moving:
            counts = self._connection.final_counts()
            self._before = self._before.plus(counts)
        if counts.seconds > self._patience.settled_s:
            self._delay_s = self._patience.first_delay_s
            self._losses = 0
        self._losses += 1
        if self._losses == 1:
            self._well_s = lost_s
        limit_s = self._patience.reconnect_for_s
        lost = "{}: lost after {} frames: {}".format(self._feed.title, self._before.arrived, reason)
        if limit_s <= 0:
            raise SourceError(lost, hint=self._feed.lost_hint)
        not_well_s = time.monotonic() - self._well_s
        if self._losses >= _LOSSES and not_well_s > limit_s:
            raise SourceError(
                "{}; {} losses in {:.0f} s, and never more than {:g} s between them".format(
                    lost, self._losses, not_well_s, self._patience.settled_s
                ),
                hint=self._feed.lost_hint,
            )
        self._tell("{}; trying for {:g} s to get it back".format(lost, limit_s))
        tries = 0
        while not self._stop.wait(self._delay_s):
            if time.monotonic() - lost_s > limit_s:
                raise SourceError(
                    "{}; {} tries in {:.0f} s did not bring it back: {}".format(
                        lost, tries, time.monotonic() - lost_s, reason
                    ),
                    hint=self._feed.lost_hint,
                )
            self._delay_s = min(2 * self._delay_s, self._patience.longest_delay_s)
            tries += 1
            left_s = max(limit_s - (time.monotonic() - lost_s), self._patience.first_delay_s)
            patience_s = min(self._patience.open_s, left_s)
            connection, first = self._try(self._attempt, patience_s)
            if first is not None:
                with self._moving:
                    self._connection = connection
                    self._start_counting()
                self._reconnects += 1
                without_s = self._counted_from_s - lost_s
                self._lost_s += without_s
                self._tell("{}: back after {:.1f} s{}".format(self._feed.title, without_s, self._changed_size(first)))
                return
            reason = _reason(connection, self._feed, patience_s)
        self._lost_s += time.monotonic() - lost_s

    def _changed_size(self, first: Arrival) -> str:
        """Words for a source that has another size than before."""
        size = frame_size(first.image, self.pixel_format)
        return "" if size == self.size else ", with frames of {}x{}".format(*size)

    def _check_rate(self) -> None:
        """Tells once that the source is slower than what was asked for."""
        expected_fps = self._feed.asked.fps or self.fps
        if self._slow_told or not expected_fps:
            return
        counts = self._connection.counts
        if counts.seconds < _MEASURE_S or counts.fps is None:
            return
        self._slow_told = True
        if counts.fps < SLOW_SHARE * expected_fps:
            wanted = "{} {:g} FPS".format(
                "asked for" if self._feed.asked.fps else "the stream announces", round(expected_fps, 2)
            )
            self._tell(slow_camera(wanted, counts.fps, self._feed.kind, self._format, read_board().power_mode))


def _reason(connection: Connection, feed: Feed, patience_s: float = 0.0) -> str:
    """Why nothing came, or comes any more."""
    if connection.problem is not None:
        text = clean(str(connection.problem))
        prefix = "{}: ".format(feed.title)
        text = text[len(prefix) :] if text.startswith(prefix) else text
        return "opens, but " + text if text == "delivers no frame" else text
    if connection.opened is not None:
        return "opens, but delivers no frame within {:g} s".format(patience_s)
    return "does not open within {:g} s".format(patience_s)


def _raise_bugs(connection: Connection) -> None:
    """An exception that is no source's fault is not taken for a loss."""
    if connection.problem is not None and not isinstance(connection.problem, CccError):
        raise connection.problem
