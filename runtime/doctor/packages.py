"""Probes of the interpreter and of what it can import, each import in a child: a crash is a verdict."""

import glob
import os
import re
from typing import List, Tuple

from ccc_jetson.runtime.doctor.place import Imported, Place
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, NOTE, OK, PROBLEM, Finding
from ccc_jetson.static_tls import preload

CORETYPE = "export OPENBLAS_CORETYPE=ARMV8"
_VENV = "python3 -m venv --system-site-packages .venv"
_OLDEST_TENSORRT = (8, 0)
# L4T -> the Python that its TensorRT and OpenCV are for
_PYTHONS = {32: (3, 6), 34: (3, 8), 35: (3, 8), 36: (3, 10), 38: (3, 12), 39: (3, 12)}
_NO_OPENCV_OF_PIP = "python3 -m pip uninstall -y opencv-python opencv-python-headless opencv-contrib-python"
_SEE_NUMPY = "see the probe numpy"
# In the order in which ccc-run comes to them; what is missing is another probe's
_TOGETHER = """
for name in ("numpy", "tensorrt", "pycuda.driver", "cv2"):
    try:
        __import__(name)
    except ImportError as error:
        if "static TLS" in str(error):
            raise
"""


def python(place: Place) -> List[Finding]:
    """Whether this is the interpreter that JetPack's packages are for, and sees them."""
    here, wanted = _dotted(place.running), _PYTHONS.get(place.l4t_line)
    if wanted is None:
        return [Finding(OK, "Python {}".format(here))]
    if _hides_system_packages(place):
        return [
            Finding(
                PROBLEM,
                "Python {} in an environment that hides the system's packages, TensorRT and OpenCV among them".format(
                    here
                ),
                _VENV,
            )
        ]
    if place.running == wanted:
        return [Finding(OK, "Python {}, as JetPack's packages need it".format(here))]
    if place.imported("tensorrt").facts is not None:
        return [Finding(OK, "Python {}, which has a TensorRT of its own".format(here))]
    return [
        Finding(
            NOTE,
            "Python {}; JetPack's TensorRT and OpenCV are for {}".format(here, _dotted(wanted)),
            "use python{}: python{} -m pip install ccc_jetson-*.whl".format(_dotted(wanted), _dotted(wanted)),
        )
    ]


def numpy(place: Place) -> List[Finding]:
    """Whether numpy can be imported: 1.19.5 for aarch64 dies of an illegal instruction on a TX2 (numpy#18131)."""
    found = place.imported("numpy")
    if found.facts is None:
        if found.answer.signal == "SIGILL":
            return [
                Finding(
                    BROKEN, "importing it dies of an illegal instruction (SIGILL)", CORETYPE + ", or: " + _pip(place)
                )
            ]
        return [Finding(BROKEN, "cannot be imported: " + found.answer.complaint, _pip(place))]
    text = "numpy {}".format(found.version)
    if found.version == "1.19.5" and place.architecture == "aarch64":
        return [
            Finding(
                NOTE,
                text
                + " is the one that dies of an illegal instruction on a TX2; it was spared here{}".format(
                    " by OPENBLAS_CORETYPE={}".format(place.environ["OPENBLAS_CORETYPE"])
                    if place.environ.get("OPENBLAS_CORETYPE")
                    else ""
                ),
                _pip(place),
            )
        ]
    return [Finding(OK, text)]


def opencv(place: Place) -> List[Finding]:
    """Whether OpenCV is there, and reads GStreamer's pipelines, which a Jetson's cameras and decoders need."""
    found = place.imported("cv2")
    if found.facts is None:
        return [_no_opencv(place, found)]
    text = "OpenCV {} ({})".format(found.version, found.facts.get("file", ""))
    if found.facts.get("gstreamer"):
        return [Finding(OK, text + ", with GStreamer")]
    if place.is_jetson:
        return [
            Finding(
                PROBLEM,
                text + ", without GStreamer: no CSI cameras, no decoding by hardware",
                _NO_OPENCV_OF_PIP + "; sudo apt-get install libopencv-python",
            )
        ]
    return [Finding(OK, text + ", without GStreamer")]


def shadowed_opencv(place: Place) -> List[Finding]:
    """Whether an OpenCV of pip's hides JetPack's, which alone has GStreamer."""
    of_jetpack = _system_packages(place, "cv2") + _system_packages(place, "cv2*.so")
    if not place.is_jetson or not of_jetpack:
        return [Finding(NOT_HERE, "there is no OpenCV of JetPack's here")]
    found = place.imported("cv2")
    if found.facts is None:
        return [Finding(NOT_HERE, "OpenCV cannot be imported; see opencv")]
    file = str(found.facts.get("file", ""))
    if "dist-packages" in file and "/local/" not in file:
        return [Finding(OK, "{} is JetPack's".format(file))]
    return [
        Finding(
            PROBLEM,
            "{} hides JetPack's {}".format(file, of_jetpack[0]),
            _NO_OPENCV_OF_PIP,
        )
    ]


