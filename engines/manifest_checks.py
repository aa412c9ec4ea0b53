"""A manifest held against the plan beside it and against the machine that shall run it, and the command that builds the
engine again where they do not fit."""

import os
import shlex
from typing import List, Optional

from ccc_jetson.clean_text import clean
from ccc_jetson.engines.machine import Machine, gpu_text
from ccc_jetson.engines.manifest import Manifest, usual_output
from ccc_jetson.errors import EngineMismatch, FileProblem
from ccc_jetson.files import sha256_of


def check_plan(manifest: Manifest, engine_path: str) -> None:
    """Compares the plan's file with what the manifest says of it.

    Raises:
        FileProblem: it is missing, or another one; with what was found and expected, and the command that rebuilds it.
    """
    sha256 = sha256_of(engine_path)
    problem = plan_problem(manifest, engine_path, os.path.getsize(engine_path), sha256)
    if problem is not None:
        raise problem


def plan_problem(manifest: Manifest, engine_path: str, size_bytes: int, sha256: str) -> Optional[FileProblem]:
    """Why a plan of this size and SHA-256 is not the manifest's; None where it is."""
    if size_bytes != manifest.plan_bytes:
        found, expected = "has {:,} bytes".format(size_bytes), "{:,}".format(manifest.plan_bytes)
    elif sha256 != manifest.plan_sha256:
        found, expected = "has SHA-256 {}".format(sha256), manifest.plan_sha256
    else:
        return None
    return FileProblem(
        "{}: {}, its manifest says {}: the engine is damaged, or another one than the manifest was written for".format(
            engine_path, found, expected
        ),
        hint=_rebuild(manifest, engine_path),
    )


def check_machine(manifest: Manifest, machine: Machine, engine_path: str) -> List[str]:
    """Compares the machine that the engine was built on with this one; what either does not know is not compared.

    Returns:
        Notes on differences that change how fast the engine is, not whether it runs.

    Raises:
        EngineMismatch: it cannot run here. A plan is bound to TensorRT's exact version and to the compute capability.
    """
    built = manifest.machine
    was, here = [], []
    if _differ(built.tensorrt, machine.tensorrt):
        was.append("with TensorRT " + built.tensorrt)
        here.append("TensorRT " + machine.tensorrt)
    if _differ(built.sm, machine.sm):
        was.append("for " + _gpu(built))
        here.append(_gpu(machine))
    if was:
        message = "{}: built {}, running on {}".format(engine_path, " ".join(was), ", ".join(here))
        raise EngineMismatch(clean(message), hint=_rebuild(manifest, engine_path))
    notes = []
    another_board = _differ(built.board, machine.board)
    if another_board or _differ(built.device, machine.device):
        pair = (built.board, machine.board) if another_board else (built.device, machine.device)
        notes.append("timings were chosen on {}, this machine is {}".format(*pair))
    elif _differ(built.power_mode, machine.power_mode):  # modes of different boards cannot be compared
        notes.append("timings were chosen at {}, this machine is in {}".format(built.power_mode, machine.power_mode))
    if _differ(built.cuda, machine.cuda):
        notes.append("built with CUDA {}, this machine has CUDA {}".format(built.cuda, machine.cuda))
    return [clean(note) for note in notes]


def rebuild_command(manifest: Manifest, onnx: str = "", engine: str = "") -> str:
    """The command that builds the engine again as it was.

    ``onnx`` is the model's path where it is known, ``engine`` the engine's. A calibration cache is known by its content
    alone, so CALIBRATION_CACHE stands for its name.
    """
    settings, onnx = manifest.settings, onnx or manifest.onnx_file
    words = ["ccc-build-engine"] + (["--" + precision for precision in settings.precisions] or ["--fp32"])
    if settings.output != usual_output(manifest.contract):
        words += ["--output", settings.output]
    for pattern, precision in settings.layer_precisions:
        words += ["--layer-precision", "{}={}".format(pattern, precision)]
    if settings.workspace is not None:
        words += ["--workspace", str(settings.workspace)]
    if settings.dla_core is not None:
        words += ["--dla", str(settings.dla_core)]
    if settings.calibration_cache:
        words += ["--calib", "CALIBRATION_CACHE"]
    if settings.min_agreement is not None:
        words += ["--min-agreement", "{:g}".format(100 * settings.min_agreement)]
    words += ["--no-gate"] * (not settings.gate) + ["--force"] * settings.forced + [onnx]
    if engine and engine != os.path.splitext(onnx)[0] + ".engine":
        words += ["-o", engine]
    return " ".join(shlex.quote(clean(word)) for word in words)


def _rebuild(manifest: Manifest, engine_path: str) -> str:
    """The command with the model's path where the model lies beside the engine, else with its bare name."""
    beside = os.path.join(os.path.dirname(engine_path), manifest.onnx_file)
    try:
        is_there = os.path.exists(beside)
    except ValueError:  # before Python 3.8, of a name that no file can have
        is_there = False
    return rebuild_command(manifest, beside if is_there else "", engine_path)


def _differ(built: str, here: str) -> bool:
    return built != "" and here != "" and built != here


def _gpu(machine: Machine) -> str:
    return gpu_text(machine.device or "a GPU", machine.sm)
