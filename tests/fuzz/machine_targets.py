"""What a machine says of itself: tegrastats, nvpmodel, files of sysfs and /etc, commands that the doctor asks, cameras'
ioctls. Runs on Python 3.6."""

import json
import os

from ccc_jetson.board import read_board, read_power_modes
from ccc_jetson.child import Answer
from ccc_jetson.engines.machine import read_memory, target_of
from ccc_jetson.engines.tensorrt_log import ERROR, INTERNAL_ERROR, WARNING, TensorRTLog
from ccc_jetson.revision import revision
from ccc_jetson.runtime.doctor.cli import to_json, to_text
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.probes import PROBES, examine
from ccc_jetson.runtime.doctor.v4l2 import describe
from ccc_jetson.runtime.frames.failures import cause_of, telling_lines
from ccc_jetson.runtime.telemetry.clocks import read_clocks
from ccc_jetson.runtime.telemetry.power_mode import parse_query, power_warnings, read_power_mode
from ccc_jetson.runtime.telemetry.sysfs import Sysfs
from ccc_jetson.runtime.telemetry.tegrastats import parse_line
from ccc_jetson.runtime.telemetry.throttling import ThrottleWatch
from tests.doubles.doctored import DAEMON, WEBCAM
from tests.doubles.machines import build, orin_nano_files, pc_files, tx2_files
from tests.fuzz.law import Fault, check_error, check_text
from tests.fuzz.target import Target, place

_HERE = os.path.dirname(os.path.abspath(__file__))
_LINES = os.path.join(os.path.dirname(_HERE), "runtime", "telemetry", "tegrastats_lines.txt")
_TREES = {"t": tx2_files, "o": orin_nano_files, "p": pc_files}
_roots = {}


def _line(data):
    sample = parse_line(data.decode("ascii", "replace"))
    json.dumps(sample.to_json(), allow_nan=False)
    watch = ThrottleWatch()
    watch.see(sample)
    for name, unit, value in sample.quantities():
        check_text(name + unit, "a quantity's name")
        float(value)


def _lines():
    with open(_LINES, "rb") as file:
        return [line.rstrip(b"\n").split(b"\t")[1] for line in file]


def _query(data):
    name, _ = parse_query(data.decode("utf-8", "replace"))
    check_text(name, "the mode's name")


def _tree(kind):
    """(root, its files in order) of a machine, written once."""
    if kind not in _roots:
        files = dict(_TREES[kind](), **{"etc/docker/daemon.json": DAEMON})
        _roots[kind] = (build(place("root " + kind), files), sorted(files), files)
    return _roots[kind]


def _machine(data):
    """The input in the place of one of a machine's files: its first bytes say of which, and which file."""
    kind = sorted(_TREES)[data[0] % 3] if data else "t"
    root, names, files = _tree(kind)
    name = names[data[1] % len(names)] if len(data) > 1 else names[0]
    path = os.path.join(root, name)
    with open(path, "wb") as file:
        file.write(data[2:])
    try:
        board, mode, clocks = read_board(root), read_power_mode(root), read_clocks(root)
        check_text("\n".join(board), "the board")
        check_text(clocks.to_text() + "\n".join(power_warnings(root)), "clocks and power")
        target_of("", board.board), read_power_modes(root).name, mode.is_fastest
        sensors = Sysfs(root)
        for _ in range(2):
            sample = sensors.read()
            json.dumps(sample.to_json(), allow_nan=False)
        memory = read_memory(root)
        assert memory is None or memory.total >= 0
        _examined(_Told(root, {}), ("jetpack", "power-mode", "cores", "clocks", "heat", "memory", "swap", "docker"))
    finally:
        content = files[name]
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else str(content).encode())


def _machine_seeds():
    found = []
    for number, kind in enumerate(sorted(_TREES)):
        _, names, files = _tree(kind)
        for index, name in enumerate(names):
            content = files[name]
            found.append(
                bytes([number, index % 256]) + (content if isinstance(content, bytes) else str(content).encode())
            )
    return found


class _Told(Place):
    """A machine whose commands are told, not run: output by the command's name; "python" is the interpreter."""

    def __init__(self, root, outputs):
        super(_Told, self).__init__(root=root, environ={"PATH": ""}, python="python", folder=root, running=(3, 6))
        self._outputs = outputs

    def run(self, command, seconds=0.0):
        return Answer(0, self._outputs.get(os.path.basename(command[0]), ""), "")

    def which(self, command):
        return "/usr/bin/" + command if command in self._outputs else ""


def _examined(told, names):
    probes = [probe for probe in PROBES if probe.name in names]
    results = examine(told, (), probes)
    for result in results:
        if "the probe itself failed" in result.finding.evidence:
            raise Fault("probe", result.finding.evidence, result.probe)
    to_json(results)
    check_text(to_text(results, True), "the doctor's table")


def _answers(data):
    """What the doctor's children print: the first byte says who, the rest is the output."""
    text = data[1:].decode("utf-8", "replace")
    root = _tree("t")[0]
    if data[:1] == b"c":
        os.makedirs(os.path.join(root, "dev"), exist_ok=True)
        with open(os.path.join(root, "dev", "video0"), "wb"):
            pass
    name = {b"d": "dpkg-query", b"p": "python", b"c": "python"}.get(data[:1], "nvpmodel")
    _examined(
        _Told(root, {name: text}), [probe.name for probe in PROBES if probe.name not in ("nvcc", "models", "disk")]
    )


