"""The contract: what a network expects and what it gives.

Written once by export, carried in the ONNX file's metadata and the engine's manifest, and read by everyone else. No
other module guesses any of it.

Beside it in the same file travel two attachments (``head.py``, ``golden.py``); the contract holds their SHA-256.
"""

import json
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

from ccc_jetson.errors import ContractError
from ccc_jetson.files import read_text
from ccc_jetson.half_verdict import HalfPrecision
from ccc_jetson.json_records import JsonReader, plain

SCHEMA = 4
CLASS_MAP, LOGITS, SCORES = "class_map", "logits", "scores"
OUTPUT_KINDS = (CLASS_MAP, LOGITS, SCORES)
COLOR_ORDERS = ("BGR", "RGB")
PRECISIONS = ("fp32", "fp16")
TRANSPOSED_CONV, BILINEAR = "transposed_conv_2x2", "bilinear"
HEAD_KINDS = (TRANSPOSED_CONV, BILINEAR)
HEAD_SCALES = (2, 32)  # of a bilinear head: the smallest and the largest
HEAD_ATTACHMENT = "ccc_jetson.head"  # the attachment
MAX_CLASSES = 255  # class maps are uint8, and 255 means "not seen"
MAX_SCORES = 1 << 16  # classes of a picture as a whole
EXPORT_AGAIN = "export it again: ccc-export CHECKPOINT MODEL.onnx"
BY_HAND = "docs/contract.md has a contract by hand, field by field; ccc-export writes one by itself"


class Architecture(NamedTuple):
    """The network: the family's name, its title in the paper, and the arguments that rebuild it."""

    name: str
    title: str
    arguments: Dict[str, Any]


class Input(NamedTuple):
    """The network's input: float32, NCHW, three channels; sizes in pixels."""

    name: str
    width: int
    height: int
    batch: int


class Preprocessing(NamedTuple):
    """Pixels to input: ``(pixel - mean) / std * scale``, pixel 0..255, channels in ``color_order``.

    The frame is resized as uint8 with bilinear interpolation before that.
    """

    color_order: str
    mean: Tuple[float, float, float]
    std: Tuple[float, float, float]
    scale: float


class Output(NamedTuple):
    """The network's output: ``class_map`` is int32 (batch, H, W), ``logits`` float32 (batch, classes, H, W).

    A network that classifies whole pictures gives ``scores``, float32 (batch, classes), before any softmax. ``logits``
    names the tensor that decides the class inside the graph, whatever the kind.
    """

    name: str
    kind: str
    logits: str


class Class(NamedTuple):
    """What one output channel means: colour as (R, G, B); ``train_id`` 255 where it is no class of the data set;
    ``label_id`` as the Cityscapes server wants it, -1 where there is none. Of ``scores`` the name alone counts."""

    name: str
    color: Tuple[int, int, int]
    train_id: int
    label_id: int


class Head(NamedTuple):
    """The last upsampling, which an engine leaves to a kernel: ``features`` is the tensor before it.

    Both sides of a frame grow by ``scale``. ``transposed_conv_2x2``: stride 2, no overlap; weights (channels_in,
    channels_out, 2, 2) and bias are attached. ``bilinear``: interpolation of what are logits already, one channel per
    class, without weights; ``align_corners`` as in PyTorch (ONNX: ``align_corners``, else ``half_pixel``).
    """

    kind: str
    features: str
    channels_in: int
    channels_out: int
    scale: int
    align_corners: bool

    @property
    def has_weights(self) -> bool:
        """Whether it can be computed with its attachment alone."""
        return self.kind == TRANSPOSED_CONV


class Source(NamedTuple):
    """The checkpoint: its file name and the SHA-256 of its bytes."""

    file: str
    sha256: str


class Published(NamedTuple):
    """A figure that somebody published for this network."""

    figure: str
    value: float
    where: str


class Attachment(NamedTuple):
    """Another metadata entry of the same file: its length in bytes and SHA-256."""

    bytes: int
    sha256: str


