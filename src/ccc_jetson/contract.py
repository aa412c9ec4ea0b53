"""The contract: what a network expects and what it gives.

Written once by export, carried in the ONNX file's metadata and the engine's manifest, and read by everyone else. No
other module guesses any of it.

Beside it in the same file travel two attachments (``head.py``, ``golden.py``); the contract holds their SHA-256.
"""

import json
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from ccc_jetson.errors import ContractError
from ccc_jetson.files import read_text
from ccc_jetson.half_verdict import HalfPrecision

SCHEMA = 2
OUTPUT_KINDS = ("class_map", "logits")
COLOR_ORDERS = ("BGR", "RGB")
PRECISIONS = ("fp32", "fp16")
HEAD_KINDS = ("transposed_conv_2x2",)
MAX_CLASSES = 255  # class maps are uint8, and 255 means "not seen"
EXPORT_AGAIN = "export it again: ccc-export CHECKPOINT MODEL.onnx"
_LARGEST = 1e30  # what float32 can hold with room to compute


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

    ``logits`` names the tensor of the logits inside the graph, whatever the kind.
    """

    name: str
    kind: str
    logits: str


class Class(NamedTuple):
    """What one output channel means: colour as (R, G, B); ``train_id`` 255 where it is no class of the data set;
    ``label_id`` as the Cityscapes server wants it, -1 where there is none."""

    name: str
    color: Tuple[int, int, int]
    train_id: int
    label_id: int


class Head(NamedTuple):
    """The last upsampling, which an engine leaves to a kernel: ``features`` is the tensor before it.

    ``transposed_conv_2x2``: stride 2, no overlap; weights (channels_in, channels_out, 2, 2) and bias are attached.
    """

    kind: str
    features: str
    channels_in: int
    channels_out: int


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
        record = {name: _plain(value) for name, value in zip(self._fields, self)}
        record["schema"] = SCHEMA
        return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: Union[str, bytes], origin: str = "contract") -> "Contract":
        """Reads and validates; ``origin`` names the file in messages.

        Raises:
            ContractError: it is damaged, incomplete, contradictory, or of a newer schema.
        """
        try:
            record = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ContractError("{}: the contract is damaged: {}".format(origin, error), hint=EXPORT_AGAIN)
        return _Reader(origin).contract(record)

    @property
    def class_names(self) -> Tuple[str, ...]:
        """Names in the order of the output's channels."""
        return tuple(each.name for each in self.classes)


def read_contract_json(path: str) -> Contract:
    """A contract from a JSON file (``--contract``), for models that something else exported."""
    return Contract.from_json(read_text(path), path)


