"""The ONNX parser: a layer a node, and the words in which the real one refuses a file."""

from standin_faults import crash, fault

from ccc_jetson.errors import FileProblem
from ccc_jetson.graph_shapes import infer_shapes
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import DATA_TYPES, parse_onnx
from tensorrt._callbacks import ILogger
from tensorrt._execution import tensors_as_run
from tensorrt._native import native_code
from tensorrt._network import ILayer, INetworkDefinition, ITensor
from tensorrt._pybind import Object, data, instance, integer, optional, strict, text
from tensorrt._types import MAJOR, ErrorCode, LayerType
from tensorrt._version import VERSION
from tensorrt._voice import Voice

_KINDS = {
    "ACTIVATION": (
        "Relu",
        "LeakyRelu",
        "Sigmoid",
        "Tanh",
        "Elu",
        "Selu",
        "Clip",
        "HardSigmoid",
        "Softplus",
        "Softsign",
    ),
    "CAST": ("Cast",),
    "CONCATENATION": ("Concat",),
    "CONSTANT": ("Constant", "ConstantOfShape"),
    "CONVOLUTION": ("Conv",),
    "DECONVOLUTION": ("ConvTranspose",),
    "DEQUANTIZE": ("DequantizeLinear",),
    "ELEMENTWISE": ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "And", "Or", "Equal", "Greater", "Less", "Sum"),
    "GATHER": ("Gather",),
    "IDENTITY": ("Identity", "Dropout"),
    "MATRIX_MULTIPLY": ("MatMul", "Gemm"),
    "PARAMETRIC_RELU": ("PRelu",),
    "POOLING": ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    "QUANTIZE": ("QuantizeLinear",),
    "REDUCE": ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"),
    "RESIZE": ("Resize", "Upsample"),
    "SCALE": ("BatchNormalization", "InstanceNormalization"),
    "SELECT": ("Where",),
    "SHAPE": ("Shape",),
    "SHUFFLE": ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "DepthToSpace"),
    "SLICE": ("Slice", "Split", "Pad"),
    "SOFTMAX": ("Softmax", "LogSoftmax"),
    "TOPK": ("ArgMax", "ArgMin", "TopK"),
    "UNARY": ("Exp", "Log", "Sqrt", "Reciprocal", "Abs", "Neg", "Floor", "Ceil", "Erf", "Not", "Round"),
}
_LAYER_KINDS = {operator: kind for kind, operators in _KINDS.items() for operator in operators}
_IMPLICIT_BATCH = (
    'Assertion failed: !_importer_ctx.network()->hasImplicitBatchDimension() && "This version of the ONNX parser only '
    "supports TensorRT INetworkDefinitions with an explicit batch dimension. Please ensure the network was created "
    'using the EXPLICIT_BATCH NetworkDefinitionCreationFlag."'
)
_NO_PLUGIN = 'Assertion failed: creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
_INT64 = (
    "onnx2trt_utils.cpp:366: Your ONNX model has been generated with INT64 weights, while TensorRT does not natively "
    "support INT64. Attempting to cast down to INT32."
)


class ParserError(Object):
    """Why a file was refused; the node is -1 where it is none's fault."""

    _constructible = False

    def __init__(self, code, desc, func, line, node, name="", operator=""):
        super().__init__()
        self._code, self._desc, self._func, self._line = code, desc, func, line
        self._node, self._name, self._operator = node, name, operator

    def code(self):
        """An ``ErrorCode``."""
        return ErrorCode._members[self._code]

    def desc(self):
        """In words."""
        return self._desc

    def file(self):
        """Of the parser's sources."""
        return "ModelImporter.cpp"

    def line(self):
        """In that file."""
        return self._line

    def func(self):
        """In that file."""
        return self._func

    def node(self):
        """Its index in the file."""
        return self._node

    def node_name(self):
        """Its name."""
        return self._name

    def node_operator(self):
        """Its operator."""
        return self._operator

    def local_function_stack(self):
        """None are read here."""
        return []

    def local_function_stack_size(self):
        """None are read here."""
        return 0

    def __str__(self):
        who = "node {}".format(self._node)
        if MAJOR >= 10:
            who += " with name: {} and operator: {}".format(self._name, self._operator)
        return "In {} ({}): {}: {}".format(who, self._func, self._code, self._desc)

    __repr__ = __str__


