"""What is typed fails where it would fail a reader: the terminal is no machine on which everything works."""

import os

import pytest

from tests.doubles.terminal import Failed, Terminal


@pytest.fixture
def terminal(machine, tmp_path):
    opened = Terminal(machine, tmp_path / "t", "")
    yield opened
    opened.close()


def fails(terminal, text):
    """How a block fails."""
    with pytest.raises(Failed) as failed:
        terminal.type("page.md:7", text, "tx2")
    return str(failed.value)


def test_a_failure_names_page_line_command_exit_code_and_what_was_printed(terminal):
    said = fails(terminal, "true\necho before\nccc-inspect nothing.onnx  # a comment\n")
    assert said.startswith("page.md:9: exit code 1\n    $ ccc-inspect nothing.onnx  # a comment\n")
    assert "before" in said and "ccc-inspect: error: " in said and "nothing.onnx" in said


def test_folder_and_variables_stay_from_block_to_block(terminal):
    terminal.type("page.md:1", "mkdir -p a/b && cd a/b\nexport WORD='two words'\n", "tx2")
    assert terminal.type("page.md:5", 'echo "$WORD"\nbasename "$PWD"\n', "tx2") == "two words\nb\n"


def test_python_keeps_its_names_and_tells_the_pages_line(terminal):
    terminal.interpret("page.md:3", "import os\nnumber = 7\n")
    with pytest.raises(Failed) as failed:
        terminal.interpret("page.md:20", "assert number == 7\nraise ValueError(os.sep)\n")
    assert 'File "page.md", line 21' in str(failed.value) and "ValueError: /" in str(failed.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("frobnicate", "nobody plays this command"),
        ("nvpmodel -m 0", "only root may do that"),
        ("sudo nvpmodel -m 9", "no 9"),
        ("sudo nvpmodel --fast", "option --fast is not known"),
        ("sudo frobnicate", "nobody plays frobnicate for root"),
        ("sudo cp nothing /etc/", "there is no file nothing"),
        ("sudo systemctl start nothing", "there is no unit 'nothing'"),
        ("systemctl start docker", "only root may do that"),
        ("sudo usermod -G video me", "without -a"),
        ("sudo useradd --groups nothing ccc", "no such group here: nothing"),
        ("sudo apt-get install nothing", "look the name up"),
        ("pip install '.[nothing]'", "there is no extra nothing"),
        ("pip install -c nothing.txt .", "there is no file nothing.txt"),
        ("python -m pip install numpy==0.1", "numpy is pinned to"),
        ("curl -LO http://github.com/a", "an address with https"),
        ("curl -LO https://github.com/a/nothing.pth", "none of the samples"),
        ("curl http://localhost:8080/nothing", "ccc-run --serve has no /nothing"),
        ("git clone https://github.com/a/other.git", "clone https://.../ccc-jetson.git"),
        ("scp nothing user@tx2:", "there is no file nothing"),
        ("make nothing", "No rule to make target 'nothing'"),
        ("make demo VIDEO=nothing.mp4", "there is no file nothing.mp4"),
        ("docker build --tag ccc-jetson:jetpack4 --file docker/jetpack4/Dockerfile .", "BUILDKIT=0"),
        ("docker build --tag ccc-jetson:jetpack6 --file docker/jetpack5/Dockerfile .", "is not the Dockerfile of"),
        ("docker run --device /dev/video7 ccc-jetson:jetpack4", "there is no device /dev/video7"),
        ("trtexec --onnx=nothing.onnx", "there is no file nothing.onnx"),
        ("ccc-run --frobnicate", "unrecognized arguments: --frobnicate"),
    ],
)
def test_what_would_fail_a_reader_fails_here(terminal, line, said):
    assert said in fails(terminal, line + "\n")


def test_what_root_writes_is_left_behind_below_the_terminals_folder(terminal, tmp_path):
    unit = "/etc/systemd/system/ccc-run.service"
    assert not os.path.exists(unit)
    terminal.type("page.md:1", "sudo install -m 644 deploy/ccc-run.service /etc/systemd/system/\n", "tx2")
    assert (tmp_path / "t" / "root" / unit.lstrip("/")).exists() and not os.path.exists(unit)
    terminal.type("page.md:2", "sudo systemctl enable --now ccc-run\n", "tx2")


def test_another_board_has_another_tensorrt(terminal):
    line = "ccc-build-engine --int8 --fp16 --calib frames/ --rebuild\n"
    assert "has no INT8 units" in fails(terminal, "mkdir frames\n" + line)
    with pytest.raises(Failed) as failed:
        terminal.type("page.md:7", line, "xavier")
    assert "TensorRT 8.5.2" in str(failed.value)
