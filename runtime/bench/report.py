"""What a benchmark has shown: as JSON for machines and ``ccc-bench compare``, as a page of text for people."""

import os
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson import __version__
from ccc_jetson.json_records import indented, plain
from ccc_jetson.published import Here, published_lines, published_record
from ccc_jetson.revision import revision
from ccc_jetson.runtime.bench.frames import MOST_BYTES
from ccc_jetson.runtime.bench.measure import Result, Samples
from ccc_jetson.runtime.bench.plan import FLOOR_FRAMES, FLOOR_S, MOST_SAMPLES, Plan
from ccc_jetson.runtime.bench.reader import KIND, SCHEMA
from ccc_jetson.runtime.metrics import Machine, percentile_table, stages_with_warm_up
from ccc_jetson.runtime.report import COMPLETE, ENDED_BY_USER, Model
from ccc_jetson.runtime.telemetry.record import Telemetry
from ccc_jetson.tables import aligned_facts, aligned_table

_SLOWED = 0.95  # last slice to first
_SAMPLES = (("frame", "frame_ms"), ("latency", "latency_ms"), ("network", "network_ms"))


class Environment(NamedTuple):
    """What it was measured on and with; "" where a library was not loaded for it."""

    machine: Machine
    numpy: str
    opencv: str

    def to_json(self) -> Dict[str, Any]:
        """The record as a flat dictionary."""
        return dict(self.machine.to_json(), numpy=self.numpy, opencv=self.opencv)


def environment(machine: Machine) -> Environment:
    """The libraries that this process has loaded."""
    numpy, cv2 = sys.modules.get("numpy"), sys.modules.get("cv2")
    return Environment(machine, getattr(numpy, "__version__", ""), getattr(cv2, "__version__", ""))


class Benched(NamedTuple):
    """A model, the frames that it was given (``frame_size`` is None where they are of several), and what came of it."""

    model: Model
    frames: str
    frame_size: Optional[Tuple[int, int]]
    result: Result
    telemetry: Optional[Telemetry] = None

    @property
    def name(self) -> str:
        """The model file's."""
        return os.path.basename(self.model.path)


