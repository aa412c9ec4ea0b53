"""What an evaluation has shown: as JSON for machines, as a page of text for people."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson import __version__
from ccc_jetson.clean_text import listed
from ccc_jetson.confusion import Scores
from ccc_jetson.datasets import Dataset
from ccc_jetson.json_records import indented
from ccc_jetson.label_mapping import SHOWN
from ccc_jetson.published import Here, published_lines, published_record
from ccc_jetson.revision import revision
from ccc_jetson.runtime.backends import COMPUTE_STAGES
from ccc_jetson.runtime.evaluation import LOGITS_STAGE, Tally
from ccc_jetson.runtime.metrics import Distribution, Machine, StageSummary, percentile_table
from ccc_jetson.runtime.report import SCHEMA, Model
from ccc_jetson.runtime.telemetry.record import Telemetry
from ccc_jetson.tables import aligned_facts

KIND = "evaluation"


class EvalReport(NamedTuple):
    """An evaluation that has come to its end.

    ``stages``, ``wall_s`` and ``timed_frames`` are those of the last run where it was resumed.
    """

    started: str  # ISO 8601, UTC
    machine: Machine
    model: Model
    backend: str
    fit: str
    eval_size: str
    prediction: str
    dataset: Dataset
    tally: Tally
    remarks: Tuple[str, ...]
    stages: List[StageSummary]
    wall_s: float
    timed_frames: int
    telemetry: Optional[Telemetry] = None
    command: str = ""  # as ``shown_command`` has it
    distributions: Tuple[Tuple[str, Distribution], ...] = ()  # of the stages, by name

    @property
    def fps(self) -> float:
        """Frames per second of the backend alone: preprocessing, inference and what follows, one after the other."""
        means_ms = [each.mean_ms for each in self.stages if each.name in (*COMPUTE_STAGES, LOGITS_STAGE)]
        return 1000.0 / sum(means_ms) if sum(means_ms) > 0 else 0.0

    @property
    def frames(self) -> int:
        """Frames that were counted."""
        return self.tally.done - len(self.tally.skipped)

    @property
    def miou(self) -> float:
        """Mean IoU of the classes that were labelled or predicted, as a share of 1; nan where there was none."""
        return self.tally.matrix.scores().miou

    @property
    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels whose class was found; nan where there was none."""
        return self.tally.matrix.scores().pixel_accuracy

    @property
    def class_iou(self) -> Dict[str, float]:
        """IoU of each evaluated class, in their order; nan for one that was neither labelled nor predicted."""
        return dict(zip(self.dataset.mapping.classes, self.tally.matrix.scores().iou))

    @property
    def confusion(self) -> np.ndarray:
        """(classes, classes + 1) int64 pixels: true classes down, predicted ones across, last those of no class."""
        return self.tally.matrix.counts

    @property
    def notes(self) -> Tuple[str, ...]:
        """What there is to say of frames and mapping."""
        return (*self.dataset.notes, *self.remarks)

    def to_json(self) -> str:
        """Indented JSON; accuracies as shares of 1, durations in milliseconds, ``wall_s`` in seconds."""
        scores, mapping, contract = self.tally.matrix.scores(), self.dataset.mapping, self.model.contract
        record: Dict[str, Any] = {
            "schema": SCHEMA,
            "kind": KIND,
            "tool": "ccc-jetson " + __version__,
            "revision": revision(),
            "started": self.started,
            "command": self.command,
            "machine": self.machine.to_json(),
            "model": self.model.to_json(),
            "backend": self.backend,
            "fit": self.fit,
            "eval_size": self.eval_size,
            "prediction": self.prediction,
            "dataset": {
                "title": self.dataset.title,
                "split": self.dataset.split,
                "mapping": mapping.name,
                "notes": list(self.notes),
            },
            "frames": self.frames,
            "skipped": [{"name": name, "reason": reason} for name, reason in self.tally.skipped],
            "miou": _figure(scores.miou),
            "pixel_accuracy": _figure(scores.pixel_accuracy),
            "pixels": scores.pixels,
            "pixels_without_class": scores.pixels_without_class,
            "classes": [
                {"name": name, "iou": _figure(iou), "pixels": pixels, "color": list(color)}
                for name, iou, pixels, color in zip(
                    mapping.classes, scores.iou, scores.pixels_of_class, mapping.colors(contract)
                )
            ],
            "confusion": self.tally.matrix.to_json(),
            "stages": {each.name: each.to_json() for each in self.stages},
            "fps": round(self.fps, 4),
            "wall_s": round(self.wall_s, 6),
            "timed_frames": self.timed_frames,
            "telemetry": self.telemetry.to_json() if self.telemetry else None,
            "published": published_record(contract, self._here(scores)),
            "histograms": {
                name: each.to_json() for name, each in self.distributions if name in ("infer", LOGITS_STAGE)
            },
        }
        return indented(record)

    def to_text(self) -> str:
        """The page: what was evaluated, accuracy per class, speed beside it, and what others published."""
        scores = self.tally.matrix.scores()
        contract = self.model.contract
        facts = [
            (
                "model",
                "{}: {}, {}x{}, {}".format(
                    self.model.path, contract.architecture.title, contract.input.width, contract.input.height, self.fit
                ),
            ),
            ("data set", "{}, {} frames".format(self.dataset.title, self.frames)),
            ("eval size", "{} ({})".format(self.eval_size, self.prediction)),
        ]
        facts.extend(("note", note) for note in self.notes)
        if self.tally.skipped:
            names = [name for name, _ in self.tally.skipped]
            facts.append(("note", "skipped as unreadable: {} ({})".format(len(names), listed(names, SHOWN))))
        accuracy = [
            ("mIoU", "{}, mean of {} classes".format(_both(scores.miou), sum(iou == iou for iou in scores.iou))),
            ("accuracy", "{} of {:,} labelled pixels".format(_both(scores.pixel_accuracy), scores.pixels)),
        ]
        if scores.pixels_without_class:
            accuracy.append(
                ("no class", "predicted for {} of them".format(_share(scores.pixels_without_class, scores)))
            )
        speed = []
        if self.timed_frames:
            speed = [
                ("speed", "{:.2f} FPS: {}, {}".format(self.fps, self._fps_is(), self.backend)),
                ("overall", "{} frames in {:.2f} s with reading and counting".format(self.timed_frames, self.wall_s)),
            ]
        if self.telemetry is not None:
            speed.extend(self.telemetry.facts())
        parts = [
            aligned_facts(facts),
            self._class_table(scores),
            aligned_facts(accuracy),
            percentile_table(self.stages),
            aligned_facts(speed + published_lines(contract, self._here(scores))),
        ]
        return "\n\n".join(part for part in parts if part)

    def _class_table(self, scores: Scores) -> str:
        names = self.dataset.mapping.classes
        width = max(len("class"), *(len(name) for name in names))
        lines = ["{}  {:>6}  {:>7}".format("class".ljust(width), "IoU", "pixels")]
        for name, iou, pixels in zip(names, scores.iou, scores.pixels_of_class):
            shown = "{:.4f}".format(iou) if iou == iou else "-"
            lines.append("{}  {:>6}  {:>7}".format(name.ljust(width), shown, _share(pixels, scores)))
        return "\n".join(lines)

    def _fps_is(self) -> str:
        if any(each.name == LOGITS_STAGE for each in self.stages):
            return "preprocess and infer, logits included, which live use does without"
        return "preprocess, infer and postprocess one after the other"

    def _here(self, scores: Scores) -> Here:
        miou = _figure(scores.miou)
        why_not = self._why_not_comparable()
        return Here(
            machine=str(self.machine),
            is_tx2=self.machine.is_tx2,
            fps=self.fps or None,
            miou_percent=None if miou is None else 100.0 * miou,
            data_set=self.dataset.title if why_not else "all frames of " + self.dataset.title,
            why_not=why_not,
            why_not_speed="logits are part of it" * any(each.name == LOGITS_STAGE for each in self.stages),
        )

    def _why_not_comparable(self) -> str:
        """Why this mIoU is none of Cityscapes as others measure it, empty where it is one."""
        if not self.dataset.split:
            return "another data set"
        if self.dataset.split == "train":
            return "the frames that networks are trained on"
        if not self.dataset.whole or self.tally.skipped:
            return "not all frames of the split"
        if self.eval_size != "full":
            return "not at the labels' full size (--eval-size full)"
        return ""


def _figure(value: float) -> Optional[float]:
    return value if value == value else None


def _both(value: float) -> str:
    return "{:.4f} ({:.2f} %)".format(value, 100.0 * value)


def _share(pixels: int, scores: Scores) -> str:
    return "{:.2f} %".format(100.0 * pixels / scores.pixels if scores.pixels else 0.0)
