"""The public Python interface: ``export_onnx``, ``build_engine``, ``Segmenter`` and ``evaluate``.

The front door, and the one shared module that may import the stages, each where it is used. The commands
``ccc-export``, ``ccc-build-engine`` and ``ccc-eval`` call the same functions with the same words: a keyword is the
option's name, so that messages, which name options, say what to change here too.

Nothing is printed: ``say`` is told what happens, one line a call, and results carry their notes. Whatever a caller can
act on is raised as ``CccError``, with what to do in ``hint``.
"""

import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Sequence, Tuple, Union, cast

from ccc_jetson.choices import CALIBRATORS, FITS
from ccc_jetson.command import as_option, count_from, pairs_of
from ccc_jetson.command import size as as_size
from ccc_jetson.errors import DependencyMissing, UsageError
from ccc_jetson.files import path_of
from ccc_jetson.progress import silent
from ccc_jetson.runtime.segmenter import Segmenter
from ccc_jetson.targets import DEFAULT_TARGET

if TYPE_CHECKING:  # each is imported where it is used, so that ``import ccc_jetson`` loads nothing heavy
    from ccc_jetson.engines.build import BuiltEngine
    from ccc_jetson.export.api import Exported
    from ccc_jetson.runtime.eval_report import EvalReport
    from ccc_jetson.runtime.evaluation import Scored

__all__ = ["Segmenter", "build_engine", "evaluate", "export_onnx"]

PathLike = Union[str, "os.PathLike[str]"]
Say = Callable[[str], None]
EXPORT_NEEDS = (3, 10)
_Three = Tuple[float, float, float]


def export_onnx(
    checkpoint: Optional[PathLike],
    model: PathLike,
    *,
    target: str = DEFAULT_TARGET,
    size: Optional[Tuple[int, int]] = None,
    batch: int = 1,
    output: Optional[str] = None,
    fp16: bool = False,
    arch: Optional[str] = None,
    arch_args: Union[str, Sequence[str]] = (),
    verify_images: Union[PathLike, Sequence[PathLike]] = (),
    verify_labels: Optional[PathLike] = None,
    mapping: Optional[str] = None,
    passes: Optional[Union[str, Sequence[str]]] = None,
    mean: Optional[_Three] = None,
    std: Optional[_Three] = None,
    scale: Optional[float] = None,
    color_order: Optional[str] = None,
    classes: Optional[PathLike] = None,
    say: Optional[Say] = None,
) -> "Exported":
    """Exports a checkpoint to an ONNX file that carries its contract, verified against PyTorch before it appears.

    Runs on the workstation, with Python 3.10 or newer and the extra ``export``. Nothing in the checkpoint is executed.
    Takes from 20 s to over a minute at 1024x512 on two cores, by what else they do.

    Args:
        checkpoint: .pth, .pt or .safetensors; None for random weights of ``arch``, to measure speed.
        model: the file to write.
        target: what it is for: a board of ``targets.TARGETS``, ``cpu`` or ``cpu-onnxruntime``.
        size: (width, height) of the network's input; by default the network's own.
        batch: frames a run.
        output: ``class_map`` or ``logits``; ``scores`` is what a classifier gives.
        fp16: weights and activations in FP16, for TensorRT 10 and newer.
        arch: what the checkpoint is, where its weights leave that open.
        arch_args: arguments of ``arch``, one or several, as ``"dilations=2,4,8,16"``.
        verify_images: pictures or folders to verify on as well.
        verify_labels: folder of their label maps, for the mIoU of FP32 and FP16.
        mapping: what label maps mean: camvid, trainids, labelids, or a JSON file.
        passes: only these graph passes; ``()`` none, None the target's own.
        mean: of pixels 0..255, one a channel in the colour order; by default the recognised network's.
        std: likewise.
        scale: factor after ``(pixel - mean) / std``.
        color_order: ``BGR`` or ``RGB``.
        classes: file of class names, one a line, or JSON with colours and train ids.
        say: told what happens.

    Returns:
        What was written: ``path``, ``contract``, ``worst`` and ``frames`` (agreement with PyTorch, where ``argmax`` is
            the share of pixels of the same class and ``absolute`` the largest error), ``complexity``, ``passes``,
            ``notes``.

    Raises:
        CccError: it cannot be loaded, is no known network, or the graph does not compute what PyTorch computes; no
            file was written.
    """
    if sys.version_info < EXPORT_NEEDS:
        raise DependencyMissing(
            "export runs on the workstation, with Python {}.{} or newer; this is Python {}.{}".format(
                *(EXPORT_NEEDS + sys.version_info[:2])
            ),
            hint="copy the exported .onnx file to the device",
        )
    from ccc_jetson.export.packages import needed_packages

    with needed_packages():
        from ccc_jetson.export.api import ExportOptions
        from ccc_jetson.export.api import export_onnx as export
    from ccc_jetson.contract import OUTPUT_KINDS

    width, height = (None, None) if size is None else _size(size)
    options = ExportOptions(
        target=target,
        width=width,
        height=height,
        batch=as_option("batch", batch, count_from(1)) or 1,
        output=_one_of("output", output, OUTPUT_KINDS),
        verify_images=_paths("verify_images", verify_images),
        verify_labels=_path("verify_labels", verify_labels),
        mapping=_path("mapping", mapping),
        mean=_three("mean", mean),
        std=_three("std", std),
        scale=None if scale is None else _numbers("scale", [scale], 1, "a number")[0],
        color_order=_one_of("color_order", color_order, ("BGR", "RGB")),
        classes=_path("classes", classes),
        passes=None if passes is None else _words("passes", passes),
        fp16=fp16,
        arch=None if arch is None else _words("arch", [arch])[0],
        arch_args=_words("arch_args", arch_args),
    )
    return export(_path("checkpoint", checkpoint), path_of("model", model), options, silent if say is None else say)


