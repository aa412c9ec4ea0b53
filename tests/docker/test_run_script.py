"""docker/run.sh: the image by the board, what is mounted and why, and the words that reach the command."""

import os
import pty
import pwd
import re
import shlex
import subprocess

import pytest

from ccc_jetson.runtime.run_cli import build_parser
from tests.docker.dockerfile import FOLDER, IMAGES, read
from tests.docker.machine import Machine, line_of

SCRIPT = str(FOLDER / "run.sh")
# L4T versions of NVIDIA's: one of each release that there is an image for, and some that there is none for
WITH_IMAGE = ("32.7.1", "32.7.6", "35.1.0", "35.4.1", "35.6.4", "36.2.0", "36.3.0", "36.4.7", "36.5.0")
WITHOUT_IMAGE = ("28.2.1", "32.4.4", "32.6.1", "34.1.0", "38.2.0", "39.0.0")
# answers as a Docker with both runtimes and all images; says how it was called, one word a line
DOCKER = """
case $1 in
  info) echo '{"io.containerd.runc.v2":{"path":"runc"},"nvidia":{"path":"nvidia-container-runtime"}}' ;;
  image) exit 0 ;;
  *) printf '%s\\n' "$@" ;;
esac"""


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.uname("4.9.337-tegra")
    machine.command("docker", DOCKER)
    yield machine
    machine.close()


@pytest.fixture
def tx2(machine):
    machine.release("32.7.4")
    machine.file("/dev/nvmap")
    machine.file("/dev/video0")
    for path in ("/etc/nvpmodel.conf", "/var/lib/nvpmodel/status", "/usr/bin/tegrastats"):
        machine.file(path)
    return machine


def words(done):
    """The words of the docker command, after "docker"."""
    assert (done.code, done.err) == (0, "")
    found = done.out.splitlines()
    assert found[:3] == ["run", "--rm", "--init"]
    return found


def call(found):
    """The image, and the words that are run in it."""
    at = next(at for at, word in enumerate(found) if word.startswith("ccc-jetson:"))
    return found[at], found[at + 1 :]


def values(found, option):
    return [found[at + 1] for at, word in enumerate(found) if word == option]


def refused(done, code=1):
    assert done.code == code and done.out == ""
    message, cure = done.err.splitlines()
    assert message.startswith("docker/run.sh: error: ") and cure.startswith("  -> ")
    return done.err


def test_a_camera_on_a_tx2(tx2):
    found = words(tx2.run(SCRIPT, "--camera", "/dev/video0", "--out", "a b.mp4"))
    assert call(found) == ("ccc-jetson:jetpack4", ["ccc-run", "--camera", "/dev/video0", "--out", "a b.mp4"])
    assert values(found, "--runtime") == ["nvidia"]
    assert values(found, "--device") == ["/dev/video0"]
    assert values(found, "-e") == ["CCC_HOST_L4T=32.7.4"]
    assert values(found, "-w") == [str(tx2.work)]
    assert values(found, "-v") == [
        "/etc/nv_tegra_release:/etc/nv_tegra_release:ro",
        "/etc/nvpmodel.conf:/etc/nvpmodel.conf:ro",
        "/var/lib/nvpmodel:/var/lib/nvpmodel:ro",
        "/usr/bin/tegrastats:/usr/bin/tegrastats:ro",
        "{}/.cache/ccc-jetson:/var/cache/ccc/ccc-jetson".format(tx2.environment["HOME"]),
        "{0}:{0}".format(tx2.work),
    ]
    assert values(found, "--user") == ["{}:{}".format(os.getuid(), os.getgid())]
    assert not {"--network", "-i", "-t", "-it", "--privileged"} & set(found)
    assert os.path.isdir(os.path.join(tx2.environment["HOME"], ".cache/ccc-jetson"))  # or Docker makes it, as root's


def test_the_words_after_the_image_are_those_that_ccc_run_takes(tx2):
    _, (program, *given) = call(words(tx2.run(SCRIPT, "--camera", "0", "--headless", "--report", "run.json")))
    arguments = build_parser().parse_args(given)
    assert program == "ccc-run" and arguments.camera == "0" and arguments.report == ["run.json"]


def test_the_cache_is_where_the_image_looks_for_it(tx2):
    (cache,) = [each for each in values(words(tx2.run(SCRIPT, "--images", "a")), "-v") if "/var/cache/" in each]
    for image in IMAGES:
        assert "CCC_JETSON_CACHE={} ".format(cache.split(":")[1]) in read(image).text, image


