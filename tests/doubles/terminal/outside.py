"""Commands that only a board, root, docker or a network can carry out: each looks at what it is given, and says so.

None of them takes everything. An option, a file, a unit, a package or a verb that is not known here is refused, with
exit code 2 and a sentence; what a command would leave behind (a file in /etc, a clone, a download) is left behind below
the terminal's folder. A new word in the documents is looked up, and then written down here.
"""

import os
import re
import shutil
import subprocess
import sys
from urllib.parse import urlsplit

from tests.doubles.terminal import checkout
from tests.doubles.terminal.containers import docker

COMMANDS = {"docker": docker}
_UNITS = {"docker", "nvargus-daemon", "nvpmodel", "nvfancontrol", "nvzramconfig", "gdm", "gdm3", "lightdm", "ssh"}
_GROUPS = {"video", "docker", "render", "dialout", "i2c", "gpio"}
_PACKAGES = {
    "python3-pip", "python3-venv", "python3-dev", "python3-numpy", "python3-libnvinfer", "python3-opencv",
    "chromium", "build-essential", "g++", "git", "curl", "docker.io", "docker-compose-plugin", "nvidia-docker2",
    "tensorrt", "ffmpeg", "nvidia-container-toolkit", "nvidia-jetpack", "v4l-utils", "libgomp1",
    "libopenblas-base", "cuda-toolkit-10-2", "gstreamer1.0-tools", "python3.8", "python3.8-dev", "python3.8-venv",
    "nvidia-container-csv-tensorrt", "libopencv-python", "nvidia-container-csv-cuda",
    "nvidia-container-csv-cudnn",
}  # fmt: skip
_MODES = range(5)  # of a TX2
_HOSTS = {"github.com", "raw.githubusercontent.com", "download.pytorch.org", "bootstrap.pypa.io", "nvidia.box.com"}
_ROUTES = {"/", "/metrics", "/healthz", "/about", "/frame", "/live", "/token"}
_OUR_REPOSITORY = "ccc-jetson"
_REAL = {  # tools that root uses on files: the real ones, with absolute paths below the terminal's folder
    "cp", "mv", "rm", "mkdir", "ln", "chmod", "cat", "ls", "tee", "install", "sed", "touch", "tar", "head",
    "tail", "test", "bash", "true",
}  # fmt: skip


class Refused(Exception):
    """What a command cannot be given."""


class Call:
    """A command with its words; ``root`` where sudo runs it."""

    def __init__(self, words):
        self.name, self.words = words[0], words[1:]
        self.root = os.environ.get("CCC_TERMINAL_ROOT") == "yes"

    def needs_root(self):
        if not self.root:
            raise Refused("only root may do that: sudo {} {}".format(self.name, " ".join(self.words)))

    def options(self, flags="", values=""):
        """(options given: list of their values by name, other words); all that are not named are refused."""
        flags, values = flags.split(), values.split()
        given, rest, words = {}, [], list(self.words)
        while words:
            word = words.pop(0)
            key, equals, value = word.partition("=")
            if word == "--":
                rest, words = rest + words, []
            elif not word.startswith("-") or word == "-":
                rest.append(word)
            elif word in flags:
                given.setdefault(word, []).append("")
            elif equals and key in values:
                given.setdefault(key, []).append(value)
            elif word in values:
                if not words:
                    raise Refused("{} wants a value".format(word))
                given.setdefault(word, []).append(words.pop(0))
            elif re.match(r"-[A-Za-z]{2,}$", word) and all("-" + letter in flags + values for letter in word[1:]):
                words = ["-" + letter for letter in word[1:]] + words
            else:
                raise Refused("option {} is not known here (of {})".format(word, " ".join(flags + values)))
        return given, rest


def run(words):
    """Runs one; returns its exit code."""
    try:
        return COMMANDS[words[0]](Call(words)) or 0
    except Refused as refused:
        print("{}: {}".format(words[0], refused), file=sys.stderr)
        return 2


def known_as(*names):
    """A function is the command of these names."""

    def remember(function):
        COMMANDS.update((name, function) for name in names)
        return function

    return remember


def existing(path, what="file"):
    if not os.path.exists(path):
        raise Refused("there is no {} {} in {}".format(what, path, os.getcwd()))
    return path


def inside(path):
    """An absolute path of the machine, below the terminal's folder; others as they are."""
    if not path.startswith("/") or path.startswith(os.environ["CCC_TERMINAL_FOLDER"]):
        return path
    return os.environ["CCC_ROOT"] + os.path.normpath(path)


# Root