def build_engine(
    model: PathLike = "model.onnx",
    engine: Optional[PathLike] = None,
    *,
    fp16: bool = False,
    int8: bool = False,
    fp32: bool = False,
    best: bool = False,
    layer_precision: Sequence[Tuple[str, str]] = (),
    calib: Union[PathLike, Sequence[PathLike]] = (),
    calib_samples: Optional[int] = None,
    calib_seed: Optional[int] = None,
    calib_algorithm: Optional[str] = None,
    calib_fit: Optional[str] = None,
    calib_not_in: Union[PathLike, Sequence[PathLike]] = (),
    output: Optional[str] = None,
    workspace: Optional[int] = None,
    dla: Optional[int] = None,
    contract: Optional[PathLike] = None,
    gate: bool = True,
    min_agreement: Optional[float] = None,
    timing_cache: Optional[PathLike] = "",
    rebuild: bool = False,
    force: bool = False,
    kernels: bool = True,
    profile: bool = False,
    verbose: bool = False,
    say: Optional[Say] = None,
    on_event: Optional[Callable[[Dict[str, Any]], None]] = None,
) -> "BuiltEngine":
    """Builds the TensorRT engine of an exported model for this machine, and judges it on the model's golden frames.

    Takes minutes on a board. TensorRT is loaded in a process of its own, so none of its memory stays here; an engine
    that is there already, of the same file and settings, is not built again.

    Args:
        model: the ONNX file.
        engine: where the engine goes; by default the model's name with ``.engine``.
        fp16: allow half precision; without any of the four, that is what hardware gets that is fast at it.
        int8: allow INT8, with ranges from ``calib``.
        fp32: nothing but FP32.
        best: every precision that this hardware has.
        layer_precision: (pattern, ``fp32`` or ``fp16``) of layers or tensors whose name fits.
        calib: ranges for ``int8``: a calibration cache, or frames to calibrate on here.
        calib_samples: how many frames of ``calib``.
        calib_seed: chooses them.
        calib_algorithm: TensorRT's calibrator, ``entropy2`` or ``minmax``.
        calib_fit: how frames of other proportions meet the network.
        calib_not_in: frames of the evaluation, which must not calibrate.
        output: ``features`` (the runtime computes the head), ``logits`` or ``classes``.
        workspace: scratch memory in MiB; by default a quarter of what is available.
        dla: the DLA core that runs what it can.
        contract: a file instead of the model's own, for models of other tools.
        gate: judge the engine.
        min_agreement: per cent of the decided pixels of every golden frame that must keep FP32's class.
        timing_cache: a file instead of the one in ``~/.cache/ccc-jetson``; None keeps nothing.
        rebuild: build even where the same engine is there.
        force: try what the hardware or the parser is not made for.
        kernels: compile the runtime's CUDA kernels beside it.
        profile: time every layer.
        verbose: let TensorRT say all.
        say: told what happens.
        on_event: told the same as dictionaries, for a progress bar.

    Returns:
        What is on the disk: ``path``, ``manifest_path``, ``manifest`` (its ``gate`` has the figures of every golden
            frame), ``reused``, ``milliseconds`` a run of the engine alone, ``profile``, ``problem`` (why there is no
            profile), ``notes``.

    Raises:
        CccError: with the cause and the cure; nothing was written.
    """
    from ccc_jetson.calib.for_builds import ranges_for
    from ccc_jetson.engines import arguments
    from ccc_jetson.engines.build import build_engine as build
    from ccc_jetson.engines.build import engine_path
    from ccc_jetson.engines.build_options import BuildOptions
    from ccc_jetson.engines.build_progress import BuildProgress
    from ccc_jetson.engines.manifest import OUTPUTS

    model = path_of("model", model)
    least = as_option("min_agreement", min_agreement, arguments.agreement)
    wanted = (("fp16", fp16), ("int8", int8), ("fp32", fp32), ("best", best))
    options = BuildOptions(
        precisions=tuple(name for name, allowed in wanted if allowed),
        output=_one_of("output", output, OUTPUTS),
        layer_precisions=pairs_of("layer_precision", layer_precision, arguments.layer_precision),
        workspace=as_option("workspace", workspace, arguments.workspace),
        dla_core=as_option("dla", dla, count_from(0)),
        gate=gate,
        timing_cache=_path("timing_cache", timing_cache),
        calibration=ranges_for(
            _paths("calib", calib),
            samples=as_option("calib_samples", calib_samples, count_from(1)),
            seed=as_option("calib_seed", calib_seed, count_from(0)),
            algorithm=_one_of("calib_algorithm", calib_algorithm, CALIBRATORS),
            fit=_one_of("calib_fit", calib_fit, FITS),
            not_in=_paths("calib_not_in", calib_not_in),
        ),
        contract=_path("contract", contract),
        profile=profile,
        rebuild=rebuild,
        force=force,
        kernels=kernels,
        min_agreement=None if least is None else least / 100,
        verbose=verbose,
    )
    shown = None if say is None else BuildProgress.to_lines(say)

    def heard(event: Dict[str, Any]) -> None:
        for listener in (shown, on_event):
            if listener is not None:
                listener(event)

    try:
        return build(model, engine_path(model) if engine is None else path_of("engine", engine), options, heard)
    finally:
        if shown is not None:
            shown.close()


