"""Docker's own command line reads what docker/run.sh prints; an engine that only listens tells what it understood."""

import contextlib
import http.server
import json
import os
import shlex
import shutil
import socketserver
import subprocess
import tempfile
import threading

import pytest

from tests.docker.dockerfile import FOLDER
from tests.docker.machine import Machine

pytestmark = pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker command here")


class Handler(http.server.BaseHTTPRequestHandler):
    """The two questions of Docker's API (v1.43) that come before a container is made."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(200, b"")

    def do_GET(self):
        self._answer(200, b"OK" if self.path.endswith("/_ping") else b"{}")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.containers.append(asked)
        self._answer(500, b'{"message": "this engine only listens"}')

    def _answer(self, code, body):
        self.send_response(code)
        for name, value in (("Api-Version", "1.43"), ("Ostype", "linux"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def address_string(self):
        return "docker"

    def log_message(self, *said):
        pass


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(path, Handler)
        self.containers = []


@contextlib.contextmanager
def engine():
    """A listening engine, and the folder of its socket: a short one, for a socket's path has 108 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ccc-") as folder, Engine(os.path.join(folder, "docker.sock")) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server, folder
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def asked(tmp_path):
    """What an engine is asked for by the command that docker/run.sh prints on a TX2."""
    machine = Machine(tmp_path)
    machine.uname("4.9.337-tegra")
    machine.release("32.7.4")
    for path in ("/dev/nvmap", "/dev/video0", "/usr/bin/tegrastats"):
        machine.file(path)
    machine.socket("/tmp/argus_socket")

    def of(*words):
        printed = machine.run(str(FOLDER / "run.sh"), "--print", *words)
        assert printed.code == 0, printed.err
        with engine() as (server, folder):
            environment = {**os.environ, "DOCKER_HOST": f"unix://{folder}/docker.sock", "DOCKER_CONFIG": folder}
            command = shlex.split(printed.out)
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert "this engine only listens" in done.stderr, done.stderr
        (container,) = server.containers
        return container

    of.work = str(machine.work)
    yield of
    machine.close()


def test_a_camera_is_given_to_a_container_of_the_nvidia_runtime(asked):
    container = asked("--camera", "/dev/video0", "--out", "a b.mp4")
    assert container["Image"] == "ccc-jetson:jetpack4"
    assert container["Cmd"] == ["ccc-run", "--camera", "/dev/video0", "--out", "a b.mp4"]
    assert container["Env"] == ["CCC_HOST_L4T=32.7.4"]
    assert container["User"] == f"{os.getuid()}:{os.getgid()}"
    assert container["WorkingDir"] == asked.work
    host = container["HostConfig"]
    assert host["Runtime"] == "nvidia" and host["Init"] is True and host["AutoRemove"] is True
    assert [each["PathInContainer"] for each in host["Devices"]] == ["/dev/video0"]
    assert (
        f"{asked.work}:{asked.work}" in host["Binds"] and "/usr/bin/tegrastats:/usr/bin/tegrastats:ro" in host["Binds"]
    )
    assert not host["Privileged"] and host["NetworkMode"] != "host"


def test_a_page_and_a_csi_camera(asked):
    host = asked("--camera", "csi://0", "--serve", "0.0.0.0:8080")["HostConfig"]
    assert host["NetworkMode"] == "host"
    assert "/tmp/argus_socket:/tmp/argus_socket" in host["Binds"]
    assert not host["Devices"]