@known_as("sudo")
def sudo(call):
    words = list(call.words)
    environment = dict(os.environ, CCC_TERMINAL_ROOT="yes")
    while words and (words[0].startswith("-") or "=" in words[0] or words[0] == "env"):
        word = words.pop(0)
        if word == "-u":
            words.pop(0)
        elif "=" in word and not word.startswith("-"):
            key, _, value = word.partition("=")
            environment[key] = value
        elif word not in ("-E", "-H", "-n", "env"):
            raise Refused("option {} is not known here".format(word))
    if not words:
        raise Refused("what is root to do?")
    name = os.path.basename(words[0])
    if name in _REAL:
        return _as_root(name, words[1:])
    if name not in COMMANDS and shutil.which(words[0]) is None:
        raise Refused("nobody plays {} for root: see {}".format(name, os.path.basename(__file__)))
    return subprocess.call(words, env=environment)


def _as_root(name, rest):
    """One of the ``_REAL``: what it reads is there, what it writes below / lands in the terminal's folder."""
    if name in ("cp", "install") and "-d" not in rest:
        taking = [rest[i + 1] for i, word in enumerate(rest) if word in ("-o", "-g", "-m", "-t")]
        sources = [word for word in rest if not word.startswith("-") and word not in taking][:-1]
        for source in sources:
            existing(inside(source) if os.path.exists(inside(source)) else source)
        if not sources:
            raise Refused("{} what?".format(name))
    words, skip = [name], ""
    for word in rest:
        if skip in ("-o", "-g") and name == "install":
            words.pop()  # its owner is nobody of this machine
        elif inside(word) != word:
            there = inside(word)
            os.makedirs(there if word.endswith("/") else os.path.dirname(there), exist_ok=True)
            words.append(there)
        else:
            words.append(word)
        skip = word
    return subprocess.call(words)


@known_as("useradd")
def useradd(call):
    call.needs_root()
    given, rest = call.options("--system --create-home -m -r", "--groups -G --home-dir -d --shell -s")
    _check_groups(given.get("--groups", []) + given.get("-G", []))
    if len(rest) != 1:
        raise Refused("one user, not {}".format(rest))


@known_as("usermod")
def usermod(call):
    call.needs_root()
    given, rest = call.options("-a --append", "-G --groups")
    _check_groups(given.get("-G", []) + given.get("--groups", []))
    if not {"-a", "--append"} & set(given):
        raise Refused("without -a the user would leave every other group")
    if len(rest) != 1:
        raise Refused("one user, not {}".format(rest))


def _check_groups(given):
    unknown = set(",".join(given).split(",")) - _GROUPS - {""}
    if unknown:
        raise Refused("no such group here: {}".format(", ".join(sorted(unknown))))


@known_as("systemctl")
def systemctl(call):
    _, rest = call.options("--now --no-pager --user -q --quiet", "--lines -n")
    verb, units = rest[0] if rest else "status", rest[1:]
    if verb not in ("status", "is-active", "is-enabled", "cat", "list-units"):
        call.needs_root()
    if verb == "set-default":
        if units not in (["multi-user.target"], ["graphical.target"]):
            raise Refused("there is no target {}".format(units))
    elif verb in ("daemon-reload", "reboot", "list-units"):
        if units:
            raise Refused("{} takes no unit".format(verb))
    elif verb in ("status", "is-active", "is-enabled", "cat", "start", "stop", "restart", "enable", "disable", "mask"):
        for unit in units or [""]:
            _check_unit(unit)
    else:
        raise Refused("{} is no verb that is known here".format(verb))
    print("systemctl {}: {}".format(verb, " ".join(units)))


def _check_unit(unit):
    name = unit.rpartition(".service")[0] or unit
    if name not in _UNITS and not os.path.exists(inside("/etc/systemd/system/{}.service".format(name))):
        raise Refused("there is no unit {!r}: nothing has put it into /etc/systemd/system".format(unit))


@known_as("journalctl")
def journalctl(call):
    given, _ = call.options("-f --follow -e -b --no-pager -r", "-u --unit -n --since")
    for unit in given.get("-u", []) + given.get("--unit", []):
        _check_unit(unit)
    print("ccc-run: live")


@known_as("reboot", "poweroff", "shutdown")
def reboot(call):
    call.needs_root()
    call.options("-h -r now")


@known_as("apt", "apt-get")
def apt(call):
    _, rest = call.options("-y --yes --no-install-recommends -q")
    verb, packages = rest[0] if rest else "", [each.partition("=")[0] for each in rest[1:]]
    if verb not in ("install", "update", "upgrade", "remove", "list"):
        raise Refused("{!r} is no verb that is known here".format(verb))
    if verb != "list":
        call.needs_root()
    unknown = sorted(set(packages) - _PACKAGES)
    if unknown:
        raise Refused("{}: look the name up, and write it down in {}".format(
            ", ".join(unknown), os.path.basename(__file__)
        ))  # fmt: skip