def _answer_seeds():
    facts = {"version": "8.2.1.8", "file": "/usr/lib/python3.6/dist-packages/tensorrt/__init__.py", "gstreamer": True}
    facts.update(device="NVIDIA Tegra X2", sm="6.2", cuda="10.2")
    return [
        b"dnvidia-l4t-core\t32.7.1-20220219090432\n",
        b"pccc-doctor:" + json.dumps(facts).encode("ascii") + b"\n",
        b"c" + json.dumps(WEBCAM).encode("ascii"),
        b"nNVPM WARN: fan mode is not set!\nNV Power Mode: MAXP_CORE_ARM\n3\n",
    ]


def _ioctls(data):
    """A camera's answers, one after the other."""
    state = {"at": 0}

    def ask(request, buffer):
        piece = data[state["at"] : state["at"] + len(buffer)]
        state["at"] += len(buffer)
        if not piece:
            raise OSError(22, "no more")
        buffer[: len(piece)] = piece

    found = describe("/dev/video0", ask)
    json.dumps(found, allow_nan=False)
    for each in found.get("formats", ()):
        check_text(each["fourcc"], "a format")


def _ioctl_seeds():
    import struct

    card = struct.pack("16s32s32s3I12x", b"uvcvideo", b"HD Webcam", b"usb-1", 0x50000, 0x84A00001, 0x04200001)
    formats = struct.pack("3I32sI16x", 0, 1, 1, b"Motion-JPEG", 0x47504A4D)
    sizes = struct.pack("3I6I8x", 0, 0x47504A4D, 1, 1280, 720, 0, 0, 0, 0)
    rates = struct.pack("5I6I8x", 0, 0x47504A4D, 1280, 720, 1, 1, 30, 0, 0, 0, 0)
    return [card + formats + sizes + rates, card + formats + sizes + rates * 3 + sizes + rates, card]


def _words(data):
    """What OpenCV, FFmpeg and GStreamer print."""
    text = data.decode("utf-8", "replace")
    cause_of(text)
    check_text(telling_lines(text), "the telling lines")


def _word_seeds():
    return [
        b"[ WARN:0] global /opencv/cap_gstreamer.cpp (935) open OpenCV | GStreamer warning: playback halted; "
        b"module rtspsrc0\n reported: Unauthorized\n",
        b"[ WARN:0@0.1] global cap_v4l.cpp:914 open VIDEOIO(V4L2:/dev/video0): can't open camera by index\n",
        b'(python3:123): GStreamer-CRITICAL **: 12:00: gst_element: assertion failed\nError: no element "nvvidconv"\n',
    ]


def _log(data):
    """TensorRT's messages: a severity's first letter, then the text, a line each."""
    log = TensorRTLog()
    severities = {"I": INTERNAL_ERROR, "E": ERROR, "W": WARNING}
    for line in data.decode("utf-8", "replace").split("\n"):
        log.add(severities.get(line[:1], ERROR), line[1:])
    check_error(log.failure("the build failed"))


def _log_seeds():
    return [
        b"EParse was called with unsupported operator\nENo importer registered for op: MaxUnpool",
        b"WSkipping tactic 3 due to insufficient memory\nE10: Could not find any implementation for node conv + relu.)",
        b"E6: The engine plan file is not compatible, expecting library version 8.2.1 got 8.5.2",
        b"ECUDA initialization failure with error: 35",
    ]


def _revision(data):
    """The files of a .git folder, apart by lines of a dash."""
    package = place("repository/src/ccc_jetson")
    names = (".git/HEAD", ".git/refs/heads/main", ".git/packed-refs", ".git/commondir")
    for name, content in zip(names, data.split(b"\n-\n")[:4] + [b""] * 4):
        path = place("repository/" + name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    os.makedirs(package, exist_ok=True)
    found = revision(package)
    assert len(found) in (0, 12), found


def _git_seeds():
    commit = b"0123456789abcdef" * 2 + b"01234567"
    main = b"ref: refs/heads/main\n-\n"
    return [main + commit, main + b"\n-\n" + commit + b" refs/heads/main\n-\n..", commit]


TARGETS = (
    Target("tegrastats", _line, _lines, ("runtime/telemetry/tegrastats.py", "runtime/telemetry/sample.py")),
    Target(
        "nvpmodel -q",
        _query,
        lambda: [b"NVPM WARN: fan mode is not set!\nNV Power Mode: MAXP_CORE_ARM\n3\n", b"NV Power Mode: 15W\r\n2"],
        ("runtime/telemetry/power_mode.py",),
    ),
    Target(
        "machine's files",
        _machine,
        _machine_seeds,
        ("src/ccc_jetson/board.py", "engines/machine.py")
        + tuple("runtime/telemetry/{}.py".format(name) for name in ("clocks", "power_mode", "sysfs"))
        + ("runtime/doctor/board.py", "runtime/doctor/containers.py"),
    ),
    Target(
        "doctor's children",
        _answers,
        _answer_seeds,
        tuple("runtime/doctor/{}.py".format(name) for name in ("board", "cameras", "packages", "place")),
    ),
    Target("camera's ioctls", _ioctls, _ioctl_seeds, ("runtime/doctor/v4l2.py",)),
    Target("TensorRT's log", _log, _log_seeds, ("engines/tensorrt_log.py",)),
    Target("libraries' words", _words, _word_seeds, ("runtime/frames/failures.py",)),
    Target("git's files", _revision, _git_seeds, ("src/ccc_jetson/revision.py",)),
)
