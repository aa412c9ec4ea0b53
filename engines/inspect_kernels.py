"""What is in a file of compiled CUDA kernels, and would this version's runtime use it? Behind ``ccc-inspect``."""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from ccc_jetson.clean_text import clean
from ccc_jetson.engines.inspect_text import Row, page
from ccc_jetson.engines.kernel_store import Wanted, channels_of, head_text, misfit, read_sources
from ccc_jetson.engines.kernels_file import CompiledKernels, kernels_path, read_kernels
from ccc_jetson.engines.machine import sm_text
from ccc_jetson.engines.manifest import Manifest
from ccc_jetson.errors import FileProblem


class KernelsReport(NamedTuple):
    """A file of compiled kernels.

    ``kernels`` is None where the file is damaged. ``misfit`` is why the runtime would pass them over: damage, or that
    they are not what this version, and the engine beside them, need; "" where they fit.
    """

    path: str
    kernels: Optional[CompiledKernels]
    misfit: str

    def to_json(self) -> Dict[str, Any]:
        """The report for machines; ``header`` is null where it is damaged."""
        header = None if self.kernels is None else self.kernels.to_record()
        return {"path": self.path, "header": header, "misfit": self.misfit}


def inspect_kernels(path: str) -> KernelsReport:
    """Reads the file at ``path`` and compares it with this version's sources.

    Raises:
        FileProblem: it is missing, damaged, or no such file.
    """
    found = read_kernels(path)
    return KernelsReport(path, found, misfit(found, Wanted(_own_sources(), "", "", None)))


def kernels_beside(engine_path: str, manifest: Optional[Manifest]) -> Optional[KernelsReport]:
    """The kernels beside an engine, compared with what it needs where its manifest says that; None without any.

    A damaged file is no error here: the engine is as good without it.
    """
    path = kernels_path(engine_path)
    if not os.path.lexists(path):
        return None
    try:
        found = read_kernels(path)
    except FileProblem as problem:
        return KernelsReport(path, None, str(problem))
    wanted = Wanted(_own_sources(), "", "", None)
    if manifest is not None:
        machine, head = manifest.machine, channels_of(manifest.contract.head)
        wanted = wanted._replace(sm=machine.sm, cuda=machine.cuda, head=head)
    return KernelsReport(path, found, misfit(found, wanted))


def kernels_row(report: Optional[KernelsReport]) -> str:
    """The kernels beside an engine, in a line of its page."""
    if report is None:
        return "none beside the engine: compiled where it is first run, which takes nvcc"
    if report.kernels is None:
        return "passed over: {}".format(report.misfit)
    text = "{}: for {}, CUDA {}, {:.1f} kB; {}"
    verdict = "they fit" if not report.misfit else "passed over: {}".format(report.misfit)
    found = report.kernels
    return text.format(report.path, sm_text(found.sm), found.cuda, len(found.cubin) / 1e3, verdict)


def kernels_page(report: KernelsReport) -> str:
    """The page of a file of kernels that is not damaged."""
    found = report.kernels
    assert found is not None
    record = found.to_record()
    rows: List[Row] = [
        ("file", "{}: compiled CUDA kernels, {:.1f} kB".format(report.path, len(found.cubin) / 1e3)),
        ("sha256", "{} (of the cubin)".format(record["cubin_sha256"])),
        ("for", "{}, by nvcc of CUDA {}".format(sm_text(found.sm), found.cuda)),
        ("head", head_text(found.head)),
        ("by", clean(found.tool)),
        ("sources", "SHA-256 " + found.sources_sha256),
        ("", "those of this version" if not report.misfit else "the runtime passes it over: " + report.misfit),
    ]
    return page(rows)


def _own_sources() -> str:
    try:
        return read_sources().sha256
    except FileProblem:  # files are inspected anywhere; nothing is compared with what is not there
        return ""
