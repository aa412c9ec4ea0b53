"""A line of JSON for each frame, for whatever reads along.

    {"frame": 12, "name": "drive_000012", "captured": "2026-03-01T12:00:00.123Z", "latency_ms": 41.2, "dropped": 3,
     "classes": {"road": 0.412, "building": 0.25}}

A classifier has ``top`` instead of ``classes``: class, score and probability of its best ones. ``captured`` is the
machine's own time, ``latency_ms`` runs from there to the line.
"""

import datetime
import errno
import json
import os
import sys
import time
from typing import Any, Callable, Dict, Union

from ccc_jetson.choices import STANDARD_OUTPUT
from ccc_jetson.contract import Contract
from ccc_jetson.errors import SinkError
from ccc_jetson.runtime.backends import Classification, Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.metrics import Counters
from ccc_jetson.runtime.overlay import class_shares, pixel_counts
from ccc_jetson.runtime.sinks import Sink
from ccc_jetson.runtime.sinks.top_classes import Classified, top_classes


class JsonLines(Sink):
    """Writes each line at once and whole: what is there can be read while the run goes on, and after it broke off.

    Args:
        path: of the file, which is replaced; ``-`` is standard output.
        contract: of the network.
    """

    def __init__(self, path: str, contract: Contract) -> None:
        self._path = "standard output" if path == STANDARD_OUTPUT else path
        self.description = "JSON lines in " + self._path
        self._contract = contract
        self._counters: Callable[[], Counters] = Counters
        self._lines = self._bytes = 0
        self._is_file = path != STANDARD_OUTPUT
        if self._is_file:
            try:
                self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666)
            except OSError as error:
                raise SinkError("{}: cannot be written: {}".format(path, error.strerror))
        else:
            sys.stdout.flush()
            self._file = sys.stdout.fileno()

    def watch(self, counters: Callable[[], Counters]) -> None:
        self._counters = counters

    def write(self, frame: Frame, result: Union[Segmentation, Classification]) -> None:
        now_s = time.monotonic()
        captured = datetime.datetime.fromtimestamp(time.time() - (now_s - frame.captured_s), datetime.timezone.utc)
        record: Dict[str, Any] = {
            "frame": frame.number,
            "name": frame.name,
            "captured": captured.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "latency_ms": round(1000.0 * (now_s - frame.captured_s), 3),
            "dropped": self._counters().dropped,
        }
        record.update(self._of(frame, result))
        self._append((json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii"))

    def close(self) -> None:
        if self._is_file and self._file >= 0:
            os.close(self._file)
            self._file = -1

    abort = close

    def _of(self, frame: Frame, result: Union[Segmentation, Classification]) -> Dict[str, Any]:
        if isinstance(result, Classification):
            top = top_classes(result.scores, self._contract.class_names)
            return {"top": Classified(frame.name, top).to_json()["top"]}
        counts = pixel_counts(result.geometry.target.of(result.class_map))
        return {"classes": {name: round(share, 5) for name, share in class_shares(counts, self._contract)}}

    def _append(self, line: bytes) -> None:
        """Writes past Python's buffers, so that a line is there or is not."""
        rest = line
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except BrokenPipeError:  # as any sink's problem, or the other results were thrown away
            raise SinkError(
                "the reader of {} has gone; {} lines were written".format(self._path, self._lines),
                hint="--frames N ends a run well",
            )
        except OSError as error:
            if self._is_file and len(rest) < len(line):
                os.ftruncate(self._file, self._bytes)  # half a line would spoil the whole ones
            raise SinkError(
                "{}: {}; the {} lines before are whole".format(
                    self._path,
                    "no space left on the disk" if error.errno == errno.ENOSPC else error.strerror,
                    self._lines,
                ),
                hint="free some space or choose another folder",
            )
        self._bytes += len(line)
        self._lines += 1
