"""What a manifest is compared with, the plan and the machine, and the command that builds the engine again."""

import shlex

import pytest

from ccc_jetson.engines.build_cli import build_parser
from ccc_jetson.engines.machine import Machine
from ccc_jetson.engines.manifest import Manifest
from ccc_jetson.engines.manifest_checks import check_machine, check_plan, rebuild_command
from ccc_jetson.errors import EngineMismatch, FileProblem
from tests.doubles.manifests import PLAN, SETTINGS, TX2, tiny_manifest, write_tiny_engine

MANIFEST = tiny_manifest()
NANO = Machine("8.0.1.6", "10.2", "NVIDIA Tegra X1", "5.3", "NVIDIA Jetson Nano", "32.6.1", "4.6", "MAXN")


# The plan


def test_its_own_plan_passes(tmp_path):
    check_plan(MANIFEST, write_tiny_engine(tmp_path / "model.engine"))


@pytest.mark.parametrize(
    ("plan", "found", "expected"),
    [
        (b"", "has 0 bytes", "its manifest says {:,}".format(len(PLAN))),
        (PLAN[:-1], "has {:,} bytes".format(len(PLAN) - 1), "its manifest says {:,}".format(len(PLAN))),
        (PLAN + b"x", "has {:,} bytes".format(len(PLAN) + 1), "its manifest says {:,}".format(len(PLAN))),
        (PLAN[::-1], "has SHA-256 ", "its manifest says " + MANIFEST.plan_sha256),
    ],
    ids=["empty", "truncated", "longer", "another"],
)
def test_another_plan_is_refused_with_both_figures_and_the_command(tmp_path, plan, found, expected):
    engine = write_tiny_engine(tmp_path / "tiny.engine", plan, MANIFEST)
    (tmp_path / "tiny.onnx").write_bytes(b"")
    with pytest.raises(FileProblem) as caught:
        check_plan(MANIFEST, engine)
    message = str(caught.value)
    assert message.startswith(engine + ": " + found) and expected in message
    assert caught.value.hint == "ccc-build-engine --fp16 {}".format(tmp_path / "tiny.onnx")


def test_a_missing_plan_and_a_folder(tmp_path):
    with pytest.raises(FileProblem, match="No such file"):
        check_plan(MANIFEST, str(tmp_path / "model.engine"))
    with pytest.raises(FileProblem, match="directory"):
        check_plan(MANIFEST, str(tmp_path))


# The machine


def mismatch(built, here):
    with pytest.raises(EngineMismatch) as caught:
        check_machine(MANIFEST._replace(machine=built), here, "tiny.engine")
    assert caught.value.hint == "ccc-build-engine --fp16 tiny.onnx"
    return str(caught.value)


def test_the_machine_it_was_built_on_has_no_notes():
    assert check_machine(MANIFEST, TX2, "tiny.engine") == []


def test_all_that_keeps_it_from_running_is_named_at_once():
    assert mismatch(NANO, TX2) == (
        "tiny.engine: built with TensorRT 8.0.1.6 for NVIDIA Tegra X1 (sm_53), "
        "running on TensorRT 8.2.1.8, NVIDIA Tegra X2 (sm_62)"
    )


@pytest.mark.parametrize("version", ["8.2.1.9", "8.2.3.8", "8.5.2.8", "10.3.0"])
def test_a_plan_is_bound_to_the_exact_version(version):
    message = mismatch(TX2, TX2._replace(tensorrt=version))
    assert message == "tiny.engine: built with TensorRT 8.2.1.8, running on TensorRT " + version


def test_another_compute_capability_is_another_gpu():
    message = mismatch(TX2._replace(device=""), TX2._replace(sm="7.2", device="Xavier"))
    assert message == "tiny.engine: built for a GPU (sm_62), running on Xavier (sm_72)"


@pytest.mark.parametrize(
    ("here", "notes"),
    [
        (
            {"board": "NVIDIA Jetson TX2 NX", "power_mode": "MAXQ"},
            ["timings were chosen on NVIDIA Jetson TX2 Developer Kit, this machine is NVIDIA Jetson TX2 NX"],
        ),
        ({"device": "Another X2"}, ["timings were chosen on NVIDIA Tegra X2, this machine is Another X2"]),
        ({"power_mode": "MAXQ"}, ["timings were chosen at MAXN, this machine is in MAXQ"]),
        ({"cuda": "11.4"}, ["built with CUDA 10.2, this machine has CUDA 11.4"]),
        ({"l4t": "32.7.4", "jetpack": "4.6.4"}, []),
    ],
)
def test_what_matters_for_speed_alone_is_noted(here, notes):
    assert check_machine(MANIFEST, TX2._replace(**here), "tiny.engine") == notes