class BenchReport(NamedTuple):
    """One call of ``ccc-bench``. ``problems`` are (model, message), ``not_run`` the models that it did not come to;
    ``warnings`` of the board were said before it began, so the record has them and the page has not."""

    started: str  # ISO 8601, UTC
    environment: Environment
    plan: Plan
    fit: str
    threads: int
    benched: Tuple[Benched, ...]
    problems: Tuple[Tuple[str, str], ...]
    not_run: Tuple[str, ...]
    command: str = ""  # as ``shown_command`` has it
    warnings: Tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nobody ended it early."""
        return not self.not_run and all(each.result.is_complete for each in self.benched)

    def to_json(self) -> str:
        """Indented JSON, schema 1; milliseconds where a name says so, else seconds."""
        plan = self.plan
        record = {
            "schema": SCHEMA,
            "kind": KIND,
            "tool": "ccc-jetson " + __version__,
            "revision": revision(),
            "started": self.started,
            "command": self.command,
            "ended": COMPLETE if self.is_complete else ENDED_BY_USER,
            "environment": self.environment.to_json(),
            "protocol": {
                "duration_s": plan.duration_s,
                "frames": plan.frames,
                "warm_up": {"least_frames": plan.warm_up_frames, "least_s": plan.warm_up_s},
                "warm_up_floor": {"frames": FLOOR_FRAMES, "seconds": FLOOR_S, "kept": plan.keeps_the_floor},
                "network": plain(plan.network),
                "fit": self.fit,
                "threads": self.threads,
                "held_frames_most_bytes": MOST_BYTES,
                "samples_most": MOST_SAMPLES,
            },
            "results": [self._result(each) for each in self.benched],
            "problems": [{"model": model, "message": message} for model, message in self.problems],
            "not_run": list(self.not_run),
        }
        return indented(record)

    def _result(self, benched: Benched) -> Dict[str, Any]:
        result = benched.result
        return {
            "name": benched.name,
            "model": benched.model.to_json(),
            "backend": result.backend,
            "facts": dict(result.facts),
            "source": {"description": benched.frames, "size": list(benched.frame_size or ())},
            "ended": COMPLETE if result.is_complete else ENDED_BY_USER,
            "warm_up": {"frames": result.warm_up_frames, "seconds": round(result.warm_up_s, 6)},
            "frames": result.frames,
            "wall_s": round(result.wall_s, 6),
            "fps": round(result.fps, 4),
            "frame": result.frame.to_json() if result.frame else None,
            "latency": result.latency.to_json() if result.latency else None,
            "network": result.network.to_json() if result.network else None,
            "network_is": _network_is(result),
            "stages": {each.name: each.to_json() for each in result.stages},
            "bottleneck": result.bottleneck,
            "notes": list(self.warnings) + self._notes(benched),
            "slices_fps": [round(fps, 4) for fps in result.slices_fps],
            "clocks": {
                "before": result.clocks_before.to_json() if result.clocks_before else None,
                "after": result.clocks_after.to_json() if result.clocks_after else None,
            },
            "telemetry": benched.telemetry.to_json() if benched.telemetry else None,
            "published": published_record(benched.model.contract, self._here(result)),
            "timeline": result.timeline.to_json() if result.timeline else None,
            "histograms": {name: each.to_json() for name, each in result.distributions.items()},
            "samples": {title: _samples(result.samples[name]) for name, title in _SAMPLES},
        }

    def to_text(self) -> str:
        """The page: each model, then all of them in a table, then what they were measured on."""
        parts = [self._page(each) for each in self.benched]
        if len(self.benched) > 1:
            parts.append(_table(self.benched))
        parts.append(aligned_facts(self._environment()))
        return "\n\n".join(parts)

    def _page(self, benched: Benched) -> str:
        result, contract = benched.result, benched.model.contract
        head = "{}: {}, {}x{}, {}".format(
            benched.name, contract.architecture.title, contract.input.width, contract.input.height, result.backend
        )
        if result.frame is None or result.latency is None:
            return head + "\nended before the warm-up was over; nothing was measured"
        speed = "{:.2f} FPS, frame to {}: {} frame{} in {:.2f} s, after {} frames and {:.1f} s of warm-up{}".format(
            result.fps,
            "scores" if contract.is_classifier else "class map",
            result.frames,
            "" if result.frames == 1 else "s",
            result.wall_s,
            result.warm_up_frames,
            result.warm_up_s,
            "" if result.is_complete else "; interrupted",
        )
        totals = [result.frame._replace(name="frame time"), result.latency._replace(name="latency, queues full")]
        if result.network is not None:
            totals.append(result.network._replace(name="network alone"))
        facts = [("bottleneck", result.bottleneck)]
        if result.slices_fps:
            facts.append(("steadiness", steadiness(result.slices_fps)))
        if result.network is not None:
            facts.append(("network", _network_line(result)))
        with_warm_up = stages_with_warm_up(result.stages, result.frames)
        if with_warm_up:
            facts.append(("counts", with_warm_up))
        facts.append(("frames", "{}, fit: {}".format(benched.frames, self.fit)))
        if benched.telemetry is not None:
            facts.extend(benched.telemetry.facts())
        facts.extend(published_lines(contract, self._here(result)))
        facts.extend(("note", note) for note in self._notes(benched))
        return "\n\n".join(
            [
                head + "\n" + speed,
                percentile_table(totals, "end to end"),
                percentile_table(result.stages),
                aligned_facts(facts),
            ]
        )

    def _here(self, result: Result) -> Here:
        machine = self.environment.machine
        return Here(str(machine), machine.is_tx2, result.fps or None)

    def _notes(self, benched: Benched) -> List[str]:
        result = benched.result
        notes: List[str] = []
        if not self.plan.keeps_the_floor:
            notes.append(
                "less warm-up was asked for than {} frames and {:g} s: not to be published".format(
                    FLOOR_FRAMES, FLOOR_S
                )
            )
        if result.slices_fps and result.slices_fps[-1] < _SLOWED * result.slices_fps[0]:
            notes.append("it became slower on the way: heat, clocks, or something else that runs here")
        if result.samples["frame"].every > 1:
            notes.append("percentiles are of one frame in {}".format(result.samples["frame"].every))
        return notes

    def _environment(self) -> List[Tuple[str, str]]:
        machine = self.environment.machine
        jetpack = [name + " " + value for name, value in (("L4T", machine.l4t), ("JetPack", machine.jetpack)) if value]
        libraries = [
            name + " " + value
            for name, value in (
                ("Python", machine.python),
                ("numpy", self.environment.numpy),
                ("OpenCV", self.environment.opencv),
                ("ccc-jetson", __version__),
            )
            if value
        ]
        facts = [("machine", str(machine)), ("system", ", ".join([machine.system] + jetpack))]
        if machine.power_mode:
            facts.append(("power mode", machine.power_mode))
        for each in self.benched:
            for moment, clocks in (("before", each.result.clocks_before), ("after", each.result.clocks_after)):
                text = clocks.to_text() if clocks else ""
                if text:
                    facts.append(("clocks", "{} {}: {}".format(moment, each.name, text)))
        if not any(name == "clocks" for name, _ in facts):
            facts.append(("clocks", "this machine shows none"))
        facts.append(("libraries", ", ".join(libraries)))
        for each in self.benched:
            facts.append((each.name, ", ".join(_facts_of(each))))
        return facts


def _facts_of(benched: Benched) -> List[str]:
    known = benched.model.sha256  # an engine's is a fact of its backend too
    facts = [(name.replace("_", " "), value) for name, value in sorted(benched.result.facts.items()) if value != known]
    return ["{} {}".format(*fact) for fact in [("SHA-256", known)] + facts]


def _samples(samples: Samples) -> Dict[str, Any]:
    """In milliseconds, rounded to a microsecond; ``every`` tells which of them were kept."""
    return {"every": samples.every, "values": [round(1000.0 * value, 3) for value in samples.values]}


def _network_is(result: Result) -> str:
    if "tensorrt" in result.facts:
        return "device time of the engine alone, nothing copied; comparable with trtexec's GPU compute time"
    return "the bare session alone, on what lies in its input"


def _network_line(result: Result) -> str:
    assert result.network is not None
    return "p50 {:.2f} ms, p99 {:.2f} ms: {}".format(result.network.p50_ms, result.network.p99_ms, _network_is(result))


def steadiness(slices_fps: Tuple[float, ...]) -> str:
    """How far the speed moved over the measurement."""
    slowest, fastest = min(slices_fps), max(slices_fps)
    return "{:.2f} to {:.2f} FPS in {} parts of as many frames, from {:.2f} in the first to {:.2f} in the last".format(
        slowest, fastest, len(slices_fps), slices_fps[0], slices_fps[-1]
    )


def _table(benched: Tuple[Benched, ...]) -> str:
    """A line for each model."""
    rows = [["model", "FPS", "frame p50 ms", "p99 ms", "latency p50 ms", "network p50 ms", "ended"]]
    for each in benched:
        result = each.result
        rows.append(
            [
                each.name,
                "{:.2f}".format(result.fps),
                _ms(result.frame and result.frame.p50_ms),
                _ms(result.frame and result.frame.p99_ms),
                _ms(result.latency and result.latency.p50_ms),
                _ms(result.network and result.network.p50_ms),
                COMPLETE if result.is_complete else ENDED_BY_USER,
            ]
        )
    return aligned_table(rows, left=(0, 6))


def _ms(value: Optional[float]) -> str:
    return "-" if value is None else "{:.2f}".format(value)
