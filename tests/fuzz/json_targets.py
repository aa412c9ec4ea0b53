"""Records in JSON: contract, manifest, kernels, provenance, reports, what travels in a model. Runs on Python 3.6."""

import json

from ccc_jetson.calib.provenance import Provenance, check_provenance
from ccc_jetson.contract import Contract
from ccc_jetson.engines.job import LayerProfile, LayerTime
from ccc_jetson.engines.kernels_file import CompiledKernels, parse_kernels
from ccc_jetson.engines.layer_report import layer_report
from ccc_jetson.engines.manifest import Manifest, content_sha256
from ccc_jetson.engines.manifest_checks import check_machine, plan_problem, rebuild_command
from ccc_jetson.engines.timing_cache import BuildTimes
from ccc_jetson.errors import CccError
from ccc_jetson.int8_agreement import FrameAgreement, decode_agreement, encode_agreement
from ccc_jetson.int8_errors import Int8Error, decode_errors, encode_errors
from ccc_jetson.label_mapping import named_mapping
from ccc_jetson.layer_ranges import decode_layer_ranges, encode_layer_ranges
from ccc_jetson.onnx_file import parse_onnx
from ccc_jetson.runtime.bench.compare import compare
from ccc_jetson.runtime.bench.reader import read_report as read_benchmark
from ccc_jetson.runtime.reports.html import page
from ccc_jetson.runtime.reports.markdown import markdown
from ccc_jetson.runtime.reports.writing import document_of
from tests.doubles.calibrations import tiny_cache, tiny_provenance
from tests.doubles.manifests import TX2, tiny_manifest
from tests.doubles.reports import TELEMETRY, benchmark_record, comparison_record, evaluation_record, run_record
from tests.doubles.tiny_model import RANGES, tiny_contract, tiny_model_bytes
from tests.fuzz.law import check_error, check_text
from tests.fuzz.target import Target, written

_CONTRACT, _MODEL = [], []
_KERNELS = CompiledKernels("ccc-jetson 0.1.0", "ab" * 32, "6.2", "10.2", (20, 19), b"\x7fELF, and what nvcc makes")
_REPORTING = (
    "runtime/reports/{}.py".format(name) for name in ("fields", "markdown", "markup", "html", "svg", "scales")
)


def _contracts():
    kinds = (("class_map", {}), ("logits", {"head": "bilinear"}), ("scores", {"classes": 30}))
    return [tiny_contract(kind, **more).to_json().encode("ascii") for kind, more in kinds]


def _manifest(data):
    manifest = Manifest.from_json(_summed(data), "model.engine.json")
    check_text(rebuild_command(manifest, "", "model.engine"), "the command that rebuilds")
    problem = plan_problem(manifest, "model.engine", 1, "")
    if problem is not None:
        check_error(problem)
    try:
        notes = check_machine(manifest, TX2, "model.engine")
    except CccError as error:
        check_error(error)
    else:
        check_text("\n".join(notes), "notes")
    return manifest


def _summed(data):
    """The manifest with its own sum made right where there is one, or no mutant would be read."""
    try:
        record = json.loads(data.decode("utf-8"))
        found = record["sha256"].encode("ascii")
        return data.replace(found, content_sha256(record).encode("ascii")) if len(found) == 64 else data
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return data


def _provenance(data):
    if not _CONTRACT:
        _CONTRACT.append(tiny_contract())
    provenance = Provenance.from_json(data, "model.calib.json")
    try:
        check_provenance(provenance, _CONTRACT[0], tiny_cache().to_bytes(), "model.calib")
    except CccError as error:
        check_error(error)
    return provenance


def _report(data):
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:  # read_saved refuses it
        return
    document = document_of(text, (), "report.json")
    page(document).encode("utf-8")
    markdown(document).encode("utf-8")


def _reports():
    records = [run_record(telemetry=TELEMETRY), evaluation_record(), benchmark_record(), comparison_record()]
    return [json.dumps(record).encode("ascii") for record in records]


def _comparison(data):
    reading = read_benchmark(written("b.json", data))
    other = read_benchmark(written("a.json", json.dumps(benchmark_record()).encode("ascii")))
    found = compare(other, reading)
    check_text(found.to_text(), "the comparison")
    document_of(found.to_json())


