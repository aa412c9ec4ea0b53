"""What TensorRT's ONNX parser takes, by version: operator sets, operators, types, and limits on nodes.

The facts are those of onnx/onnx-tensorrt, the parser that TensorRT ships:

- ``docs/operators.md`` as of 8.0, 8.4, 8.5, 9.2 and 10.15: the table of operators, types and restrictions;
- ``docs/Changelog.md`` up to 10.15 for the versions between (8.2: Einsum, IsNaN, GatherND, Round, Scatter*, Sign; 8.4:
  Shrink, Xor; 8.5: GridSample, RoiAlign, UINT8 at the network's ends; 8.6: Layer- and GroupNormalization, IsInf), and
  for what 8.0's table does not show yet: Resize, NonMaxSuppression;
- NVIDIA/TensorRT's release notes for 11.0 (Swish), 11.2 (DFT, GridSample in 5-D) and 11.5 (opset 25);
- the source where the table is silent or wrong: ``builtin_op_importers.cpp`` of 8.4 (Resize, Conv, ConvTranspose,
  Quantize- and DequantizeLinear; it has an importer for Reciprocal, which the table denies), ``onnx2trt_utils.cpp``
  (dilated pooling) and ``onnxOpCheckers.cpp`` of 10.6 (BatchNormalization in training mode, MaxPool's indices);
- NVIDIA/TensorRT#3399 and #3157: Q/DQ layers are refused on hardware without INT8 units; #2809: UINT8 between nodes.

TensorRT reads a file of a higher operator set than documented without complaint, and fails at the first node whose
definition has changed; so the ceiling is asked here.
"""

from typing import Dict, FrozenSet, NamedTuple, Tuple

from ccc_jetson.errors import UsageError

Version = Tuple[int, int]

# What ccc-inspect answers for: 8.0 and 8.2 on JetPack 4.6, 8.5 on 5.1, 8.6 and 10.3 on 6; 11 on PCs only
VERSIONS = ((8, 0), (8, 2), (8, 5), (8, 6), (10, 3), (11, 0))


class Parser(NamedTuple):
    """A version's limits: lowest and highest operator set, types of tensors, types at the network's ends only."""

    opsets: Tuple[int, int]
    types: FrozenSet[str]
    at_the_ends: FrozenSet[str]


_TYPES_8 = frozenset(["bool", "float16", "float32", "float64", "int32", "int64", "int8"])  # the 64s are narrowed
_TYPES_10 = _TYPES_8 | frozenset(["bfloat16", "float8e4m3fn", "int4"])
_UINT8 = frozenset(["uint8"])
PARSERS: Dict[Version, Parser] = {
    (8, 0): Parser((7, 13), _TYPES_8, frozenset()),
    (8, 5): Parser((7, 17), _TYPES_8, _UINT8),
    (10, 0): Parser((9, 20), _TYPES_10, _UINT8),
    (10, 15): Parser((9, 24), _TYPES_10 | frozenset(["float4e2m1"]), _UINT8),
    (11, 5): Parser((9, 25), _TYPES_10 | frozenset(["float4e2m1"]), _UINT8),
}

_OPERATORS: Dict[Version, str] = {
    (8, 0): (
        "Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu "
        "Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div "
        "Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements Gemm GlobalAveragePool "
        "GlobalLpPool GlobalMaxPool Greater GreaterOrEqual HardSigmoid Identity ImageScaler InstanceNormalization "
        "LRN LSTM LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean Min "
        "Mul Neg NonMaxSuppression Not Or PRelu Pad ParametricSoftplus Pow QuantizeLinear RNN RandomUniform "
        "RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean "
        "ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence ScaledTanh Scan Selu "
        "Shape Sigmoid Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan "
        "Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze Upsample Where"
    ),
    (8, 2): "Dropout Einsum GatherND If IsNaN Round Scatter ScatterElements ScatterND Sign",
    (8, 4): "Shrink Xor",
    (8, 5): (
        "GridSample HardSwish MeanVarianceNormalization Mod NonZero OneHot RandomNormal RandomNormalLike RoiAlign Trilu"
    ),
    (8, 6): "GroupNormalization IsInf LayerNormalization",
    (10, 0): "CastLike Gelu Hardmax Mish",
    (10, 1): "DeformConv",
    (10, 4): "BlackmanWindow HammingWindow HannWindow",
    (10, 5): "STFT",
    (10, 14): "Attention",
    (10, 15): "RMSNormalization RotaryEmbedding TensorScatter",
    (11, 0): "Swish",
    (11, 2): "DFT",
}
SINCE = {operator: version for version, names in _OPERATORS.items() for operator in names.split()}
_NEVER_LISTED = (
    "AffineGrid Bernoulli BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im Compress "
    "ConcatFromSequence ConvInteger Det DynamicQuantizeLinear ImageDecoder MatMulInteger MaxRoiPool MaxUnpool "
    "MelWeightMatrix Multinomial NegativeLogLikelihoodLoss Optional OptionalGetElement OptionalHasElement QLinearConv "
    "QLinearMatMul RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert "
    "SequenceLength SequenceMap SoftmaxCrossEntropyLoss SplitToSequence StringConcat StringNormalizer StringSplit "
    "TfIdfVectorizer Unique"
)
NEVER = frozenset(_NEVER_LISTED.split())  # ONNX operators that no version's table lists as supported
EVALUATE = "call model.eval() before the export"
FOLD = "fold constants before (ccc-export does; else: onnxsim MODEL.onnx MODEL.onnx)"
CURES = {
    "Dropout": EVALUATE,
    "Einsum": "write it as MatMul",
    "Gelu": "export with opset 19 or lower, where it becomes Erf, Mul and Add",
    "GroupNormalization": "export with opset 17 or lower, where it becomes InstanceNormalization",
    "HardSwish": "export with opset 13, where it becomes HardSigmoid and Mul",
    "LayerNormalization": "export with opset 16 or lower, where it becomes ReduceMean, Sub, Pow, Sqrt and Div",
    "MaxUnpool": "upsample with Resize or ConvTranspose in its place, and train that",
    "Mish": "export with opset 17 or lower, where it becomes Softplus, Tanh and Mul",
    "QLinearConv": "quantise with QuantizeLinear and DequantizeLinear around float nodes (the Q/DQ format)",
    "QLinearMatMul": "quantise with QuantizeLinear and DequantizeLinear around float nodes (the Q/DQ format)",
}


def parser_of(tensorrt: Version) -> Parser:
    """The limits of a version: those of the newest known one that is not newer."""
    known = [version for version in PARSERS if version <= tensorrt]
    if not known:
        raise UsageError("TensorRT {}.{} is older than what is known here, which begins with 8.0".format(*tensorrt))
    return PARSERS[max(known)]
