"""``ccc-inspect`` on engines: what the manifest tells, what the plan alone tells, and what does not fit together."""

import json
import os

import pytest

from ccc_jetson.engines.inspect_cli import main
from ccc_jetson.engines.inspect_engine import inspect_engine, inspect_manifest
from ccc_jetson.engines.machine import Machine
from ccc_jetson.engines.manifest import Gate, GateFrame
from ccc_jetson.engines.plan_header import HEADER_BYTES, looks_like_plan, plan_version
from ccc_jetson.errors import FileProblem
from ccc_jetson.files import sha256_of
from tests.doubles.damage import flipped_bytes
from tests.doubles.manifests import PLAN, SETTINGS, tiny_manifest, write_tiny_engine
from tests.doubles.tiny_model import tiny_contract, write_tiny_model


def inspected(capsys, path, code=0):
    """Standard output and standard error of the command."""
    assert main([path]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


def json_of(capsys, path, code=0):
    assert main([path, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def rows_of(text):
    """Label -> its texts."""
    rows, last = {}, ""
    for line in text.split("\n\n")[0].splitlines():
        last = line[:12].strip() or last
        rows.setdefault(last, []).append(line[13:])
    return rows


# What it says


def test_the_page_of_a_complete_engine(tmp_path, capsys):
    path = write_tiny_engine(tmp_path / "tiny.engine")
    text, errors = inspected(capsys, path)
    manifest = tiny_manifest()
    assert errors == ""
    rows = rows_of(text)
    for label, said in (
        ("file", path + ": TensorRT engine, 0.00 MB"),
        ("sha256", sha256_of(path)),
        ("header", "names TensorRT 8.2.1.8"),
        ("manifest", path + ".json: format 3, by ccc-jetson 0.1.0"),
        ("plan", "as the manifest says, by size and SHA-256"),
        ("built with", "TensorRT 8.2.1.8, CUDA 10.2, JetPack 4.6.1, L4T 32.7.1"),
        ("built on", "NVIDIA Jetson TX2 Developer Kit, NVIDIA Tegra X2, sm_62, power mode MAXN"),
        ("from", "tiny.onnx, SHA-256 " + manifest.onnx_sha256),
        ("build", "312.5 s, the last of 2 builds; timing cache new"),
        ("workspace", "1024 MiB; automatic"),
        ("precision", "FP16 beside FP32"),
        ("pinned", "in FP32 for the gate: conv (1)"),
        ("ends with", "features; the head is computed behind it"),
        ("input", "image: float16 1x3x32x64"),
        ("output", "features: float16 1x4x16x32"),
        ("gate", "passed on 2 golden frames"),
        ("contract", "Tiny (tiny): features 4; by tests"),
        ("gives", "class_map of 19 classes: road, sidewalk, building, wall, fence, pole, ..."),
        ("head", "transposed_conv_2x2 behind 'features', 4 -> 19 channels, weights attached"),
        ("build again", "ccc-build-engine --fp16 tiny.onnx"),
    ):
        assert rows[label] == [said], label
    assert "golden" not in rows and "note" not in rows and "forced" not in rows
    table = text.split("\n\n")[1].splitlines()
    assert table[0].startswith("golden frame  same class")
    assert [line.split() for line in table[1:]] == [
        ["frame0", "99.400%", "100.000%", "yes"],
        ["frame1", "99.250%", "99.950%", "yes"],
    ]


def test_contracts_are_told_in_the_same_words_as_of_the_onnx_file(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "tiny.onnx")
    of_model = rows_of(inspected(capsys, model)[0])
    of_engine = rows_of(inspected(capsys, write_tiny_engine(tmp_path / "tiny.engine"))[0])
    for label in ("contract", "source", "for", "passes", "takes", "gives", "head", "verified", "published"):
        assert of_engine[label] == of_model[label]


def test_of_many_layers_that_a_calibration_keeps_in_floats_a_few_are_named(tmp_path, capsys):
    chosen = tuple(("node{}".format(index), "fp16") for index in range(120)) + (("head", "fp32"),)
    manifest = tiny_manifest(settings=SETTINGS._replace(layer_precisions=chosen))
    text, _ = inspected(capsys, write_tiny_engine(tmp_path / "tiny.engine", manifest=manifest))
    named = "node0, node1, node2, node3, node4 and 115 more: FP16"
    assert rows_of(text)["precision"][1:] == [named, "head: FP32"]


def test_whatever_is_not_usual_is_told(tmp_path, capsys):
    settings = SETTINGS._replace(
        precisions=("fp16", "int8"),
        layer_precisions=(("conv*", "fp32"),),
        output="classes",
        workspace=2048,
        dla_core=1,
        calibration_cache="ab" * 32,
        forced=True,
    )
    manifest = tiny_manifest(
        settings=settings,
        head=None,
        pinned=(),
        attempts=1,
        gate=Gate(False, (GateFrame("frame0", 0.5, 0.25, False, 0.995),)),
    )
    text, _ = inspected(capsys, write_tiny_engine(tmp_path / "tiny.engine", manifest=manifest))
    rows = rows_of(text)
    assert rows["precision"] == ["FP16 and INT8 beside FP32", "conv*: FP32"]
    assert rows["workspace"] == ["1024 MiB; 2048 were asked for"]
    assert rows["calibration"] == ["cache with SHA-256 " + "ab" * 32]
    assert rows["DLA"] == ["core 1, and the GPU for what it cannot do"]
    assert rows["forced"] == ["built although hardware or parser are not made for it (--force)"]
    assert rows["build"] == ["312.5 s, the first build; timing cache new"]
    assert (rows["ends with"], rows["pinned"], rows["gate"]) == (["classes"], ["none"], ["FAILED on 1 golden frames"])
    assert text.splitlines()[-1].split() == ["frame0", "50.000%", "25.000%", "NO"]


def test_an_engine_that_nobody_judged_on_a_machine_that_nobody_knows(tmp_path, capsys):
    unknown = Machine("", "", "", "", "", "", "", "")
    settings = SETTINGS._replace(gate=False, precisions=())
    manifest = tiny_manifest(machine=unknown, gate=None, settings=settings)
    text, _ = inspected(capsys, write_tiny_engine(tmp_path / "tiny.engine", manifest=manifest))
    rows = rows_of(text)
    assert (rows["built with"], rows["built on"]) == (["unknown"], ["unknown"])
    assert (rows["gate"], rows["precision"]) == (["not run: --no-gate"], ["FP32 alone"])
    assert "golden frame" not in text


@pytest.mark.parametrize(("align_corners", "where"), [(False, "half-pixel centres"), (True, "aligned corners")])
def test_a_head_without_weights_says_how_it_interpolates(tmp_path, capsys, align_corners, where):
    contract = tiny_contract(head="bilinear")
    contract = contract._replace(head=contract.head._replace(align_corners=align_corners))
    manifest = tiny_manifest(contract=contract, head=None)
    text, _ = inspected(capsys, write_tiny_engine(tmp_path / "tiny.engine", manifest=manifest))
    assert rows_of(text)["head"] == ["bilinear behind 'features', by 2 with {}, 19 channels".format(where)]


def test_a_classifiers_pictures_are_told_in_its_own_words(tmp_path, capsys):
    contract = tiny_contract("scores", classes=300)
    manifest = tiny_manifest(contract=contract, head=None, settings=SETTINGS._replace(output="scores"))
    text, _ = inspected(capsys, write_tiny_engine(tmp_path / "tiny.engine", manifest=manifest))
    rows = rows_of(text)
    assert rows["ends with"] == ["scores"]
    assert rows["gives"] == ["scores of 300 classes: road, sidewalk, building, wall, fence, pole, ..."]
    assert "golden frame  same class  or one as good  finite" in text


def test_json_holds_the_whole_manifest(tmp_path, capsys):
    path = write_tiny_engine(tmp_path / "tiny.engine")
    found = json_of(capsys, path)
    with open(path + ".json") as file:
        assert found["manifest"] == json.load(file)
    assert (found["schema"], found["kind"], found["path"]) == (1, "engine", path)
    assert (found["problem"], found["notes"]) == (None, [])
    assert found["plan"] == {
        "path": path,
        "bytes": len(PLAN),
        "sha256": sha256_of(path),
        "looks_like_plan": True,
        "version": "8.2.1.8",
    }


@pytest.mark.parametrize(
    ("plan", "header"),
    [
        (PLAN, "names TensorRT 8.2.1.8"),
        (b"ptrt and more", "a plan's; names no version"),
        (b"ftrt", "a plan's; names no version"),
        (b"anything", "not what plans are known to begin with"),
    ],
)
def test_a_plan_alone_tells_little_and_that_is_no_error(tmp_path, capsys, plan, header):
    path = write_tiny_engine(tmp_path / "tiny.engine", plan)
    os.unlink(path + ".json")
    text, errors = inspected(capsys, path)
    rows = rows_of(text)
    assert (rows["header"], rows["manifest"], errors) == ([header], ["none"], "")
    assert rows["sha256"] == [sha256_of(path)]
    assert "copy {}.json as well, or pass --contract FILE.json".format(path) in rows["note"][0]
    found = json_of(capsys, path)
    assert (found["manifest"], found["plan"]["bytes"]) == (None, len(plan))


def test_the_manifests_own_name_will_do(tmp_path, capsys):
    path = write_tiny_engine(tmp_path / "tiny.engine")
    assert inspected(capsys, path + ".json") == inspected(capsys, path)
    assert json_of(capsys, path + ".json")["plan"]["path"] == path


@pytest.mark.parametrize("name", ["tiny.engine.json", "renamed.json", "renamed"])
def test_a_manifest_alone_is_told_by_its_content(tmp_path, capsys, name):
    path = write_tiny_engine(tmp_path / "tiny.engine") + ".json"
    os.unlink(path[: -len(".json")])
    os.rename(path, str(tmp_path / name))
    path = str(tmp_path / name)
    text, errors = inspected(capsys, path)
    rows = rows_of(text)
    assert (rows["file"], errors) == ([path + ": an engine's manifest"], "")
    assert rows["plan"] == ["0.00 MB, SHA-256 " + tiny_manifest().plan_sha256]
    assert rows["note"] == ["no plan beside this manifest, so it was compared with none"]
    found = json_of(capsys, path)
    assert found["plan"] is None and found["manifest"]["attempts"] == 2


def test_names_cannot_steer_the_terminal(tmp_path, capsys):
    evil = "\x1b[2J\x07"
    manifest = tiny_manifest(
        pinned=(evil,), onnx_file=evil, tool=evil, gate=Gate(True, (GateFrame(evil, 1, 1, True, 0.995),))
    )
    text, _ = inspected(capsys, write_tiny_engine(tmp_path / "tiny.engine", manifest=manifest))
    assert "\x1b" not in text and "\x07" not in text
    assert text.count("?[2J?") == 5  # the tool, the model's name twice, the layer, the frame


# What is wrong


@pytest.mark.parametrize(
    ("plan", "says"),
    [(PLAN[:-1], "has {:,} bytes".format(len(PLAN) - 1)), (b"FTRT" + PLAN[4:], "has SHA-256 ")],
    ids=["truncated", "another"],
)
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_plan_of_another_engine_is_reported_behind_all_that_could_be_read(tmp_path, capsys, plan, says, suffix):
    path = write_tiny_engine(tmp_path / "tiny.engine", plan, tiny_manifest())
    text, errors = inspected(capsys, path + suffix, code=1)
    rows = rows_of(text)
    assert rows["plan"][0].startswith("NOT the one that the manifest was written for: {:,} bytes".format(len(PLAN)))
    assert rows["sha256"] == [sha256_of(path)] and "gives" in rows
    assert errors.startswith("ccc-inspect: error: {}: {}".format(path, says))
    assert "\n  -> ccc-build-engine --fp16 tiny.onnx" in errors
    found = json_of(capsys, path + suffix, code=1)
    assert says in found["problem"] and found["manifest"]["plan_bytes"] == len(PLAN)


def test_a_damaged_manifest_is_reported_behind_what_the_plan_tells(tmp_path, capsys):
    path = write_tiny_engine(tmp_path / "tiny.engine")
    with open(path + ".json", "r+") as file:
        file.truncate(500)
    text, errors = inspected(capsys, path, code=1)
    rows = rows_of(text)
    assert rows["header"] == ["names TensorRT 8.2.1.8"] and rows["manifest"][0].startswith("damaged: ")
    assert errors.startswith("ccc-inspect: error: {}.json: the manifest is damaged: ".format(path))
    assert "\n  -> build it again: ccc-build-engine" in errors
    found = json_of(capsys, path, code=1)
    assert found["manifest"] is None and "the manifest is damaged" in found["problem"]
    text, errors = inspected(capsys, path + ".json", code=1)
    assert text == "" and "the manifest is damaged" in errors


def test_flipped_bytes_never_end_in_a_traceback(tmp_path, capsys):
    path = write_tiny_engine(tmp_path / "tiny.engine")
    with open(path + ".json", "rb") as file:
        data = file.read()
    for damaged in flipped_bytes(data, seed=3, times=40):
        with open(path + ".json", "wb") as file:
            file.write(damaged)
        assert main([path]) in (0, 1)
        assert main([path + ".json", "--json"]) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


def test_an_empty_plan_and_a_missing_one(tmp_path, capsys):
    path = write_tiny_engine(tmp_path / "tiny.engine", b"", tiny_manifest())
    text, errors = inspected(capsys, path, code=1)
    assert text == "" and "is empty" in errors
    text, errors = inspected(capsys, path + ".json", code=1)
    assert "gives" in rows_of(text) and "has 0 bytes, its manifest says" in errors
    with pytest.raises(FileProblem, match="No such file"):
        inspect_engine(str(tmp_path / "none.engine"))
    with pytest.raises(FileProblem, match="No such file"):
        inspect_manifest(str(tmp_path / "none.engine.json"))


def test_other_json_is_no_engine(tmp_path, capsys):
    path = tmp_path / "contract.json"
    path.write_text(tiny_manifest().contract.to_json())
    text, errors = inspected(capsys, str(path), code=1)
    assert text == ""
    assert errors == "ccc-inspect: error: {}: is JSON, but not the manifest of an engine\n".format(path)


# The plan's header


def header(start=b"ftrt", layout=0, version=(8, 6, 1, 6)):
    return start + bytes([layout, 0, 0, 0]) + b"\xff" * 16 + bytes(version)


def test_the_header_names_the_version():
    assert len(header()) == HEADER_BYTES
    assert plan_version(header()) == "8.6.1.6"
    assert plan_version(header(version=(10, 13, 3, 9)) + b"more") == "10.13.3.9"


@pytest.mark.parametrize(
    "data",
    [b"", b"ftrt", header()[:-1], header(b"ptrt"), header(b"FTRT"), header(layout=1), header(version=(0, 0, 0, 0))],
)
def test_no_version_is_read_where_none_is_known_to_stand(data):
    assert plan_version(data) is None


@pytest.mark.parametrize(("start", "is_plan"), [(b"ftrt", True), (b"ptrt", True), (b"frt", False), (b"", False)])
def test_plans_are_known_by_their_first_bytes(start, is_plan):
    assert looks_like_plan(start) is is_plan
