"""The version is written in ``ccc_jetson/__init__.py``; whatever else states it says the same."""

import re

import pytest

import ccc_jetson
from tests.release.checkout import ROOT, script, text_of

DOCKERFILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docker/*/Dockerfile"))
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))]


def test_pyproject_takes_the_version_from_the_package():
    pyproject = text_of("pyproject.toml")
    assert 'version = { attr = "ccc_jetson.__version__" }' in pyproject and 'dynamic = ["version"]' in pyproject
    assert not re.search(r'^version = "', pyproject, re.MULTILINE)
    assert script("dist").version() == ccc_jetson.__version__


def test_it_is_a_version_that_pypi_takes():
    assert re.fullmatch(r"\d+\.\d+\.\d+", ccc_jetson.__version__)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_are_labelled_with_it(name):
    assert re.findall(r'image\.version="([^"]*)"', text_of(name)) == [ccc_jetson.__version__]


@pytest.mark.parametrize("name", PAGES)
def test_pages_show_no_other(name):
    shown = re.findall(r"ccc[-_]jetson[ =-]+v?(\d+\.\d+\.\d+)", text_of(name))
    assert set(shown) <= {ccc_jetson.__version__}


def test_the_changelog_has_what_comes_and_then_versions_that_fall():
    headings = re.findall(r"^## (.*)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", each) for each in headings[1:]]
    assert all(released), headings
    numbers = [tuple(int(part) for part in each.groups()[:3]) for each in released]
    assert numbers == sorted(set(numbers), reverse=True)
    current = tuple(int(part) for part in ccc_jetson.__version__.split("."))
    assert not numbers or current >= numbers[0], "the package is older than its newest release"


def test_what_comes_is_told():
    unreleased = text_of("CHANGELOG.md").partition("## [Unreleased]")[2].partition("\n## ")[0]
    assert re.search(r"^- ", unreleased, re.MULTILINE)


@pytest.mark.parametrize("tag", ["v9.9.9", "0.1.0", "v0.1"])
def test_a_tag_of_another_version_is_refused(tag):
    assert ccc_jetson.__version__ in script("dist").tag_problem(tag)


def test_a_tag_wants_its_heading(monkeypatch, tmp_path):
    dist, tag = script("dist"), f"v{ccc_jetson.__version__}"
    package = tmp_path / "src" / "ccc_jetson"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(text_of("src/ccc_jetson/__init__.py"))
    monkeypatch.setattr(dist, "ROOT", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    assert "has no heading" in dist.tag_problem(tag)
    (tmp_path / "CHANGELOG.md").write_text(f"## [Unreleased]\n\n## [{ccc_jetson.__version__}] - 2027-01-31\n")
    assert dist.tag_problem(tag) == ""
