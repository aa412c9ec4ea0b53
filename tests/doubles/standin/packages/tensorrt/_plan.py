"""What the stand-in writes as a plan, and why it refuses one.

    bytes 0-3    ftrt
    bytes 4-7    serialization version, little-endian
    bytes 24-27  TensorRT's major, minor, patch and build number
    bytes 28-35  the lengths of the two parts that follow
    bytes 36-39  CRC-32 of both
    then         what the engine is, as JSON; the ONNX file

The first two and the version lie where real plans of 8.6 and newer have them (NVIDIA's trtexec --getPlanVersionOnly).
"""

import json
import struct
import zlib

from standin_faults import fault

from tensorrt._pybind import Attribute, Object
from tensorrt._types import MAJOR, DataType
from tensorrt._version import TEXT, VERSION

_HEADER = struct.Struct("<4sI16x4BIII")
_MAGIC = b"ftrt"
# The versions of the format that users' logs name; those of 8.0 and 8.6 were not seen there
_SERIALIZATIONS = (
    ((11, 0), 243),
    ((10, 8), 240),
    ((10, 0), 239),
    ((8, 6), 236),
    ((8, 5), 232),
    ((8, 4), 213),
    ((8, 2), 205),
)
_OLDEST = 195


class IHostMemory(Object, bytearray):
    """Memory of TensorRT: a buffer, but neither a sequence nor bytes."""

    _constructible = False
    dtype = Attribute(default=DataType.INT8)
    __len__ = __iter__ = __getitem__ = __contains__ = __add__ = None
    __eq__, __hash__, __repr__, __str__ = object.__eq__, object.__hash__, object.__repr__, object.__str__

    def __init__(self, content):
        Object.__init__(self)
        bytearray.__init__(self, content)

    def __bool__(self):
        return True

    @property
    def nbytes(self):
        """How long it is."""
        return memoryview(self).nbytes


def pack(facts, model):
    """The bytes of a plan for this version and GPU."""
    facts = dict(facts, tensorrt=TEXT, device=fault("device"), sm=fault("sm"))
    text = json.dumps(facts, sort_keys=True).encode("utf-8")
    numbers = (VERSION + (0, 0, 0))[:4]
    lengths = (len(text), len(model), zlib.crc32(text + model) & 0xFFFFFFFF)
    return _HEADER.pack(_MAGIC, _serialization(VERSION), *(numbers + lengths)) + text + model


def unpack(content, voice):
    """What an engine is, and its ONNX file; ``None``, and the reason in the log, where it is not for this machine."""

    def refuse(text, code, kind=""):
        voice.error(text, code, "stdArchiveReader.cpp::StdArchiveReader::32", "IRuntime::deserializeCudaEngine", kind)
        if MAJOR < 10:
            voice.error("Engine deserialization failed.", 4, "runtime.cpp::deserializeCudaEngine::50")

    if content[:4] != _MAGIC or len(content) < _HEADER.size:
        refuse("Serialization assertion magicTagRead == magicTag failed.Magic tag does not match", 1, "Serialization")
        return None
    _, serialization, major, minor, patch, build, text_size, model_size, crc = _HEADER.unpack_from(content)
    if serialization != _serialization(VERSION):
        refuse(
            "Serialization assertion stdVersionRead == serializationVersion failed.Version tag does not match. Note: "
            "Current Version: {}, Serialized Engine Version: {}".format(_serialization(VERSION), serialization),
            1,
            "Serialization",
        )
        return None
    if (major, minor, patch, build) != (VERSION + (0, 0, 0))[:4]:
        _refuse_flatly(
            voice,
            "The engine plan file is not compatible with this version of TensorRT, expecting library version {} got "
            "{}.{}.{}.{}, please rebuild.".format(TEXT, major, minor, patch, build),
        )
        return None
    body = content[_HEADER.size :]
    if len(body) != text_size + model_size or zlib.crc32(body) & 0xFFFFFFFF != crc:
        refuse("Serialization assertion size <= remaining failed.Plan is truncated or damaged", 1, "Serialization")
        return None
    facts = json.loads(body[:text_size].decode("utf-8"))
    if facts["sm"] != fault("sm"):
        _refuse_flatly(
            voice,
            "The engine plan file is generated on an incompatible device, expecting compute {} got compute {}, please "
            "rebuild.".format(fault("sm"), facts["sm"]),
        )
        return None
    if facts["device"] != fault("device"):
        voice.warning(
            "Using an engine plan file across different models of devices is not recommended and is likely to affect "
            "performance or even cause errors."
        )
    return facts, body[text_size:]


def _refuse_flatly(voice, text):
    """8 says this without the place in its sources."""
    if MAJOR >= 10:
        voice.error(text, 6, call="IRuntime::deserializeCudaEngine")
    else:
        voice.error("6: " + text)
        voice.error("Engine deserialization failed.", 4, "runtime.cpp::deserializeCudaEngine::50")


def _serialization(version):
    return next((number for since, number in _SERIALIZATIONS if version[:2] >= since), _OLDEST)