def test_a_cache_elsewhere_is_kept_elsewhere(tx2, tmp_path):
    tx2.environment["CCC_JETSON_CACHE"] = str(tmp_path / "cache")
    found = values(words(tx2.run(SCRIPT, "--images", "a")), "-v")
    assert "{}:/var/cache/ccc/ccc-jetson".format(tmp_path / "cache") in found


def test_without_home_the_list_of_users_tells_where_the_cache_is(tx2, tmp_path):
    del tx2.environment["HOME"]  # as in a unit of systemd's without User=
    tx2.command("mkdir", "exit 0")  # the home of whoever runs the tests is left alone
    home = pwd.getpwuid(os.getuid()).pw_dir
    found = values(words(tx2.run(SCRIPT, "--images", "a")), "-v")
    assert "{}/.cache/ccc-jetson:/var/cache/ccc/ccc-jetson".format(home) in found
    found = values(words(tx2.run(SCRIPT, "--images", "a", CCC_JETSON_CACHE=str(tmp_path))), "-v")
    assert "{}:/var/cache/ccc/ccc-jetson".format(tmp_path) in found


def test_the_printed_command_finds_the_cache_that_it_mounts(tx2):
    done = tx2.run(SCRIPT, "--print", "--images", "a")
    (cache,) = [each for each in values(shlex.split(done.out), "-v") if "/var/cache/" in each]
    assert os.path.isdir(cache.partition(":")[0])


def test_a_cache_that_cannot_be_made_comes_with_the_variable(tx2):
    taken = tx2.file("/taken")
    said = refused(tx2.run(SCRIPT, "--images", "a", CCC_JETSON_CACHE=str(taken / "cache")))
    assert "{}/cache cannot be made".format(taken) in said and "CCC_JETSON_CACHE=FOLDER" in said


@pytest.mark.parametrize("l4t", WITHOUT_IMAGE)
def test_a_board_without_an_image_is_told_its_version(machine, l4t):
    machine.release(l4t)
    assert "L4T {}".format(l4t) in refused(machine.run(SCRIPT, "--print", "--images", "a"))


@pytest.mark.parametrize("l4t", WITH_IMAGE)
def test_the_image_that_is_chosen_agrees_to_run_there(machine, l4t):
    machine.release(l4t)
    done = machine.run(SCRIPT, "--print", "--images", "a")
    image, given = call(shlex.split(done.out))
    environment = dict(
        word.split("=", 1) for each in read(image.rpartition(":")[2]).run.named("ENV") for word in each.words
    )
    host = values(shlex.split(done.out), "-e")[0].partition("=")[2]
    # the board's GPU and TensorRT are there
    machine.file("/dev/nvmap")
    machine.file("/usr/lib/aarch64-linux-gnu/libnvinfer.so.8")
    machine.file("/usr/lib/python3.8/dist-packages/tensorrt/__init__.py")
    machine.echo("ccc-run")
    kept = {key: environment[key] for key in ("CCC_IMAGE", "CCC_IMAGE_L4T")}
    started = machine.run("sh", str(FOLDER / "entrypoint.sh"), *given, CCC_HOST_L4T=host, **kept)
    assert (started.code, started.err) == (0, "")


def test_the_version_on_the_board_is_read_with_all_its_numbers(machine):
    machine.file("/etc/nv_tegra_release", line_of("36.4.7") + "\nrest\n")
    assert values(words(machine.run(SCRIPT, "--images", "a")), "-e") == ["CCC_HOST_L4T=36.4.7"]


def test_an_old_jetpack_4_is_told_what_to_update_to(machine):
    machine.release("32.6.1")
    assert "4.6.6 (L4T 32.7.6)" in refused(machine.run(SCRIPT, "--images", "a"))


def test_a_pc_runs_on_its_cpu(machine):
    machine.uname("6.1.0", "x86_64")
    machine.file("/dev/video0")
    found = words(machine.run(SCRIPT, "--camera", "/dev/video0"))
    assert call(found)[0] == "ccc-jetson:workstation"
    assert "--runtime" not in found and "-e" not in found


def test_a_machine_that_is_neither_is_asked_for_the_image(machine):
    assert "--image NAME" in refused(machine.run(SCRIPT, "--images", "a"))
    assert call(words(machine.run(SCRIPT, "--image", "ccc-jetson:mine", "--images", "a")))[0] == "ccc-jetson:mine"


