"""What is known of a source: asked for, delivered, and what happened on the way."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

ON_ARRIVAL, BY_DRIVER = "on arrival", "by the driver, when it was captured"


class Stream(NamedTuple):
    """A size (width, height), a rate in frames per second and a format; None and "" where nobody said."""

    size: Optional[Tuple[int, int]] = None
    fps: Optional[float] = None
    format: str = ""

    def to_json(self) -> Dict[str, Any]:
        """The record as a dictionary."""
        return {"size": None if self.size is None else list(self.size), "fps": self.fps, "format": self.format or None}

    def __str__(self) -> str:
        parts = []
        if self.size is not None:
            parts.append("{}x{}".format(*self.size))
        if self.format:
            parts.append(self.format)
        if self.fps is not None:
            parts.append("at {:g} FPS".format(round(self.fps, 2)))
        return " ".join(parts)


class SourceDetails(NamedTuple):
    """A source after (or during) a run.

    Attributes:
        kind: of the grammar: "v4l2", "csi", "rtsp", "video", "pictures", "synthetic".
        source: in the grammar's words, without a password.
        asked, delivered: the stream; the delivered rate is what the source says of itself.
        measured_fps: what came, over the time in which the source was there; None before the second frame.
        backend: who reads it: "GStreamer", "V4L2", "FFMPEG", or "".
        pipeline: GStreamer's, or "".
        passed_over: the ways that were tried before, each with its reason.
        reconnects: how often the source was lost and came back.
        lost_s: seconds without it.
        stalls: how often it was given up because nothing came.
        replaced: frames that a newer one replaced before anyone took them.
        stamped: when ``captured_s`` is taken.
        age_ms: mean time from that stamp to the arrival here; None where the stamp is the arrival.
    """

    kind: str
    source: str
    asked: Stream = Stream()
    delivered: Stream = Stream()
    measured_fps: Optional[float] = None
    backend: str = ""
    pipeline: str = ""
    passed_over: Tuple[str, ...] = ()
    reconnects: int = 0
    lost_s: float = 0.0
    stalls: int = 0
    replaced: int = 0
    stamped: str = ON_ARRIVAL
    age_ms: Optional[float] = None

    def to_json(self) -> Dict[str, Any]:
        """The record as a dictionary; times in the unit that their name has."""
        return {
            "kind": self.kind,
            "source": self.source,
            "asked": self.asked.to_json(),
            "delivered": dict(self.delivered.to_json(), measured_fps=_rounded(self.measured_fps, 3)),
            "backend": self.backend or None,
            "pipeline": self.pipeline or None,
            "passed_over": list(self.passed_over),
            "reconnects": self.reconnects,
            "lost_s": round(self.lost_s, 3),
            "stalls": self.stalls,
            "replaced": self.replaced,
            "stamped": self.stamped,
            "age_ms": _rounded(self.age_ms, 3),
        }

    def facts(self, live: bool) -> List[Tuple[str, str]]:
        """Lines for people; none for a source that can only be read to its end."""
        if not live:
            return []
        asked = str(self.asked)
        text = "{}delivers {}".format("asked for {}; ".format(asked) if asked else "", self.delivered)
        if self.measured_fps is not None:
            text += ", measured {:.1f} FPS".format(self.measured_fps)
        lost = "{} reconnect{}, {:.1f} s without it, {} stall{}".format(
            self.reconnects,
            "" if self.reconnects == 1 else "s",
            self.lost_s,
            self.stalls,
            "" if self.stalls == 1 else "s",
        )
        age = "stamped {}".format(self.stamped)
        if self.age_ms is not None:
            age += ", {:.1f} ms before it arrives here (mean)".format(self.age_ms)
        return [("source", text), ("source", lost), ("frame age", age)]


def _rounded(value: Optional[float], digits: int) -> Optional[float]:
    return None if value is None else round(value, digits)
