"""ONNX files, their arrays, shapes and costs, and golden frames. Runs on Python 3.6."""

import contextlib
import io
import json

import numpy as np

from ccc_jetson.carried import contract_of
from ccc_jetson.contract import Head
from ccc_jetson.engines.compatibility import hardware_problems, problems, remarks
from ccc_jetson.engines.inspect_cli import main as inspect
from ccc_jetson.engines.parser_facts import VERSIONS
from ccc_jetson.golden import decode_golden, encode_golden, golden_frame, read_golden
from ccc_jetson.graph_cost import graph_cost
from ccc_jetson.head import head_weights
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import DATA_TYPES, Node, OnnxFile, Tensor, parse_onnx
from ccc_jetson.shape_rules import RULES
from ccc_jetson.targets import TARGETS as BOARDS
from tests.doubles.calibrations import tiny_cache, tiny_provenance
from tests.doubles.graphs import graph_bytes, quantized_bytes, unpooling_bytes
from tests.doubles.manifests import PLAN, tiny_manifest
from tests.doubles.quantisable import quantisable_bytes
from tests.doubles.tiny_model import tiny_model_bytes, tiny_weights
from tests.fuzz.json_targets import _KERNELS
from tests.fuzz.law import Fault, check_text
from tests.fuzz.target import Target, place, written

_OPERATORS = tuple(sorted(RULES)) + ("Loop", "If", "MaxUnpool", "Custom")
_SIZES = (0, 1, 2, 3, 4, 8, 32, -1, "N", "?", 1 << 31, (1 << 63) - 1, -(1 << 63), 65536)
_ATTRIBUTES = (
    "axes", "axis", "kernel_shape", "strides", "dilations", "pads", "perm", "split", "starts", "ends", "scales", "k",
    "keepdims", "group", "output_padding", "output_shape", "blocksize", "to", "mode", "auto_pad", "ceil_mode", "value",
    "start", "end", "allowzero", "transA", "transB", "noop_with_empty_axes", "keep_aspect_ratio_policy", "output_dtype",
)  # fmt: skip
_TEXTS = ("NOTSET", "SAME_UPPER", "VALID", "linear", "cubic", "nearest", "stretch", "not_larger")
_INSPECT = ("inspect_cli", "inspect_onnx", "inspect_text", "inspect_engine", "inspect_kernels", "compatibility")


def _graph(data):
    """A file, its constants, the shapes and costs that follow, and what each board makes of it."""
    onnx_file = parse_onnx(data, "model.onnx")
    _everything_of(onnx_file, constant_arrays(data, "model.onnx"))
    return onnx_file


def _everything_of(onnx_file, arrays):
    cost = graph_cost(onnx_file, arrays)
    json.dumps([list(row) for row in cost.by_operator])
    for version in VERSIONS:
        for problem in problems(onnx_file, version, arrays):
            check_text(problem.sentence + problem.cure, "a problem")
        check_text("\n".join(remarks(onnx_file, version)), "remarks")
    for board in BOARDS:
        hardware_problems(onnx_file, board)


def _carried(data):
    onnx_file = parse_onnx(data, "model.onnx")
    contract = contract_of(onnx_file, "model.onnx")
    if "ccc_jetson.golden" in contract.attachments:
        read_golden(contract, onnx_file, "model.onnx")


