"""Machines with the faults that boards have: what each probe says of them, and the line that fixes it."""

from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, NOTE, OK, PROBLEM
from tests.doubles.doctored import (
    CV2,
    DAEMON,
    GIB,
    MISSING,
    NUMPY,
    SIGILL,
    STATIC_TLS,
    TENSORRT,
    WEBCAM,
    healthy_nano,
    healthy_orin,
    healthy_pc,
    healthy_tx2,
)
from tests.doubles.machines import RELEASE, THERMAL, cores, meminfo, tx2_files


def no(module):
    """A module that is not installed."""
    return {module: MISSING.format(module)}


TX2, NANO, ORIN, PC = healthy_tx2(), healthy_nano(), healthy_orin(), healthy_pc()
RELEASE_FILE, LIBRARIES = "etc/nv_tegra_release", "usr/lib/aarch64-linux-gnu/"
HIDDEN = {"proc/device-tree/": None, RELEASE_FILE: None}
BOXED = {".dockerenv": "", LIBRARIES + "libnvinfer.so.8": "ELF"}
CARD = {"proc/driver/nvidia/version": "NVRM version"}
VENV = {"venv/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.6.9\n"}
ERROR = {"error": "Permission denied", "errno": 13}
RAW = dict(WEBCAM, card="vi-output, imx219", formats=[{"fourcc": "RG10", "sizes": [[3264, 2464, 21.0]]}])
SLOW = dict(WEBCAM, formats=WEBCAM["formats"][:1])
NO_GL = "raise ImportError('libGL.so.1: cannot open')"
LOST = "raise ImportError('libopencv_core.so.4.1: cannot open shared object file: No such file or directory')"
OF_JETPACK = "opencv-contrib-python; sudo apt-get install --reinstall libopencv-python"
OTHER_TLS = STATIC_TLS.replace("/usr/lib/aarch64-linux-gnu/libgomp.so.1", "/home/me/torch/lib/libgomp-d22c30c5.so.1")
OTHER_NUMPY = "raise ImportError('numpy.core.multiarray failed to import')"
METADATA = dict(WEBCAM, captures=False, formats=[])


def mode_3():
    """What differs on a TX2 as it comes out of the box; core files of the healthy one go first."""
    return dict({"sys/devices/system/cpu/": None}, **tx2_files(mode=3))


