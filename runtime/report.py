"""What a run has shown: as JSON for machines, as a page of text for people."""

from typing import Any, Dict, NamedTuple, Optional, Tuple

from ccc_jetson import __version__
from ccc_jetson.clean_text import clean, without_secrets
from ccc_jetson.contract import Contract
from ccc_jetson.json_records import indented, plain
from ccc_jetson.published import Here, published_lines, published_record
from ccc_jetson.revision import revision
from ccc_jetson.runtime.frames.details import SourceDetails
from ccc_jetson.runtime.metrics import Machine, percentile_table
from ccc_jetson.runtime.pipeline import TO_CLASS_MAP, TO_SINKS, Measured, bottleneck, slowest_thread
from ccc_jetson.runtime.sinks.top_classes import Classified
from ccc_jetson.runtime.telemetry.record import Telemetry
from ccc_jetson.tables import aligned_facts, aligned_table

SCHEMA = 1  # rises when a field changes its meaning or goes; more fields may come
KIND = "run"
COMPLETE, ENDED_BY_USER = "complete", "interrupted"
_HISTOGRAMS = {"infer": "infer", TO_SINKS: "latency"}  # of what, and its name in reports
_CLASSES_SHOWN = 6
_FACTS_SHOWN = ("memory", "cuda_graph", "note")


class Model(NamedTuple):
    """The file that ran: where it is, its bytes' SHA-256, why it was chosen, and its contract."""

    path: str
    sha256: str
    reason: str
    contract: Contract

    def to_json(self) -> Dict[str, Any]:
        """What a report says of the model."""
        contract, is_classifier = self.contract, self.contract.is_classifier
        return {
            "path": self.path,
            "sha256": self.sha256,
            "chosen": self.reason,
            "architecture": contract.architecture.name,
            "title": contract.architecture.title,
            "input": {"width": contract.input.width, "height": contract.input.height},
            "checkpoint": contract.source.file,
            "contract": {
                "target": contract.target,
                "precision": contract.precision,
                "passes": list(contract.passes),
                "preprocessing": plain(contract.preprocessing),
                "output": contract.output.kind,
                "classes": len(contract.classes),
                # of a classifier there may be thousands, which nothing is drawn in
                "palette": [
                    {"name": each.name, "color": list(each.color)} for each in contract.classes if not is_classifier
                ],
            },
        }


class Report(NamedTuple):
    """A run. ``ended`` is ``complete``, ``interrupted``, or the problem that ended it.

    ``class_shares`` are of a network for segmentation, ``classified`` are the pictures of a classifier.
    """

    started: str  # ISO 8601, UTC
    machine: Machine
    model: Model
    fit: str
    source: str
    live: bool
    outputs: Tuple[str, ...]
    measured: Measured
    class_shares: Tuple[Tuple[str, float], ...]
    ended: str
    classified: Tuple[Classified, ...] = ()
    telemetry: Optional[Telemetry] = None
    details: Optional[SourceDetails] = None
    command: str = ""  # as ``shown_command`` has it

    def to_json(self) -> str:
        """Indented JSON, schema 1; durations in milliseconds, ``wall_s`` in seconds."""
        measured = self.measured
        latency = {each.name: each.to_json() for each in measured.latency}
        record: Dict[str, Any] = {
            "schema": SCHEMA,
            "kind": KIND,
            "tool": "ccc-jetson " + __version__,
            "revision": revision(),
            "started": self.started,
            "command": self.command,
            "ended": without_secrets(self.ended),
            "machine": self.machine.to_json(),
            "model": self.model.to_json(),
            "backend": measured.backend,
            "backend_facts": dict(measured.facts),
            "fit": self.fit,
            "source": dict(
                {} if self.details is None else self.details.to_json(),
                description=without_secrets(self.source),
                live=self.live,
            ),
            "outputs": [without_secrets(output) for output in self.outputs],
            "frames": measured.frames,
            "dropped": measured.dropped,
            "wall_s": round(measured.wall_s, 6),
            "fps": round(measured.fps, 4),
            "stages": {each.name: each.to_json() for each in measured.stages},
            "latency": latency.get(TO_SINKS),
            "latency_to_class_map": latency.get(TO_CLASS_MAP),
            "bottleneck": bottleneck(measured, self.live),
            "class_shares": {name: round(share, 6) for name, share in self.class_shares},
            "pictures": [each.to_json() for each in self.classified],
            "telemetry": self.telemetry.to_json() if self.telemetry else None,
            "published": published_record(self.model.contract, self._here()),
            "timeline": measured.timeline.to_json() if measured.timeline else None,
            "histograms": {
                _HISTOGRAMS[name]: each.to_json() for name, each in measured.distributions if name in _HISTOGRAMS
            },
        }
        return indented(record)

    def to_text(self) -> str:
        """The summary: speed, stages, bottleneck, classes, and what others published for the network."""
        measured = self.measured
        lines = [
            "{:.2f} FPS end to end: {} frame{} in {:.2f} s, {} dropped{}".format(
                measured.fps,
                measured.frames,
                "" if measured.frames == 1 else "s",
                measured.wall_s,
                measured.dropped,
                ""
                if self.ended == COMPLETE
                else "; " + ("interrupted" if self.ended == ENDED_BY_USER else "ended early"),
            ),
            "",
            percentile_table(measured.stages),
            "",
        ]
        if self.classified:
            lines = [_top_table(self.classified), "", *lines]
        facts = [("network", self.model.contract.architecture.title), ("bottleneck", bottleneck(measured, self.live))]
        if self.live and measured.latency:
            facts.extend(
                ("latency", "{}: {:.1f} ms (p50), {:.1f} ms (p99)".format(each.name, each.p50_ms, each.p99_ms))
                for each in measured.latency
            )
        if self.details is not None:
            facts.extend(self.details.facts(self.live))
        if self.class_shares:
            shares = ("{} {:.1f} %".format(name, 100 * share) for name, share in self.class_shares[:_CLASSES_SHOWN])
            facts.append(("classes", ", ".join(shares)))
        if self.telemetry is not None:
            facts.extend(self.telemetry.facts())
        facts.append(("backend", measured.backend))
        facts.extend((name.replace("_", " "), text) for name, text in measured.facts if name in _FACTS_SHOWN)
        facts.extend(("output", output) for output in self.outputs)
        facts.extend(published_lines(self.model.contract, self._here()))
        return "\n".join([*lines, aligned_facts(facts)])

    def _here(self) -> Here:
        paced = {"capture": "the frames came no faster", "sink": "the results were written no faster"}
        why_not = paced.get(slowest_thread(self.measured), "")
        return Here(str(self.machine), self.machine.is_tx2, self.measured.fps or None, why_not_speed=why_not)


def _top_table(classified: Tuple[Classified, ...]) -> str:
    """A line for each of a picture's classes, with the picture's name before the first."""
    rows = [["picture", "class", "probability"]]
    for each in classified:
        for rank, top in enumerate(each.top):
            rows.append(
                ["" if rank else clean(each.picture), clean(top.name), "{:.1f} %".format(100 * top.probability)]
            )
    return aligned_table(rows, left=(0, 1))
