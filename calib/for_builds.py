"""INT8's ranges for ``ccc-build-engine --calib FILE|IMAGES``: a cache that is checked, or one that is measured here."""

import glob
import hashlib
import os
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson import __version__
from ccc_jetson.calib.cache import (
    ENTROPY_2,
    MIN_MAX,
    parse_cache,
    read_cache,
    tensorrt_version_number,
    tensorrt_version_text,
)
from ccc_jetson.calib.images import choose_images
from ccc_jetson.calib.provenance import (
    CALIBRATE_AGAIN,
    TENSORRT,
    Maker,
    Provenance,
    contract_sha256_of,
    preprocessing_of,
    provenance_path,
    read_checked_cache,
    write_cache,
)
from ccc_jetson.choices import CALIBRATION_SAMPLES as SAMPLES
from ccc_jetson.choices import FITS
from ccc_jetson.engines.calibrating import CACHE_SUFFIX, Frames, RangeRequest, Ranges, RangeSource
from ccc_jetson.engines.tensorrt_api import FP16, FP32
from ccc_jetson.errors import CccError, FileProblem, UsageError
from ccc_jetson.int8_agreement import FrameAgreement

_START = b"TRT-"
_CACHE_NAMES = (".calib", ".cache", ".table")
_CALIBRATORS = {ENTROPY_2: "entropy2", MIN_MAX: "minmax"}  # header -> key of engines' ALGORITHMS


class Choice(NamedTuple):
    """Which frames calibrate, and how; as ``images`` and ``calibrator`` take it."""

    samples: int = SAMPLES
    seed: int = 0
    algorithm: str = "entropy2"
    not_in: Tuple[str, ...] = ()
    fit: str = FITS[0]


def ranges_for(
    paths: Sequence[str],
    samples: Optional[int] = None,
    seed: Optional[int] = None,
    algorithm: Optional[str] = None,
    fit: Optional[str] = None,
    not_in: Sequence[str] = (),
) -> Optional[RangeSource]:
    """``ranges_of`` what a build was given, where that is something; of a ``Choice``, None takes the usual.

    Raises:
        UsageError: frames are chosen, and there are none to calibrate on; or as ``ranges_of``.
        FileProblem: as ``ranges_of``.
    """
    usual = Choice()
    choice = Choice(
        usual.samples if samples is None else samples,
        usual.seed if seed is None else seed,
        algorithm or usual.algorithm,
        tuple(not_in),
        fit or usual.fit,
    )
    ranges = ranges_of(paths, choice) if paths else None
    if ranges is not None and ranges.measures:
        return ranges
    chosen = (("samples", samples), ("seed", seed), ("algorithm", algorithm), ("fit", fit), ("not-in", not_in or None))
    for name, value in chosen:
        if value is not None:
            raise UsageError(
                "--calib-{} is about frames to calibrate on, and there are none".format(name),
                hint="--calib IMAGES calibrates here; a cache was calibrated elsewhere",
            )
    return ranges


def ranges_of(paths: Sequence[str], choice: Choice) -> RangeSource:
    """Where the ranges come from that are at ``paths``: one cache, or whatever ``sources.open_sources`` takes.

    Raises:
        UsageError: a cache beside other paths.
        FileProblem: a cache that is damaged, or that no calibrator takes.
    """
    caches = [path for path in paths if _is_cache(path)]
    if not caches:
        return RangeSource(_files(paths), True, lambda request: _measured(paths, choice, request))
    if len(paths) > 1:
        raise UsageError(
            "--calib {}: is a calibration cache, which takes no other --calib beside it".format(caches[0]),
            hint="give the cache alone, or images alone",
        )
    (path,) = caches
    algorithm = read_cache(path).algorithm  # before minutes are spent
    if algorithm not in _CALIBRATORS:
        raise FileProblem(
            "{}: is of {}, a calibrator that is not used here; expected {}".format(
                path, algorithm, " or ".join(sorted(_CALIBRATORS))
            ),
            hint=CALIBRATE_AGAIN,
        )
    calibrator = _CALIBRATORS[algorithm]
    return RangeSource((path, provenance_path(path)), False, lambda request: _from_file(path, calibrator, request))


def _is_cache(path: str) -> bool:
    """By its first bytes, or, where they are damaged, by its name."""
    if os.path.isdir(path):
        return False
    if not os.path.isfile(path):
        return path.lower().endswith(_CACHE_NAMES)
    with open(path, "rb") as file:
        return file.read(len(_START)) == _START or path.lower().endswith(_CACHE_NAMES)


