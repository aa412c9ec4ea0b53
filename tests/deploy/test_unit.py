"""The systemd unit: systemd understands it, old systemd too, and what it starts is what ccc-run takes."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from ccc_jetson.command import Parser
from ccc_jetson.runtime.run_cli import build_parser

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNIT, ARGUMENTS = (os.path.join(ROOT, "deploy", name) for name in ("ccc-run.service", "ccc-run.env"))
pytestmark = pytest.mark.skipif(not os.path.exists(UNIT), reason="the tests run away from the checkout")


def directives(path):
    with open(path) as file:
        return [line.strip().partition("=")[::2] for line in file if re.match(r"[A-Za-z_]+=", line)]


def command_line():
    """The words that systemd would start: a variable without braces is split at blanks."""
    start = dict(directives(UNIT))["ExecStart"]
    given = dict(directives(ARGUMENTS))
    return shlex.split(re.sub(r"\$(\w+)", lambda match: given[match.group(1)], start))


def test_the_command_that_it_starts_is_one_that_ccc_run_takes():
    program, *words = command_line()
    assert os.path.basename(program) == build_parser().prog
    arguments = build_parser().parse_args(words)
    assert arguments.headless and arguments.camera == "/dev/video0" and arguments.model == "model.engine"


def test_a_usage_error_which_no_restart_would_cure_has_the_code_that_it_names(capsys):
    with pytest.raises(SystemExit) as ended:
        Parser("ccc-run", "", "").parse_args(["--no-such-option"])
    assert str(ended.value.code) == dict(directives(UNIT))["RestartPreventExitStatus"]


def test_the_secrets_that_its_settings_speak_of_are_read():
    from ccc_jetson.runtime.serve.access import TOKEN_VARIABLE
    from ccc_jetson.runtime.source_grammar import PASSWORD_VARIABLE

    with open(ARGUMENTS) as file:
        assert re.findall(r"^#(CCC_\w+)=$", file.read(), re.MULTILINE) == [TOKEN_VARIABLE, PASSWORD_VARIABLE]


def test_the_cache_folder_is_the_one_that_the_program_asks_for():
    from ccc_jetson.engines.cache_folder import FOLDER_VARIABLE, cache_folder

    environment = dict(
        word.split("=", 1) for key, value in directives(UNIT) if key == "Environment" for word in value.split()
    )
    assert FOLDER_VARIABLE in environment
    assert cache_folder(environment) == "/var/cache/" + dict(directives(UNIT))["CacheDirectory"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_has_nothing_to_say_against_it(tmp_path):
    with open(UNIT) as file:
        text = file.read()
    # systemd looks whether programs and users are there
    text = re.sub(r"^(ExecStart(?:Pre)?=[-+]*)\S+", r"\1/bin/true", text, flags=re.MULTILINE)
    text = re.sub(r"^User=.*$", "User=root", text, flags=re.MULTILINE)
    path = str(tmp_path / "ccc-run.service")

    def said(unit):
        with open(path, "w") as file:
            file.write(unit)
        process = subprocess.Popen(
            ["systemd-analyze", "verify", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        )
        return process.communicate(timeout=60)[0], process.returncode

    output, code = said(text)
    assert (code, [line for line in output.splitlines() if "ccc-run" in line]) == (0, [])
    assert "ProtectHomes" in said(text.replace("ProtectHome=", "ProtectHomes="))[0]  # it does look