def onnxruntime(place: Place) -> List[Finding]:
    """What runs models on the CPU; engines need none of it."""
    found = place.imported("onnxruntime")
    if found.facts is not None:
        return [Finding(OK, "ONNX Runtime {}".format(found.version))]
    if _is_numpys_fault(place, found):
        return [Finding(BROKEN, "cannot be imported: " + found.answer.complaint, _SEE_NUMPY)]
    text, fix = found.answer.complaint, "python3 -m pip install onnxruntime"
    if place.running < (3, 7):
        fix += "==1.10.0"  # the last for Python 3.6
    if found.answer.signal == "SIGILL":
        return [Finding(BROKEN, "importing it dies of an illegal instruction (SIGILL)", CORETYPE)]
    if place.has_gpu and found.is_missing:
        return [Finding(NOTE, "not installed: engines run without it, ONNX files do not", fix)]
    return [Finding(BROKEN, "cannot be imported, and nothing else runs models on this CPU: " + text, fix)]


def libgomp(place: Place) -> List[Finding]:
    """Whether all that ccc-run imports can be imported together: on aarch64 libgomp may find no static TLS left
    (opencv#14884)."""
    if place.architecture != "aarch64":
        return [Finding(NOT_HERE, "only on aarch64")]
    answer = place.run([place.python, "-c", _TOGETHER])
    if answer.code == 0:
        return [Finding(OK, "numpy, TensorRT, pycuda and OpenCV get along, as far as they are there")]
    too_late = preload(answer.err)
    if too_late:
        return [Finding(BROKEN, answer.complaint, too_late)]
    return [Finding(NOT_HERE, "one of them cannot be imported at all; see numpy, tensorrt, pycuda and opencv")]


def tensorrt(place: Place) -> List[Finding]:
    """Whether this interpreter has TensorRT, and one that is new enough."""
    found = place.imported("tensorrt")
    if found.facts is None:
        if not place.has_gpu:
            return [Finding(NOT_HERE, "no NVIDIA GPU here; models run on the CPU")]
        return [_no_tensorrt(place, found)]
    if tuple(int(part) for part in re.findall(r"[0-9]{1,4}", found.version)[:2]) < _OLDEST_TENSORRT:
        return [
            Finding(BROKEN, "TensorRT {} is older than 8.0".format(found.version or "?"), "flash JetPack 4.6 or newer")
        ]
    text = "TensorRT {} for Python {}".format(found.version, _dotted(place.running))
    target = place.target
    if target is not None and not found.version.startswith("{}.{}.".format(*target.tensorrt)):
        return [Finding(NOTE, "{}; on a {} {}.{} is what is tested for".format(text, target.title, *target.tensorrt))]
    return [Finding(OK, text)]


def pycuda(place: Place) -> List[Finding]:
    """Whether pycuda is there and finds the GPU."""
    found = place.imported("pycuda")
    if found.facts is not None:
        text = "pycuda {}: {} (compute capability {}), driver of CUDA {}"
        return [Finding(OK, text.format(*(found.facts.get(key, "?") for key in ("version", "device", "sm", "cuda"))))]
    if not place.has_gpu:
        return [Finding(NOT_HERE, "no NVIDIA GPU here; models run on the CPU")]
    if found.is_missing:
        return [
            Finding(
                BROKEN,
                "not installed for Python {}".format(_dotted(place.running)),
                "export PATH=/usr/local/cuda/bin:$PATH; "
                + _pip_that_knows_isolation(place)
                + "python3 -m pip install --no-build-isolation pycuda"
                + _pin_of_pycuda(place),
            )
        ]
    if _is_numpys_fault(place, found):
        return [Finding(BROKEN, "cannot be imported: " + found.answer.complaint, _SEE_NUMPY)]
    if found.answer.signal == "SIGILL":
        return [Finding(BROKEN, "cannot be imported: " + found.answer.complaint, CORETYPE)]
    if "numpy" in found.answer.complaint:  # compiled against another than the one that is there
        again = "python3 -m pip install --force-reinstall --no-deps --no-cache-dir --no-build-isolation pycuda"
        return [Finding(BROKEN, found.answer.complaint, again + _pin_of_pycuda(place))]
    fix = "docker run --runtime nvidia ..." if place.in_container else "sudo reboot, then look at: dmesg | grep -i nv"
    return [Finding(BROKEN, found.answer.complaint, preload(found.answer.err) or fix)]


