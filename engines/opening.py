"""An engine's file, checked and loaded: what everybody does who runs one.

First the manifest, then the plan against it, then the machine, and only then TensorRT: what that says of a plan for
another machine helps nobody. A plan without a manifest (of ``trtexec``, or another tool) runs with a contract given by
hand.
"""

import hashlib
from typing import NamedTuple, Optional, Tuple

from ccc_jetson.board import read_board
from ccc_jetson.contract import Contract
from ccc_jetson.engines.cuda import Cuda, first_gpu
from ccc_jetson.engines.gate import output_name
from ccc_jetson.engines.kernel_store import check_kernels
from ccc_jetson.engines.loaded import LoadedEngine
from ccc_jetson.engines.machine import Machine
from ccc_jetson.engines.manifest import (
    FEATURES,
    LOGITS,
    OUTPUTS,
    SCORES,
    Manifest,
    manifest_path,
    read_manifest,
    whole_output,
)
from ccc_jetson.engines.manifest_checks import check_machine, plan_problem, rebuild_command
from ccc_jetson.engines.tensorrt_api import TensorRT, import_tensorrt
from ccc_jetson.errors import ContractError, EngineMismatch
from ccc_jetson.files import read_bytes
from ccc_jetson.head import HeadWeights, head_weights


class OpenedEngine(NamedTuple):
    """An engine that fits this machine.

    ``output`` is what it gives (``manifest.OUTPUTS``), ``head`` the weights of the contract's head where it gives
    features and that head has any (``head.head_class_map`` takes them), ``manifest`` is ``None`` for a plan without
    one, ``notes`` say what may make it slower here than where it was built.
    """

    engine: LoadedEngine
    contract: Contract
    output: str
    head: Optional[HeadWeights]
    manifest: Optional[Manifest]
    notes: Tuple[str, ...]


def open_engine(api: TensorRT, cuda: Cuda, path: str, contract: Optional[Contract] = None) -> OpenedEngine:
    """Loads the engine at ``path``; close its ``engine`` when done.

    Args:
        contract: for a plan without a manifest; one with a manifest has its own.

    Raises:
        FileProblem: no such file, or it is not the one that its manifest describes.
        ContractError: there is neither manifest nor contract, or the engine is not what the contract describes.
        EngineMismatch: it was built for another TensorRT or GPU.
        BuildError: TensorRT refuses it all the same.
    """
    plan = read_bytes(path)
    manifest = read_manifest(path)
    if manifest is None:
        return _without_manifest(api, cuda, path, plan, contract)
    problem = plan_problem(manifest, path, len(plan), hashlib.sha256(plan).hexdigest())
    if problem is not None:
        raise problem
    device = cuda.facts()
    notes = check_machine(manifest, Machine(api.version, device.cuda, device.name, device.sm, *read_board()), path)
    head = None
    if manifest.head is not None and manifest.contract.head is not None:
        head = head_weights(manifest.contract.head, manifest.head, manifest_path(path))
    engine = LoadedEngine(api, cuda, plan, path, manifest.settings.dla_core)
    if set(engine.bindings) != set(manifest.bindings):
        engine.close()
        raise EngineMismatch(
            "{}: its inputs and outputs are not those of its manifest".format(path), hint=rebuild_command(manifest)
        )
    return OpenedEngine(engine, manifest.contract, manifest.settings.output, head, manifest, tuple(notes))


def check_runnable(path: str, contract: Optional[Contract] = None) -> None:
    """Looks for what keeps this machine from running the engine at ``path``, without loading it.

    Args:
        contract: for a plan without a manifest.

    Raises:
        FileProblem: the engine or its manifest cannot be read.
        ContractError: there is neither manifest nor contract.
        EngineMismatch: it was built for another TensorRT or GPU.
        DependencyMissing, BackendError: there is no TensorRT, no pycuda, no GPU, or neither kernels nor nvcc.
    """
    manifest = read_manifest(path)
    if manifest is not None:
        contract = manifest.contract
    elif contract is None:
        raise no_manifest(path)
    version, gpu = str(import_tensorrt().__version__), first_gpu()
    if manifest is not None:
        check_machine(manifest, Machine(version, gpu.cuda, gpu.name, gpu.sm, *read_board()), path)
    check_kernels(path, gpu.sm, gpu.cuda, contract.head)


def no_manifest(path: str) -> ContractError:
    """What to say of an engine that nothing is known of."""
    return ContractError(
        "{}: has no manifest ({}), so preprocessing and classes are unknown".format(path, manifest_path(path)),
        hint="copy the manifest too, build the engine with ccc-build-engine, or pass --contract FILE.json",
    )


def _without_manifest(api: TensorRT, cuda: Cuda, path: str, plan: bytes, contract: Optional[Contract]) -> OpenedEngine:
    if contract is None:
        raise no_manifest(path)
    engine = LoadedEngine(api, cuda, plan, path)
    outputs = {binding.name for binding in engine.outputs}
    # weights of a head are in no contract, so features alone make no classes where it has any
    complete = contract.head is not None and not contract.head.has_weights
    possible = {SCORES} if contract.is_classifier else {LOGITS, whole_output(contract)}
    if complete:
        possible.add(FEATURES)
    names = {kind: output_name(contract, kind) for kind in OUTPUTS if kind in possible}
    kinds = [kind for kind in OUTPUTS if names.get(kind) in outputs]
    given = contract.input
    shape = (given.batch, 3, given.height, given.width)
    if not kinds or [(binding.name, binding.shape) for binding in engine.inputs] != [(given.name, shape)]:
        found = ", ".join("{} {}".format(each.name, "x".join(map(str, each.shape))) for each in engine.bindings)
        engine.close()
        raise ContractError(
            "{}: its inputs and outputs ({}) are not those of the contract: {} {}, and {}".format(
                path, found, given.name, "x".join(map(str, shape)), " or ".join(sorted(set(names.values())))
            ),
            hint="is it the right contract? ccc-build-engine writes engines that bring their own",
        )
    return OpenedEngine(engine, contract, kinds[-1], None, None, ())
