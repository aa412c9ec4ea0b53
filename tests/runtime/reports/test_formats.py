"""The suffix decides, and what cannot be written is refused before the run."""

import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.reports.formats import check_reports, format_of


def test_the_suffix_decides_whatever_its_case():
    names = ("a.json", "a.HTML", "b.htm", "dir.json/c.md")
    assert [format_of(name) for name in names] == ["json", "html", "html", "markdown"]


@pytest.mark.parametrize("name", ["report", "a.pdf", "a.html.gz", ".json/x", "a."])
def test_another_suffix_is_refused_with_those_that_there_are(name):
    with pytest.raises(UsageError, match="no report has the suffix") as caught:
        format_of(name)
    assert all(suffix in caught.value.hint for suffix in (".json", ".html", ".md"))


def test_reports_of_one_run_have_places_of_their_own(tmp_path):
    html, json, model = (str(tmp_path / name) for name in ("a.html", "a.json", "m.json"))
    check_reports([html, json], [model])
    with pytest.raises(UsageError, match="is another file of this command"):
        check_reports([html, json, html], [])
    with pytest.raises(UsageError, match="is another file of this command"):
        check_reports([json, model], [model])
    with pytest.raises(UsageError, match="its folder does not exist"):
        check_reports([str(tmp_path / "none" / "a.md")], [])