def test_another_command_than_ccc_run(tx2):
    assert call(words(tx2.run(SCRIPT, "ccc-build-engine")))[1] == ["ccc-build-engine"]
    assert call(words(tx2.run(SCRIPT, "ccc-build-engine", "--fp16")))[1] == ["ccc-build-engine", "--fp16"]


@pytest.mark.parametrize(
    "given",
    [
        ["--camera", "0"],
        ["--camera=/dev/video0"],
        ["--camera", "v4l2:///dev/video0?fps=30"],
        ["0", "--headless"],
        ["--headless", "0"],
        ["--headl", "0"],  # argparse takes the beginning of an option, too
        ["--headless", "--", "0"],
        ["--model", "m.engine", "0"],
        ["--model=m.engine", "0"],
        ["--images", "a", "--json", "0"],
        ["--frames", "9", "/dev/video0"],
        ["v4l2:///dev/video0"],
    ],
)
def test_a_camera_in_any_spelling_becomes_its_device_once(tx2, given):
    found = words(tx2.run(SCRIPT, *given))
    assert values(found, "--device") == ["/dev/video0"] and call(found)[1] == ["ccc-run", *given]


def test_numbers_of_other_options_are_no_cameras(tx2):
    assert "--device" not in words(tx2.run(SCRIPT, "--images", "a", "--threads", "0", "--frames", "1"))
    assert "--device" not in words(tx2.run(SCRIPT, "--images", "a", "0"))
    assert "--device" not in words(tx2.run(SCRIPT, "ccc-bench", "--json", "0"))


def options_of_ccc_run():
    """Each option, and whether a value may come after it."""
    for action in build_parser()._actions:
        for option in action.option_strings:
            if option not in ("-h", "--help", "--version"):  # no run follows these
                yield option, action.nargs != 0


def test_a_number_is_a_camera_after_the_options_that_take_no_value_for_this_script_and_the_entry_point(tx2):
    tx2.socket("/tmp/argus_socket")
    (tx2.root / "dev/video0").rename(tx2.root / "dev/video7")
    options = dict(options_of_ccc_run())
    assert {True, False} == set(options.values())
    for option, takes_value in options.items():
        found = words(tx2.run(SCRIPT, "--", option, "7"))
        is_camera = option == "--camera" or not takes_value
        assert values(found, "--device") == (["/dev/video7"] if is_camera else []), option
        started = tx2.run("sh", str(FOLDER / "entrypoint.sh"), "--check", option, "8")
        assert ("/dev/video8 is not in this container" in started.err) is is_camera, option


def test_the_beginning_of_an_option_that_takes_no_value_is_no_other_option():
    flags = [option for option, takes_value in options_of_ccc_run() if not takes_value]
    taking = [option for option, takes_value in options_of_ccc_run() if takes_value]
    assert not [(option, flag) for option in taking for flag in flags if flag.startswith(option)]


def test_both_scripts_know_the_same_options():
    scripts = [(FOLDER / name).read_text() for name in ("run.sh", "entrypoint.sh")]
    (known,) = {re.search(r"^flags=.*$", script, re.MULTILINE)[0] for script in scripts}
    flags = [option for option, takes_value in options_of_ccc_run() if not takes_value]
    assert sorted(known.partition('"')[2].strip('"').split()) == sorted(flags)


def test_the_pages_token_travels_by_its_name_alone(tx2):
    tx2.environment["CCC_SERVE_TOKEN"] = "0123456789abcdef-secret"
    done = tx2.run(SCRIPT, "--print", "--camera", "0", "--serve", "0.0.0.0:8080")
    assert "CCC_SERVE_TOKEN" in values(shlex.split(done.out), "-e") and "secret" not in done.out


def test_the_groups_of_the_camera_and_of_the_gpu_come_along(tx2):
    node = tx2.file("/dev/dri/renderD128")
    if os.geteuid() == 0:
        os.chown(tx2.root / "dev/video0", -1, 44)
        os.chown(tx2.root / "dev/nvmap", -1, 44)
        os.chown(node, -1, 107)
    expected = {str((tx2.root / path).stat().st_gid) for path in ("dev/video0", "dev/nvmap", "dev/dri/renderD128")}
    found = values(words(tx2.run(SCRIPT, "--camera", "0")), "--group-add")
    assert sorted(found) == sorted(expected)  # each once