class Contract(NamedTuple):
    """All that calibration, build, run and evaluation need to know of a network.

    ``target`` names the machine it was exported for (``targets.py``), ``passes`` the graph passes that were applied,
    ``precision`` the type of its weights and activations.
    """

    architecture: Architecture
    target: str
    precision: str
    passes: Tuple[str, ...]
    input: Input
    preprocessing: Preprocessing
    output: Output
    classes: Tuple[Class, ...]
    ignore_index: int
    head: Optional[Head]
    source: Source
    published: Tuple[Published, ...]
    verification: Dict[str, float]
    half: Optional[HalfPrecision]
    attachments: Dict[str, Attachment]
    tool: str

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, ASCII; the same contract always gives the same bytes."""
        record = self.to_record()
        return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

    def to_record(self) -> Dict[str, Any]:
        """What ``to_json`` writes, as dictionaries and lists."""
        return dict(plain(self), schema=SCHEMA)

    @classmethod
    def from_json(cls, text: Union[str, bytes], origin: str = "contract", cure: str = EXPORT_AGAIN) -> "Contract":
        """Reads and validates; ``origin`` names the file in messages, ``cure`` is what to do where it is damaged.

        Raises:
            ContractError: it is damaged, incomplete, contradictory, or of a newer schema.
        """
        read = _reader(origin, cure)
        return _contract(read, read.parse(text))

    @classmethod
    def from_record(cls, record: Any, origin: str, cure: str = EXPORT_AGAIN) -> "Contract":
        """Validates what ``to_record`` gave, within another file; ``cure`` is what to do where it is damaged.

        Raises:
            ContractError: as ``from_json``.
        """
        return _contract(_reader(origin, cure), record)

    @property
    def class_names(self) -> Tuple[str, ...]:
        """Names in the order of the output's channels."""
        return tuple(each.name for each in self.classes)

    @property
    def is_classifier(self) -> bool:
        """Whether it gives scores for a picture as a whole, not classes of its pixels."""
        return self.output.kind == SCORES

    @property
    def has_head(self) -> bool:
        """Whether a head can be computed behind the network: it needs no weights, or they are attached."""
        return self.head is not None and (not self.head.has_weights or HEAD_ATTACHMENT in self.attachments)


def read_contract_json(path: str) -> Contract:
    """A contract from a JSON file (``--contract``), for models that something else exported."""
    return Contract.from_json(read_text(path), path, BY_HAND)


def _reader(origin: str, cure: str) -> JsonReader:
    return JsonReader(origin, "the contract", cure, ContractError)


def _contract(read: JsonReader, record: Any) -> Contract:
    read.version(record, "schema", SCHEMA)
    record = read.object(record, "", Contract._fields + ("schema",))
    head, half = record["head"], record["half"]
    contract = Contract(
        architecture=_architecture(read, record["architecture"]),
        target=read.text(record["target"], "target"),
        precision=read.one_of(record["precision"], "precision", PRECISIONS),
        passes=tuple(read.each(record["passes"], "passes", read.text)),
        input=_input(read, record["input"]),
        preprocessing=_preprocessing(read, record["preprocessing"]),
        output=_output(read, record["output"]),
        classes=tuple(read.each(record["classes"], "classes", lambda value, field: _class(read, value, field))),
        ignore_index=read.integer(record["ignore_index"], "ignore_index", 0, 255),
        head=None if head is None else _head(read, head),
        source=Source(*read.texts(record["source"], "source", Source._fields)),
        published=tuple(
            read.each(record["published"], "published", lambda value, field: _published(read, value, field))
        ),
        verification=read.numbers(record["verification"], "verification"),
        half=None if half is None else _half(read, half),
        attachments={
            key: _attachment(read, value, "attachments." + key)
            for key, value in read.mapping(record["attachments"], "attachments").items()
        },
        tool=read.text(record["tool"], "tool"),
    )
    most = MAX_SCORES if contract.is_classifier else MAX_CLASSES
    if not 1 <= len(contract.classes) <= most:
        read.fail("classes", "1 to {} of them".format(most), len(contract.classes))
    if contract.is_classifier and contract.head is not None:
        read.damaged("it has a head, and scores of a picture have none")
    if contract.head is not None:
        _check_head(read, contract.head, contract)
    return contract


def _architecture(read: JsonReader, value: Any) -> Architecture:
    value = read.object(value, "architecture", Architecture._fields)
    return Architecture(
        read.text(value["name"], "architecture.name"),
        read.text(value["title"], "architecture.title"),
        read.free(value["arguments"], "architecture.arguments"),
    )


def _input(read: JsonReader, value: Any) -> Input:
    value = read.object(value, "input", Input._fields)
    sizes = [read.integer(value[key], "input." + key, 1, 1 << 16) for key in ("width", "height", "batch")]
    return Input(read.text(value["name"], "input.name"), *sizes)