def _layers(data):
    if not _MODEL:
        _MODEL.append(parse_onnx(tiny_model_bytes()))
    times = (LayerTime("conv + relu", 0.25), LayerTime("Reformatting CopyNode for x", 0.125))
    report = layer_report(LayerProfile(times, data.decode("utf-8", "replace")), _MODEL[0])
    report.to_json(), report.to_text()


def _layer_seeds():
    layers = [{"Name": "conv + relu", "LayerType": "CaskConvolution", "Metadata": "[ONNX Layer: conv]"}]
    return [json.dumps({"Layers": layers, "Bindings": ["image"]}).encode("ascii"), b'{"Layers": ["conv + relu"]}']


def _build_times(data):
    path = written("timing.cache.json", data)[: -len(".json")]
    times = BuildTimes(path)
    return times.expected_seconds("model", True)


def _mapping(data):
    mapping = named_mapping(written("mapping.json", data))
    if not _CONTRACT:
        _CONTRACT.append(tiny_contract())
    mapping.prediction_table(_CONTRACT[0])
    check_text("\n".join(mapping.remarks(_CONTRACT[0])), "remarks")
    json.dumps(mapping.to_json())


TARGETS = (
    Target(
        "contract",
        lambda data: Contract.from_json(data, "model.onnx"),
        _contracts,
        ("src/ccc_jetson/contract.py", "src/ccc_jetson/json_records.py"),
        "json",
        lambda contract: contract.to_json().encode("ascii"),
    ),
    Target(
        "manifest",
        _manifest,
        lambda: [tiny_manifest().to_json().encode("ascii")],
        ("engines/manifest.py", "src/ccc_jetson/json_records.py"),
        "json",
        lambda manifest: manifest.to_json().encode("ascii"),
    ),
    Target(
        "kernels",
        lambda data: parse_kernels(data, "model.engine.kernels"),
        lambda: [_KERNELS.to_bytes(), _KERNELS._replace(head=None).to_bytes()],
        ("engines/kernels_file.py",),
        "json",
        lambda kernels: kernels.to_bytes(),
    ),
    Target(
        "provenance",
        _provenance,
        lambda: [tiny_provenance().to_json().encode("ascii")],
        ("calib/provenance.py", "src/ccc_jetson/int8_agreement.py", "src/ccc_jetson/int8_errors.py"),
        "json",
        lambda provenance: provenance.to_json().encode("ascii"),
    ),
    Target(
        "layer ranges",
        lambda data: decode_layer_ranges(data, "model.onnx"),
        lambda: [encode_layer_ranges(RANGES)],
        ("src/ccc_jetson/layer_ranges.py",),
        "zlib",
    ),
    Target(
        "int8 errors",
        lambda data: decode_errors(data, "model.onnx"),
        lambda: [encode_errors((Int8Error("Conv_7", 0.25), Int8Error("Conv_3", 0.125)))],
        ("src/ccc_jetson/int8_errors.py",),
        "json",
        encode_errors,
    ),
    Target(
        "int8 agreement",
        lambda data: decode_agreement(data, "model.onnx"),
        lambda: [encode_agreement((FrameAgreement("frame0", 0.985, 0.9995),))],
        ("src/ccc_jetson/int8_agreement.py",),
        "json",
        encode_agreement,
    ),
    Target(
        "report",
        _report,
        _reports,
        ("runtime/reports/reading.py", "runtime/reports/telemetry_reading.py", *_REPORTING),
        "json",
    ),
    Target(
        "comparison",
        _comparison,
        lambda: [json.dumps(benchmark_record()).encode("ascii")],
        ("runtime/bench/reader.py", "runtime/bench/compare.py"),
        "json",
    ),
    Target("layer report", _layers, _layer_seeds, ("engines/layer_report.py",), "json"),
    Target(
        "build times",
        _build_times,
        lambda: [b'{"format": 1, "builds": [["model", true, 312.5], ["model", false, 2000]]}'],
        ("engines/timing_cache.py",),
        "json",
    ),
    Target(
        "label mapping",
        _mapping,
        lambda: [
            b'{"classes": ["road", "car"], "label_to_class": {"7": 0, "26": 1}, "ignore": [0, 255]}',
            b'{"classes": ["road"], "label_to_class": {"7": 0}, "ignore": [], "train_id_to_class": {"0": 0, "13": 0}}',
        ],
        ("src/ccc_jetson/label_mapping.py",),
        "json",
    ),
)
