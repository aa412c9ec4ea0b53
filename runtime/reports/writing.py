"""From a report's JSON to its pages: the same page comes from a run and, later or elsewhere, from its saved JSON."""

from typing import Sequence

from ccc_jetson.files import write_text
from ccc_jetson.runtime.reports.document import Document, Picture
from ccc_jetson.runtime.reports.formats import HTML, JSON, format_of
from ccc_jetson.runtime.reports.html import page
from ccc_jetson.runtime.reports.markdown import markdown
from ccc_jetson.runtime.reports.of_benchmark import benchmark_document
from ccc_jetson.runtime.reports.of_comparison import comparison_document
from ccc_jetson.runtime.reports.of_evaluation import evaluation_document
from ccc_jetson.runtime.reports.of_run import run_document
from ccc_jetson.runtime.reports.reading import read_report
from ccc_jetson.runtime.reports.records import Benchmark, Comparison, Evaluation


def write_reports(paths: Sequence[str], text: str, pictures: Sequence[Picture] = (), origin: str = "report") -> None:
    """Writes a report to each path, in the format of its suffix.

    Args:
        paths: checked by ``formats.check_reports``.
        text: the report's JSON.
        pictures: for the formats that hold any.
        origin: names the JSON in messages.

    Raises:
        UsageError: the JSON is no report.
        FileProblem: a file cannot be written.
    """
    pages = [path for path in paths if format_of(path) != JSON]
    for path in paths:  # first what everything else can be made of again
        if path not in pages:
            write_text(path, text)
    if pages:
        document = document_of(text, pictures, origin)
        for path in pages:
            write_text(path, page(document) if format_of(path) == HTML else markdown(document))


def document_of(text: str, pictures: Sequence[Picture] = (), origin: str = "report") -> Document:
    """What the report says.

    Raises:
        UsageError: the JSON is no report.
    """
    reading = read_report(text, origin)
    if isinstance(reading, Benchmark):
        return benchmark_document(reading)
    if isinstance(reading, Comparison):
        return comparison_document(reading)
    if isinstance(reading, Evaluation):
        return evaluation_document(reading, pictures)
    return run_document(reading, pictures)
