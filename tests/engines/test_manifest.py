"""The manifest: literal text, both ways, and everything that may be wrong with one."""

import base64
import contextlib
import hashlib
import json
import os
import re

import pytest

from ccc_jetson.engines.machine import Machine
from ccc_jetson.engines.manifest import FORMAT, Gate, Manifest, manifest_path, read_manifest, write_manifest
from ccc_jetson.engines.manifest_checks import rebuild_command
from ccc_jetson.errors import FileProblem
from ccc_jetson.half_verdict import HalfPrecision
from tests.doubles.damage import flipped_bytes
from tests.doubles.manifests import PLAN, SETTINGS, tiny_manifest, write_tiny_engine
from tests.doubles.tiny_model import tiny_contract

MANIFEST = tiny_manifest()
TEXT = MANIFEST.to_json()
WITHOUT_CONTRACT = {
    "attempts": 2,
    "bindings": [
        {"dtype": "float16", "is_input": True, "name": "image", "shape": [1, 3, 32, 64]},
        {"dtype": "float16", "is_input": False, "name": "features", "shape": [1, 4, 16, 32]},
    ],
    "build_seconds": 312.5,
    "format": 3,
    "gate": {
        "frames": [
            {"agreement": 0.994, "decided": 1.0, "finite": True, "name": "frame0", "required": 0.995},
            {"agreement": 0.9925, "decided": 0.9995, "finite": True, "name": "frame1", "required": 0.995},
        ],
        "passed": True,
    },
    "machine": {
        "board": "NVIDIA Jetson TX2 Developer Kit",
        "cuda": "10.2",
        "device": "NVIDIA Tegra X2",
        "jetpack": "4.6.1",
        "l4t": "32.7.1",
        "power_mode": "MAXN",
        "sm": "6.2",
        "tensorrt": "8.2.1.8",
    },
    "onnx_file": "tiny.onnx",
    "onnx_sha256": MANIFEST.onnx_sha256,
    "pinned": ["conv"],
    "plan_bytes": len(PLAN),
    "plan_sha256": MANIFEST.plan_sha256,
    "settings": {
        "calibration_cache": "",
        "dla_core": None,
        "forced": False,
        "min_agreement": None,
        "gate": True,
        "layer_precisions": [],
        "output": "features",
        "precisions": ["fp16"],
        "workspace": None,
    },
    "timing_cache": "new",
    "tool": "ccc-jetson 0.1.0",
    "workspace_mib": 1024,
}
FULL = MANIFEST._replace(  # a value in every field
    settings=SETTINGS._replace(
        layer_precisions=(("conv*", "fp32"),), workspace=512, dla_core=1, calibration_cache="ab" * 32
    ),
    contract=MANIFEST.contract._replace(
        half=HalfPrecision(6, 0.996, 0.99, 0.99999, 0.9999, 0.4, 0.39, 4.75, 20.5, True)
    ),
)
WRONG = (None, True, -1, 1.5, 10**400, float("nan"), float("inf"), "", "text", [], [None], {}, {"a": 1})
MAY_BE_NULL = (
    ("settings", "workspace"),
    ("settings", "dla_core"),
    ("gate",),
    ("contract", "half"),
    ("contract", "half", "miou_fp32"),
    ("contract", "half", "miou_fp16"),
)
TABLES = (  # objects with any keys
    ("contract", "architecture", "arguments"),
    ("contract", "attachments"),
    ("contract", "verification"),
)


def fields(value, path=()):
    """(path, value) of all fields of a record and of the records in it; of a list, the first item stands for all."""
    items = value.items() if isinstance(value, dict) else [(0, item) for item in value[:1]]
    for key, item in items:
        yield path + (key,), item
        if isinstance(item, (dict, list)) and path + (key,) != TABLES[0]:
            for found in fields(item, path + (key,)):
                yield found


FIELDS = list(fields(json.loads(FULL.to_json())))
PATHS = [path for path, _ in FIELDS]
NAMES = [".".join(str(part) for part in path) for path in PATHS]


def changed(path, value):
    """The full manifest's JSON with the field at ``path`` replaced; ``...`` removes it."""
    record = json.loads(FULL.to_json())
    at = record
    for part in path[:-1]:
        at = at[part]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return json.dumps(record)


