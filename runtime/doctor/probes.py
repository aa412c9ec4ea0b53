"""The table of probes."""

from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.clean_text import clean
from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.doctor import board, cameras, containers, models, packages, resources, toolchain
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, NOTE, OK, PROBLEM, Finding


class Probe(NamedTuple):
    """One thing to look at. ``look`` is given the place, and the files that the user named; ``verdicts`` are those that
    it can come to."""

    name: str
    title: str
    look: Callable[[Place, Sequence[str]], List[Finding]]
    verdicts: Tuple[str, ...]


def _of_place(look: Callable[[Place], List[Finding]]) -> Callable[[Place, Sequence[str]], List[Finding]]:
    return lambda place, files: look(place)


PROBES = (
    Probe("jetpack", "the board, its L4T and JetPack", _of_place(board.jetpack), (NOT_HERE, OK, NOTE, PROBLEM)),
    Probe("power-mode", "nvpmodel's mode", _of_place(board.power_mode), (NOT_HERE, OK, NOTE, PROBLEM)),
    Probe("cores", "processor cores that are on", _of_place(board.cores), (NOT_HERE, OK, NOTE, PROBLEM)),
    Probe("clocks", "whether jetson_clocks is in effect", _of_place(board.clocks), (NOT_HERE, OK, NOTE)),
    Probe(
        "heat",
        "temperatures, and whether something is slowed down",
        _of_place(board.heat),
        (NOT_HERE, OK, NOTE, PROBLEM),
    ),
    Probe("memory", "memory that can be had", _of_place(resources.memory), (OK, NOTE, PROBLEM, BROKEN)),
    Probe("swap", "swap, which builds need", _of_place(resources.swap), (OK, NOTE, PROBLEM)),
    Probe("disk", "room where work is done", _of_place(resources.disk), (OK, PROBLEM, BROKEN)),
    Probe("python", "whether this Python is JetPack's", _of_place(packages.python), (OK, NOTE, PROBLEM)),
    Probe("numpy", "numpy, and its illegal instruction", _of_place(packages.numpy), (OK, NOTE, BROKEN)),
    Probe("opencv", "OpenCV, and its GStreamer", _of_place(packages.opencv), (OK, PROBLEM, BROKEN)),
    Probe(
        "opencv-of-pip",
        "whether pip's OpenCV hides JetPack's",
        _of_place(packages.shadowed_opencv),
        (NOT_HERE, OK, PROBLEM),
    ),
    Probe("libgomp", "static TLS for libgomp", _of_place(packages.libgomp), (NOT_HERE, OK, BROKEN)),
    Probe("onnxruntime", "what runs models on the CPU", _of_place(packages.onnxruntime), (OK, NOTE, BROKEN)),
    Probe("tensorrt", "TensorRT for this Python", _of_place(packages.tensorrt), (NOT_HERE, OK, NOTE, BROKEN)),
    Probe("pycuda", "pycuda and the GPU", _of_place(packages.pycuda), (NOT_HERE, OK, BROKEN)),
    Probe("nvcc", "NVIDIA's compiler", _of_place(toolchain.nvcc), (NOT_HERE, OK, PROBLEM, BROKEN)),
    Probe("cameras", "video devices and their formats", _of_place(cameras.cameras), (OK, NOTE, PROBLEM, BROKEN)),
    Probe("argus", "the daemon of CSI cameras", _of_place(cameras.argus), (NOT_HERE, OK, NOTE, PROBLEM, BROKEN)),
    Probe(
        "docker", "Docker's settings on a board", _of_place(containers.docker), (NOT_HERE, OK, NOTE, PROBLEM, BROKEN)
    ),
    Probe(
        "container",
        "whether this container fits its board",
        _of_place(containers.container),
        (NOT_HERE, OK, PROBLEM, BROKEN),
    ),
    Probe("models", "the files that were given", models.models, (NOT_HERE, OK, NOTE, PROBLEM, BROKEN)),
)


class Result(NamedTuple):
    """A probe's name and one of its findings."""

    probe: str
    finding: Finding


def chosen(names: Optional[Sequence[str]], probes: Sequence[Probe] = PROBES) -> Tuple[Probe, ...]:
    """The probes of these names in the table's order; all for None.

    Raises:
        UsageError: there is no probe of a name.
    """
    known = [probe.name for probe in probes]
    for name in names or ():
        if name not in known:
            raise UsageError(
                "there is no probe {!r}; expected one of {}".format(clean(name), ", ".join(known)),
                hint="ccc-doctor --list",
            )
    return tuple(probe for probe in probes if names is None or probe.name in names)


def _cleaned(finding: Finding) -> Finding:
    """On one line, without what steers a terminal: evidence holds words of drivers, files and other programs."""
    return finding._replace(evidence=clean(" ".join(finding.evidence.split())), fix=clean(finding.fix))


def examine(
    place: Place,
    files: Sequence[str] = (),
    probes: Sequence[Probe] = PROBES,
    before: Callable[[Probe], None] = lambda probe: None,
) -> List[Result]:
    """Every probe's findings. One that fails is a finding of its own, and the others go on.

    Args:
        before: called before each probe.
    """
    results = []
    for probe in probes:
        before(probe)
        try:
            findings = probe.look(place, files)
        except Exception as error:  # whatever it is: the table is to be whole
            findings = [
                Finding(
                    PROBLEM,
                    "the probe itself failed: {}: {}".format(type(error).__name__, clean(str(error))[:300]),
                    "report it with this line",
                )
            ]
        results += [Result(probe.name, _cleaned(finding)) for finding in findings]
    return results