def _files(paths: Sequence[str]) -> Tuple[str, ...]:
    return tuple(path for path in paths if os.path.isfile(path))


def _from_file(path: str, calibrator: str, request: RangeRequest) -> Ranges:
    checked = read_checked_cache(path, request.contract, request.onnx_sha256)
    for text in checked.notes:
        request.note(text)
    if checked.cache.version != tensorrt_version_number(request.tensorrt):
        request.note(
            "{}: is for TensorRT {}, here is {}, which may not accept it".format(
                path, tensorrt_version_text(checked.cache.version), request.tensorrt
            )
        )
    provenance = checked.provenance
    if provenance is None:
        return Ranges(path, calibrator, ())
    same = provenance.onnx_sha256 == request.onnx_sha256  # another export's golden frames are others
    expected = expected_of(provenance) if same else ()
    return Ranges(path, calibrator, layer_precisions_of(provenance), expected, provenance.layer_errors)


def expected_of(provenance: Provenance) -> Tuple[FrameAgreement, ...]:
    """What an engine keeps of each golden frame at least: TensorRT may put more than convolutions into INT8."""
    known = (provenance.agreement or ()) + (provenance.at_worst or ())
    least: Dict[str, FrameAgreement] = {}
    for frame in sorted(known, key=lambda each: -each.decided):
        least[frame.name] = frame
    return tuple(least[name] for name in sorted(least))


def layer_precisions_of(provenance: Provenance) -> Tuple[Tuple[str, str], ...]:
    """(pattern, precision) of the layers that are to be kept out of INT8; names stand for themselves."""
    named = [(name, FP32) for name in provenance.fp32_layers] + [(name, FP16) for name in provenance.fp16_layers]
    return tuple((glob.escape(name), precision) for name, precision in named)


def _measured(paths: Sequence[str], choice: Choice, request: RangeRequest) -> Ranges:
    """The cache beside the engine, if it is of the same frames, model and TensorRT; else a new one in its place."""
    target = request.engine + CACHE_SUFFIX
    _check_target(target)
    selection = choose_images(paths, choice.samples, choice.seed, not_in=choice.not_in)
    for text in selection.notes:
        request.note(text)
    provenance = Provenance(
        tool="ccc-jetson " + __version__,
        made_by=Maker(TENSORRT, request.tensorrt),
        contract_sha256=contract_sha256_of(request.contract),
        preprocessing=preprocessing_of(request.contract),
        fit=choice.fit,
        onnx_sha256=request.onnx_sha256,
        algorithm=choice.algorithm,
        percentile=None,
        samples=len(selection.frames),
        images_sha256=selection.sha256,
        seed=choice.seed,
        cache_sha256="",
    )
    present = _present(target, request)
    if present is not None:
        # a cache's own sum, and what wrote it, say nothing of what measuring would give again
        present = present._replace(cache_sha256="", tool=provenance.tool)
        if present == provenance:
            request.note("{}: is of these frames and this model already, and is used".format(target))
            return Ranges(target, choice.algorithm, ())
        if present._replace(fit=choice.fit) == provenance:
            text = "{}: is of these frames, but with --calib-fit {}; {} was asked for, so they are measured again"
            request.note(text.format(target, present.fit, choice.fit))
    request.note("calibrating on {} frames; the engine is built from what comes of it".format(len(selection.frames)))
    frames = Frames(tuple(tuple(each) for each in selection.frames), provenance.fit, choice.algorithm)  # type: ignore[misc]
    data = request.measure(frames)
    for warning in parse_cache(data, "TensorRT's calibration cache").warnings:
        request.note(warning)
    write_cache(target, data, provenance._replace(cache_sha256=hashlib.sha256(data).hexdigest()))
    return Ranges(target, choice.algorithm, ())


def _check_target(path: str) -> None:
    """What somebody put there is not replaced; our own, with its provenance, is."""
    if os.path.exists(path) and not os.path.exists(provenance_path(path)):
        raise UsageError(
            "{}: is there already, without a provenance, and would be replaced".format(path),
            hint="--calib {0} uses it; or rename it".format(path),
        )


def _present(path: str, request: RangeRequest) -> Optional[Provenance]:
    """Where the cache at ``path`` comes from; None where there is none that could be used."""
    if not os.path.exists(path):
        return None
    try:
        return read_checked_cache(path, request.contract, request.onnx_sha256).provenance
    except CccError:  # damaged, or another model's: it is measured again
        return None