def is_needed(path):
    """Lists and tables may be shorter."""
    return path[-1] != 0 and path[:-1] not in TABLES


def refusal(text, origin="model.engine.json"):
    """The message about a text that must be refused."""
    with pytest.raises(FileProblem) as caught:
        Manifest.from_json(text, origin)
    assert str(caught.value).startswith(origin + ": ")
    return str(caught.value)


def is_of_kind(value, original):
    """Whether JSON says the same kind of thing; a whole number stands for any number, no fraction for a whole one."""
    kinds = (int, float) if isinstance(original, float) else type(original)
    return isinstance(value, kinds) and isinstance(value, bool) == isinstance(original, bool)


# The text


def test_the_text_says_this():
    record = json.loads(TEXT)
    assert json.dumps(record["contract"], sort_keys=True, separators=(",", ":")) == MANIFEST.contract.to_json()
    assert base64.b64decode(record["head"]) == MANIFEST.head
    sha256 = record.pop("sha256")
    content = json.dumps(record, sort_keys=True, separators=(",", ":")).encode("ascii")
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert {key: value for key, value in record.items() if key not in ("contract", "head")} == WITHOUT_CONTRACT


def test_the_text_is_for_people_and_always_the_same():
    assert tiny_manifest().to_json() == TEXT
    assert TEXT.startswith('{\n "attempts": 2,\n "bindings": [\n  {\n   "dtype": "float16",\n')
    assert '   "shape": [1, 3, 32, 64]\n' in TEXT and '"color": [128, 64, 128]' in TEXT
    assert TEXT.endswith("\n}\n") and all(ord(letter) < 128 for letter in TEXT)


def test_survives_the_way():
    assert Manifest.from_json(TEXT) == MANIFEST
    assert Manifest.from_json(TEXT.encode("ascii")) == MANIFEST
    assert Manifest.from_json(TEXT).settings == SETTINGS  # with tuples, so that they can be compared


@pytest.mark.parametrize(
    "changes",
    [
        {"gate": None, "pinned": (), "settings": SETTINGS._replace(gate=False, precisions=())},
        {"settings": SETTINGS._replace(output="classes"), "head": None},
        {"settings": SETTINGS._replace(layer_precisions=(("conv*", "fp32"), ("a = [1,\n2]", "fp16")))},
        {
            "settings": SETTINGS._replace(
                workspace=512, dla_core=1, calibration_cache="ab" * 32, min_agreement=0.9, forced=True
            )
        },
        {"machine": Machine("", "", "", "", "", "", "", "")},
        {"gate": Gate(False, MANIFEST.gate.frames[:1]), "timing_cache": "off", "build_seconds": 0.0},
        {"onnx_file": "möbel und \udcff.onnx", "pinned": ("näme", "[\n1, 2\n]")},
    ],
)
def test_every_variety_survives_the_way(changes):
    manifest = MANIFEST._replace(**changes)
    assert Manifest.from_json(manifest.to_json()) == manifest


# What may be wrong


def test_features_need_no_weights_where_the_contracts_head_has_none():
    contract = tiny_contract(head="bilinear")
    manifest = MANIFEST._replace(contract=contract, head=None)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert rebuild_command(manifest) == "ccc-build-engine --fp16 tiny.onnx"  # features are what is built by itself
    with_weights = refusal(manifest._replace(head=b"weights").to_json())
    assert "head is 'd2VpZ2h0cw==', expected null, because a bilinear head has no weights" in with_weights


@pytest.mark.parametrize(("path", "original"), FIELDS, ids=NAMES)
def test_values_of_a_wrong_type_are_refused_in_every_field(path, original):
    for value in WRONG:
        if value is None and path in MAY_BE_NULL:
            continue
        if is_of_kind(value, original):  # another text may do, another number may be out of bounds: no traceback
            with contextlib.suppress(FileProblem):
                Manifest.from_json(changed(path, value))
        else:
            assert "is damaged: " in refusal(changed(path, value))


@pytest.mark.parametrize(("path", "name"), [each for each in zip(PATHS, NAMES) if is_needed(each[0])])
def test_no_field_may_be_missing(path, name):
    message = refusal(changed(path, ...))
    said = {"format": "is JSON, but not the manifest", "contract.schema": "schema is None"}
    assert said.get(name, " lacks " + str(path[-1])) in message