# probe, verdict, machine, part of the evidence, part of the fix
CASES = [
    ("jetpack", OK, TX2, "NVIDIA Jetson TX2 Developer Kit, L4T 32.7.4, JetPack 4.6.4", ""),
    ("jetpack", OK, ORIN, "Super, L4T 36.4.3, JetPack 6.2", ""),
    ("jetpack", NOT_HERE, PC, "no Jetson: x86_64", ""),
    (
        "jetpack", NOTE, TX2.but({RELEASE_FILE: RELEASE.format(32, "7.9", "t186ref")}),
        "R32 (release), REVISION: 7.9", "",
    ),
    ("jetpack", NOTE, TX2.but({RELEASE_FILE: "# R-next, whatever"}), "'# R-next, whatever'", ""),
    ("jetpack", NOTE, TX2.but({RELEASE_FILE: None}), "no file or package", "-v /etc/nv_tegra_release"),
    (
        "jetpack", OK, TX2.but({RELEASE_FILE: None}, {"dpkg-query": "echo 'nvidia-l4t-core\t32.7.1-2022'"}),
        "L4T 32.7.1", "",
    ),
    (
        "jetpack", PROBLEM, TX2.but({RELEASE_FILE: RELEASE.format(32, "4.3", "t186ref")}),
        "older than 8", "JetPack 4.6.6",
    ),
    ("power-mode", OK, TX2, "MAXN, the fastest", ""),
    (
        "power-mode", PROBLEM, TX2.but(mode_3()),
        "MAXP_CORE_ARM, and MAXN is the fastest; others measured 18.5", "nvpmodel -m 0",
    ),
    (
        "power-mode", PROBLEM, ORIN.but({"var/lib/nvpmodel/status": "pmode:0000"}),
        "15W, and MAXN_SUPER", "nvpmodel -m 2",
    ),
    ("power-mode", NOTE, TX2.but({"etc/nvpmodel.conf": None}), "cannot be read", "nvpmodel -q"),
    (
        "power-mode", NOTE,
        TX2.but({"etc/nvpmodel.conf": None}, {"nvpmodel": "echo 'NV Power Mode: MAXQ'; echo 1"}),
        "the mode is MAXQ",
        "",
    ),
    ("power-mode", NOT_HERE, PC, "", ""),
    ("cores", OK, TX2, "6 of 6 cores are on (0-5)", ""),
    ("cores", PROBLEM, TX2.but(mode_3()), "4 of 6 cores are on (0,3-5)", "power-mode"),
    ("cores", NOTE, PC.but(cores(4, (0, 1, 2), 1, 2, 2)), "3 of 4", "online"),
    ("cores", NOT_HERE, TX2.but({"sys/devices/system/cpu/online": "what?"}), "", ""),
    ("clocks", OK, TX2, "GPU 1300 MHz, fixed", ""),
    ("clocks", NOTE, TX2.but(tx2_files(mode=0)), "free to move: cores 0-5 on", "sudo jetson_clocks"),
    ("clocks", NOT_HERE, TX2.but({"sys/": None}), "no clocks", ""),
    ("clocks", NOT_HERE, PC, "", ""),
    ("heat", OK, TX2, "BCPU is the hottest, 42.5 C; 7.36 W (VDD_IN)", ""),
    ("heat", OK, PC, "x86_pkg_temp is the hottest, 51.0 C", ""),
    ("heat", NOTE, TX2.but({THERMAL + "thermal_zone2/temp": 91000}), "GPU is the hottest, 91.0 C", "airflow"),
    ("heat", NOTE, ORIN.but({"sys/class/hwmon/hwmon3/oc1_event_cnt": 4}), "under-voltage (4)", "power supply"),
    (
        "heat", PROBLEM, TX2.but({THERMAL + "cooling_device3/cur_state": 1}),
        "slowed down by gpu-throttle-alert 3 at 1", "airflow",
    ),
    ("heat", NOT_HERE, TX2.but({"sys/": None}), "no sensor", ""),
    ("memory", OK, TX2, "5.7 of 8.2 GB", ""),
    ("memory", PROBLEM, NANO.but({"proc/meminfo": meminfo(3956, 1500, 0, 0)}), "may run out", "multi-user.target"),
    ("memory", BROKEN, NANO.but({"proc/meminfo": meminfo(3956, 100, 0, 0)}), "too little", "multi-user.target"),
    ("memory", PROBLEM, PC.but({"proc/meminfo": meminfo(4000, 1500, 0, 0)}), "may run out", "end other programs"),
    ("memory", NOTE, PC.but({"proc/meminfo": None}), "cannot be read", ""),
    ("swap", OK, TX2, "4.1 of 4.1 GB are free", ""),
    ("swap", OK, PC, "need none", ""),
    ("swap", PROBLEM, NANO.but({"proc/meminfo": meminfo(3956, 2500, 0, 0)}), "none", "fallocate -l 4G /swapfile"),
    ("swap", NOTE, NANO.but({"proc/swaps": "Filename\n/dev/zram0 partition 506480 0 5\n"}), "zram", "swapon"),
    ("swap", NOTE, PC.but({"proc/meminfo": None}), "cannot be read", ""),
    ("disk", OK, TX2, "21.5 GB are free in /", ""),
    ("disk", PROBLEM, TX2.but(free_bytes=lambda path: GIB), "1.1 GB", "apt-get clean"),
    ("disk", BROKEN, TX2.but(free_bytes=lambda path: 1000), "0.0 GB", "apt-get clean"),
    ("python", OK, TX2, "Python 3.6, as JetPack's packages need it", ""),
    ("python", OK, PC, "Python 3.11", ""),
    ("python", OK, TX2.but(running=(3, 8)), "which has a TensorRT of its own", ""),
    (
        "python", NOTE, TX2.but(running=(3, 8), modules=no("tensorrt")),
        "Python 3.8; JetPack's TensorRT and OpenCV are for 3.6", "python3.6 -m pip install",
    ),
    ("python", PROBLEM, TX2.but(VENV, prefix="venv"), "hides the system's packages", "--system-site-packages"),
    ("numpy", OK, TX2, "numpy 1.19.4", ""),
    (
        "numpy", BROKEN, TX2.but(modules={"numpy": SIGILL}),
        "SIGILL", "OPENBLAS_CORETYPE=ARMV8, or: python3 -m pip install numpy==1.19.4",
    ),
    ("numpy", BROKEN, TX2.but(modules=no("numpy")), "No module named 'numpy'", "numpy==1.19.4"),
    ("numpy", BROKEN, PC.but(modules=no("numpy")), "No module named 'numpy'", "install numpy"),
    (
        "numpy", NOTE,
        TX2.but(modules={"numpy": NUMPY.format("1.19.5", "")}, environ={"OPENBLAS_CORETYPE": "ARMV8"}),
        "spared here by OPENBLAS_CORETYPE=ARMV8", "numpy==1.19.4",
    ),
    ("numpy", NOTE, TX2.but(modules={"numpy": NUMPY.format("1.19.5", "")}), "it was spared here", "numpy==1.19.4"),
    ("opencv", OK, TX2, "OpenCV 4.1.1 (/usr/lib/python3.6/dist-packages/cv2/__init__.py), with GStreamer", ""),
    ("opencv", OK, PC, "without GStreamer", ""),
    (
        "opencv", PROBLEM, TX2.but(modules={"cv2": CV2.format("4.6.0", "/home/u/.local", "NO")}),
        "no CSI cameras", "uninstall",
    ),
    ("opencv", BROKEN, TX2.but(modules={"cv2": STATIC_TLS}), "static TLS", "export LD_PRELOAD="),
    ("opencv", BROKEN, TX2.but(modules={"cv2": SIGILL}), "SIGILL", "OPENBLAS_CORETYPE"),
    ("opencv", BROKEN, TX2.but(modules=no("cv2")), "No module", "apt-get install libopencv-python"),
    ("opencv", BROKEN, TX2.but(VENV, modules=no("cv2"), prefix="venv"), "No module", "--system-site"),
    ("opencv", BROKEN, TX2.but(modules={"numpy": SIGILL}), "SIGILL", "see the probe numpy"),
    ("opencv", BROKEN, PC.but(modules=no("numpy")), "No module named 'numpy'", "see the probe numpy"),
    ("opencv", BROKEN, TX2.but(modules={"cv2": LOST}), "libopencv_core", OF_JETPACK),
    ("opencv", BROKEN, TX2.but(modules={"cv2": NO_GL}), "libGL", OF_JETPACK),
    ("opencv", BROKEN, TX2.but(VENV, modules={"cv2": NO_GL}, prefix="venv"), "libGL", "--system-site"),
    ("opencv", BROKEN, PC.but(modules=no("cv2")), "No module", "opencv-python-headless"),
    ("opencv", BROKEN, PC.but(modules={"cv2": NO_GL}), "libGL", "headless"),
    ("opencv-of-pip", OK, TX2, "is JetPack's", ""),
    (
        "opencv-of-pip", PROBLEM,
        TX2.but(modules={"cv2": CV2.format("4.6.0", "/home/u/.local/lib/python3.6/site-packages", "NO")}),
        "site-packages/cv2/__init__.py hides JetPack's /usr/lib/python3.6/dist-packages/cv2",
        "pip uninstall -y opencv-python",
    ),
    (
        "opencv-of-pip", PROBLEM,
        TX2.but(modules={"cv2": CV2.format("4.6.0", "/usr/local/lib/python3.6/dist-packages", "NO")}),
        "hides",
        "uninstall",
    ),
    ("opencv-of-pip", NOT_HERE, TX2.but(modules={"cv2": STATIC_TLS}), "see opencv", ""),
    ("opencv-of-pip", NOT_HERE, PC, "", ""),
    ("libgomp", OK, TX2, "get along", ""),
    ("libgomp", BROKEN, TX2.but(modules={"cv2": STATIC_TLS}), "static TLS", "LD_PRELOAD"),
    (
        "libgomp", BROKEN, TX2.but(modules={"cv2": OTHER_TLS}), "static TLS",
        "LD_PRELOAD=/home/me/torch/lib/libgomp-d22c30c5.so.1",
    ),
    ("tensorrt", BROKEN, TX2.but(modules={"tensorrt": OTHER_TLS}), "static TLS", "LD_PRELOAD=/home/me/torch"),
    ("pycuda", BROKEN, TX2.but(modules={"pycuda": OTHER_TLS}), "static TLS", "LD_PRELOAD=/home/me/torch"),
    ("libgomp", NOT_HERE, TX2.but(modules={"numpy": SIGILL}), "see numpy", ""),
    ("libgomp", NOT_HERE, PC, "only on aarch64", ""),
    ("onnxruntime", OK, PC, "ONNX Runtime 1.23.0", ""),
    ("onnxruntime", NOTE, TX2.but(modules=no("onnxruntime")), "engines run", "==1.10.0"),
    ("onnxruntime", BROKEN, PC.but(modules=no("onnxruntime")), "nothing else", "pip install"),
    ("onnxruntime", BROKEN, TX2.but(modules={"onnxruntime": SIGILL}), "SIGILL", "OPENBLAS_CORETYPE"),
    ("onnxruntime", BROKEN, PC.but(modules=no("numpy")), "No module named 'numpy'", "see the probe numpy"),
    ("tensorrt", OK, TX2, "TensorRT 8.2.1.8 for Python 3.6", ""),
    ("tensorrt", NOTE, TX2.but(modules={"tensorrt": TENSORRT.format("8.0.1.6")}), "on a Jetson TX2 8.2", ""),
    ("tensorrt", BROKEN, TX2.but(modules={"tensorrt": TENSORRT.format("7.1.3.0")}), "older than 8.0", "JetPack 4.6"),
    (
        "tensorrt", BROKEN, TX2.but(VENV, modules=no("tensorrt"), prefix="venv"),
        "/usr/lib/python3.6/dist-packages/tensorrt is hidden by this environment", "--system-site-packages",
    ),
    (
        "tensorrt", BROKEN, TX2.but(running=(3, 8), modules=no("tensorrt")),
        "is for another Python than this 3.8", "use python3.6 instead",
    ),
    (
        "tensorrt", BROKEN,
        TX2.but({"usr/lib/python3.6/": None}, modules=no("tensorrt")), "", "python3-libnvinfer",
    ),
    (
        "tensorrt", BROKEN,
        TX2.but(BOXED, modules={"tensorrt": "raise ImportError('libnvinfer.so.8: file too short')"}),
        "file too short", "--runtime nvidia",
    ),
    ("tensorrt", BROKEN, TX2.but(modules={"tensorrt": "1 / 0"}), "ZeroDivisionError", "--reinstall"),
    ("tensorrt", NOTE, PC.but(CARD), "No module named 'tensorrt'", "'tensorrt>=10.3' pycuda"),
    ("tensorrt", NOT_HERE, PC, "no NVIDIA GPU", ""),
    ("pycuda", OK, TX2, "pycuda 2022.1: NVIDIA Tegra X2 (compute capability 6.2), driver of CUDA 10.2", ""),
    ("pycuda", BROKEN, TX2.but(modules=no("pycuda")), "not installed for Python 3.6", "pycuda==2022.1"),
    ("pycuda", BROKEN, TX2.but(modules=no("pycuda")), "not installed", "pip install pip==21.3.1 && "),
    ("pycuda", BROKEN, ORIN.but(modules=no("pycuda")), "not installed", "--no-build-isolation pycuda"),
    (
        "pycuda",
        BROKEN,
        TX2.but(BOXED, modules={"pycuda": "raise RuntimeError('cuInit failed: no CUDA-capable device')"}),
        "no CUDA-capable device", "--runtime nvidia",
    ),
    (
        "pycuda", BROKEN, TX2.but(modules={"pycuda": "raise RuntimeError('cuInit failed: unknown error')"}),
        "unknown", "dmesg",
    ),
    ("pycuda", BROKEN, TX2.but(modules={"numpy": SIGILL}), "SIGILL", "see the probe numpy"),
    ("pycuda", BROKEN, TX2.but(modules=no("numpy")), "No module named 'numpy'", "see the probe numpy"),
    ("pycuda", BROKEN, TX2.but(modules={"pycuda": SIGILL}), "SIGILL", "OPENBLAS_CORETYPE"),
    ("pycuda", BROKEN, TX2.but(modules={"pycuda": OTHER_NUMPY}), "multiarray", "--force-reinstall"),
    ("pycuda", NOT_HERE, PC, "", ""),
    ("nvcc", OK, TX2, "nvcc 10.2.300", ""),
    ("nvcc", PROBLEM, TX2.but(commands={"nvcc": None}), "is not on PATH", "export PATH="),
    (
        "nvcc", BROKEN, TX2.but(commands={"nvcc": "echo nothing; exit 1"}),
        "is no nvcc", "sudo apt install cuda-nvcc-10-2",
    ),
    ("nvcc", NOT_HERE, PC, "", ""),
    ("cameras", OK, TX2, "/dev/video0 (HD Webcam C920): YUYV 640x480 at 30, 1280x720 at 10; MJPG 1920x1080 at 30,", ""),
    ("cameras", OK, PC, "and 1 more", ""),
    ("cameras", PROBLEM, PC.but(cameras={"dev/video0": ERROR}), "Permission denied", "usermod -aG video"),
    ("cameras", BROKEN, PC.but(cameras={}), "No such device", "dmesg"),
    ("cameras", NOTE, PC.but({"dev/video0": None}), "there is no /dev/video*", "plug one in"),
    ("cameras", NOTE, TX2.but(dict(BOXED, **{"dev/": None})), "there is no", "docker run --device"),
    ("cameras", NOTE, TX2.but(cameras={"dev/video0": RAW}), "raw frames of a sensor", "CSI"),
    ("cameras", NOTE, TX2.but(cameras={"dev/video0": SLOW}), "uncompressed alone", "640x480"),
    ("cameras", NOTE, TX2.but(cameras={"dev/video0": METADATA}), "none of /dev/video0 captures", ""),
    ("argus", OK, TX2, "", ""),
    ("argus", PROBLEM, TX2.but({"tmp/": None}), "its socket is not there", "systemctl restart nvargus-daemon"),
    ("argus", PROBLEM, TX2.but(dict(BOXED, **{"tmp/": None})), "not in this container", "-v /tmp/argus_socket"),
    ("argus", NOTE, TX2.but({"tmp/": None, "usr/sbin/": None}), "not installed", "nvidia-l4t-camera"),
    ("argus", BROKEN, TX2.but(commands={"systemctl": "echo failed; exit 3"}), "nvargus-daemon is failed", "restart"),
    ("argus", NOT_HERE, PC, "", ""),
    ("docker", OK, TX2, "default runtime", ""),
    ("docker", OK, ORIN, "default runtime", ""),
    (
        "docker", NOTE, TX2.but({"etc/docker/daemon.json": DAEMON.replace(', "default-runtime": "nvidia"', "")}),
        "docker build", "default-runtime",
    ),
    ("docker", NOTE, TX2.but(commands={"nvidia-ctk": "exit 0"}), "neither CUDA nor TensorRT", "csv-mounts=all"),
    (
        "docker", PROBLEM, TX2.but({"etc/docker/daemon.json": None}),
        "no runtime called nvidia", "nvidia-container-runtime",
    ),
    ("docker", PROBLEM, ORIN.but({"etc/docker/daemon.json": "{}"}), "no runtime", "nvidia-container-toolkit"),
    (
        "docker", PROBLEM,
        TX2.but({"etc/nvidia-container-runtime/host-files-for-container.d/cuda.csv": None}),
        "cuda.csv",
        "nvidia-container-csv-cuda",
    ),
    ("docker", BROKEN, TX2.but({"etc/docker/daemon.json": DAEMON[:-4]}), "cannot be read as JSON", "json.tool"),
    ("docker", BROKEN, TX2.but({"etc/docker/daemon.json": "NaN"}), "the file is to be an object", '{"runtimes"'),
    ("docker", BROKEN, TX2.but({"etc/docker/daemon.json": "[" * 100000}), "nested too deeply", '{"runtimes"'),
    ("docker", BROKEN, TX2.but({"etc/docker/daemon.json": b"\xff\xfe{"}), "it is no text", '{"runtimes"'),
    ("docker", BROKEN, TX2.but({"etc/docker/daemon.json": "[1]"}), "the file is to be an object", '{"runtimes"'),
    ("docker", BROKEN, TX2.but({"etc/docker/daemon.json": "null"}), "the file is to be an object", '{"runtimes"'),
    (
        "docker", BROKEN, TX2.but({"etc/docker/daemon.json": '{"runtimes": ["nvidia"]}'}),
        '"runtimes" in it is to be an object', '{"runtimes"',
    ),
    ("docker", PROBLEM, TX2.but({"etc/docker/daemon.json": '{"runtimes": null}'}), "no runtime called nvidia", ""),
    ("docker", NOT_HERE, TX2.but({"etc/docker/": None}, {"docker": None}), "not installed", ""),
    ("docker", NOT_HERE, PC, "", ""),
    ("container", NOT_HERE, TX2, "no container", ""),
    ("container", OK, PC.but({".dockerenv": ""}), "on no Jetson", ""),
    ("container", OK, PC.but({"proc/1/cgroup": "12:pids:/docker/0f3a\n"}), "on no Jetson", ""),
    ("container", OK, TX2.but(BOXED), "for L4T 32.7.4", ""),
    ("container", OK, TX2.but(dict(BOXED, **HIDDEN)), "for L4T ?", ""),
    (
        "container", BROKEN, TX2.but(dict(BOXED, **{"proc/sys/kernel/osrelease": "5.10.104-tegra"})),
        "of r34 or r35", "begins with r34 or r35",
    ),
    ("container", BROKEN, TX2.but(dict(BOXED, **{LIBRARIES + "libnvinfer.so.8": b""})), "is empty", "--runtime nvidia"),
    ("container", PROBLEM, TX2.but({".dockerenv": ""}), "no libnvinfer.so", "csv-mounts=all"),
    ("models", NOT_HERE, TX2, "no file was given", "")
]  # fmt: skip