def evaluate(
    model: Optional[PathLike] = None,
    *,
    cityscapes: Optional[PathLike] = None,
    split: Optional[str] = None,
    images: Optional[PathLike] = None,
    labels: Optional[PathLike] = None,
    mapping: Optional[PathLike] = None,
    allow_missing: bool = False,
    skip_unreadable: bool = False,
    frames: Optional[int] = None,
    eval_size: str = "network",
    fit: str = FITS[0],
    threads: int = 0,
    contract: Optional[PathLike] = None,
    cuda_graph: bool = True,
    memory: Sequence[Tuple[str, str]] = (),
    resume: Optional[PathLike] = None,
    command: Sequence[str] = (),
    say: Optional[Say] = None,
    on_frame: Optional[Callable[[int, int, float], None]] = None,
    on_scored: Optional[Callable[["Scored"], None]] = None,
) -> "EvalReport":
    """Measures a model's accuracy on labelled frames, through the preprocessing and the backend of live use.

    Takes what reading and inferring every frame takes; pictures are read ahead in one thread, all else happens in the
    calling one. Memory does not grow with the frames.

    Args:
        model: an engine or ONNX file; by default ``model.engine``, else ``model.onnx``, in the current folder.
        cityscapes: the folder that holds leftImg8bit and gtFine.
        split: of Cityscapes, ``val`` by default.
        images: folder of pictures, with ``labels`` and ``mapping``.
        labels: folder of label maps with the pictures' names.
        mapping: what the labels' numbers mean: camvid, trainids, labelids or a JSON file.
        allow_missing: leave out pictures or label maps without a partner.
        skip_unreadable: leave out damaged files, and name them.
        frames: only so many, evenly spread.
        eval_size: compare at the ``network``'s size, or at the labels' own (``full``).
        fit: how frames of other proportions meet the network: ``stretch``, ``crop`` or ``letterbox``.
        threads: of the CPU; 0 takes all cores.
        contract: a file for models that something else exported.
        cuda_graph: whether an engine on a GPU may use one.
        memory: (name, policy) that are forced there, as ``("input", "mapped")``.
        resume: a file that keeps what is done, so that the same call goes on after an interruption; it is left there
            when all is done, and answers that call at once.
        command: the words of a command line, for the report.
        say: told what is evaluated, with notes.
        on_frame: called before the first frame and after each with frames done, all frames, and the mIoU so far (nan
            before the first).
        on_scored: called with each frame that was counted: its own mIoU, picture, labels and prediction.

    Returns:
        What was found: ``miou``, ``pixel_accuracy``, ``class_iou`` by name, ``confusion`` (classes, classes + 1) in
            pixels, ``frames``, ``fps``, ``notes``; ``to_text()`` is the page that ``ccc-eval`` prints, ``to_json()``
            its record.

    Raises:
        CccError: frames, labels or model cannot be used; with ``resume`` what is done is kept.
    """
    from ccc_jetson.contract import read_contract_json
    from ccc_jetson.datasets import labelled_frames
    from ccc_jetson.files import check_output
    from ccc_jetson.runtime.backends import GpuOptions, choose_model
    from ccc_jetson.runtime.evaluating import EvalOptions, evaluate_model
    from ccc_jetson.runtime.gpu_arguments import memory_policies

    dataset = labelled_frames(
        _path("cityscapes", cityscapes),
        _path("split", split),
        _path("images", images),
        _path("labels", labels),
        _path("mapping", mapping),
        allow_missing,
        as_option("frames", frames, count_from(1)),
    )
    contract, resume = _path("contract", contract), _path("resume", resume)
    given = None if contract is None else read_contract_json(contract)
    choice = choose_model(_path("model", model), contract=given)
    if resume is not None:
        read = [path for path in (choice.path, contract, _path("mapping", mapping)) if path is not None]
        check_output(resume, read, "--resume")
    options = EvalOptions(
        fit=fit,
        eval_size=eval_size,
        skip_unreadable=skip_unreadable,
        contract=given,
        threads=as_option("threads", threads, count_from(0)) or 0,
        gpu=GpuOptions(cuda_graph=cuda_graph, memory=memory_policies(memory), serial=True),
        resume=resume,
        command=tuple(command),
    )
    return evaluate_model(choice, dataset, options, silent if say is None else say, on_frame, on_scored)