def test_unknown_fields_are_refused_in_every_record():
    records = [path for path, value in FIELDS if isinstance(value, dict) and path not in TABLES]
    assert len(records) > 15
    for path in [(), *records]:
        assert "has unknown something" in refusal(changed(path + ("something",), 1)), path


def test_every_truncation_is_damage():
    text = TEXT.rstrip()
    for length in list(range(0, len(text), 37)) + [len(text) - 1]:
        assert "the manifest is damaged: " in refusal(text[:length])


def test_flipped_bytes_never_end_in_a_traceback():
    refused = 0
    for damaged in flipped_bytes(TEXT.encode("ascii"), seed=5):
        try:
            Manifest.from_json(damaged)
        except FileProblem:
            refused += 1
    print("refused", refused)
    assert refused > 350


def test_a_flipped_bit_is_noticed_wherever_it_changes_what_is_read():
    data, read = TEXT.encode("ascii"), 0
    for at in range(0, len(data), 11):
        damaged = data[:at] + bytes([data[at] ^ (1 << at % 7)]) + data[at + 1 :]
        try:
            assert Manifest.from_json(damaged) == MANIFEST, damaged[max(0, at - 40) : at + 40]
            read += 1
        except FileProblem:
            pass
    assert read < len(data) / 110  # spaces that became other spaces


def test_a_changed_digit_of_the_mean_is_told_from_a_wrong_field():
    mean = MANIFEST.contract.preprocessing.mean
    text = changed(("contract", "preprocessing", "mean"), [mean[0] + 1, mean[1], mean[2]])
    assert refusal(text) == "model.engine.json: the manifest was changed or damaged"
    with pytest.raises(FileProblem) as caught:
        Manifest.from_json(text)
    assert caught.value.hint == "build it again: ccc-build-engine MODEL.onnx"


def test_other_spaces_and_another_order_are_the_same_manifest():
    record = json.loads(TEXT)
    assert Manifest.from_json(json.dumps(dict(reversed(list(record.items()))))) == MANIFEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "1",
        b"\xff\xfe",
        "[" * 100000,
        '{"format":' + "[" * 100000,
        TEXT.replace('"attempts": 2', '"attempts": 1' + "0" * 5000),
        TEXT.replace('"attempts": 2', '"attempts": 1e999'),
        TEXT.replace('"attempts": 2', '"attempts": 2, "attempts": 2'),
        TEXT.replace('"name": "image"', '"name": "image", "name": "image"'),
        TEXT.replace("312.5", "NaN"),
        TEXT.replace("312.5", "-Infinity"),
        TEXT.replace('"features": 4', '"features": 1e999'),
        TEXT.replace('"features": 4', '"features": ' + "[" * 500 + "]" * 500),
        TEXT.replace('"conv"', "[" * 900 + "]" * 900),
    ],
    ids=range(16),
)
def test_hostile_json_is_damage(text):
    assert "is damaged: " in refusal(text) and len(refusal(text)) < 700


def test_other_json_is_no_manifest():
    assert refusal(MANIFEST.contract.to_json(), "c.json") == "c.json: is JSON, but not the manifest of an engine"
    assert "not the manifest" in refusal("{}")


def test_a_newer_manifest_says_update_even_when_its_fields_are_unknown():
    text = json.dumps({"format": FORMAT + 1, "everything": "else"})
    assert "the manifest has format {}, this version reads up to {}".format(FORMAT + 1, FORMAT) in refusal(text)
    with pytest.raises(FileProblem) as caught:
        Manifest.from_json(text)
    assert caught.value.hint.startswith("update ccc-jetson on this machine, or ")


