"""The page that ``ccc-build-engine`` ends with."""

from typing import List

from ccc_jetson.clean_text import listed
from ccc_jetson.engines.build import BuiltEngine
from ccc_jetson.engines.build_progress import seconds
from ccc_jetson.engines.gate import quality
from ccc_jetson.engines.inspect_text import Row, page, tensor_text
from ccc_jetson.engines.kernels_file import kernels_path
from ccc_jetson.engines.manifest import Manifest, manifest_path


def built_page(built: BuiltEngine) -> str:
    """What was built, how it was judged, and what is known of its speed."""
    found = built.manifest
    settings = found.settings
    rows: List[Row] = [("engine", "{}, {:.2f} MB".format(built.path, found.plan_bytes / 1e6))]
    if built.reused:
        rows.append(
            ("", "already built from the same file, with the same settings, on this machine; --rebuild builds it")
        )
    rows.append(("manifest", manifest_path(built.path)))
    rows.append(("kernels", _kernels(built)))
    rows.append(("precision", " and ".join(each.upper() for each in settings.precisions) or "FP32"))
    if found.pinned:
        rows.append(("", "{} layers kept in FP32: {}".format(len(found.pinned), listed(found.pinned))))
    for each in found.bindings:
        rows.append(("input" if each.is_input else "output", tensor_text(each.name, each.dtype, each.shape)))
    rows.append(("gate", gate_text(found)))
    if built.milliseconds:
        text = "{:.2f} ms a run of the engine alone, on this machine as it is now".format(built.milliseconds)
        if built.first_milliseconds:
            text += "; {:.2f} before layers were kept in FP32".format(built.first_milliseconds)
        rows.append(("speed", text))
    rows.append(
        (
            "build",
            "{}, {}, workspace {} MiB, timing cache {}".format(
                seconds(found.build_seconds),
                "first try" if found.attempts == 1 else "{} builds".format(found.attempts),
                found.workspace_mib,
                found.timing_cache,
            ),
        )
    )
    if settings.forced:
        rows.append(("forced", "--force was given: see the notes above"))
    return page(rows)


def _kernels(built: BuiltEngine) -> str:
    if built.kernels is None:
        return "none beside the engine: compiled where it is first run, which takes nvcc"
    compiled, path = built.kernels.compiled, kernels_path(built.path)
    origin = "there already" if built.kernels.origin == path else built.kernels.origin
    text = "{}, {:.1f} kB for sm_{} with CUDA {}: {}"
    return text.format(path, len(compiled.cubin) / 1e3, compiled.sm.replace(".", ""), compiled.cuda, origin)


def gate_text(manifest: Manifest) -> str:
    """How the engine was judged."""
    gate = manifest.gate
    if gate is None:
        return "not judged (--no-gate)"
    if manifest.contract.is_classifier:
        same = sum(frame.agreement == 1 for frame in gate.frames)
        return "passed on {} golden pictures: same class as FP32 for {}{}".format(
            len(gate.frames), same, "" if same == len(gate.frames) else ", one as good for the others"
        )
    worst = min(gate.frames, key=quality)
    mean = sum(frame.agreement for frame in gate.frames) / len(gate.frames)
    return (
        "passed on {} golden frames: same class as FP32 for {:.3%} of the pixels, over the 90% with the largest margin "
        "{:.3%} in the worst ({})".format(len(gate.frames), mean, worst.decided, worst.name)
    )
