"""The entry point: every message with its cure, and nothing said where nothing is wrong."""

import contextlib
import http.server
import os
import subprocess
import sys
import threading

import pytest

from tests.docker.dockerfile import FOLDER, JETSONS, read
from tests.docker.machine import Machine, shells

SCRIPT = str(FOLDER / "entrypoint.sh")
LIBRARIES = "/usr/lib/aarch64-linux-gnu/"
L4T = {"jetpack4": "32.7.4", "jetpack5": "35.4.1", "jetpack6": "36.4.3"}
PYTHON = {"jetpack4": "3.6", "jetpack5": "3.8", "jetpack6": "3.10"}


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.uname("4.9.337-tegra")
    for command in ("ccc-run", "ccc-build-engine", "ccc-bench", "ccc-inspect"):
        machine.echo(command)
    yield machine
    machine.close()


@pytest.fixture
def container(machine):
    """The container of a board where nothing is missing, for an image."""

    def made(image="jetpack4"):
        environment = {}
        for each in read(image).run.named("ENV"):
            environment.update(dict(word.split("=", 1) for word in each.words))
        machine.environment.update(
            {key: value for key, value in environment.items() if key.startswith(("CCC_IMAGE", "NVIDIA_"))}
        )
        if image != "workstation":
            machine.release(L4T[image])
            machine.file("/dev/nvmap")
            machine.file(LIBRARIES + "libnvinfer.so.8")
            machine.file("/usr/lib/python{}/dist-packages/tensorrt/__init__.py".format(PYTHON[image]))
        machine.file("/dev/video0")
        machine.file("/sys/class/video4linux/video0")
        return machine

    return made


def start(machine, *words, **environment):
    return machine.run("sh", SCRIPT, *words, **environment)


def refused(done):
    """The messages and cures of a start that was refused."""
    assert done.code == 1 and done.out == ""
    lines = done.err.splitlines()
    assert len(lines) % 2 == 0
    for message, cure in zip(lines[::2], lines[1::2], strict=True):
        assert message.startswith("ccc-entrypoint: error: ") and cure.startswith("  -> ")
    return done.err


@pytest.mark.parametrize("image", [*JETSONS, "workstation"])
def test_where_nothing_is_missing_the_command_is_started_without_a_word(container, image):
    done = start(container(image), "ccc-run", "--camera", "/dev/video0", "--out", "a b.mp4", "")
    assert done == (0, "ccc-run\n--camera\n/dev/video0\n--out\na b.mp4\n\n", "")


@pytest.mark.parametrize("shell", shells())
def test_any_shell_will_do(container, shell):
    words = [shell, "sh"] if shell == "busybox" else [shell]
    machine = container()
    assert machine.run(*words, SCRIPT, "--camera", "0").out == "ccc-run\n--camera\n0\n"
    (machine.root / "dev/video0").unlink()
    done = machine.run(*words, SCRIPT, "--camera", "0")
    assert done.code == 1 and "/dev/video0 is not in this container" in done.err


def test_options_alone_are_for_ccc_run(container):
    assert start(container(), "--video", "drive.mp4").out == "ccc-run\n--video\ndrive.mp4\n"


def test_nothing_at_all_is_the_help(container):
    assert start(container()).out == "ccc-run\n--help\n"


def test_the_exit_code_is_that_of_the_command(container):
    machine = container()
    machine.echo("ccc-run", code=3)
    assert start(machine, "ccc-run", "--images", "a").code == 3


def test_the_command_takes_the_place_of_the_script_so_that_signals_reach_it(container):
    machine = container()
    machine.command("ccc-run", "echo $$")
    path = "{}:/usr/bin:/bin".format(machine.bin)
    command = ["sh", SCRIPT, "--images", "a"]
    with subprocess.Popen(command, env={"PATH": path, **machine.environment}, stdout=subprocess.PIPE) as process:
        out = process.communicate(timeout=60)[0]
    assert int(out) == process.pid


def test_without_the_nvidia_runtime_that_is_said_and_not_what_follows_from_it(container):
    machine = container()
    (machine.root / "dev/nvmap").unlink()
    (machine.root / (LIBRARIES + "libnvinfer.so.8").lstrip("/")).write_text("")
    said = refused(start(machine, "ccc-run", "--camera", "/dev/video0"))
    assert "started without the NVIDIA runtime" in said
    assert "--runtime nvidia" in said and '"default-runtime": "nvidia"' in said
    assert "libnvinfer" not in said