@pytest.mark.parametrize(("schema", "hint"), [(1, "build it again"), (99, "update ccc-jetson")])
def test_a_contract_of_another_schema_is_refused_with_the_cure(schema, hint):
    with pytest.raises(FileProblem, match="the contract has schema {}".format(schema)) as caught:
        Manifest.from_json(changed(("contract", "schema"), schema))
    assert caught.value.hint.startswith(hint) and "ccc-build-engine MODEL.onnx" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("attempts",), 0, "attempts is 0"),
        (("plan_bytes",), 0, "plan_bytes is 0"),
        (("build_seconds",), -1, "build_seconds is -1"),
        (("gate", "frames", 0, "agreement"), 1.01, "gate.frames[0].agreement is 1.01, expected a number from 0 to 1"),
        (("timing_cache",), "old", "timing_cache is 'old', expected one of off, new, reused"),
        (("settings", "precisions"), ["fp32"], "settings.precisions[0] is 'fp32', expected one of fp16, int8"),
        (("settings", "output"), "masks", "expected one of features, logits, classes"),
        (("settings", "layer_precisions"), [["conv*"]], "settings.layer_precisions[0]"),
        (("settings", "layer_precisions", 0, 1), "int8", "settings.layer_precisions[0][1] is 'int8'"),
        (("settings", "calibration_cache"), "ab", "expected 64 hexadecimal digits"),
        (("settings", "workspace"), 0, "settings.workspace is 0"),
        (("plan_sha256",), "0" * 63 + "g", "plan_sha256 is "),
        (("onnx_file",), "../model.onnx", "onnx_file is '../model.onnx', expected a file's name without a folder"),
        (("onnx_file",), "", "onnx_file is ''"),
        (("onnx_file",), "a\0b", "onnx_file is 'a\\x00b'"),
        (("bindings",), [], "expected at least one input and one output"),
        (("bindings", 1, "is_input"), True, "expected at least one input and one output"),
        (("bindings", 1, "name"), "image", "expected different names"),
        (("bindings", 0, "dtype"), "float8", "bindings[0].dtype is 'float8'"),
        (("bindings", 0, "shape"), [1, -1], "bindings[0].shape[1] is -1"),
        (("contract", "input", "width"), 0, "the contract is damaged: input.width is 0"),
        (("head",), None, "head is None, expected text"),
        (("head",), "no base64!", "head is 'no base64!', expected base64"),
        (("head",), "\u00e4", "expected base64"),
        (("head",), "AAAA", "head is not what its contract describes"),
        (("settings", "output"), "classes", "expected null, because the output is classes"),
        (("contract", "head"), None, "settings.output is 'features', expected logits or classes"),
        (("contract", "attachments"), {}, "settings.output is 'features', expected logits or classes"),
        (("settings", "output"), "scores", "settings.output is 'scores', expected classes by its contract"),
    ],
)
def test_what_cannot_be_is_named(path, value, says):
    assert says in refusal(changed(path, value))


# The file


def test_lies_beside_the_engine(tmp_path):
    assert manifest_path("folder/model.engine") == "folder/model.engine.json"
    engine = str(tmp_path / "model.engine")
    assert read_manifest(engine) is None
    write_manifest(engine, MANIFEST)
    assert os.listdir(str(tmp_path)) == ["model.engine.json"]
    assert read_manifest(engine) == MANIFEST


def test_a_damaged_file_is_named(tmp_path):
    engine = write_tiny_engine(tmp_path / "model.engine")
    with open(engine + ".json", "w") as file:
        file.write(TEXT[:1000])
    with pytest.raises(FileProblem) as caught:
        read_manifest(engine)
    assert str(caught.value).startswith(engine + ".json: the manifest is damaged: ")
    assert caught.value.hint == "build it again: ccc-build-engine MODEL.onnx"


def test_a_huge_file_is_refused_unread(tmp_path):
    engine = str(tmp_path / "model.engine")
    with open(engine + ".json", "wb") as file:
        file.truncate(1 << 27)
    with pytest.raises(FileProblem, match="134,217,728 bytes, which no manifest has"):
        read_manifest(engine)


def test_a_folder_in_its_place_is_no_manifest(tmp_path):
    (tmp_path / "model.engine.json").mkdir()
    with pytest.raises(FileProblem, match="directory"):
        read_manifest(str(tmp_path / "model.engine"))


def test_a_folder_that_is_not_there_is_said_when_writing(tmp_path):
    with pytest.raises(FileProblem, match="folder does not exist"):
        write_manifest(str(tmp_path / "none" / "model.engine"), MANIFEST)


# The document


def test_the_document_names_every_field():
    path = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "manifest.md")
    if not os.path.exists(path):
        pytest.skip("the documents are not part of the wheel")
    with open(path, encoding="utf-8") as file:
        named = set(re.findall(r"`([a-z_0-9]+)`", file.read()))
    own = [path for path in PATHS if path[0] != "contract"] + [("contract",)]
    missing = {part for path in own for part in path if isinstance(part, str)} - named
    assert not missing, missing