@pytest.mark.parametrize("field", Machine._fields)
def test_what_is_unknown_is_not_compared(field):
    unknown = TX2._replace(**{field: ""})
    assert check_machine(MANIFEST, unknown, "tiny.engine") == []
    assert check_machine(MANIFEST._replace(machine=unknown), TX2, "tiny.engine") == []


def test_a_hostile_name_cannot_steer_the_terminal():
    hostile = "\x1b[2J; rm -rf ~"
    evil = MANIFEST._replace(machine=TX2._replace(device=hostile, power_mode=hostile), onnx_file=hostile)
    evil = Manifest.from_json(evil.to_json())
    with pytest.raises(EngineMismatch) as caught:
        check_machine(evil, TX2._replace(sm="5.3"), "tiny.engine")
    notes = check_machine(evil, TX2._replace(device=""), "tiny.engine")
    assert notes and "\x1b" not in str(caught.value) + caught.value.hint + "".join(notes)
    assert caught.value.hint.endswith(" '?[2J; rm -rf ~' -o tiny.engine")


def test_a_name_that_no_file_can_have_is_no_traceback():
    odd = Manifest.from_json(MANIFEST._replace(onnx_file="\ud800.onnx").to_json())
    with pytest.raises(EngineMismatch):
        check_machine(odd, NANO, "tiny.engine")


# The command


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "--fp16"),
        ({"precisions": ()}, "--fp32"),
        ({"precisions": ("fp16", "int8"), "calibration_cache": "ab" * 32},
         "--fp16 --int8 --calib CALIBRATION_CACHE"),
        ({"output": "logits"}, "--fp16 --output logits"),
        ({"workspace": 512, "dla_core": 0}, "--fp16 --workspace 512 --dla 0"),
        ({"layer_precisions": (("conv*", "fp32"), ("b", "fp16"))},
         "--fp16 --layer-precision 'conv*=fp32' --layer-precision b=fp16"),
        ({"gate": False, "forced": True}, "--fp16 --no-gate --force"),
    ],
)  # fmt: skip
def test_the_command_asks_for_the_same(settings, words):
    manifest = MANIFEST._replace(settings=SETTINGS._replace(**settings))
    assert rebuild_command(manifest) == "ccc-build-engine {} tiny.onnx".format(words)


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS._replace(layer_precisions=(("conv*", "fp32"),), workspace=512, calibration_cache="ab" * 32),
        SETTINGS._replace(precisions=(), output="classes", gate=False, forced=True, dla_core=0, workspace=64),
        SETTINGS._replace(layer_precisions=(("a b=*", "fp16"), ("'c'", "fp32"))),
    ],
)
def test_ccc_build_engine_understands_the_command(settings):
    command = rebuild_command(MANIFEST._replace(settings=settings), "my models/tiny.onnx", "other.engine")
    arguments = build_parser().parse_args(shlex.split(command)[1:])
    assert tuple(arguments.precisions) == (settings.precisions or ("fp32",))
    assert tuple(arguments.layer_precision) == settings.layer_precisions
    assert (arguments.workspace, arguments.dla) == (settings.workspace, settings.dla_core)
    assert (arguments.no_gate, arguments.force) == (not settings.gate, settings.forced)
    assert (arguments.output or "features") == settings.output
    assert bool(arguments.calib) == bool(settings.calibration_cache)
    assert (arguments.model, arguments.engine) == ("my models/tiny.onnx", "other.engine")


def test_the_usual_output_is_not_spelled_out():
    contract = MANIFEST.contract._replace(head=None)
    logits = contract._replace(output=contract.output._replace(kind="logits"))
    for usual, of in (("features", MANIFEST.contract), ("classes", contract), ("logits", logits)):
        manifest = MANIFEST._replace(contract=of, settings=SETTINGS._replace(output=usual))
        assert rebuild_command(manifest, "a.onnx", "a.engine") == "ccc-build-engine --fp16 a.onnx"
