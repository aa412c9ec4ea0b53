"""An nvcc whose cubins the CPU "CUDA driver" loads: ``tests/doubles/cuda_shim`` compiles them for this CPU.

It takes our command line and no more, refuses what an nvcc of its version refuses, and says so as that does. What it
has compiled once it takes from a folder. Variables:

    NVCC_DOUBLE_PYTHON    the Python that runs it
    NVCC_DOUBLE_VERSION   the release that it plays, "10.2" where it is not set
    NVCC_DOUBLE_CACHE     the folder; where it is not set everything is compiled anew
"""

import glob
import hashlib
import os
import re
import shutil
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(FOLDER))))

from tests.doubles import cuda_shim  # noqa: E402
from tests.doubles.cuda_shim.build import CompileError, CompilerMissing, build  # noqa: E402

# Its build, the GPUs and the C++ that it knows
RELEASES = {
    "10.2": ("10.2.300", "30 32 35 37 50 52 53 60 61 62 70 72 75", "c++03 c++11 c++14"),
    "11.4": ("11.4.315", "35 37 50 52 53 60 61 62 70 72 75 80 86 87", "c++03 c++11 c++14 c++17"),
    "12.6": ("12.6.68", "50 52 53 60 61 62 70 72 75 80 86 87 89 90", "c++03 c++11 c++14 c++17 c++20"),
    "13.0": ("13.0.48", "75 80 86 87 88 89 90 100 103 110 120 121", "c++03 c++11 c++14 c++17 c++20"),
}
_REMOVED = {"13.0": "30 32 35 37 50 52 53 60 61 62 70 72"}
# unit.cu:3:7: error: 'x' was not declared in this scope
_ERROR = re.compile(r"^(?P<file>[^:\s]+):(?P<line>\d+):\d+: (?:fatal )?error: (?P<text>.*)$", re.MULTILINE)


class Refused(Exception):
    """What nvcc would print, before it ends with code 1."""


def main(arguments, version):
    """Runs it: the exit code."""
    try:
        if arguments == ["--version"]:
            print(version_text(version))
        else:
            _compile(arguments, version)
    except Refused as error:
        sys.stderr.write("{}\n".format(error))
        return 1
    return 0


def version_text(version):
    """What ``nvcc --version`` prints."""
    lines = ["nvcc: NVIDIA (R) Cuda compiler driver", "Copyright (c) 2005-2021 NVIDIA Corporation"]
    lines += ["Built on Sun_Feb_28_22:34:44_PST_2021"]
    lines += ["Cuda compilation tools, release {}, V{}".format(version, RELEASES[version][0])]
    return "\n".join(lines + ["Build cuda_{}_double".format(version)])


def _compile(arguments, version):
    defines, sm, is_cubin, output, sources = [], None, False, None, []
    rest = iter(arguments)
    for each in rest:
        if each == "-cubin":
            is_cubin = True
        elif each == "-o":
            output = next(rest, None)
        elif each.startswith("-arch="):
            sm = _known_sm(each[len("-arch=") :], version)
        elif each.startswith("-std="):
            _check_standard(each[len("-std=") :], version)
        elif each.startswith("-D"):
            defines.append(each[2:])
        elif each.startswith("-") and each not in ("-O1", "-O2", "-O3"):
            raise Refused("nvcc fatal   : Unknown option '{}'".format(each.lstrip("-")))
        elif not each.startswith("-"):
            sources.append(each)
    if len(sources) != 1:
        raise Refused("nvcc fatal   : No input files specified; use option --help for more information")
    if not os.path.exists(sources[0]):
        raise Refused("nvcc fatal   : No such file or directory: '{}'".format(sources[0]))
    if not (is_cubin and sm and output):
        raise Refused("nvcc fatal   : this double compiles with -cubin -arch=sm_XX -o FILE only")
    _write_cubin(sources[0], sm, defines, output)


def _known_sm(name, version):
    """The number in "sm_62"."""
    number = name[len("sm_") :]
    if name.startswith("sm_") and number in RELEASES[version][1].split():
        return int(number)
    if name.startswith("sm_") and number in _REMOVED.get(version, "").split():
        raise Refused("nvcc fatal   : Unsupported gpu architecture '{}'".format(name))
    raise Refused("nvcc fatal   : Value '{}' is not defined for option 'gpu-architecture'".format(name))


def _check_standard(name, version):
    if name not in RELEASES[version][2].split():
        raise Refused("nvcc fatal   : Value '{}' is not defined for option 'std'".format(name))


def _write_cubin(source, sm, defines, output):
    folder = os.environ.get("NVCC_DOUBLE_CACHE")
    known = os.path.join(folder, _key(source, sm, defines)) if folder else output
    if not folder or not os.path.exists(known):
        os.makedirs(os.path.dirname(os.path.abspath(known)), exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as temporary:
            shutil.move(_made(source, sm, defines, temporary), known)
    if folder:
        shutil.copyfile(known, output)


def _key(source, sm, defines):
    """Of all that the result depends on: what may be included, the shim, the options."""
    digest = hashlib.sha256(repr((os.path.basename(source), sm, defines)).encode())
    shim = os.path.dirname(os.path.abspath(cuda_shim.__file__))
    beside = os.path.dirname(os.path.abspath(source))
    files = [os.path.join(beside, name) for name in os.listdir(beside) if name.endswith((".cu", ".cuh", ".h"))]
    files += [path for ending in ("*.h", "*.py", "include/*") for path in glob.glob(os.path.join(shim, ending))]
    for path in sorted(files, key=os.path.basename):
        with open(path, "rb") as file:
            digest.update(os.path.basename(path).encode() + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def _made(source, sm, defines, folder):
    """A library that also tells the driver which GPU it is for."""
    unit, output = os.path.join(folder, "unit.cu"), os.path.join(folder, "cubin")
    with open(unit, "w") as file:
        file.write('#include "{}"\n'.format(os.path.abspath(source)))
        file.write('extern "C" __attribute__((visibility("default"))) const int fakecuda_sm = {};\n'.format(sm))
    try:
        build(unit, output, defines, ["-g0"])
    except CompilerMissing as error:
        raise Refused("nvcc fatal   : {}".format(error))
    except CompileError as error:
        raise Refused(_in_nvccs_words(str(error), os.path.basename(source)))
    return output


def _in_nvccs_words(said, name):
    """Errors as nvcc's front end prints them."""
    errors = ["{file}({line}): error: {text}".format(**error.groupdict()) for error in _ERROR.finditer(said)]
    number = "{} error{}".format(len(errors), "" if len(errors) == 1 else "s")
    last = '{} detected in the compilation of "{}".'.format(number, name)
    return "\n".join((errors or said.splitlines()[-3:]) + [last])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("NVCC_DOUBLE_VERSION", "10.2")))