def _path(name: str, path: Optional[PathLike]) -> Optional[str]:
    return None if path is None else path_of(name, path)


def _paths(name: str, paths: Union[PathLike, Sequence[PathLike]]) -> Tuple[str, ...]:
    """Of one path, too."""
    return tuple(path_of(name, path) for path in _several(paths))


def _words(name: str, words: Union[str, Sequence[str]]) -> Tuple[str, ...]:
    """Of one word, too."""
    found = _several(words)
    for word in found:
        if not isinstance(word, str):
            raise UsageError("{}: {!r} is no word".format(name, word))
    return found


def _several(values: Any) -> Tuple[Any, ...]:
    """Of what may stand alone."""
    alone = isinstance(values, (str, os.PathLike)) or not hasattr(values, "__iter__")
    return (values,) if alone else tuple(values)


def _size(size: Any) -> Tuple[int, int]:
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise UsageError("size: {!r} is no (width, height)".format(size), hint="size=(1024, 512)")
    return cast(Tuple[int, int], as_option("size", "{}x{}".format(*size), as_size))


def _three(name: str, values: Any) -> Optional[_Three]:
    return None if values is None else cast(_Three, _numbers(name, values, 3, "three numbers, one a channel"))


def _numbers(name: str, values: Any, count: int, wanted: str) -> Tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count:
        raise UsageError("{}: {!r} is not {}".format(name, values if count > 1 else values[0], wanted))
    return numbers


def _one_of(name: str, value: Optional[str], choices: Sequence[str]) -> Optional[str]:
    if value is not None and value not in choices:
        raise UsageError("{}: {!r} is none of {}".format(name, value, ", ".join(choices)))
    return value