def _preprocessing(read: JsonReader, value: Any) -> Preprocessing:
    value = read.object(value, "preprocessing", Preprocessing._fields)
    std = read.three(value["std"], "preprocessing.std", read.number)
    scale = read.number(value["scale"], "preprocessing.scale")
    if min(std) <= 0:
        read.fail("preprocessing.std", "positive numbers", list(std))
    if scale <= 0:
        read.fail("preprocessing.scale", "a positive number", scale)
    return Preprocessing(
        read.one_of(value["color_order"], "preprocessing.color_order", COLOR_ORDERS),
        read.three(value["mean"], "preprocessing.mean", read.number),
        std,
        scale,
    )


def _output(read: JsonReader, value: Any) -> Output:
    value = read.object(value, "output", Output._fields)
    return Output(
        read.text(value["name"], "output.name"),
        read.one_of(value["kind"], "output.kind", OUTPUT_KINDS),
        read.text(value["logits"], "output.logits"),
    )


def _class(read: JsonReader, value: Any, field: str) -> Class:
    value = read.object(value, field, Class._fields)
    return Class(
        read.text(value["name"], field + ".name"),
        read.three(value["color"], field + ".color", lambda item, name: read.integer(item, name, 0, 255)),
        read.integer(value["train_id"], field + ".train_id", 0, 255),
        read.integer(value["label_id"], field + ".label_id", -1, 255),
    )


def _head(read: JsonReader, value: Any) -> Head:
    value = read.object(value, "head", Head._fields)
    return Head(
        read.one_of(value["kind"], "head.kind", HEAD_KINDS),
        read.text(value["features"], "head.features"),
        read.integer(value["channels_in"], "head.channels_in", 1, 1 << 16),
        read.integer(value["channels_out"], "head.channels_out", 1, 256),
        read.integer(value["scale"], "head.scale", *HEAD_SCALES),
        read.flag(value["align_corners"], "head.align_corners"),
    )


def _check_head(read: JsonReader, head: Head, contract: Contract) -> None:
    """Refuses what contradicts itself, the classes, or the input's size."""
    if head.channels_out != len(contract.classes):
        read.fail("head.channels_out", "{} (one per class)".format(len(contract.classes)), head.channels_out)
    if head.kind == TRANSPOSED_CONV and head.scale != 2:
        read.fail("head.scale", "2, because the head is a {}".format(head.kind), head.scale)
    if head.kind == TRANSPOSED_CONV and head.align_corners:
        read.fail("head.align_corners", "false, because the head is a {}".format(head.kind), True)
    if head.kind == BILINEAR and head.channels_in != head.channels_out:
        read.fail("head.channels_in", "{} (interpolation keeps channels)".format(head.channels_out), head.channels_in)
    if head.kind == BILINEAR and HEAD_ATTACHMENT in contract.attachments:
        read.damaged("attachments has {}, and a {} head has no weights".format(HEAD_ATTACHMENT, head.kind))
    given = contract.input
    if given.width % head.scale or given.height % head.scale:
        expected = "a divisor of the input's {}x{}".format(given.width, given.height)
        read.fail("head.scale", expected, head.scale)


def _published(read: JsonReader, value: Any, field: str) -> Published:
    value = read.object(value, field, Published._fields)
    number = read.number(value["value"], field + ".value")
    if number <= 0:
        read.fail(field + ".value", "a positive number", number)
    return Published(
        read.text(value["figure"], field + ".figure"),
        number,
        read.text(value["where"], field + ".where"),
    )


def _half(read: JsonReader, value: Any) -> HalfPrecision:
    value = read.object(value, "half", HalfPrecision._fields)
    numbers = {
        name: None if value[name] is None and name.startswith("miou") else read.number(value[name], "half." + name)
        for name in HalfPrecision._fields
        if name not in ("frames", "safe")
    }
    return HalfPrecision(
        frames=read.integer(value["frames"], "half.frames", 1, 1 << 31),
        safe=read.flag(value["safe"], "half.safe"),
        **numbers,  # type: ignore[arg-type]  # only miou may be None
    )


def _attachment(read: JsonReader, value: Any, field: str) -> Attachment:
    value = read.object(value, field, Attachment._fields)
    return Attachment(
        read.integer(value["bytes"], field + ".bytes", 0, 1 << 31), read.text(value["sha256"], field + ".sha256")
    )
