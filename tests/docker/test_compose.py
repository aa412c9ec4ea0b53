"""docker/compose.yaml: its services are the images, and what they start is what ccc-run takes."""

import re

import pytest
import yaml

from ccc_jetson.runtime.run_cli import build_parser
from tests.docker.dockerfile import FOLDER, IMAGES, JETSONS, ROOT, read

TEXT = (FOLDER / "compose.yaml").read_text()


def filled_in(text, given):
    """As Compose fills in ``${NAME:-default}``; no other form is used."""
    assert text.count("${") == len(re.findall(r"\$\{\w+:-[^}]*\}", text))
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: given.get(match[1]) or match[2], text)


def services(**given):
    return yaml.safe_load(filled_in(TEXT, given))["services"]


def test_there_is_a_service_for_every_image_and_its_profile_chooses_it():
    found = services()
    assert sorted(found) == sorted(IMAGES)
    for name, service in found.items():
        assert service["profiles"] == [name] and service["image"] == "ccc-jetson:" + name
        build = service["build"]
        assert (FOLDER / build["context"] / build["dockerfile"]).resolve() == FOLDER / name / "Dockerfile"


@pytest.mark.parametrize("image", IMAGES)
def test_what_it_starts_is_what_ccc_run_takes(image):
    program, *words = services(CCC_CAMERA="/dev/video2", CCC_MODEL="street.engine")[image]["command"]
    arguments = build_parser().parse_args(words)
    assert program == "ccc-run" and arguments.headless
    assert (arguments.camera, arguments.model) == ("/dev/video2", "street.engine")


@pytest.mark.parametrize("image", IMAGES)
def test_the_camera_the_data_and_the_cache_are_where_the_image_looks_for_them(image):
    run = read(image).run
    service = services(CCC_CAMERA="/dev/video2", CCC_DATA="/home/me/street")[image]
    assert service["devices"] == ["/dev/video2"]
    mounted = dict(volume.split(":")[1::-1] for volume in service["volumes"])
    assert mounted[run.named("WORKDIR")[0].text] == "/home/me/street"
    cache = run.environment()["CCC_JETSON_CACHE"]
    assert mounted[cache] in yaml.safe_load(TEXT)["volumes"]


@pytest.mark.parametrize("source", ["rtsp://", "v4l2://", "csi://"])
def test_a_source_that_is_no_device_of_the_machine_is_sent_to_the_start_script(source):
    comment = TEXT.partition("x-service:")[0]
    (sentence,) = [each for each in comment.split(". ") if source in each]
    assert "docker/run.sh" in sentence
    assert "`{}`".format(source) in (ROOT / "docs" / "containers.md").read_text()


def test_a_board_gets_the_nvidia_runtime_and_a_pc_does_not():
    for name, service in services().items():
        assert (service.get("runtime") == "nvidia") is (name in JETSONS)
        assert any("nv_tegra_release" in volume for volume in service["volumes"]) is (name in JETSONS)


def test_nobody_is_root_or_privileged():
    for service in services().values():
        assert service["user"] == "1000" and service["group_add"] == ["44"] and not service.get("privileged")


def test_a_wrong_argument_is_not_tried_for_ever():
    for service in services().values():
        assert re.fullmatch(r"on-failure:[1-9]", service["restart"])