@known_as("fallocate", "mkswap", "swapon", "swapoff")
def swap(call):
    call.needs_root()
    _, rest = call.options("--show", "-l")
    if call.name != "swapon" and (len(rest) != 1 or not rest[0].startswith("/")):
        raise Refused("the whole path of one file, not {}".format(rest))
    if call.name == "fallocate":
        with open(inside(rest[0]), "w"):
            pass
    elif rest:
        existing(inside(rest[0]))


# The board


@known_as("nvpmodel")
def nvpmodel(call):
    given, rest = call.options("-q --query -p --verbose", "-m")
    if rest or not given:
        raise Refused("-m NUMBER, -q or -p --verbose")
    for number in given.get("-m", []):
        call.needs_root()
        if not number.isdigit() or int(number) not in _MODES:
            raise Refused("a TX2 has the power modes 0 to 4, and no {}".format(number))
    if "-m" not in given:
        print("NV Power Mode: MAXN\n0")


@known_as("jetson_clocks")
def jetson_clocks(call):
    call.needs_root()
    call.options("--show --fan", "--store --restore")


@known_as("tegrastats")
def tegrastats(call):
    given, _ = call.options("--stop", "--interval --logfile")
    if not all(each.isdigit() for each in given.get("--interval", [])):
        raise Refused("--interval is in whole milliseconds")
    print("RAM 1575/7852MB (lfb 1163x4MB) SWAP 0/3926MB (cached 0MB) CPU [2%@345,off,off,0%@345,1%@345,0%@345]")


@known_as("nvcc")
def nvcc(call):
    call.options("--version -V")
    print("Cuda compilation tools, release 10.2, V10.2.300")


@known_as("v4l2-ctl")
def v4l2_ctl(call):
    given, rest = call.options("--list-devices --list-formats-ext --all", "-d --device")
    if rest:
        raise Refused("options alone, not {}".format(rest))
    for device in given.get("-d", []) + given.get("--device", []):
        existing(inside(device), "device")


@known_as("trtexec")
def trtexec(call):
    values = (
        "--onnx --saveEngine --loadEngine --workspace --memPoolSize --calib --shapes --iterations --duration --warmUp"
    )
    given, rest = call.options(
        "--fp16 --int8 --best --verbose --dumpProfile --separateProfileRun --useCudaGraph --noDataTransfers "
        "--useSpinWait --skipInference --buildOnly",
        values + " --exportProfile --exportTimes --avgRuns --timingCacheFile --useDLACore --device --plugins",
    )
    for name in ("--onnx", "--loadEngine", "--calib"):
        for path in given.get(name, []):
            existing(path)
    if rest or not {"--onnx", "--loadEngine"} & set(given):
        raise Refused("--onnx=FILE or --loadEngine=FILE")


# The network


@known_as("curl", "wget")
def curl(call):
    flags = "-L -O -s -S -f -q --location --silent --fail --no-buffer"
    given, addresses = call.options(
        flags, "-o -H --output --header --max-time -O" if call.name == "wget" else "-o -H --output --header --max-time"
    )
    if not addresses:
        raise Refused("no address")
    for address in addresses:
        parts = urlsplit(address if "://" in address else "http://" + address)
        if parts.hostname in ("localhost", "127.0.0.1", "tx2", "tx2.local"):
            if parts.path not in _ROUTES:
                raise Refused("{}: ccc-run --serve has no {}".format(address, parts.path))
            print("ccc_frames_total 12")
            continue
        if parts.scheme != "https" or parts.hostname not in _HOSTS:
            raise Refused("{}: an address with https, of a host that is written down in {}".format(
                address, os.path.basename(__file__)
            ))  # fmt: skip
        wanted = (given.get("-o", []) + given.get("--output", []) + [os.path.basename(parts.path)])[0]
        if wanted == "-" or (call.name == "curl" and not {"-O", "-o", "--output"} & set(given)):
            continue
        _arrives(os.path.basename(parts.path), wanted)


def _arrives(name, path):
    """A download: the sample of that name, or, where the documents only keep it, a file that says where it is from."""
    sample = os.path.join(os.environ["CCC_TERMINAL_SAMPLES"], name)
    if os.path.exists(sample):
        shutil.copy(sample, path)
    else:
        raise Refused("{} is none of the samples that tests/doubles/terminal/samples.py makes".format(name))


@known_as("ssh")
def ssh(call):
    given, rest = call.options("-t -N -f", "-L -p -i")
    for forward in given.get("-L", []):
        if not re.match(r"(\d+:)[\w.-]+:\d+$", forward):
            raise Refused("-L PORT:HOST:PORT, not {}".format(forward))
    if not rest or not re.match(r"[\w-]+@[\w.-]+$", rest[0]):
        raise Refused("USER@HOST first")