def test_as_root_no_group_is_needed(tx2):
    found = words(tx2.run(SCRIPT, "--root", "--camera", "0"))
    assert "--user" not in found and "--group-add" not in found


def test_a_camera_that_is_not_there_is_named_with_those_that_are(tx2):
    said = refused(tx2.run(SCRIPT, "--camera", "/dev/video3"))
    assert "there is no /dev/video3 on this machine, which has /dev/video0" in said
    (tx2.root / "dev/video0").unlink()
    assert "which has no /dev/video* at all" in refused(tx2.run(SCRIPT, "--camera", "0"))


@pytest.mark.parametrize("given", [["--camera", "csi://0"], ["--csi", "0"], ["--camera=csi://0"], ["csi://1"]])
def test_a_csi_camera_comes_through_the_socket_of_its_service(tx2, given):
    assert "sudo systemctl restart nvargus-daemon" in refused(tx2.run(SCRIPT, *given))
    tx2.socket("/tmp/argus_socket")
    found = words(tx2.run(SCRIPT, *given))
    assert values(found, "-v").count("/tmp/argus_socket:/tmp/argus_socket") == 1
    assert "--device" not in found


def test_a_network_camera_needs_nothing(tx2):
    found = words(tx2.run(SCRIPT, "--camera", "rtsp://10.0.0.2/stream"))
    assert "--device" not in found and not [each for each in values(found, "-v") if "argus" in each]


@pytest.mark.parametrize("given", [["--serve"], ["--serve", "0.0.0.0:8080"], ["--serve=9000"]])
def test_a_page_is_served_on_the_machines_own_network_so_that_addresses_mean_what_they_say(tx2, given):
    found = words(tx2.run(SCRIPT, "--camera", "0", *given))
    assert values(found, "--network") == ["host"]
    assert call(found)[1] == ["ccc-run", "--camera", "0", *given]


def test_other_folders_are_seen_under_their_own_names(tx2, tmp_path):
    (tmp_path / "my videos").mkdir()
    found = words(tx2.run(SCRIPT, "--data", str(tmp_path / "my videos"), "--video", str(tmp_path / "my videos/a.mp4")))
    assert "{0}:{0}".format(tmp_path / "my videos") in values(found, "-v")


