"""Reports for people: one page of HTML or Markdown from what ``ccc-run``, ``ccc-eval`` and ``ccc-bench`` measured.

The record that a report's JSON holds is read (``reading``), told as a document of figures, tables and facts
(``of_run``, ``of_evaluation``, ``of_benchmark``), and written in a format (``html``, ``markdown``). Imports the shared
modules and ``runtime``; the names here are what commands use before a run, and import nothing else.
"""

from ccc_jetson.runtime.reports.formats import HTML, JSON, MARKDOWN, check_reports, format_of

__all__ = ("HTML", "JSON", "MARKDOWN", "check_reports", "format_of")