class _Choices:
    """Bytes as a row of decisions; zeros after the end."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def below(self, end):
        value = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return value % end

    def of(self, values):
        return values[self.below(len(values))]

    @property
    def left(self):
        return self._at < len(self._data)


def _drawn_graph(data):
    """A graph that the bytes decide: any operator on any shapes, constants and attributes."""
    choices = _Choices(data)
    names, arrays, nodes, inputs = ["x"], {}, [], []
    for name in ("x", "y", "z")[: 1 + choices.below(3)]:
        dtype = DATA_TYPES[1 + choices.below(24)]
        inputs.append(Tensor(name, dtype, tuple(choices.of(_SIZES) for _ in range(choices.below(6)))))
        names.append(name)
    while choices.left and len(nodes) < 200:
        if choices.below(3) == 0:
            name = "c{}".format(len(arrays))
            values = [choices.of(_SIZES) for _ in range(choices.below(6))]
            kind = choices.of((np.int64, np.float32, np.uint64, np.int8))
            numbers = [value if isinstance(value, int) else 5 for value in values]
            with np.errstate(all="ignore"):
                arrays[name] = (
                    np.array(numbers, np.float64).astype(kind) if kind != np.int64 else np.array(numbers, kind)
                )
            if choices.below(8) == 0:
                arrays[name] = arrays[name].reshape(-1, 1)
            names.append(name)
        attributes = {choices.of(_ATTRIBUTES): _attribute(choices) for _ in range(choices.below(5))}
        given = tuple(choices.of(names + [""]) for _ in range(choices.below(5)))
        outputs = tuple("t{}_{}".format(len(nodes), index) for index in range(choices.below(3)))
        domain = choices.of(("", "", "", "ai.onnx", "some.where"))
        nodes.append(Node("n{}".format(len(nodes)), choices.of(_OPERATORS), given, outputs, attributes, domain))
        names.extend(outputs)
    opset = choices.of((0, 1, 7, 9, 10, 11, 13, 18, 21, 99))
    outputs = (Tensor(names[-1], "float32", ()),)
    constants = tuple(Tensor(name, array.dtype.name, array.shape) for name, array in arrays.items())
    _everything_of(OnnxFile(7, opset, {"": opset}, "", {}, tuple(inputs), outputs, constants, tuple(nodes)), arrays)


def _attribute(choices):
    sizes = [size for size in _SIZES if isinstance(size, int)]
    kind = choices.below(6)
    if kind == 0:
        return choices.of(sizes)
    if kind == 1:
        return tuple(choices.of(sizes) for _ in range(choices.below(5)))
    if kind == 2:
        return tuple(choices.of((0.0, 0.5, 2.0, float("inf"), float("nan"), -1e30)) for _ in range(choices.below(5)))
    if kind == 3:
        return choices.of(_TEXTS)
    if kind == 4:
        return Tensor("", DATA_TYPES[1 + choices.below(24)], tuple(choices.of(sizes) for _ in range(choices.below(4))))
    return choices.of((0.5, float("nan"), 1e38))


def _drawn_seeds():
    rng = np.random.RandomState(5)
    return [bytes(rng.randint(0, 256, 60).astype(np.uint8)) for _ in range(40)]


def _models():
    x = {"x": [1, 3, 8, 8]}
    constants = {"shape": np.array([1, -1], np.int64), "half": np.array([0.5], np.float16), "none": np.zeros((0, 3))}
    from onnx import helper

    shapes = [
        helper.make_node("Reshape", ["x", "shape"], ["y"], "reshape"),
        helper.make_node("Constant", [], ["c"], "constant", value_floats=[1.0, 2.0]),
        helper.make_node("Constant", [], ["d"], "constant 2", value_int=3),
    ]
    return [
        tiny_model_bytes(attachments=False),
        quantisable_bytes(),
        quantized_bytes(),
        unpooling_bytes(),
        graph_bytes(shapes, x, {"y": ["N", 5]}, constants),
    ]


def _golden_seeds():
    rng = np.random.RandomState(3)
    frames = [
        golden_frame("frame", rng.randint(0, 256, (4, 8, 3)).astype(np.uint8), rng.randn(5, 4, 8).astype(np.float32))
    ]
    return [encode_golden(frames), encode_golden(frames * 2)]


def _golden(data):
    for golden in decode_golden(data, "model.onnx"):
        golden.name.encode("utf-8", "surrogatepass")


def _head(data):
    weights = head_weights(Head("transposed_conv_2x2", "features", 4, 19, 2, False), data, "model.onnx")
    if weights.to_bytes() != data:
        raise Fault("round trip", "the head's weights", "head")


def _inspected(data):
    """``ccc-inspect FILE`` and ``--json``: the first byte chooses the file's name, and what lies beside it."""
    kind, data = data[:1], data[1:]
    name = {b"e": "m.engine", b"j": "m.engine.json", b"c": "m.calib", b"p": "m.calib.json", b"k": "m.kernels"}.get(
        kind, "m.onnx"
    )
    if kind == b"j":
        written("m.engine", PLAN)
    elif kind == b"e":
        written("m.engine.json", tiny_manifest().to_json().encode("ascii"))
    elif kind == b"p":
        written("m.calib", tiny_cache().to_bytes())
    elif kind == b"c":
        written("m.calib.json", tiny_provenance().to_json().encode("ascii"))
    run_inspect(written(name, data))


def run_inspect(path):
    """Both forms of the command; a Fault where it is not to be shown, or ends with another code than 0, 1 or 2."""
    for options in ([], ["--json"]):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = inspect([path, *options])
        shown = out.getvalue()
        check_text(shown.replace(place(""), "") + err.getvalue(), "ccc-inspect " + " ".join(options))
        if code not in (0, 1, 2) or (code and "error: " not in err.getvalue()):
            raise Fault("exit code", "{} with {!r}".format(code, err.getvalue()), "ccc-inspect")
        if options and shown:
            json.loads(shown)


def _inspect_seeds():
    return [
        b"o" + tiny_model_bytes(),
        b"o" + quantized_bytes(),
        b"e" + PLAN,
        b"j" + tiny_manifest().to_json().encode("ascii"),
        b"c" + tiny_cache().to_bytes(),
        b"p" + tiny_provenance().to_json().encode("ascii"),
        b"k" + _KERNELS.to_bytes(),
    ]


TARGETS = (
    Target(
        "onnx",
        lambda data: _graph(data) and None,
        _models,
        ("src/ccc_jetson/onnx_file.py", "src/ccc_jetson/protobuf.py", "src/ccc_jetson/onnx_arrays.py"),
        "protobuf",
    ),
    Target(
        "drawn graph",
        _drawn_graph,
        _drawn_seeds,
        tuple("src/ccc_jetson/{}.py".format(name) for name in ("shape_rules", "graph_shapes", "graph_cost"))
        + ("engines/compatibility.py", "engines/node_limits.py"),
    ),
    Target(
        "carried",
        _carried,
        lambda: [tiny_model_bytes(), tiny_model_bytes("scores", classes=5)],
        ("src/ccc_jetson/carried.py",),
        "protobuf",
    ),
    Target("golden", _golden, _golden_seeds, ("src/ccc_jetson/golden.py",), "json"),
    Target("head", _head, lambda: [tiny_weights()[1].to_bytes()], ("src/ccc_jetson/head.py",)),
    Target(
        "ccc-inspect",
        _inspected,
        _inspect_seeds,
        tuple("engines/{}.py".format(name) for name in _INSPECT)
        + ("src/ccc_jetson/file_kinds.py", "calib/inspect_cache.py", "calib/inspect_qdq.py"),
        "any",
    ),
)