@pytest.mark.parametrize("command", ["ccc-run", "ccc-build-engine", "ccc-bench", "ccc-eval"])
def test_an_image_for_another_board_is_refused_with_both_versions(container, command):
    machine = container()
    machine.release("35.4.1")
    said = refused(start(machine, command, "--fp16"))
    assert "(jetpack4) is for L4T 32.7, this board has L4T 35.4.1" in said


@pytest.mark.parametrize("l4t", ["32.7.1", "32.7.6"])
def test_the_image_of_jetpack_4_runs_on_every_32_7(container, l4t):
    machine = container()
    machine.release(l4t)
    assert start(machine, "ccc-run", "--images", "a").code == 0


@pytest.mark.parametrize("l4t", ["32.6.1", "32.71.1", "36.4.3", "38.2.0"])
def test_and_on_nothing_else(container, l4t):
    machine = container()
    machine.release(l4t)
    assert "this board has L4T {}".format(l4t) in refused(start(machine, "ccc-run", "--images", "a"))


def test_what_the_start_script_knows_of_the_board_counts_more_than_a_file(container):
    said = refused(start(container(), "ccc-run", "--images", "a", CCC_HOST_L4T="36.4.3"))
    assert "this board has L4T 36.4.3" in said


@pytest.mark.parametrize(
    ("kernel", "image", "fits"),
    [
        ("4.9.337-tegra", "jetpack4", True),
        ("5.10.120-tegra", "jetpack4", False),
        ("5.10.120-tegra", "jetpack5", True),
        ("5.15.148-tegra", "jetpack6", True),
        ("4.9.337-tegra", "jetpack6", False),
        ("6.1.0-somebodys-own", "jetpack4", True),  # nothing is known of it
    ],
)
def test_without_the_file_the_kernel_tells(container, kernel, image, fits):
    machine = container(image)
    (machine.root / "etc/nv_tegra_release").unlink()
    machine.uname(kernel)
    done = start(machine, "ccc-run", "--images", "a")
    assert (done.code == 0) is fits
    assert fits or "this board has L4T" in refused(done)


def test_file_too_short_is_explained_before_the_loader_says_it(container):
    machine = container()
    machine.file(LIBRARIES + "libnvinfer.so.8", "")
    said = refused(start(machine, "ccc-run", "--camera", "/dev/video0"))
    assert LIBRARIES + "libnvinfer.so.8 is an empty file ('file too short')" in said
    assert "sudo apt install tensorrt nvidia-container-csv-tensorrt" in said


def test_a_link_to_an_empty_file_is_seen_through(container):
    machine = container()
    folder = machine.file(LIBRARIES + "libnvinfer.so.8.2.1", "").parent
    (folder / "libnvinfer.so.8").unlink()
    (folder / "libnvinfer.so.8").symlink_to("libnvinfer.so.8.2.1")
    assert "is an empty file" in refused(start(machine, "ccc-build-engine"))


def test_a_runtime_that_mounts_the_drivers_alone_is_told_to_mount_all(container):
    machine = container()
    machine.file(LIBRARIES + "libnvinfer.so.8", "")
    said = refused(start(machine, "ccc-run", "--images", "a", NVIDIA_REQUIRE_JETPACK=""))
    assert "docker run -e NVIDIA_REQUIRE_JETPACK=csv-mounts=all" in said


@pytest.mark.parametrize("image", JETSONS)
def test_no_tensorrt_at_all(container, image):
    machine = container(image)
    (machine.root / (LIBRARIES + "libnvinfer.so.8").lstrip("/")).unlink()
    said = refused(start(machine, "ccc-run", "--images", "a"))
    assert "there is no TensorRT in this container" in said
    assert ("nvidia-container-csv-tensorrt" if image == "jetpack4" else "build it again") in said


