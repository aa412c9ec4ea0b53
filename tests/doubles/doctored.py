"""Machines for ccc-doctor: files, commands on a PATH of their own, and modules that only look like the real ones."""

import os
import sys

from ccc_jetson.runtime.doctor.place import Place
from tests.doubles.machines import changed, nano_files, orin_nano_files, pc_files, tx2_files

GIB = 1 << 30
NUMPY, TENSORRT = "__version__ = '{}'\n__file__ = '{}/numpy/__init__.py'", "__version__ = '{}'"
CV2 = (
    "import numpy\n"
    "__version__ = '{}'\n__file__ = '{}/cv2/__init__.py'\n"
    "def getBuildInformation():\n    return 'Video I/O:\\n    FFMPEG: YES\\n    GStreamer:                   {}\\n'\n"
)
PYCUDA = (
    "import numpy\n"  # as its driver does
    "VERSION_TEXT = '2022.1'\n__version__ = VERSION_TEXT\nimport sys, types\n__path__ = []\n"
    "driver = types.ModuleType('pycuda.driver')\nsys.modules['pycuda.driver'] = driver\n"
    "class Device:\n    def __init__(self, number): pass\n    def name(self): return '{0}'\n"
    "    def compute_capability(self): return {1}\n"
    "driver.Device = Device\ndriver.init = lambda: None\ndriver.get_driver_version = lambda: {2}\n"
)
ONNXRUNTIME = "import numpy\n__version__ = '{}'"
MISSING = "raise ModuleNotFoundError(\"No module named '{0}'\")"
SIGILL = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)"
HANGS = "import time\ntime.sleep(600)"
STATIC_TLS = "raise ImportError('/usr/lib/aarch64-linux-gnu/libgomp.so.1: cannot allocate memory in static TLS block')"
WEBCAM = {
    "card": "HD Webcam C920", "driver": "uvcvideo", "bus": "usb-3530000.xhci-2", "captures": True,
    "formats": [
        {"fourcc": "YUYV", "sizes": [[640, 480, 30.0], [1280, 720, 10.0]]},
        {"fourcc": "MJPG", "sizes": [[1920, 1080, 30.0], [1280, 720, 30.0], [640, 480, 30.0], [320, 240, 30.0]]},
    ],
}  # fmt: skip
NVCC = "echo 'Cuda compilation tools, release {0}, V{0}.300'"
DAEMON = '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}, "default-runtime": "nvidia"}'
LISTS = "etc/nvidia-container-runtime/host-files-for-container.d/"
CSV = {LISTS + name + ".csv": "lib, /usr/lib\n" for name in ("l4t", "cuda", "cudnn", "tensorrt")}


class Doctored(Place):
    """A place whose cameras are told, not asked."""

    def __init__(self, cameras, **settings):
        super(Doctored, self).__init__(**settings)
        self.cameras = cameras

    def query_camera(self, path):
        return self.cameras.get(path, {"error": "No such device", "errno": 19})


class Machine:
    """What a machine is made of; ``place`` writes it down.

    ``files`` are below its root, ``commands`` shell lines by name, ``modules`` Python text by name, ``cameras`` what
    each device says, ``settings`` are arguments of ``Place``.
    """

    def __init__(self, files, commands, modules, cameras, **settings):
        self.files, self.commands, self.modules, self.cameras = files, commands, modules, cameras
        self.settings = settings

    def but(self, files=None, commands=None, modules=None, cameras=None, environ=None, **settings):
        """This machine with differences; None takes a file or a command away."""
        return Machine(
            changed(self.files, files or {}),
            {name: line for name, line in dict(self.commands, **(commands or {})).items() if line is not None},
            dict(self.modules, **(modules or {})),
            self.cameras if cameras is None else cameras,
            **dict(self.settings, **dict(settings, **({"environ": environ} if environ else {}))),
        )

    def place(self, folder):
        """Written below ``folder``."""
        root, modules, commands = (os.path.join(str(folder), name) for name in ("root", "modules", "bin"))
        for parent, contents in ((root, self.files), (modules, {n + ".py": t for n, t in self.modules.items()})):
            os.makedirs(parent, exist_ok=True)
            for path, content in contents.items():
                place = os.path.join(parent, path)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "wb") as file:
                    file.write(content if isinstance(content, bytes) else str(content).encode())
        os.makedirs(commands, exist_ok=True)
        for name, line in self.commands.items():
            path = os.path.join(commands, name)
            with open(path, "w") as file:
                file.write("#!/bin/sh\n{}\n".format(line))
            os.chmod(path, 0o755)
        settings = dict(self.settings)
        environ = {"PATH": commands, "PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1"}
        environ.update(settings.pop("environ", {}))
        settings.setdefault("free_bytes", lambda path: 20 * GIB)
        settings.setdefault("prefix", os.path.join(root, "usr"))
        return Doctored(self.cameras, root=root, environ=environ, python=sys.executable, **settings)