def _plain(value: Any) -> Any:
    """Records as dictionaries, tuples as lists."""
    if hasattr(value, "_fields"):
        return {name: _plain(item) for name, item in zip(value._fields, value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


class _Reader:
    """Turns parsed JSON into records; every complaint names the file and the field."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def contract(self, record: Any) -> Contract:
        record = dict(self.object(record, "", Contract._fields + ("schema",), versioned=True))
        head, half = record["head"], record["half"]
        contract = Contract(
            architecture=self.architecture(record["architecture"]),
            target=self.text(record["target"], "target"),
            precision=self.one_of(record["precision"], "precision", PRECISIONS),
            passes=tuple(self.each(record["passes"], "passes", self.text)),
            input=self.input(record["input"]),
            preprocessing=self.preprocessing(record["preprocessing"]),
            output=self.output(record["output"]),
            classes=tuple(self.each(record["classes"], "classes", self.class_)),
            ignore_index=self.integer(record["ignore_index"], "ignore_index", 0, 255),
            head=None if head is None else self.head(head),
            source=Source(*self.texts(record["source"], "source", Source._fields)),
            published=tuple(self.each(record["published"], "published", self.published)),
            verification=self.numbers(record["verification"], "verification"),
            half=None if half is None else self.half(half),
            attachments={
                key: self.attachment(value, "attachments." + key)
                for key, value in self.mapping(record["attachments"], "attachments").items()
            },
            tool=self.text(record["tool"], "tool"),
        )
        if not 1 <= len(contract.classes) <= MAX_CLASSES:
            self.fail("classes", "1 to {} of them".format(MAX_CLASSES), len(contract.classes))
        if contract.head is not None and contract.head.channels_out != len(contract.classes):
            self.fail(
                "head.channels_out", "{} (one per class)".format(len(contract.classes)), contract.head.channels_out
            )
        return contract

    def architecture(self, value: Any) -> Architecture:
        value = self.object(value, "architecture", Architecture._fields)
        return Architecture(
            self.text(value["name"], "architecture.name"),
            self.text(value["title"], "architecture.title"),
            self.mapping(value["arguments"], "architecture.arguments"),
        )

    def input(self, value: Any) -> Input:
        value = self.object(value, "input", Input._fields)
        sizes = [self.integer(value[key], "input." + key, 1, 1 << 16) for key in ("width", "height", "batch")]
        return Input(self.text(value["name"], "input.name"), *sizes)

    def preprocessing(self, value: Any) -> Preprocessing:
        value = self.object(value, "preprocessing", Preprocessing._fields)
        std = self.three(value["std"], "preprocessing.std", self.number)
        scale = self.number(value["scale"], "preprocessing.scale")
        if min(std) <= 0:
            self.fail("preprocessing.std", "positive numbers", list(std))
        if scale <= 0:
            self.fail("preprocessing.scale", "a positive number", scale)
        return Preprocessing(
            self.one_of(value["color_order"], "preprocessing.color_order", COLOR_ORDERS),
            self.three(value["mean"], "preprocessing.mean", self.number),
            std,
            scale,
        )

    def output(self, value: Any) -> Output:
        value = self.object(value, "output", Output._fields)
        return Output(
            self.text(value["name"], "output.name"),
            self.one_of(value["kind"], "output.kind", OUTPUT_KINDS),
            self.text(value["logits"], "output.logits"),
        )

    def class_(self, value: Any, field: str) -> Class:
        value = self.object(value, field, Class._fields)
        return Class(
            self.text(value["name"], field + ".name"),
            self.three(value["color"], field + ".color", lambda item, name: self.integer(item, name, 0, 255)),
            self.integer(value["train_id"], field + ".train_id", 0, 255),
            self.integer(value["label_id"], field + ".label_id", -1, 255),
        )

    def head(self, value: Any) -> Head:
        value = self.object(value, "head", Head._fields)
        return Head(
            self.one_of(value["kind"], "head.kind", HEAD_KINDS),
            self.text(value["features"], "head.features"),
            self.integer(value["channels_in"], "head.channels_in", 1, 1 << 16),
            self.integer(value["channels_out"], "head.channels_out", 1, 256),
        )

    def published(self, value: Any, field: str) -> Published:
        value = self.object(value, field, Published._fields)
        return Published(
            self.text(value["figure"], field + ".figure"),
            self.number(value["value"], field + ".value"),
            self.text(value["where"], field + ".where"),
        )

    def half(self, value: Any) -> HalfPrecision:
        value = self.object(value, "half", HalfPrecision._fields)
        numbers = {
            name: None if value[name] is None and name.startswith("miou") else self.number(value[name], "half." + name)
            for name in HalfPrecision._fields
            if name not in ("frames", "safe")
        }
        if not isinstance(value["safe"], bool):
            self.fail("half.safe", "true or false", value["safe"])
        return HalfPrecision(
            frames=self.integer(value["frames"], "half.frames", 1, 1 << 31),
            safe=value["safe"],
            **numbers,  # type: ignore[arg-type]  # only miou may be None
        )

    def attachment(self, value: Any, field: str) -> Attachment:
        value = self.object(value, field, Attachment._fields)
        return Attachment(
            self.integer(value["bytes"], field + ".bytes", 0, 1 << 31), self.text(value["sha256"], field + ".sha256")
        )

    def object(self, value: Any, field: str, keys: Tuple[str, ...], versioned: bool = False) -> Dict[str, Any]:
        """A JSON object with exactly these keys; the outermost one says its schema, which is looked at first."""
        value = self.mapping(value, field)
        if versioned:
            schema = value.get("schema")
            if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
                self.fail("schema", "a number from 1", schema)
            if schema > SCHEMA:
                raise ContractError(
                    "{}: its contract has schema {}, this version reads up to {}".format(self.origin, schema, SCHEMA),
                    hint="update ccc-jetson on this machine, or export the model with the version it has",
                )
            if schema < SCHEMA:
                raise ContractError(
                    "{}: its contract has schema {}, this version reads schema {}".format(self.origin, schema, SCHEMA),
                    hint=EXPORT_AGAIN,
                )
        missing = sorted(set(keys) - set(value))
        unknown = sorted(set(value) - set(keys))
        if missing or unknown:
            found = ["lacks " + ", ".join(missing)] * bool(missing) + ["has unknown " + ", ".join(unknown)] * bool(
                unknown
            )
            raise ContractError(
                "{}: the contract is damaged: {} {}".format(self.origin, field or "it", " and ".join(found)),
                hint=EXPORT_AGAIN,
            )
        return value

    def mapping(self, value: Any, field: str) -> Dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(field or "the contract", "an object", value)
        return value

    def text(self, value: Any, field: str) -> str:
        if not isinstance(value, str):
            self.fail(field, "text", value)
        return value

    def texts(self, value: Any, field: str, keys: Tuple[str, ...]) -> List[str]:
        value = self.object(value, field, keys)
        return [self.text(value[key], field + "." + key) for key in keys]

    def integer(self, value: Any, field: str, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(field, "a whole number from {} to {}".format(low, high), value)
        return value

    def number(self, value: Any, field: str) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < _LARGEST:
            self.fail(field, "a number", value)
        return float(value)

    def numbers(self, value: Any, field: str) -> Dict[str, float]:
        return {key: self.number(item, field + "." + key) for key, item in self.mapping(value, field).items()}

    def one_of(self, value: Any, field: str, allowed: Tuple[str, ...]) -> str:
        if value not in allowed:
            self.fail(field, "one of " + ", ".join(allowed), value)
        return value

    def each(self, value: Any, field: str, read: Callable[[Any, str], Any]) -> List[Any]:
        if not isinstance(value, list):
            self.fail(field, "a list", value)
        return [read(item, "{}[{}]".format(field, index)) for index, item in enumerate(value)]

    def three(self, value: Any, field: str, read: Callable[[Any, str], Any]) -> Tuple[Any, Any, Any]:
        items = self.each(value, field, read)
        if len(items) != 3:
            self.fail(field, "three values", value)
        return items[0], items[1], items[2]

    def fail(self, field: str, expected: str, found: Any) -> None:
        raise ContractError(
            "{}: the contract is damaged: {} is {!r}, expected {}".format(self.origin, field, found, expected),
            hint=EXPORT_AGAIN,
        )
