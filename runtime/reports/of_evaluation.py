"""What a page says of an evaluation by ``ccc-eval``."""

from typing import List, Optional, Sequence, Tuple

from ccc_jetson.published import MIOU
from ccc_jetson.runtime.reports.document import (
    Bar,
    Bars,
    Block,
    Document,
    Facts,
    FactSheets,
    Figure,
    Figures,
    Headline,
    HeatMap,
    Paragraph,
    Picture,
    Pictures,
    Section,
    SideBySide,
    Table,
)
from ccc_jetson.runtime.reports.parts import (
    footer,
    histogram_of,
    machine_facts,
    milliseconds,
    model_facts,
    moment,
    name_of,
    plural,
    published_section,
    reproduce_section,
    speed_headline,
    stage_table,
    telemetry_section,
)
from ccc_jetson.runtime.reports.records import Evaluation

_MOST_CONFUSIONS = 8
_MOST_SKIPPED = 20
_LEAST_CONFUSED = 0.0005  # of all pixels


def evaluation_document(evaluation: Evaluation, pictures: Sequence[Picture] = ()) -> Document:
    """The report; ``pictures`` are its worst and its best frames."""
    header = evaluation.header
    return Document(
        command="ccc-eval",
        title="{} on {}".format(evaluation.model.title, evaluation.dataset),
        lead=(
            "{} on {}, {}".format(plural(evaluation.frames, "frame"), name_of(header.machine), moment(header.started)),
            evaluation.backend,
        ),
        warning="",
        headlines=tuple(_headlines(evaluation)),
        sections=(
            _accuracy_section(evaluation),
            _confusion_section(evaluation),
            *_pictures_section(pictures),
            *_speed_section(evaluation),
            *telemetry_section(evaluation.telemetry),
            *published_section(evaluation.published),
            Section(
                "Measured on",
                (
                    FactSheets(
                        (
                            machine_facts(header),
                            _frames(evaluation),
                            model_facts(evaluation.model, evaluation.backend, evaluation.fit, ()),
                        )
                    ),
                ),
            ),
            *reproduce_section(header),
        ),
        footer=footer(header),
    )


def _headlines(evaluation: Evaluation) -> List[Headline]:
    counted = sum(each.iou is not None for each in evaluation.classes)
    shown = [
        Headline("mIoU", _percent(evaluation.miou), "%", "mean of {} classes".format(counted)),
        Headline(
            "Pixel accuracy",
            _percent(evaluation.pixel_accuracy),
            "%",
            "of {:,} labelled pixels".format(evaluation.pixels),
        ),
    ]
    if evaluation.timed_frames:
        shown += speed_headline(evaluation.fps, (), "one frame after the other, without reading")
    for each in evaluation.published:
        if each.figure == MIOU:
            if each.comparable and each.measured is not None:
                verdict = "{:+.2f} points here".format(each.measured - each.value)
            else:
                verdict = "not compared: " + each.why_not
            shown.append(Headline("Published", "{:g}".format(each.value), "%", "{}; {}".format(each.where, verdict)))
            break
    return shown


def _accuracy_section(evaluation: Evaluation) -> Section:
    known = sorted((each for each in evaluation.classes if each.iou is not None), key=lambda each: -(each.iou or 0.0))
    bars = tuple(Bar(each.name, (("", 100.0 * (each.iou or 0.0)),), _percent(each.iou), each.color) for each in known)
    rows = tuple(
        (each.name, _percent(each.iou), "{:.2f}".format(100.0 * each.pixels / max(1, evaluation.pixels)))
        for each in evaluation.classes
    )
    blocks: List[Block] = []
    if bars:
        told = "From {} for {} to {} for {}.".format(bars[0].text, bars[0].label, bars[-1].text, bars[-1].label)
        table = Table(("class", "IoU %", "% of the pixels"), rows, title="Every class, with its share of the labels")
        blocks.append(SideBySide(Figures((Bars("IoU of each class", told, "%", bars, 100.0),)), table))
    if evaluation.pixels_without_class:
        share = 100.0 * evaluation.pixels_without_class / max(1, evaluation.pixels)
        blocks.append(Paragraph("For {:.2f} % of the labelled pixels no evaluated class was predicted.".format(share)))
    return Section("Accuracy", tuple(blocks))


def _confusion_section(evaluation: Evaluation) -> Section:
    names = tuple(each.name for each in evaluation.classes)
    columns = (*names, "no class")
    shares = tuple(tuple(count / max(1, sum(row)) for count in row) for row in evaluation.confusion)
    heat_map = HeatMap(
        "Confusion matrix, % of each true class",
        "A row for each true class, a column for each predicted one; on the diagonal is what was found.",
        "true class",
        "predicted as",
        names,
        columns,
        shares,
    )
    confused = sorted(
        ((count, row, column) for row, counts in enumerate(evaluation.confusion) for column, count in enumerate(counts)
         if column != row and count > _LEAST_CONFUSED * evaluation.pixels),
        reverse=True,
    )  # fmt: skip
    rows = tuple(
        (
            names[row],
            columns[column],
            "{:.1f}".format(100.0 * shares[row][column]),
            "{:.2f}".format(100.0 * count / max(1, evaluation.pixels)),
        )
        for count, row, column in confused[:_MOST_CONFUSIONS]
    )
    figure = Figures((heat_map,), wide=True)
    header = ("true class", "predicted as", "% of it", "% of all")
    confusions = Table(header, rows, (0, 1), "Most frequent confusions, % of pixels")
    return Section("What was taken for what", (SideBySide(figure, confusions) if rows else figure,))


def _pictures_section(pictures: Sequence[Picture]) -> List[Section]:
    if not pictures:
        return []
    told = Paragraph("On the left the labels, on the right what the network says, both in the same colours.")
    return [Section("Worst and best frames", (told, Pictures(tuple(pictures), wide=True)))]


def _speed_section(evaluation: Evaluation) -> List[Section]:
    if not evaluation.stages:
        return []
    told = "{} in {:.1f} s with reading and counting; ccc-run and ccc-bench measure the speed of live use.".format(
        plural(evaluation.timed_frames, "frame"), evaluation.wall_s
    )
    bars = tuple(Bar(each.name, (("", each.mean_ms),), milliseconds(each.mean_ms)) for each in evaluation.stages)
    figures: List[Figure] = [Bars("Mean time of each stage", "Stages that come one after the other.", "ms", bars)]
    for each in evaluation.stages:
        figures += histogram_of(evaluation.histograms.get(each.name), each, "Times of the stage " + each.name)
    return [Section("Speed beside it", (Figures(tuple(figures)), stage_table(evaluation.stages), Paragraph(told)))]


def _frames(evaluation: Evaluation) -> Facts:
    rows: List[Tuple[str, str]] = [
        ("data set", evaluation.dataset),
        ("split", evaluation.split),
        ("labels", evaluation.mapping),
        ("compared at", "{} size: {}".format(evaluation.eval_size, evaluation.prediction)),
    ]
    rows += [("note", note) for note in evaluation.notes]
    rows += [("skipped", "{}: {}".format(*each)) for each in evaluation.skipped[:_MOST_SKIPPED]]
    if len(evaluation.skipped) > _MOST_SKIPPED:
        rows.append(("skipped", "and {} more".format(len(evaluation.skipped) - _MOST_SKIPPED)))
    return Facts("Labelled frames", tuple(row for row in rows if row[1]))


def _percent(share: Optional[float]) -> str:
    return "-" if share is None else "{:.2f}".format(100.0 * share)