@pytest.mark.parametrize("image", JETSONS)
def test_tensorrt_without_its_python_module(container, image):
    machine = container(image)
    folder = machine.root / "usr/lib/python{}/dist-packages/tensorrt".format(PYTHON[image])
    (folder / "__init__.py").unlink()
    folder.rmdir()
    said = refused(start(machine, "ccc-run", "--images", "a"))
    assert "TensorRT's Python module is not in this container" in said
    mount = "-v /usr/lib/python3.6/dist-packages/tensorrt:/usr/lib/python3.6/dist-packages/tensorrt:ro"
    assert (mount if image == "jetpack4" else "build it again") in said


@pytest.mark.parametrize("words", [["--camera", "/dev/video2"], ["--camera=/dev/video2"], ["--camera", "2"],
                                   ["--camera", "v4l2:///dev/video2?size=640x480"], ["v4l2:///dev/video2"],
                                   ["/dev/video2"], ["2"], ["--frames", "9", "/dev/video2"], ["--headless", "2"],
                                   ["--headl", "2"], ["--model", "m.engine", "2"], ["--", "2"]])  # fmt: skip
def test_a_camera_that_is_not_there_is_named_with_those_that_are(container, words):
    machine = container()
    machine.file("/dev/video1")
    said = refused(start(machine, "ccc-run", *words))
    assert "the camera /dev/video2 is not in this container, which has /dev/video0 /dev/video1" in said
    assert "--device /dev/video2" in said


def test_numbers_of_other_options_are_no_cameras(container):
    machine = container()
    for words in (["--images", "a", "2"], ["--threads", "2"], ["--serve", "2", "--frames", "3"]):
        assert start(machine, "ccc-run", *words).code == 0
    assert start(machine, "ccc-bench", "--json", "2").code == 0


def test_no_camera_at_all(container):
    machine = container("workstation")
    (machine.root / "dev/video0").unlink()
    assert "which has no /dev/video*" in refused(start(machine, "--camera", "/dev/video0"))


def test_a_camera_of_another_group_is_named_with_the_group(container, tmp_path):
    machine = container()
    camera = machine.root / "dev/video0"
    camera.chmod(0)
    words = ["sh", SCRIPT, "--camera", "/dev/video0"]
    if os.geteuid() == 0:
        if subprocess.run(["which", "setpriv"], capture_output=True, check=False).returncode:
            pytest.skip("root may read everything, and there is no setpriv to be somebody else")
        for folder in [tmp_path, *tmp_path.parents]:
            if folder.stat().st_mode & 0o005 != 0o005:
                folder.chmod(folder.stat().st_mode | 0o055)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words]
    said = refused(machine.run(*words))
    assert "the camera /dev/video0 is not for the user of this container" in said
    assert "--group-add {}".format(camera.stat().st_gid) in said


@pytest.mark.parametrize("words", [["--camera", "csi://0"], ["--csi", "0"], ["--csi=0"], ["csi://0"]])
def test_a_csi_camera_needs_the_socket_of_its_service(container, words):
    machine = container()
    said = refused(start(machine, "ccc-run", *words))
    assert said.count("error") == 1
    assert "there is no socket /tmp/argus_socket" in said
    assert "-v /tmp/argus_socket:/tmp/argus_socket" in said and "nvargus-daemon" in said
    machine.socket("/tmp/argus_socket")
    assert start(machine, "ccc-run", *words).code == 0


def test_a_folder_that_docker_made_of_a_missing_socket_is_no_socket(container):
    machine = container()
    (machine.root / "tmp/argus_socket").mkdir()
    assert "there is no socket" in refused(start(machine, "--camera", "csi://0"))


@pytest.mark.parametrize("source", ["rtsp://10.0.0.2/stream", "http://10.0.0.2/video", "synthetic://"])
def test_other_sources_need_nothing_of_the_container(container, source):
    assert start(container(), "ccc-run", "--camera", source).code == 0


def test_everything_that_is_wrong_is_said_at_once(container):
    machine = container()
    (machine.root / "dev/nvmap").unlink()
    (machine.root / "dev/video0").unlink()
    machine.release("35.4.1")
    assert refused(start(machine, "ccc-run", "--camera", "/dev/video0")).count("error") == 3


@pytest.mark.parametrize(
    "words",
    [["ccc-run", "--help"], ["ccc-run", "--version"], ["--help"], ["ccc-bench", "compare", "a.json", "b.json"],
     ["ccc-inspect", "model.engine"], ["ls", "/"]],
)  # fmt: skip
def test_what_needs_no_gpu_is_started_without_one(machine, words):
    done = start(machine, *words, CCC_IMAGE="jetpack4", CCC_IMAGE_L4T="32.7", CCC_HOST_L4T="36.4.3")
    assert (done.code, done.err) == (0, "")


