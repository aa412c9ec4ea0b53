"""Probe of model files: whether this machine can run them."""

import re
from typing import List, Sequence

from ccc_jetson.clean_text import clean
from ccc_jetson.engines.machine import Machine
from ccc_jetson.engines.manifest import read_manifest
from ccc_jetson.engines.manifest_checks import check_machine, check_plan
from ccc_jetson.errors import CccError, ContractError
from ccc_jetson.file_kinds import CHECKPOINT, ENGINE, ONNX, kind_of
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, NOTE, OK, PROBLEM, Finding

_ON_THE_CPU = (0, 0)


def models(place: Place, paths: Sequence[str]) -> List[Finding]:
    """A finding for each file; problems that would end ccc-run are told with its own words."""
    if not paths:
        return [Finding(NOT_HERE, "no file was given: ccc-doctor model.engine")]
    return [_model(place, path) for path in paths]


def _model(place: Place, path: str) -> Finding:
    try:
        kind = kind_of(path)
        if kind == ENGINE:
            return _engine(place, path)
        if kind == ONNX:
            return _onnx(place, path)
    except CccError as problem:
        return Finding(BROKEN, clean(str(problem)), clean(problem.hint))
    if kind == CHECKPOINT:
        return Finding(
            NOTE, "{}: a checkpoint, which a workstation exports".format(clean(path)), "ccc-export CKPT MODEL.onnx"
        )
    return Finding(NOTE, "{}: a {}, which nothing runs".format(clean(path), kind), "ccc-inspect {}".format(clean(path)))


def _engine(place: Place, path: str) -> Finding:
    manifest = read_manifest(path)
    if manifest is None:
        return Finding(
            PROBLEM,
            "{}: has no manifest, so preprocessing and classes are unknown".format(clean(path)),
            "copy {}.json too, or: ccc-run --contract FILE.json".format(clean(path)),
        )
    check_plan(manifest, path)
    version, gpu = place.imported("tensorrt").version, place.imported("pycuda").facts or {}
    cuda, device, sm = (str(gpu.get(key, "")) for key in ("cuda", "device", "sm"))
    notes = check_machine(manifest, Machine(version, cuda, device, sm, *place.board), path)
    text = "{}: built with TensorRT {} for {}".format(
        clean(path), clean(manifest.machine.tensorrt), clean(manifest.machine.device or "sm " + manifest.machine.sm)
    )
    if not version:
        return Finding(PROBLEM, text + "; there is no TensorRT here", "ccc-run --model MODEL.onnx runs on the CPU")
    if notes:
        return Finding(NOTE, "{}; {}".format(text, "; ".join(notes)), "ccc-build-engine here chooses timings anew")
    return Finding(OK, text)


def _onnx(place: Place, path: str) -> Finding:
    if place.imported("numpy").facts is None:  # tried in a child: what it dies of would end the doctor too
        return Finding(NOTE, "{}: cannot be looked at without numpy".format(clean(path)), "see the probe numpy")
    from ccc_jetson.carried import contract_of
    from ccc_jetson.engines.compatibility import hardware_problems, problems
    from ccc_jetson.onnx_file import read_onnx

    found = read_onnx(path)
    try:
        contract = contract_of(found, path)
    except ContractError as problem:
        return Finding(PROBLEM, clean(str(problem)), clean(problem.hint))
    version, whose = _ON_THE_CPU, "the CPU"
    numbers = re.findall(r"[0-9]{1,4}", place.imported("tensorrt").version)
    if len(numbers) >= 2:
        version, whose = (int(numbers[0]), int(numbers[1])), "the TensorRT of this machine"
    elif place.target is not None:
        version, whose = place.target.tensorrt, "the TensorRT of a " + place.target.title
    against = problems(found, version)
    if not against and place.target is not None:
        against = hardware_problems(found, place.target)
    text = "{}: {}, {}x{}".format(
        clean(path), clean(contract.architecture.title), contract.input.width, contract.input.height
    )
    if against:
        first = against[0]
        evidence = "{}; {}: {} {}".format(text, whose, clean(first.operator), first.sentence)
        return Finding(BROKEN, evidence, first.cure)
    return Finding(OK, "{}, which {} takes".format(text, whose))