@known_as("scp", "rsync")
def scp(call):
    _, rest = call.options("-r -a -v -z --archive", "-P")
    if len(rest) < 2:
        raise Refused("from where, and to where?")
    *sources, target = rest
    for source in sources:
        if ":" in source:
            name = os.path.basename(source)
            _arrives(name, os.path.join(target, name) if os.path.isdir(target) else target)
        elif not os.path.exists(os.path.basename(existing(source).rstrip("/"))) and ":" in target:
            shutil.copy(source, ".")  # what follows is typed on the other machine, and this folder is its home, too
    if ":" not in target and not any(":" in source for source in sources):
        raise Refused("neither side is another machine")


@known_as("git")
def git(call):
    verb, rest = (call.words or [""])[0], [word for word in call.words[1:] if not word.startswith("-")]
    if verb == "clone":
        url = urlsplit(rest[0])
        name = os.path.basename(url.path)
        name = name[:-4] if name.endswith(".git") else name
        if url.scheme != "https" or name != _OUR_REPOSITORY:
            raise Refused("clone https://.../{}.git, not {}".format(_OUR_REPOSITORY, rest[0]))
        checkout.lay_out(rest[1] if len(rest) > 1 else name, os.environ["CCC_TERMINAL_SAMPLES"])
    elif verb not in (
        "tag",
        "push",
        "pull",
        "fetch",
        "checkout",
        "switch",
        "status",
        "log",
        "describe",
        "rev-parse",
        "add",
        "commit",
        "diff",
    ):
        raise Refused("{!r} is no verb that is known here".format(verb))


# Python's own tools, which take minutes or a network


@known_as("pip", "pip3")
def pip(call):
    verb, call.words = (call.words or [""])[0], call.words[1:]
    if verb in ("list", "freeze", "--version", "check", "show"):
        return
    if verb not in ("install", "download", "wheel", "uninstall"):
        raise Refused("{!r} is no verb that is known here".format(verb))
    given, requirements = call.options(
        "--user --upgrade -U -q --quiet --no-deps --force-reinstall --no-build-isolation -y --pre",
        "-c -r -e --constraint --requirement --index-url --extra-index-url --no-binary --only-binary --platform "
        "--python-version -d --dest -w --find-links",
    )
    for option in ("-c", "-r", "--constraint", "--requirement"):
        for path in given.get(option, []):
            existing(path)
    for option in ("--index-url", "--extra-index-url"):
        for address in given.get(option, []):
            if urlsplit(address).hostname not in _HOSTS:
                raise Refused("{} is no index that is known here".format(address))
    if not (requirements or given.get("-r") or given.get("-e")):
        raise Refused("{} what?".format(verb))
    for requirement in requirements + given.get("-e", []):
        checkout.check_requirement(requirement, Refused)


@known_as("venv")
def venv(call):
    _, rest = call.options("--system-site-packages --clear")
    for folder in map(inside, rest):
        os.makedirs(os.path.join(folder, "bin"), exist_ok=True)
        with open(os.path.join(folder, "bin", "activate"), "w") as file:
            file.write("VIRTUAL_ENV=$PWD\n")


@known_as("make")
def make(call):
    """The real one, which only says what it would do: targets are there, and so are the files that they are given."""
    existing("Makefile")
    for word in call.words:
        name, equals, value = word.partition("=")
        if equals and name in ("CKPT", "VIDEO"):
            existing(value)
    return subprocess.call(["/usr/bin/make", "--dry-run"] + call.words, stdout=subprocess.DEVNULL)


@known_as("pytest")
def pytest(call):
    """Collects: the files, the marks and the names that are chosen are there."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"] + call.words
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("STANDIN", "FAKECUDA"))}
    environment.pop("PYTHONPATH", None)
    return subprocess.call(words, cwd=checkout.ROOT, env=environment, stdout=subprocess.DEVNULL)


@known_as("build")
def build(call):
    """Leaves files of the names that the real one would give them."""
    given, rest = call.options("--wheel --sdist --no-isolation -w -s", "--outdir -o")
    existing(os.path.join(*(rest or ["."]), "pyproject.toml"))
    folder = (given.get("--outdir", []) + given.get("-o", []) + ["dist"])[0]
    os.makedirs(folder, exist_ok=True)
    for name in checkout.distributions():
        with open(os.path.join(folder, name), "w") as file:
            file.write("played\n")


@known_as("twine", "mkdocs", "ruff", "mypy", "pip_audit", "pip-audit")
def tool(call):
    """Of developers: it is one of the extras, and the files that it is given are there."""
    for word in call.words:
        if "/" in word and not word.startswith("-") and "=" not in word and "*" not in word:
            existing(word)
