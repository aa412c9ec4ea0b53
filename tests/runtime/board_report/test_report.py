"""``board-report.sh`` from its words to its one file, on boards that are made up; steps are told what to leave."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.doubles.jetsons import HOST, PASSWORD, ROOT, SCRIPT, SECRETS, TOLD_STEPS, USER, Jetson  # noqa: E402  (needs onnx)
from tests.doubles.tiny_model import write_tiny_model  # noqa: E402  (needs onnx)

if (3, 7) <= sys.version_info < (3, 10):
    pytest.skip("run on the oldest Python and on the newest", allow_module_level=True)
if not os.path.exists(SCRIPT) or shutil.which("bash") is None:
    pytest.skip("the script is part of the repository", allow_module_level=True)

STEPS_OF_A_TX2 = [
    "environment", "doctor", "inspect", "build-fp32", "build-fp16", "build-int8", "accuracy-fp32", "accuracy-fp16",
    "bench-fp32-maxn", "bench-fp16-maxn", "bench-fp32-maxp_core_arm", "bench-fp16-maxp_core_arm", "kernels", "soak",
    "camera", "suite",
]  # fmt: skip


@pytest.fixture
def checkout(tmp_path):
    """A folder in which the benchmarks of the repository are."""
    folder = tmp_path / "checkout"
    (folder / "benchmarks").mkdir(parents=True)
    for name in ("kernels.py", "soak.py"):
        (folder / "benchmarks" / name).write_text("")
    return folder


@pytest.fixture
def board(tmp_path, checkout):
    """Makes a board whose steps are told what to leave; keywords by module, as ``told_steps`` has them."""

    def make(kind="tx2", **told):
        folder = tmp_path / kind
        folder.mkdir()
        made = Jetson(folder, kind, steps=TOLD_STEPS)
        write_tiny_model(folder / "model.onnx")
        tell(made, **told)
        made.words = ["--checkout", str(checkout)]
        return made

    return make


def tell(board, **told):
    board.environment["BOARD_TOLD"] = json.dumps({name.replace("__", "."): what for name, what in told.items()})


def record(board):
    return json.loads(board.archive()["report.json"])


def outcomes(board):
    return {step["name"]: step["status"] for step in record(board)["steps"]}


def whys(board):
    return {step["name"]: step["why"] for step in record(board)["steps"]}


def test_a_tx2_is_measured_in_two_modes_and_left_in_the_one_that_was_found(board):
    tx2 = board()
    code, said = tx2.run(*tx2.words)
    assert code == 0, said
    assert tx2.calls == ["-m 0", "-m 3", "-m 0", "-m 3"] and tx2.mode_now == 3
    found = outcomes(tx2)
    assert list(found) == STEPS_OF_A_TX2
    left_out = [name for name, status in found.items() if status != "done"]
    assert left_out == ["build-int8", "camera", "suite"]
    assert whys(tx2)["build-int8"] == "a Jetson TX2 (sm_62) has no units for INT8"
    comment = tx2.archive()["comment.md"]
    assert "| FP16 | MAXN | 16.25 | 61.00 ms | 80.50 ms | 50.25 ms | 7.50 W | 0.460 | 61.5 C |" in comment
    assert "| FP16 | MAXP\\_CORE\\_ARM | 12.50 |" in comment
    every = "FP32 in MAXN, FP16 in MAXN, FP32 in MAXP\\_CORE\\_ARM, FP16 in MAXP\\_CORE\\_ARM"
    assert "- {}: the clocks are free to move".format(every) in comment
    assert "- {}: throttled for 1.5 s".format(every) in comment
    row = [line for line in comment.splitlines() if line.startswith("| FPS on a Jetson TX2 |")]
    assert len(row) == 1
    assert row[0].startswith("| FPS on a Jetson TX2 | **16.25 in MAXN, 12.50 in MAXP_CORE_ARM** (FP16, Tiny, 64x32;")
    assert "99.950% of the decided pixels in the worst of 2 frames" in row[0]
    assert row[0].endswith("paper: CCC1 15.9, CCC2 16.4) | `scripts/board-report.sh` |")
    assert "pre BGR float16" in comment and "resident KiB" in comment
    assert comment.index("not the fastest") < comment.index("| ok | disk |")
    assert "how far it is kept, and no accuracy" in comment


def test_the_lengths_are_said_before_and_asked_for(board):
    tx2 = board()
    _, said = tx2.run(*tx2.words)
    assert "minutes; not measured yet" in said and "600 s and a warm-up" in said and "30 min" in said
    logs = tx2.archive()
    assert "ccc-bench fp16.engine --duration 600" in logs["logs/bench-fp16-maxn.txt"]
    assert "ccc-bench fp32.engine --duration 60 " in logs["logs/bench-fp32-maxn.txt"]
    assert "benchmarks/soak.py fp16.engine soak --minutes 30" in logs["logs/soak.txt"]
    # 2 x (600 + 60) s and 30 min of soak
    assert "Together 52 min and more" in said


def test_a_quick_report_has_no_row_to_publish(board):
    tx2 = board()
    code, _ = tx2.run("--quick", *tx2.words)
    archive = tx2.archive()
    assert code == 0
    assert "ccc-bench fp16.engine --duration 20" in archive["logs/bench-fp16-maxn.txt"]
    assert "| FPS on a" not in archive["comment.md"] and "--quick measures too briefly" in archive["comment.md"]


def test_a_nano_and_an_orin_have_modes_of_their_own(board):
    nano = board("nano")
    assert nano.run(*nano.words)[0] == 0
    assert nano.calls == ["-m 1", "-m 0"] and nano.mode_now == 0  # MAXN is the boot's: the other one is 5W
    assert "bench-fp16-5w" in outcomes(nano)
    orin = board("orin")
    assert orin.run(*orin.words)[0] == 0
    assert orin.calls == ["-m 2", "-m 1"] * 2 and orin.mode_now == 1
    assert {"bench-fp16-maxn_super", "bench-fp16-25w"} <= set(outcomes(orin))
    assert "no frames to calibrate on" in whys(orin)["build-int8"]


def test_int8_is_built_where_there_are_units_and_a_cache(board):
    orin = board("orin")
    with open(os.path.join(orin.folder, "model.calib"), "w"):
        pass
    code, _ = orin.run("--calib", "model.calib", *orin.words)
    assert code == 0
    found = outcomes(orin)
    assert found["build-int8"] == found["accuracy-int8"] == found["bench-int8-maxn_super"] == "done"
    assert "--int8 --profile --calib model.calib" in orin.archive()["logs/build-int8.txt"]


def test_frames_a_camera_and_labels_of_the_user_are_taken(board):
    tx2 = board()
    for name in ("test", "testannot"):
        os.mkdir(os.path.join(tx2.folder, name))
    words = ["--images", "test", "--labels", "testannot", "--mapping", "camvid", "--camera", "/dev/video0"]
    code, _ = tx2.run(*words, *tx2.words)
    archive = tx2.archive()
    assert code == 0 and outcomes(tx2)["camera"] == "done"
    assert "ccc-eval fp16.engine --images test --labels testannot --mapping camvid" in archive["logs/accuracy-fp16.txt"]
    assert "0.4020" in archive["comment.md"] and "how far it is kept" not in archive["comment.md"]
    assert "29.70 FPS" in archive["comment.md"]


def test_a_step_that_fails_is_noted_with_its_cure_and_the_others_go_on(board):
    said = "ccc-build-engine: error: TensorRT cannot be imported\n  -> sudo apt-get install tensorrt\n"
    tx2 = board(engines__build_cli={"exit": 1, "says": said}, runtime__doctor__cli={"exit": 3, "writes": True})
    code, _ = tx2.run(*tx2.words)
    assert code == 1
    found = outcomes(tx2)
    assert found["build-fp16"] == found["doctor"] == "failed" and found["inspect"] == found["kernels"] == "done"
    assert whys(tx2)["build-fp16"] == "TensorRT cannot be imported -> sudo apt-get install tensorrt"
    assert found["bench-fp16-maxn"] == "left out" and "needs build-fp16" in whys(tx2)["bench-fp16-maxn"]
    comment = tx2.archive()["comment.md"]
    assert "steps went wrong: environment, doctor, build-fp32, build-fp16" in comment
    assert "no engine in FP16 was measured" in comment
    assert "sudo apt-get install tensorrt" in tx2.archive()["logs/build-fp16.txt"]


def test_a_command_that_says_nothing_and_leaves_nothing_is_a_failure(board):
    tx2 = board(engines__build_cli={"writes": False})
    code, _ = tx2.run(*tx2.words)
    assert code == 1
    assert whys(tx2)["build-fp16"] == "fp16.engine, fp16.engine.json was not written"


def test_a_step_that_is_killed_says_by_what(board, checkout):
    (checkout / "kill.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    tx2 = board()
    tx2.environment["BOARD_STEPS"] = str(checkout / "kill.py")
    code, _ = tx2.run(*tx2.words)
    assert code == 1 and whys(tx2)["build-fp16"] == "ended by SIGSEGV"


def test_without_a_password_the_mode_is_left_alone_and_measured(board):
    tx2 = board()
    tx2.mark("no-sudo")
    code, said = tx2.run(*tx2.words)
    assert code == 0 and tx2.calls == []
    assert "power modes need root, and sudo refuses: sudo: a password is required" in said
    found = outcomes(tx2)
    assert found["bench-fp16-maxp_core_arm"] == "done" and found["bench-fp16-maxn"] == "left out"


def test_in_a_mode_that_is_none_of_the_two_the_found_one_is_measured(board):
    tx2 = board()
    with open(os.path.join(tx2.root, "var/lib/nvpmodel/status"), "w") as file:
        file.write("pmode:0002")
    code, _ = tx2.run("--no-sudo", *tx2.words)
    found = outcomes(tx2)
    assert code == 0 and tx2.calls == [] and tx2.mode_now == 2
    assert found["bench-fp16-mode-2"] == "done"
    assert found["bench-fp16-maxn"] == found["bench-fp16-maxp_core_arm"] == "left out"
    assert "| FP16 | MAXP\\_CORE\\_ALL | 20.00 |" in tx2.archive()["comment.md"]


def test_a_mode_that_cannot_be_set_is_a_failure_of_what_needs_it(board):
    tx2 = board()
    tx2.mark("stuck")
    code, _ = tx2.run(*tx2.words)
    assert code == 1 and tx2.mode_now == 3
    assert "failed to set power mode" in whys(tx2)["bench-fp16-maxn"]
    found = outcomes(tx2)
    assert found["bench-fp16-maxn"] == "failed"
    # what does not depend on it goes on in the mode that is set
    assert found["build-fp16"] == found["bench-fp16-maxp_core_arm"] == found["kernels"] == "done"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_gets_the_mode_back_and_the_same_command_goes_on(board, number):
    tx2 = board(runtime__bench__cli={"hangs": True})
    process = tx2.start(*tx2.words)
    wait_for(lambda: hangs(tx2, "bench-fp32-maxn"), process)
    assert tx2.mode_now == 0
    process.send_signal(number)
    code, said = tx2.end(process)
    assert code == 130 and tx2.mode_now == 3
    assert "the same command goes on" in said
    assert outcomes(tx2)["bench-fp32-maxn"] == "interrupted"
    tell(tx2)
    os.unlink(os.path.join(tx2.folder, next(each for each in os.listdir(tx2.folder) if each.endswith(".gz"))))
    code, said = tx2.run(*tx2.words)
    assert code == 0 and tx2.mode_now == 3
    assert "build-fp16: " not in said and "bench-fp32-maxn: done" in said
    assert outcomes(tx2)["build-fp16"] == "done"


def test_a_terminal_that_has_gone_is_an_interruption_with_the_mode_set_back_and_a_file(board):
    tx2 = board(runtime__bench__cli={"hangs": True})
    seen, terminal = pty.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        ["bash", SCRIPT, *tx2.words], cwd=tx2.folder, env=tx2.environment, preexec_fn=take_terminal,
        stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)

    said = bytearray()

    def has_shown_that_time_passes():
        while select.select([seen], [], [], 0)[0]:
            said.extend(os.read(seen, 1 << 16))
        return re.search(rb"bench-fp32-maxn: \d+ s", said)

    try:
        wait_for(has_shown_that_time_passes, process)
        assert tx2.mode_now == 0
        os.close(seen)  # as sshd does: SIGHUP, and an error for whatever is written from then on
        assert process.wait(120) == 130 and tx2.mode_now == 3
    finally:
        process.kill()
    found = outcomes(tx2)
    assert found["build-fp16"] == "done" and found["bench-fp32-maxn"] == "interrupted"
    assert "bench-fp16-maxn" not in found


def test_after_a_power_loss_the_mode_from_before_is_set_back(board):
    tx2 = board(runtime__bench__cli={"hangs": True})
    process = tx2.start(*tx2.words)
    wait_for(lambda: hangs(tx2, "bench-fp32-maxn"), process)
    assert tx2.mode_now == 0
    with open("/proc/{0}/task/{0}/children".format(process.pid)) as file:
        steps = [int(each) for each in file.read().split()]
    process.kill()  # first, so that it notices nothing of the step's end
    for each in steps:
        os.kill(each, signal.SIGKILL)
    tx2.end(process)
    assert tx2.mode_now == 0
    tell(tx2)
    code, said = tx2.run(*tx2.words)
    assert code == 0 and tx2.mode_now == 3
    assert "at the end it is set back to 3" in said


def hangs(board, step):
    """Whether a step has begun, and waits for its end."""
    path = os.path.join(board.folder, "board-report", step + ".log")
    if not os.path.exists(path):
        return False
    with open(path) as file:
        return "hanging" in file.read()


def wait_for(happened, process):
    until = time.monotonic() + 120
    while not happened():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)


def test_in_a_shells_background_steps_can_be_ended_in_order(board):
    tx2 = board(runtime__bench__cli={"hangs": True})
    process = tx2.start(*tx2.words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    wait_for(lambda: hangs(tx2, "bench-fp32-maxn"), process)
    assert tx2.mode_now == 0
    process.send_signal(signal.SIGINT)  # which has no effect there
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    code, _ = tx2.end(process)
    assert code == 130 and tx2.mode_now == 3
    assert "ended in order" in tx2.archive()["logs/bench-fp32-maxn.txt"]


def test_a_mode_that_cannot_be_set_back_is_told_with_the_line_to_type(board):
    tx2 = board(runtime__bench__cli={"hangs": True})
    process = tx2.start(*tx2.words)
    wait_for(lambda: hangs(tx2, "bench-fp32-maxn"), process)
    assert tx2.mode_now == 0
    tx2.mark("stuck")
    process.send_signal(signal.SIGINT)
    code, said = tx2.end(process)
    assert code == 130 and tx2.mode_now == 0
    assert said.count("The power mode was not set back") == 2 and "sudo nvpmodel -m 3" in said
    assert "The power mode was not set back" in tx2.archive()["comment.md"]


def test_a_folder_with_the_report_of_another_model_is_not_continued(board):
    tx2 = board()
    assert tx2.run("--quick", *tx2.words)[0] == 0
    write_tiny_model(os.path.join(tx2.folder, "model.onnx"), seed=8)
    code, said = tx2.run("--quick", *tx2.words)
    assert code == 2 and "holds a report of another model" in said and "rm -r" in said


def test_nothing_in_the_file_tells_who_made_it(board, checkout):
    says = "on {}: {}@10.20.30.41 rtsp://admin:swordfish9@192.168.7.9/x /home/{}/nets ({})".format(
        HOST, USER, USER, ", ".join(each for each in SECRETS if each != PASSWORD)
    )
    tx2 = board(engines__build_cli={"says": says}, runtime__bench__cli={"says": says, "exit": 1})
    tx2.run(*tx2.words)
    for name, text in tx2.archive().items():
        for secret in SECRETS + ("192.168.7.9", "/home/" + USER, str(checkout), tx2.folder):
            assert secret.lower() not in text.lower(), name
    assert "8.2.1.8" in tx2.archive()["fp16.engine.json"]
    assert "pre BGR float16" in tx2.archive()["kernels.json"]
    with open(os.path.join(tx2.folder, "board-report", "comment.md")) as file:
        assert file.read() == tx2.archive()["comment.md"]


@pytest.mark.parametrize("other", ["notes.txt", "model.onnx"])
def test_a_folder_of_the_users_is_refused_and_left_as_it_is(board, other):
    tx2 = board()
    nets = os.path.join(tx2.folder, "nets")
    os.mkdir(nets)
    shutil.move(os.path.join(tx2.folder, "model.onnx"), os.path.join(nets, other))
    before = os.lstat(os.path.join(nets, other))
    code, said = tx2.run("nets/" + other, "--folder", "nets", *tx2.words)
    assert code == 2 and "nets: holds other files" in said and "->" in said and "--folder" in said
    assert os.listdir(nets) == [other] and os.path.samestat(os.lstat(os.path.join(nets, other)), before)


def test_the_model_in_a_reports_folder_is_not_replaced_by_a_link_to_itself(board):
    tx2 = board()
    folder = os.path.join(tx2.folder, "board-report")
    os.mkdir(folder)
    model = os.path.join(folder, "model.onnx")
    shutil.move(os.path.join(tx2.folder, "model.onnx"), model)
    with open(os.path.join(folder, "state.json"), "w"):
        pass
    code, said = tx2.run("board-report/model.onnx", *tx2.words)
    assert code == 2 and "the model itself lies there" in said
    assert os.path.isfile(model) and not os.path.islink(model)


def test_the_link_in_the_folder_may_be_named_when_it_goes_on(board):
    tx2 = board(runtime__bench__cli={"exit": 1})
    assert tx2.run("--quick", *tx2.words)[0] == 1
    tell(tx2)
    code, _ = tx2.run("--quick", "board-report/model.onnx", *tx2.words)
    assert code == 0
    link = os.path.join(tx2.folder, "board-report", "model.onnx")
    assert os.path.samefile(link, os.path.join(tx2.folder, "model.onnx"))


def test_what_the_user_has_typed_of_paths_and_a_camera_is_no_part_of_it(board):
    said = "could not connect to cam7.acme.example\n"
    tx2 = board(runtime__run_cli={"exit": 1, "says": said})
    secret = os.path.join(tx2.folder, "acme-secret")
    for name in ("test", "it's annot"):
        os.makedirs(os.path.join(secret, name))
    shutil.move(os.path.join(tx2.folder, "model.onnx"), os.path.join(secret, "net.onnx"))
    labelled = ["--images", "acme-secret/test", "--labels=./acme-secret/it's annot/", "--mapping", "camvid"]
    camera = ["--camera", "rtsp://bob7:hunter2@cam7.acme.example/x"]
    code, _ = tx2.run("acme-secret/../acme-secret/net.onnx", "--folder", "acme-secret/work", *labelled, *camera,
                      "--out", "acme.tar.gz", *tx2.words)  # fmt: skip
    assert code == 1
    for name, text in tx2.archive().items():
        for word in ("acme", "bob7", "hunter2", "cam7"):
            assert word not in text.replace("acme.tar.gz", ""), name
    command = record(tx2)["command"]
    assert command.startswith("scripts/board-report.sh net.onnx --folder work --images test '--labels=it'")
    assert "| `{}` |".format(command) in tx2.archive()["comment.md"]


def test_a_video_in_place_of_a_camera_is_found_from_the_reports_folder(board):
    tx2 = board()
    with open(os.path.join(tx2.folder, "drive.mp4"), "w"):
        pass
    code, _ = tx2.run("--camera", "drive.mp4", *tx2.words)
    path = os.path.join(tx2.folder, "drive.mp4")
    with open(os.path.join(tx2.folder, "board-report", "camera.log")) as file:
        assert code == 0 and "ccc-run {} ".format(path) in file.read()
    assert "ccc-run drive.mp4 " in tx2.archive()["logs/camera.txt"]


def test_engines_frames_the_model_and_files_of_others_are_not_packed(board):
    tx2 = board(runtime__bench__cli={"exit": 1})
    tx2.run(*tx2.words)
    for name in ("diary.txt", "clients.json", "soak/plan.svg"):
        with open(os.path.join(tx2.folder, "board-report", name), "w") as file:
            file.write("{}")
    tell(tx2)
    tx2.run(*tx2.words)
    assert not {"diary.txt", "clients.json", "soak/plan.svg"} & set(tx2.archive())
    names = set(tx2.archive())
    assert {"comment.md", "report.html", "report.json", "doctor.json", "bench-fp16-maxn.json"} <= names
    assert not [name for name in names if name.endswith((".engine", ".onnx", ".png", ".mp4")) or "golden" in name]


@pytest.mark.parametrize(
    "words, message",
    [
        (["nothing.onnx"], "there is no such model"),
        (["--images", "x"], "belong together"),
        (["--out", "x.html"], "an issue takes .tar.gz"),
        (["--out", "nowhere/x.tar.gz"], "does not exist"),
        (["--calib", "nowhere"], "no such file or folder"),
        (["--camera", "nowhere.mp4"], "no such file or folder"),
        (["--camera", "htp://x"], "unknown scheme"),
        (["--unknown"], "unrecognized arguments"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(board, words, message):
    tx2 = board()
    code, said = tx2.run(*words)
    assert code == 2 and message in said and "Traceback" not in said
    assert not os.path.exists(os.path.join(tx2.folder, "board-report"))


def test_off_a_board_it_says_what_measures_any_machine(board, tmp_path):
    tx2 = board()
    tx2.environment["BOARD_ROOT"] = str(tmp_path / "nothing")
    code, said = tx2.run()
    assert code == 2 and "this is no Jetson" in said and "ccc-bench" in said


def test_the_help_is_short_to_wait_for_and_lists_every_option(board):
    code, said = board().run("--help")
    assert code == 0
    for word in ("--quick", "--no-sudo", "--calib", "--images", "--camera", "Exit code:"):
        assert word in said
    assert "--checkout" not in said


def test_without_a_python_that_will_do_the_script_says_which(tmp_path):
    for text, message in (("exit 1", "is older than 3.6"), (None, "there is no")):
        python = tmp_path / "python"
        if text:
            python.write_text("#!/bin/sh\n{}\n".format(text))
            python.chmod(0o755)
        else:
            python.unlink()
        done = subprocess.run(
            ["bash", SCRIPT], env=dict(os.environ, PYTHON=str(python)), stderr=subprocess.PIPE, universal_newlines=True
        )
        assert done.returncode == 2 and message in done.stderr and "->" in done.stderr


def test_the_scripts_package_is_that_of_its_checkout_where_none_is_installed(tmp_path):
    if not os.path.isdir(os.path.join(ROOT, "src", "ccc_jetson")):
        pytest.skip("this is no checkout")
    done = subprocess.run(
        ["bash", SCRIPT, "--help"], cwd=str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict({k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, PYTHON=bare_python(tmp_path)),
        universal_newlines=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "example:" in done.stdout


def bare_python(folder):
    """This interpreter without what is installed into its environment."""
    path = folder / "bare"
    path.write_text('#!/bin/sh\nexec "{}" -S "$@"\n'.format(sys.executable))
    path.chmod(0o755)
    return str(path)
