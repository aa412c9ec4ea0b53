"""What the documents say is there, and their examples are valid. What they say to type is typed in tests/documents."""

import os
import re

import pytest

from ccc_jetson.contract import Contract
from ccc_jetson.runtime.doctor.probes import PROBES
from tests.documents.blocks import ROOT, pages, text_of

PAGES = pages()

if not os.path.exists(os.path.join(ROOT, "README.md")):
    pytest.skip("the documents are not part of the wheel", allow_module_level=True)


def words_of(page):
    """What a reader sees: no comments."""
    return re.sub(r"<!--.*?-->", "", text_of(page), flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_local_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", words_of(page)):
        if not target.startswith(("http://", "https://")):
            path = os.path.join(ROOT, os.path.dirname(page), target)
            assert os.path.exists(path), "{} links to {}".format(page, target)


@pytest.mark.parametrize("page", PAGES)
def test_a_link_into_a_page_leads_to_a_heading_of_it(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", words_of(page)):
        if target.startswith(("http://", "https://")):
            continue
        other = os.path.normpath(os.path.join(os.path.dirname(page), target)) if target else page
        if other != "docs/reference/commands.md":  # its headings are made when the site is built, which checks them
            assert anchor in anchors_of(other), "{} links to {}#{}".format(page, target, anchor)


def anchors_of(page):
    """The headings of a page, as sites and forges write them in a link."""
    headings = re.findall(r"^#+ (.*?)(?: \{[^}]*\})?$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", each)).strip().lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_left_to_fill_in(page):
    assert not re.search(r"@[A-Z]+@|\bTODO\b|\bTBD\b", text_of(page))


def test_the_contract_by_hand_is_valid():
    (example,) = re.findall(r"```json\n(.*?)```", text_of("docs/contract.md"), re.DOTALL)
    contract = Contract.from_json(example)
    assert contract.class_names == ("free", "obstacle")


def test_every_probe_of_the_doctor_is_described():
    described = re.findall(r"^\| (`.*?) \|", text_of("docs/doctor.md"), re.MULTILINE)
    names = re.findall(r"`([a-z0-9-]+)`", " ".join(described))
    assert {probe.name for probe in PROBES} <= set(names)


def test_every_page_is_part_of_the_site():
    listed = re.findall(r"^ *- (?:[^#:\n]*: )?([\w/-]+\.md)$", text_of("mkdocs.yml"), re.MULTILINE)
    ours = [page[len("docs/") :] for page in PAGES if page.startswith("docs/")]
    from_the_top = ["contributing.md", "changelog.md"] + ["security.md"] * ("SECURITY.md" in PAGES)
    assert sorted(listed) == sorted(ours + from_the_top)


def test_the_readme_is_a_screen_and_a_half():
    lines = text_of("README.md").splitlines()
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 150