def _no_opencv(place: Place, found: Imported) -> Finding:
    text = "cannot be imported: " + found.answer.complaint
    if _is_numpys_fault(place, found):
        return Finding(BROKEN, text, _SEE_NUMPY)
    too_late = preload(found.answer.err)
    if too_late:
        return Finding(BROKEN, text, too_late)
    if found.answer.signal == "SIGILL":
        return Finding(BROKEN, text, CORETYPE)
    if place.is_jetson:  # pip's have no GStreamer
        if _hides_system_packages(place):
            return Finding(BROKEN, text, _VENV)
        if found.is_missing:
            return Finding(BROKEN, text, "sudo apt-get install libopencv-python")
        return Finding(BROKEN, text, _NO_OPENCV_OF_PIP + "; sudo apt-get install --reinstall libopencv-python")
    if "libGL" in found.answer.err or "libgthread" in found.answer.err:
        return Finding(
            BROKEN, text, "python3 -m pip uninstall -y opencv-python; python3 -m pip install opencv-python-headless"
        )
    pin = "==4.6.0.66" if place.running < (3, 7) else ""  # newer ones would be compiled, for hours
    return Finding(BROKEN, text, "python3 -m pip install opencv-python-headless" + pin)


def _no_tensorrt(place: Place, found: Imported) -> Finding:
    text = "cannot be imported: " + found.answer.complaint
    if not found.is_missing:
        fix = "sudo apt-get install --reinstall libnvinfer8 python3-libnvinfer"
        if place.in_container:
            fix = "docker run --runtime nvidia ..."
        return Finding(BROKEN, text, preload(found.answer.err) or fix)
    if not place.is_jetson:
        return Finding(NOTE, text, "python3 -m pip install 'tensorrt>=10.3' pycuda")
    elsewhere = _system_packages(place, "tensorrt")
    if elsewhere and _hides_system_packages(place):
        return Finding(BROKEN, "{}; {} is hidden by this environment".format(text, elsewhere[0]), _VENV)
    if elsewhere:
        version = re.search(r"python(3\.[0-9]{1,2})", elsewhere[0])
        other = "python" + version.group(1) if version else "/usr/bin/python3"
        evidence = "{}; {} is for another Python than this {}".format(text, elsewhere[0], _dotted(place.running))
        return Finding(BROKEN, evidence, "use {} instead".format(other))
    return Finding(BROKEN, text, "sudo apt-get install python3-libnvinfer")


def _system_packages(place: Place, name: str) -> List[str]:
    """Where JetPack's packages have a module, as paths of the machine."""
    found = []
    for folder in ("usr/lib/python3*/dist-packages", "usr/lib/python3*/site-packages"):
        found += glob.glob(os.path.join(glob.escape(place.root), folder, name))
    return ["/" + os.path.relpath(path, place.root) for path in sorted(found)]


def _hides_system_packages(place: Place) -> bool:
    """Whether the interpreter lives in a virtual environment without ``--system-site-packages``.

    include-system-site-packages = false
    """
    try:
        with open(os.path.join(place.prefix, "pyvenv.cfg"), encoding="utf-8", errors="replace") as file:
            text = file.read(10000)
    except OSError:
        return False
    return bool(re.search(r"^include-system-site-packages\s*=\s*false\s*$", text, re.MULTILINE | re.IGNORECASE))


def _is_numpys_fault(place: Place, found: Imported) -> bool:
    """Whether a module that was not imported dies of what numpy dies of, or names it."""
    numpy = place.imported("numpy")
    if numpy.facts is not None or found.is_missing:
        return False
    return found.answer.complaint == numpy.answer.complaint or "numpy" in found.answer.complaint


def _pin_of_pycuda(place: Place) -> str:
    return "==2022.1" if place.running < (3, 8) else ""


def _pip_that_knows_isolation(place: Place) -> str:
    """JetPack 4's pip 9.0.1 does not; a later one, isolated, would compile a numpy of 2017 for pycuda."""
    if place.running >= (3, 7):
        return ""
    return "python3 -m pip install pip==21.3.1 && python3 -m pip install setuptools==59.6.0 wheel==0.37.1 && "


def _pip(place: Place) -> str:
    pin = "==1.19.4" if place.architecture == "aarch64" and place.running < (3, 7) else ""
    return "python3 -m pip install numpy" + pin


def _dotted(version: Tuple[int, int]) -> str:
    return "{}.{}".format(*version)
