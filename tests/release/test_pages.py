"""SECURITY.md and the pages about releases and dependencies say what is so."""

import json
import re

import pytest

from ccc_jetson.runtime.serve import access, address
from tests.release.checkout import ROOT, script, text_of

PAGES = ("SECURITY.md", "docs/dependencies.md", "docs/releasing.md")
audit = script("audit")


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_are_there(page):
    text = text_of(page)
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target
    paths = re.findall(r"`((?:\.?[a-z_]+/)+[\w.*/-]*|[A-Z]+\.md)`", text)
    assert len(paths) >= 3
    for path in paths:
        assert path.startswith("dist/") or list(ROOT.glob(path.rstrip("/"))), path


def test_what_is_said_of_the_page():
    text = text_of("SECURITY.md")
    assert f"listens on `{address.DEFAULT_HOST}`" in text
    made_up = access.token_for(False, None, {})
    assert made_up.generated and f"of {8 * access._TOKEN_BYTES} bits" in text
    assert access.token_for(True, None, {}) is None


def test_what_is_said_of_the_unit():
    unit, text = text_of("deploy/ccc-run.service"), text_of("SECURITY.md")
    for line in ("User=ccc", "NoNewPrivileges=true", "ProtectSystem=strict", "ProtectHome=true"):
        assert "\n" + line in unit
        assert line.partition("=")[0] in text or line == "User=ccc"
    assert re.findall(r"^Exec\w+=.*\+", unit, re.MULTILINE) == ["ExecStartPre=-+"]
    assert not re.search(r"^PrivateTmp", unit, re.MULTILINE)


def test_what_is_said_of_the_images():
    for path in ROOT.glob("docker/*/Dockerfile"):
        assert re.findall(r"^USER (.*)$", path.read_text(), re.MULTILINE) == ["1000"]


def test_torch_is_newer_than_the_loader_with_the_hole():
    assert re.search(r'"torch>=2\.13;', text_of("pyproject.toml")) and "asks for 2.13" in text_of("SECURITY.md")


def test_no_child_is_started_through_a_shell():
    for folder in ("calib", "engines", "export", "runtime", "src/ccc_jetson"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"shell=True|os\.system\(|os\.popen\(", path.read_text(encoding="utf-8")), path


def test_every_pinned_package_has_its_licence_told():
    table = text_of("docs/dependencies.md").partition("| package | licence |")[2].partition("\n\n")[0]
    told = {audit.normal(name) for row in table.splitlines()[2:] for name in row.split("|")[1].split(",") if row}
    assert {name for name, _ in audit.pins(ROOT / "constraints")} <= {name.strip() for name in told}


def test_every_exception_is_in_the_table():
    page = text_of("docs/dependencies.md")
    for exception in json.loads(text_of("constraints/exceptions.json")):
        (row,) = [
            line for line in page.splitlines() if line.startswith("| ") and ", ".join(exception["advisories"]) in line
        ]
        assert row.startswith(f"| {exception['package']} | {', '.join(exception['versions'])} (")
        assert exception["why"] in row and exception["what"] in row
