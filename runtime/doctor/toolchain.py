"""Probe of nvcc, which compiles the runtime's kernels and pycuda."""

from typing import List

from ccc_jetson.engines.nvcc import PREFIX, find_nvcc
from ccc_jetson.errors import DependencyMissing
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, OK, PROBLEM, Finding


def nvcc(place: Place) -> List[Finding]:
    """Whether there is an nvcc that answers, and PATH has it, which pip needs for pycuda."""
    if not place.has_gpu:
        return [Finding(NOT_HERE, "no NVIDIA GPU here, so nothing is compiled for one")]
    found = place.imported("pycuda").facts or {}
    try:
        compiler = find_nvcc(str(found.get("cuda", "")), place.environ)
    except DependencyMissing as problem:
        return [Finding(BROKEN, str(problem), problem.hint)]
    text = "nvcc {} ({})".format(compiler.version, compiler.path)
    if not place.which("nvcc"):
        return [
            Finding(
                PROBLEM,
                text + " is not on PATH; pycuda cannot be installed without it",
                "export PATH={}/cuda/bin:$PATH (sudo drops it: sudo env PATH=$PATH ...)".format(PREFIX),
            )
        ]
    return [Finding(OK, text)]