def jetpack_4(files, device, cc):
    """A healthy board with JetPack 4.6."""
    system = "/usr/lib/python3.6/dist-packages"
    files = dict(files, **CSV)
    files.update({
        "usr/lib/python3.6/dist-packages/tensorrt/__init__.py": "",
        "usr/lib/python3.6/dist-packages/cv2/__init__.py": "",
        "usr/sbin/nvargus-daemon": "", "tmp/argus_socket": "", "dev/video0": "", "etc/docker/daemon.json": DAEMON,
    })  # fmt: skip
    return Machine(
        files,
        {"systemctl": "echo active", "nvcc": NVCC.format("10.2"), "docker": "exit 0"},
        {
            "numpy": NUMPY.format("1.19.4", "/usr/local/lib/python3.6/dist-packages"),
            "cv2": CV2.format("4.1.1", system, "YES (1.14.5)"),
            "tensorrt": TENSORRT.format("8.2.1.8"),
            "pycuda": PYCUDA.format(device, cc, 10020),
            "onnxruntime": ONNXRUNTIME.format("1.10.0"),
        },
        {"dev/video0": WEBCAM},
        architecture="aarch64",
        running=(3, 6),
    )


def healthy_tx2():
    return jetpack_4(tx2_files(mode=0, fixed=True), "NVIDIA Tegra X2", (6, 2))


def healthy_nano():
    """With swap on its card."""
    files = dict(nano_files(mode=0, fixed=True), **{"proc/swaps": "Filename\n/swapfile file 4194300 0 -2\n"})
    return jetpack_4(files, "NVIDIA Tegra X1", (5, 3))


def healthy_orin():
    """An Orin Nano with JetPack 6.2."""
    system = "/usr/lib/python3.10/dist-packages"
    files = orin_nano_files(mode=2, fixed=True)
    files.update({
        "sys/class/hwmon/hwmon3/oc3_event_cnt": 0,
        "usr/lib/python3.10/dist-packages/tensorrt/__init__.py": "",
        "usr/lib/python3.10/dist-packages/cv2/__init__.py": "",
        "usr/sbin/nvargus-daemon": "", "tmp/argus_socket": "", "dev/video0": "", "etc/docker/daemon.json": DAEMON,
    })  # fmt: skip
    return Machine(
        files,
        {"systemctl": "echo active", "nvcc": NVCC.format("12.6"), "docker": "exit 0"},
        {
            "numpy": NUMPY.format("1.26.4", system),
            "cv2": CV2.format("4.8.0", system, "YES (1.20.3)"),
            "tensorrt": TENSORRT.format("10.3.0"),
            "pycuda": PYCUDA.format("Orin", (8, 7), 12060),
            "onnxruntime": ONNXRUNTIME.format("1.23.0"),
        },
        {"dev/video0": WEBCAM},
        architecture="aarch64",
        running=(3, 10),
    )


def healthy_pc():
    """Without an NVIDIA GPU."""
    return Machine(
        dict(pc_files(), **{"dev/video0": ""}),
        {},
        {
            "numpy": NUMPY.format("2.1.0", "/venv/lib/python3.11/site-packages"),
            "cv2": CV2.format("4.11.0", "/venv/lib/python3.11/site-packages", "NO"),
            "tensorrt": MISSING.format("tensorrt"),
            "pycuda": MISSING.format("pycuda"),
            "onnxruntime": ONNXRUNTIME.format("1.23.0"),
        },
        {"dev/video0": WEBCAM},
        architecture="x86_64",
        running=(3, 11),
    )