def test_check_only_looks(container):
    machine = container()
    assert start(machine, "--check", "--camera", "/dev/video0") == (0, "", "")
    assert "/dev/video3" in refused(start(machine, "--check", "--camera", "/dev/video3"))


@pytest.mark.parametrize("before", [[], ["/sbin/docker-init", "--", "/usr/local/bin/ccc-entrypoint"]])
def test_the_health_check_looks_at_what_the_container_was_started_with(container, before):
    machine = container()
    words = [
        *before,
        "/opt/ccc/bin/python3",
        "/opt/ccc/bin/ccc-run",
        "--camera",
        "/dev/video0",
        "--out",
        "a b*.mp4",
        "",
    ]
    machine.file("/proc/1/cmdline", "\0".join(words) + "\0")
    assert start(machine, "--health") == (0, "", "")
    (machine.root / "sys/class/video4linux/video0").unlink()  # its node in the container's own /dev stays
    assert "the camera /dev/video0 was pulled out" in refused(start(machine, "--health"))


class Page(http.server.BaseHTTPRequestHandler):
    """What /healthz answers, and who was asked for it."""

    answer = (200, "ok")
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        code, text = self.answer
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *said):
        pass


@contextlib.contextmanager
def page(code, text):
    """A page with an answer of its own: its port, and what it was asked for."""
    handler = type("Answering", (Page,), {"answer": (code, text), "asked": []})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port, handler.asked
        finally:
            server.shutdown()
            thread.join()


def health(machine, *words):
    machine.file("/proc/1/cmdline", "\0".join(["python3", "ccc-run", "--camera", "0", *words]) + "\0")
    machine.command("python3", f'exec "{sys.executable}" "$@"')
    return start(machine, "--health", http_proxy="")


@pytest.mark.parametrize(
    "spelling", ["--serve {}", "--serve=0.0.0.0:{}", "--serve 127.0.0.1:{} --legend", "--serve localhost:{}"]
)
def test_a_page_that_has_frames_is_healthy_under_any_spelling_of_its_address(container, spelling):
    with page(200, "ok") as (port, asked):
        assert health(container(), *spelling.format(port).split()) == (0, "", "")
        assert asked == ["/healthz"]


def test_a_page_without_frames_is_not(container):
    with page(503, "no frame for 31 s\n") as (port, _):
        said = refused(health(container(), "--serve", str(port)))
    assert f"the page at 127.0.0.1:{port}: no frame for 31 s" in said
    assert "Connection refused" in refused(health(container(), "--serve", str(port)))  # it ended


@pytest.mark.parametrize("code", [401, 404])
def test_a_page_that_keeps_its_health_to_itself_is_not_blamed(container, code):
    with page(code, "") as (port, _):
        assert health(container(), "--serve", str(port)).code == 0


@pytest.mark.parametrize("words", [["--serve"], ["--serve", "--headless"], ["--serve=0.0.0.0"], ["--serve", "[::1]"]])
def test_without_a_port_it_is_8080(container, words):
    machine = container()
    machine.file("/proc/1/cmdline", "\0".join(["ccc-run", "--camera", "0", *words]) + "\0")
    machine.command("python3", 'echo "$3"')
    assert "http://127.0.0.1:8080/healthz" in refused(start(machine, "--health"))


def test_any_free_port_is_known_to_nobody(container):
    assert health(container(), "--serve", "127.0.0.1:0").code == 0


def test_a_machine_without_a_list_of_cameras_is_believed(container):
    machine = container()
    (machine.root / "sys/class/video4linux/video0").unlink()
    (machine.root / "sys/class/video4linux").rmdir()
    (machine.root / "sys/class").rmdir()
    assert start(machine, "--camera", "0").code == 0


def test_a_container_that_was_started_with_something_else_is_healthy(machine):
    machine.file("/proc/1/cmdline", "bash\0")
    assert start(machine, "--health", CCC_IMAGE="jetpack4", CCC_IMAGE_L4T="32.7").code == 0
