"""docs/containers.md: what it tells people to type is there."""

import json
import re

import pytest

from tests.docker.dockerfile import FOLDER, IMAGES, ROOT, read
from tests.docker.machine import Machine

PAGE = (ROOT / "docs" / "containers.md").read_text()


def test_every_build_names_a_dockerfile_and_the_tag_that_the_start_script_looks_for():
    builds = re.findall(r"(DOCKER_BUILDKIT=0 )?docker build --tag (\S+) --file (\S+) \.", PAGE)
    for classic, tag, path in builds:
        image = (ROOT / path).parent.name
        assert (ROOT / path).exists() and tag == "ccc-jetson:" + image
        assert bool(classic) == (image == "jetpack4")
    assert {tag.rpartition(":")[2] for _, tag, _ in builds} >= {"jetpack4", "jetpack6", "workstation"}


def test_the_command_at_the_head_of_each_dockerfile_is_its_own():
    for image in IMAGES:
        (command,) = re.findall(r"^#   (.*docker build .*)$", read(image).text, re.MULTILINE)
        assert command.endswith(f"docker build --tag ccc-jetson:{image} --file docker/{image}/Dockerfile .")
        assert command.startswith("DOCKER_BUILDKIT=0 ") == (image == "jetpack4")


def test_the_table_names_the_bases_that_the_dockerfiles_have():
    for image in IMAGES:
        (line,) = re.findall(rf"^\| `{image}` \|.*$", PAGE, re.MULTILINE)
        assert f"`{read(image).run.base}`" in line


@pytest.mark.parametrize(
    ("l4t", "said"), [("32.6.1", "older than 32.7"), ("34.1.0", " 34 "), ("38.2.0", "newer than 36")]
)
def test_every_l4t_that_the_start_script_has_no_image_for_is_named_as_one(tmp_path, l4t, said):
    (sentence,) = re.findall(r"L4T older than [^;]* have none;", PAGE)
    assert said in sentence
    machine = Machine(tmp_path)
    machine.release(l4t)
    assert machine.run(str(FOLDER / "run.sh"), "--print", "--images", "a").code == 1


def test_build_arguments_that_it_names_are_taken():
    for image in ("jetpack5", "jetpack6"):
        taken = set(re.findall(r"^ARG (\w+)", read(image).text, re.MULTILINE))
        assert set(re.findall(r"--build-arg (\w+)=", PAGE)) == taken


def test_the_settings_for_docker_make_the_nvidia_runtime_the_default():
    settings = json.loads((FOLDER / "daemon.json").read_text())
    assert settings["runtimes"][settings["default-runtime"]]["path"] == "nvidia-container-runtime"


@pytest.mark.parametrize(
    "message",
    [
        "There is no CUDA in this build",
        "there is no GPU in this container",
        "docker has no NVIDIA runtime",
        "is an empty file ('file too short')",
        "there is no TensorRT in this container",
        "TensorRT's Python module is not in this container",
        "is not in this container",
        "was pulled out",
        "is not for the user of this container",
        "there is no socket /tmp/argus_socket",
        "is outside the folders that the container sees",
        "cannot be made",
    ],
)
def test_a_message_in_the_table_of_failures_is_one_that_is_said(message):
    said = "".join(path.read_text() for path in (FOLDER / "entrypoint.sh", FOLDER / "run.sh"))
    assert message in PAGE.partition("## When it fails")[2]
    assert message in said + read("jetpack4").text
