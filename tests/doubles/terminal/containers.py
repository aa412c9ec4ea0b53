"""A docker that builds nothing: it checks what it is given, and runs our commands as the container would, here."""

import os
import re
import subprocess
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_IMAGE = re.compile(r"ccc-jetson:(jetpack[456]|workstation)$")


def docker(call):
    """``docker VERB ...``; the classes of ``outside`` are handed in with the call."""
    verbs = {"build": _build, "info": _info, "image": _image, "run": _run, "compose": _compose, "images": _nothing}
    verb = call.words[0] if call.words else ""
    if verb not in verbs:
        return _refuse("{!r} is no verb that is known here: {}".format(verb, ", ".join(verbs)))
    call.words = call.words[1:]
    return verbs[verb](call)


def _refuse(text):
    print("docker: {}".format(text), file=sys.stderr)
    return 2


def _build(call):
    given, rest = call.options("--no-cache --pull", "--tag -t --file -f --build-arg")
    tags, files = given.get("--tag", []) + given.get("-t", []), given.get("--file", []) + given.get("-f", [])
    if len(tags) != 1 or not _IMAGE.match(tags[0]) or len(files) != 1 or len(rest) != 1:
        return _refuse("build --tag ccc-jetson:NAME --file docker/NAME/Dockerfile .")
    name = tags[0].partition(":")[2]
    if os.path.realpath(files[0]) != os.path.join(_ROOT, "docker", name, "Dockerfile"):
        return _refuse("{} is not the Dockerfile of {}".format(files[0], tags[0]))
    if not os.path.exists(os.path.join(rest[0], "pyproject.toml")):
        return _refuse("{} is no checkout".format(os.path.abspath(rest[0])))
    if (os.environ.get("DOCKER_BUILDKIT") == "0") != (name == "jetpack4"):
        return _refuse("JetPack 4 alone is built with DOCKER_BUILDKIT=0: BuildKit would not use the NVIDIA runtime")
    with open(files[0], encoding="utf-8") as file:
        taken = re.findall(r"^ARG (\w+)", file.read(), re.MULTILINE)
    unknown = [each for each in given.get("--build-arg", []) if each.partition("=")[0] not in taken]
    return _refuse("{} takes no {}".format(files[0], unknown)) if unknown else 0


def _info(call):
    print('{"nvidia":{"path":"nvidia-container-runtime"},"runc":{"path":"runc"}}')
    return 0


def _image(call):
    return (
        0
        if call.words[:1] == ["inspect"] and _IMAGE.match(call.words[-1])
        else _refuse("image inspect ccc-jetson:NAME")
    )


def _nothing(call):
    return 0


def _run(call):
    """The words before the image are docker's; the command after it runs here, in the folder that it would see."""
    at = next((index for index, word in enumerate(call.words) if _IMAGE.match(word)), None)
    if at is None:
        return _refuse("run: no image of ours is named")
    command, call.words = call.words[at + 1 :], call.words[:at]
    given, rest = call.options(
        "--rm --init -i -t -d --privileged",
        "--runtime --device -v --volume -w --workdir --user -u -e --env --group-add --network --name --restart",
    )
    if rest:
        return _refuse("run: {} before the image".format(" ".join(rest)))
    if given.get("--runtime", ["nvidia"]) != ["nvidia"]:
        return _refuse("run: --runtime nvidia")
    for device in given.get("--device", []):
        if not os.path.exists(os.environ["CCC_ROOT"] + device.partition(":")[0]):
            return _refuse("run: there is no device {}".format(device))
    mounts = dict(each.split(":")[1::-1] for each in given.get("-v", []) + given.get("--volume", []))
    for inside, outside in mounts.items():
        if not (os.path.exists(outside) or os.path.exists(os.environ["CCC_ROOT"] + outside)):
            return _refuse("run: there is no {} to be mounted at {}".format(outside, inside))
    if command[:1] == ["--check"]:
        return 0
    if not command or command[0].startswith("-"):
        command = ["ccc-run"] + command
    folder = mounts.get((given.get("-w", []) + given.get("--workdir", []) + ["/data"])[0], os.getcwd())
    return subprocess.call(command, cwd=folder)


def _compose(call):
    import yaml

    given, rest = call.options("-d --detach --build", "--file -f --profile")
    files = given.get("--file", []) + given.get("-f", [])
    if len(files) != 1 or not os.path.exists(files[0]):
        return _refuse("compose --file FILE that is there, not {}".format(files))
    with open(files[0], encoding="utf-8") as file:
        services = yaml.safe_load(file)["services"]
    profiles = {each for service in services.values() for each in service.get("profiles", [])}
    if not set(given.get("--profile", [])) <= profiles:
        return _refuse("compose: the profiles are {}".format(", ".join(sorted(profiles))))
    return 0 if rest and rest[0] in ("up", "down", "build", "config", "logs", "ps") else _refuse("compose: up or down")