class OnnxParser(Object):
    """Reads an ONNX file into a network."""

    @strict(network=instance(INetworkDefinition), logger=instance(ILogger))
    def __init__(self, network, logger):
        super().__init__()
        self._network, self._voice = network, Voice(logger)
        self._errors = []

    @property
    def num_errors(self):
        """How many there were."""
        return len(self._errors)

    @strict(index=integer)
    def get_error(self, index):
        """``None`` beyond the last."""
        return self._errors[index] if 0 <= index < len(self._errors) else None

    def clear_errors(self):
        """Forgets them."""
        self._errors = []

    @strict(op_name=text)
    def supports_operator(self, op_name):
        """Whether it is known at all."""
        return op_name in _LAYER_KINDS

    @strict(model=text)
    def parse_from_file(self, model):
        """As ``parse``."""
        try:
            with open(model, "rb") as file:
                content = file.read()
        except OSError:
            return self._refuse("MODEL_DESERIALIZE_FAILED", "Failed to open file: " + model, "parseFromFile", 0)
        return self.parse(content)

    @strict(model=data, path=optional(text))
    def parse(self, model, path=None):
        """Whether the file was read; if not, ``get_error`` says why."""
        with native_code():
            crash("parse")
            return self._parse(model)

    def _parse(self, model):
        try:
            onnx_file, arrays = parse_onnx(model), constant_arrays(model)
        except FileProblem:
            text = 'Assertion failed: (model->ParseFromCodedStream(&coded_input)) && "Failed to parse the ONNX model."'
            return self._refuse("MODEL_DESERIALIZE_FAILED", text, "deserialize_onnx_model", 293)
        if self._network.has_implicit_batch_dimension:
            return self._refuse("INVALID_VALUE", _IMPLICIT_BATCH, "importModel", 504)
        if onnx_file.external:
            return self._refuse("INVALID_VALUE", "Failed to open file: " + onnx_file.external[0], "importModel", 510)
        for tensor in onnx_file.inputs:
            if _type(tensor.dtype) is None:
                code = next(code for code, name in DATA_TYPES.items() if name == tensor.dtype)
                self._voice.error("Unsupported ONNX data type: {} ({})".format(tensor.dtype.upper(), code))
                return self._refuse("UNSUPPORTED_NODE", "Failed to convert ONNX data type", "importInput", 245)
        if MAJOR < 10 and any(array.dtype == "int64" for array in arrays.values()):
            self._voice.warning(_INT64)
        return self._import(model, onnx_file, arrays)

    def _import(self, model, onnx_file, arrays):
        failing = fault("parse_fail_node")
        if failing is not None and failing not in [node.name for node in onnx_file.nodes]:
            raise ValueError("the stand-in is to fail at the node {!r}, which the file does not have".format(failing))
        known = infer_shapes(onnx_file, arrays)
        if any(name and name not in known for node in onnx_file.nodes for name in node.outputs):
            known.update(tensors_as_run(model, onnx_file))
        network = self._network
        tensors = {}
        for tensor in onnx_file.inputs:
            self._voice.verbose("Adding network input: {} with dtype: {}".format(tensor.name, tensor.dtype))
            tensors[tensor.name] = ITensor(network, tensor.name, _type(tensor.dtype), _sizes(tensor.shape))
            network._inputs.append(tensors[tensor.name])
        for index, node in enumerate(onnx_file.nodes):
            name = node.name or "node_of_" + node.outputs[0]
            self._voice.verbose("Parsing node: {} [{}]".format(name, node.operator))
            if node.domain not in ("", "ai.onnx") or node.name == failing:
                return self._refuse_node(index, name, node.operator)
            made = [
                ITensor(network, output, _type(known[output].dtype), _sizes(known[output].shape))
                for output in node.outputs
                if output
            ]
            if any(tensor._dtype is None for tensor in made):
                self._voice.error("Unsupported ONNX data type: {}".format(known[node.outputs[0]].dtype.upper()))
                return self._refuse("UNSUPPORTED_NODE", "Invalid node", "parseGraph", 245, index, name, node.operator)
            tensors.update((tensor._name, tensor) for tensor in made)
            given = [tensors[each] for each in node.inputs if each in tensors]
            name = fault("layer_names").get(name, name)
            if name is None:
                tensors[node.outputs[0]] = given[0]
                continue
            network._layers.append(ILayer(name, _kind(node.operator), node.operator, given, made))
            self._voice.verbose("Registering layer: {} for ONNX node: {}".format(name, name))
        network._outputs = [tensors[tensor.name] for tensor in onnx_file.outputs]
        network._onnx = model
        return True

    def _refuse_node(self, index, name, operator):
        self._voice.info("No importer registered for op: {}. Attempting to import as plugin.".format(operator))
        self._voice.info("Searching for plugin: {}, plugin_version: 1, plugin_namespace: ".format(operator))
        self._voice.error("3: getPluginCreator could not find plugin: {} version: 1".format(operator))
        self._voice.error(
            'ModelImporter.cpp:773: While parsing node number {} [{} -> "{}"]:'.format(index, operator, name)
        )
        return self._refuse("UNSUPPORTED_NODE", _NO_PLUGIN, "importFallbackPluginImporter", 4643, index, name, operator)

    def _refuse(self, code, desc, func, line, node=-1, name="", operator=""):
        self._errors.append(ParserError(code, desc, func, line, node, name, operator))
        self._voice.error(
            "ModelImporter.cpp:779: ERROR: ModelImporter.cpp:{} In function {}:\n{}".format(line, func, desc)
        )
        return False


def _kind(operator):
    """The layer's type; what an older version has no type of its own for is an identity."""
    kind = _LAYER_KINDS.get(operator, "PLUGIN_V2")
    return kind if kind in LayerType._members else "IDENTITY"


def _type(dtype):
    """The type that this version makes of one of ONNX, in numpy's words; ``None`` where it refuses it."""
    if dtype in ("float32", "float64"):
        return "float32"
    if dtype in ("float16", "int8", "int32", "bool"):
        return dtype
    if dtype == "int64":
        return "int64" if MAJOR >= 10 else "int32"
    return "uint8" if dtype == "uint8" and VERSION >= (8, 5) else None


def _sizes(shape):
    return tuple(size if isinstance(size, int) else -1 for size in shape)
