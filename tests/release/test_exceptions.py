"""Every exception from "no known vulnerabilities" is whole, about a pin that is there, and true of the source."""

import datetime
import json
import re

import pytest

from tests.release.checkout import ROOT, script, text_of

EXCEPTIONS = json.loads(text_of("constraints/exceptions.json"))
FIELDS = ("package", "versions", "files", "advisories", "what", "where", "why", "decided", "ends")
IDENTIFIER = re.compile(r"CVE-\d{4}-\d{4,}|GHSA(-[23456789cfghjmpqrvwx]{4}){3}|PYSEC-\d{4}-\d+")
TODAY = datetime.date(2026, 12, 1)
audit = script("audit")


def told(exception):
    return "{} {}".format(exception["package"], exception["advisories"][0])


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=told)
def test_an_exception_is_whole(exception):
    assert tuple(exception) == FIELDS
    assert exception["package"] == audit.normal(exception["package"])
    for name in ("what", "where", "why"):
        assert len(exception[name]) >= 20 or exception[name] == "runtime/serve", name
    assert exception["advisories"] and all(IDENTIFIER.fullmatch(each) for each in exception["advisories"])
    decided, ends = (datetime.date.fromisoformat(exception[name]) for name in ("decided", "ends"))
    assert datetime.timedelta(days=28) <= ends - decided <= datetime.timedelta(days=190), "half a year at most"


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=told)
def test_it_is_about_pins_that_are_there(exception):
    pinned = {
        version
        for name in exception["files"]
        for package, version in re.findall(r"^([\w.-]+)==([^;\s]+)", text_of("constraints/" + name), re.MULTILINE)
        if audit.normal(package) == exception["package"]
    }
    assert pinned == set(exception["versions"])


def test_no_advisory_is_excused_twice_for_a_version():
    seen = [
        (each["package"], version, advisory)
        for each in EXCEPTIONS
        for version in each["versions"]
        for advisory in each["advisories"]
    ]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=told)
def test_files_that_it_names_are_there(exception):
    for name in re.findall(r"\b[a-z_]+(?:/[a-z_]+)*\.(?:py|json|txt|md|toml)\b", exception["why"] + exception["where"]):
        places = [ROOT, ROOT / "src/ccc_jetson", ROOT / "runtime/serve"]
        assert any((place / name).exists() for place in places), name


def test_what_is_said_not_to_be_used_is_not_used():
    sources = {
        path: path.read_text(encoding="utf-8")
        for folder in ("calib", "engines", "export", "runtime", "src/ccc_jetson")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert len(sources) > 150
    for word in (
        r"\bset_cookie\b",
        r"set_status\([^)\n]*reason",
        r"StaticFileHandler",
        r"httpclient",
        r"[Ww]eb[Ss]ocket",
        r"package_index",
        r"onnx\.hub|import hub",
        r"json_format",
        r"onnx\.load\(|onnx\.load_model\(",
        r"\bmako\b",
        r"numpy\.f2py",
        r"decompress_request",
    ):
        for path, text in sources.items():
            code = "\n".join(line for line in text.splitlines() if "hint=" not in line)
            assert not re.search(word, code), f"{word} in {path}"


def finding(*names, package="tornado", version="6.1"):
    return audit.Finding(package, version, frozenset(names))


def test_what_is_reviewed_is_no_complaint_under_any_of_its_names():
    reviewed = [
        finding("PYSEC-2024-999", "CVE-2024-52804"),
        finding("CVE-2021-33430", package="numpy", version="1.19.4"),
    ]
    assert audit.complaints(reviewed, EXCEPTIONS, TODAY) == []


@pytest.mark.parametrize(
    "new",
    [
        finding("CVE-2099-0001"),
        finding("CVE-2024-52804", version="6.4.2"),
        finding("CVE-2024-52804", package="numpy"),
    ],
)
def test_what_is_not_reviewed_is_a_complaint(new):
    (complaint,) = audit.complaints([new], EXCEPTIONS, TODAY)
    assert "is not reviewed" in complaint and new.package in complaint


def test_an_exception_ends():
    ends = datetime.date.fromisoformat(EXCEPTIONS[0]["ends"])
    assert audit.complaints([], EXCEPTIONS[:1], ends) == []
    (complaint,) = audit.complaints([], EXCEPTIONS[:1], ends + datetime.timedelta(days=1))
    assert "the exception ended on" in complaint


def answering(monkeypatch, *answers):
    """A pip-audit that gives these answers one after the other; the files that it was asked about."""
    asked, left = [], list(answers)

    def run(command, **_):
        with open(command[command.index("--requirement") + 1]) as file:
            asked.append(file.read().split())

        class Done:
            stdout, stderr = left.pop(0), "it was not to be reached"

        return Done

    monkeypatch.setattr(audit.subprocess, "run", run)
    return asked


def test_every_version_of_every_pin_is_asked_about(monkeypatch):
    asked = answering(monkeypatch, *['{"dependencies": []}'] * 5)
    wanted = audit.pins(ROOT / "constraints")
    audit.ask(wanted, "osv")
    assert {tuple(line.split("==")) for lines in asked for line in lines} == wanted
    assert all(len({line.partition("==")[0] for line in lines}) == len(lines) for lines in asked)


def test_a_pin_that_nobody_answers_about_is_a_failure(monkeypatch, capsys):
    skipped = '{"dependencies": [{"name": "numpy", "skip_reason": "not found"}]}'
    answering(monkeypatch, skipped, *['{"dependencies": []}'] * 4)
    monkeypatch.setattr(audit, "complaints", lambda *given: [])
    assert audit.main([]) == 1
    assert "not answered: numpy: not found" in capsys.readouterr().err


def test_a_service_that_cannot_be_reached_is_a_failure(monkeypatch, capsys):
    answering(monkeypatch, "")
    monkeypatch.setattr(audit, "complaints", lambda *given: [])
    assert audit.main([]) == 1
    said = capsys.readouterr()
    assert "it was not to be reached" in said.err
    asked = len(audit.pins(ROOT / "constraints"))
    assert said.out == f"{asked} pins, 0 vulnerabilities, 0 to act on, {asked} unanswered\n"


def test_answers_are_read(monkeypatch, capsys):
    one = {"id": "PYSEC-2099-1", "aliases": ["CVE-2099-0001"], "fix_versions": []}
    answer = json.dumps({"dependencies": [{"name": "Tornado", "version": "6.1", "vulns": [one]}]})
    answering(monkeypatch, answer, *['{"dependencies": []}'] * 4)
    assert audit.main([]) == 1
    said = capsys.readouterr()
    assert "tornado 6.1: CVE-2099-0001, PYSEC-2099-1 is not reviewed" in said.err
    assert "not known to osv: tornado: CVE-2024-52804" in said.out
