"""--print-completion: a script that the shell itself accepts and completes with, for every command."""

import importlib
import subprocess
import sys

import pytest

from ccc_jetson.command import Parser, run_command

COMMANDS = {
    "ccc-build-engine": "ccc_jetson.engines.build_cli",
    "ccc-inspect": "ccc_jetson.engines.inspect_cli",
    "ccc-run": "ccc_jetson.runtime.run_cli",
    "ccc-eval": "ccc_jetson.runtime.eval_cli",
    "ccc-bench": "ccc_jetson.runtime.bench.cli",
    "ccc-doctor": "ccc_jetson.runtime.doctor.cli",
}
if sys.version_info >= (3, 10):  # the workstation's
    COMMANDS.update({"ccc-export": "ccc_jetson.export.cli", "ccc-calibrate": "ccc_jetson.calib.cli"})


def script_of(command, shell, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(COMMANDS[command]).main(["--print-completion", shell])
    assert ended.value.code == 0
    return capsys.readouterr().out


def completed(script, command, words, folder):
    """What bash offers for the last of ``words``."""
    asked = " ".join("'{}'".format(word) for word in words)
    program = script + (
        "\nCOMP_WORDS=({}); COMP_CWORD={}\n"
        "$(complete -p {} | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
        'printf "%s\\n" "${{COMPREPLY[@]}}"\n'
    ).format(asked, len(words) - 1, command)
    shown = subprocess.Popen(
        ["bash", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        cwd=str(folder),
    )
    output, problems = shown.communicate(timeout=60)
    assert shown.returncode == 0, problems
    return output.split()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_bash_completes_the_options_of_every_command(command, capsys, tmp_path):
    pytest.importorskip("shtab", reason="shtab writes the scripts")
    script = script_of(command, "bash", capsys)
    assert completed(script, command, [command, "--vers"], tmp_path) == ["--version"]


def test_bash_completes_choices_files_and_folders(capsys, tmp_path):
    pytest.importorskip("shtab", reason="shtab writes the scripts")
    (tmp_path / "frames").mkdir()
    (tmp_path / "front.mp4").write_bytes(b"")
    script = script_of("ccc-run", "bash", capsys)
    assert completed(script, "ccc-run", ["ccc-run", "--fit", "cr"], tmp_path) == ["crop"]
    assert "front.mp4" in completed(script, "ccc-run", ["ccc-run", "--model", "fr"], tmp_path)
    assert completed(script, "ccc-run", ["ccc-run", "--class-maps", "fr"], tmp_path) == ["frames"]
    assert "front.mp4" not in completed(script, "ccc-run", ["ccc-run", "--frames", "fr"], tmp_path)


def test_zsh_gets_a_script_of_its_own(capsys):
    pytest.importorskip("shtab", reason="shtab writes the scripts")
    assert script_of("ccc-run", "zsh", capsys).startswith("#compdef ccc-run")


def test_without_shtab_the_package_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    code = run_command(Parser("ccc-test", "test", "ccc-test"), lambda _: 0, ["--print-completion", "bash"])
    assert code == 1
    message = capsys.readouterr().err
    assert "shtab is not installed" in message and "pip3 install --user shtab" in message


def test_a_shell_that_is_not_known_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        run_command(Parser("ccc-test", "test", "ccc-test"), lambda _: 0, ["--print-completion", "tcsh"])
    assert ended.value.code == 2
    assert "bash" in capsys.readouterr().err