def test_a_file_that_the_container_would_not_see_is_refused_with_the_option(tx2, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    drive = tmp_path / "elsewhere/drive.mp4"
    drive.write_text("x")
    spellings = [["--video", str(drive)], ["--video=" + str(drive)], ["--video", "../elsewhere/drive.mp4"]]
    for given in [*spellings, ["file://" + str(drive)], ["--serve-token", "@" + str(drive)]]:
        said = refused(tx2.run(SCRIPT, *given), code=2)
        assert "is outside the folders that the container sees" in said
        assert "--data '{}'".format(tmp_path / "elsewhere") in said
    (tx2.work / "model.engine").symlink_to(drive)
    assert "model.engine is outside" in refused(tx2.run(SCRIPT, "--model", "model.engine"), code=2)


def test_a_link_on_the_way_that_leads_out_is_refused_and_one_that_stays_is_not(tx2, tmp_path):
    (tmp_path / "elsewhere/test").mkdir(parents=True)
    (tx2.work / "cv").symlink_to(tmp_path / "elsewhere")
    (tx2.work / "relative").symlink_to("../elsewhere/test")
    (tx2.work / "real").mkdir()
    (tx2.work / "near").symlink_to("real")
    (tx2.work / "round").symlink_to("round")
    for given in (
        ["--images", "cv/test"],
        ["--images=cv/test/"],
        ["cv/test/../test"],
        ["--report", "cv/test/new.json"],
    ):
        said = refused(tx2.run(SCRIPT, *given), code=2)
        assert "is outside" in said and "--data '{}'".format(tmp_path / "elsewhere/test") in said
    assert "is outside" in refused(tx2.run(SCRIPT, "--images", "relative"), code=2)
    for given in (["--images", "near", "real/../near/."], ["--video", "round"], ["--report", "near/new.json"]):
        assert call(words(tx2.run(SCRIPT, *given)))[1] == ["ccc-run", *given]
    data = ["--data", str(tmp_path / "elsewhere")]
    assert call(words(tx2.run(SCRIPT, *data, "--images", "cv/test")))[1] == ["ccc-run", "--images", "cv/test"]


def test_a_link_through_another_link_is_told_the_folder_that_makes_it_work(tx2, tmp_path):
    (tmp_path / "disk/city").mkdir(parents=True)
    (tmp_path / "data").symlink_to("disk")
    (tx2.work / "cv").symlink_to(tmp_path / "data/city")
    # inside, /data would not be a link to the disk
    for folder, seen in (("disk", False), ("data", True), ("data/city", True)):
        done = tx2.run(SCRIPT, "--data", str(tmp_path / folder), "--images", "cv")
        assert (done.code == 0) is seen, folder
    assert "--data '{}'".format(tmp_path / "data/city") in refused(tx2.run(SCRIPT, "--images", "cv"), code=2)


@pytest.mark.parametrize("word", ["..", "../", "./..", "a/../..", "../elsewhere"])
def test_the_folder_above_is_not_seen(tx2, tmp_path, word):
    (tx2.work / "a").mkdir()
    (tmp_path / "elsewhere").mkdir()
    assert "{} is outside".format(word) in refused(tx2.run(SCRIPT, "--images", word), code=2)
    above = tx2.run(SCRIPT, "--data", str(tmp_path), "--images", word)
    assert call(words(above))[1] == ["ccc-run", "--images", word]


def test_a_folder_that_was_entered_by_a_link_is_seen_under_that_name_alone(tx2, tmp_path):
    (tmp_path / "link").symlink_to(tx2.work)
    drive = tx2.work / "drive.mp4"
    drive.write_text("x")
    tx2.environment["PWD"] = str(tmp_path / "link")  # as a shell sets it after "cd link"
    for given in ([str(tmp_path / "link/drive.mp4")], ["drive.mp4"]):
        found = words(tx2.run(SCRIPT, *given))
        assert values(found, "-w") == [str(tmp_path / "link")] and call(found)[1] == ["ccc-run", *given]
    said = refused(tx2.run(SCRIPT, str(drive)), code=2)
    assert "--data '{}'".format(tx2.work) in said
    assert call(words(tx2.run(SCRIPT, "--data", str(tx2.work), str(drive))))[1] == ["ccc-run", str(drive)]


def test_a_result_that_would_be_lost_with_the_container_is_refused(tx2, tmp_path):
    assert "is outside" in refused(tx2.run(SCRIPT, "--camera", "0", "--report", str(tmp_path / "run.json")), code=2)
    assert "is outside" in refused(tx2.run(SCRIPT, "--camera", "0", "--out", "../out.mp4"), code=2)


def test_names_of_layers_are_no_files(tx2):
    given = ["ccc-build-engine", "--layer-precision", "/encoder/Conv_1=fp32", "--layer-precision=/Conv=fp32"]
    assert call(words(tx2.run(SCRIPT, *given)))[1] == given


def test_options_of_its_own_end_where_the_command_begins(tx2):
    assert call(words(tx2.run(SCRIPT, "--camera", "0", "--root")))[1] == ["ccc-run", "--camera", "0", "--root"]
    assert call(words(tx2.run(SCRIPT, "--", "--print-completion", "bash")))[1] == [
        "ccc-run",
        "--print-completion",
        "bash",
    ]


def test_print_prints_a_command_that_a_shell_understands_and_asks_docker_nothing(tx2):
    given = ["--camera", "0", "--out", "it's a b.mp4"]
    run = words(tx2.run(SCRIPT, *given))
    tx2.command("docker", "echo called >&2; exit 1")
    done = tx2.run(SCRIPT, "--print", *given)
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    assert shlex.split(done.out) == ["docker", *run]


def test_tensorrts_python_module_is_mounted_where_the_boards_list_does_not_name_it(tx2):
    module = "/usr/lib/python3.6/dist-packages/tensorrt"
    assert not [each for each in values(words(tx2.run(SCRIPT, "--images", "a")), "-v") if module in each]
    tx2.file(module + "/__init__.py")
    assert "{0}:{0}:ro".format(module) in values(words(tx2.run(SCRIPT, "--images", "a")), "-v")
    tx2.file("/etc/nvidia-container-runtime/host-files-for-container.d/tensorrt.csv", "dir, {}\n".format(module))
    assert not [each for each in values(words(tx2.run(SCRIPT, "--images", "a")), "-v") if module in each]


def at_a_terminal(machine, *files):
    """The docker command where the named ones of stdin, stdout and stderr are a terminal, and the others are pipes."""
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        given = {name: theirs if name in files else subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        environment = {"PATH": "{}:/usr/bin:/bin".format(machine.bin), **machine.environment}
        try:
            done = subprocess.run(
                [SCRIPT, "--print", "--images", "a"], env=environment, cwd=machine.work, check=True, timeout=60, **given
            )
            return shlex.split((terminal.read(65536) if "stdout" in files else done.stdout).decode())
        finally:
            os.close(theirs)


def test_at_a_terminal_the_container_has_it_too_and_ctrl_c_reaches_it(tx2):
    found = at_a_terminal(tx2, "stdin", "stdout", "stderr")
    assert "-it" in found and "-i" not in found


@pytest.mark.parametrize("files", [["stdin"], ["stdin", "stderr"], ["stdin", "stdout"]])
def test_what_goes_to_a_file_does_not_go_through_a_terminal_of_the_containers(tx2, files):
    found = at_a_terminal(tx2, *files)
    assert "-i" in found and not {"-it", "-t"} & set(found)


@pytest.mark.parametrize("files", [[], ["stdout", "stderr"]])
def test_without_a_terminal_to_type_at_docker_is_not_told_of_one(tx2, files):
    assert not {"-it", "-i", "-t"} & set(at_a_terminal(tx2, *files))


def test_docker_that_is_not_installed(tx2):
    (tx2.bin / "docker").unlink()
    for name in ("bash", "sed", "stat", "id", "uname", "dirname", "realpath", "mkdir", "grep"):
        if not (tx2.bin / name).exists():
            (tx2.bin / name).symlink_to(next(os.path.join(path, name) for path in ("/usr/bin", "/bin")
                                             if os.path.exists(os.path.join(path, name))))  # fmt: skip
    done = tx2.run(str(tx2.bin / "bash"), SCRIPT, "--images", "a", PATH=str(tx2.bin))
    assert "there is no docker here" in refused(done)


def test_docker_that_does_not_answer(tx2):
    tx2.command("docker", "echo 'permission denied while trying to connect' >&2; exit 1")
    said = refused(tx2.run(SCRIPT, "--images", "a"))
    assert "docker does not answer: permission denied" in said and "usermod -aG docker" in said


def test_docker_without_the_nvidia_runtime(tx2):
    tx2.command("docker", DOCKER.replace('"nvidia":', '"other":'))
    said = refused(tx2.run(SCRIPT, "--images", "a"))
    assert "docker has no NVIDIA runtime" in said and "nvidia-docker2" in said


@pytest.mark.parametrize(("l4t", "buildkit"), [("32.7.4", True), ("35.4.1", False), ("36.4.3", False)])
def test_an_image_that_was_not_built_yet_comes_with_the_command_that_builds_it(machine, l4t, buildkit):
    machine.release(l4t)
    machine.command("docker", DOCKER.replace("image) exit 0", "image) exit 1"))
    said = refused(machine.run(SCRIPT, "--images", "a"))
    command = said.partition("  -> ")[2].strip()
    folder, dockerfile = re.search(r"cd '(.*)' && .*--file (\S+) \.$", command).groups()
    assert os.path.exists(os.path.join(folder, dockerfile))
    assert ("DOCKER_BUILDKIT=0 docker build" in command) is buildkit


def test_an_image_of_somebody_elses_cannot_be_built_here(tx2):
    tx2.command("docker", DOCKER.replace("image) exit 0", "image) exit 1"))
    assert "there is no image other:1 here" in refused(tx2.run(SCRIPT, "--image", "other:1", "--images", "a"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--data"], "--data has no value"),
        (["--image"], "--image has no value"),
        (["--data", "nowhere"], "no folder nowhere"),
    ],
)
def test_its_own_options_are_checked(tx2, given, said):
    assert said in refused(tx2.run(SCRIPT, *given), code=2)


def test_the_whole_disk_is_not_mounted(tx2):
    assert "the whole disk" in refused(tx2.run(SCRIPT, "--data", "/", "--images", "a"), code=2)


def test_a_folder_with_a_colon_is_refused_because_docker_would_split_it(tx2, tmp_path):
    (tmp_path / "12:30").mkdir()
    assert "colon" in refused(tx2.run(SCRIPT, "--data", str(tmp_path / "12:30"), "--images", "a"), code=2)


def test_help_names_every_option_of_its_own(machine):
    done = machine.run(SCRIPT, "--help")
    assert (done.code, done.err) == (0, "")
    for option in ("--print", "--image NAME", "--data FOLDER", "--root", "--help"):
        assert "  {}".format(option) in done.out
    assert "set -euo" not in done.out
