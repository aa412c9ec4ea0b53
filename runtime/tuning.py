"""What is fastest on this machine for this engine and these frames, tried once and remembered beside the engine.

``model.engine.tuning.json`` holds one entry for each machine, power mode and kind of frames; where the engine's folder
cannot be written to, a file in the user's cache folder does. It is a convenience: one that is damaged, or of another
engine, counts as missing, and what cannot be written costs the next start a second.
"""

import json
import os
from typing import Any, Dict, NamedTuple, Optional, Tuple

from ccc_jetson.choices import MEMORY_POLICIES
from ccc_jetson.engines.cache_folder import cache_folder, keep
from ccc_jetson.errors import CccError, FileProblem
from ccc_jetson.files import read_bytes, write_text
from ccc_jetson.json_records import JsonReader
from ccc_jetson.runtime.slots import Memory

SCHEMA = 1
_MOST_BYTES = 1 << 20
_MOST_ENTRIES = 32


class Tuning(NamedTuple):
    """What was chosen: the policy of each kind of memory, whether a CUDA graph is used; and the times that decided."""

    memory: Memory
    cuda_graph: bool
    milliseconds: Dict[str, float]


def tuning_path(engine_path: str) -> str:
    """``model.engine`` -> ``model.engine.tuning.json``; beside the engine itself where the path is a link."""
    return os.path.realpath(engine_path) + ".tuning.json"


def read_tuning(engine_path: str, engine_sha256: str, key: str) -> Optional[Tuning]:
    """What was found before; None where nothing was, or for another engine."""
    for path in (tuning_path(engine_path), _cached_path(engine_sha256)):
        found = _known(path, engine_sha256).get(key)
        if found is not None:
            return found
    return None


def write_tuning(engine_path: str, engine_sha256: str, key: str, tuning: Tuning) -> str:
    """Remembers what was found; why that was not possible, or ""."""
    beside = tuning_path(engine_path)
    try:
        write_text(beside, _text(_known(beside, engine_sha256), engine_sha256, key, tuning))
    except CccError:
        cached = _cached_path(engine_sha256)
        return keep(cached, _text(_known(cached, engine_sha256), engine_sha256, key, tuning).encode("utf-8"))
    return ""


def _cached_path(engine_sha256: str) -> str:
    return os.path.join(cache_folder(), "tuning", engine_sha256 + ".json")


def _text(entries: Dict[str, Tuning], engine_sha256: str, key: str, tuning: Tuning) -> str:
    """The file with one entry more, or a newer one."""
    entries.pop(key, None)
    entries[key] = tuning
    while len(entries) > _MOST_ENTRIES:  # the one that was written first
        del entries[next(iter(entries))]
    record = {
        "schema": SCHEMA,
        "engine_sha256": engine_sha256,
        "entries": [
            {
                "for": name,
                "memory": dict(each.memory._asdict()),
                "cuda_graph": each.cuda_graph,
                "milliseconds": {what: round(ms, 4) for what, ms in each.milliseconds.items()},
            }
            for name, each in entries.items()
        ],
    }
    return json.dumps(record, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _known(path: str, engine_sha256: str) -> Dict[str, Tuning]:
    """What the file has; nothing where it is missing, damaged or another engine's."""
    try:
        return _entries(path, engine_sha256)
    except CccError:
        return {}


def _entries(path: str, engine_sha256: str) -> Dict[str, Tuning]:
    """Entries of the file, oldest first; none where it is another engine's.

    Raises:
        FileProblem: it is missing or damaged.
    """
    if os.path.isfile(path) and os.path.getsize(path) > _MOST_BYTES:
        raise FileProblem("{}: is too large to be what it should".format(path))
    read = JsonReader(path, "the tuning", "delete it", FileProblem)
    record = read.parse(read_bytes(path))
    read.version(record, "schema", SCHEMA)
    record = read.object(record, "", ("schema", "engine_sha256", "entries"))
    if read.text(record["engine_sha256"], "engine_sha256") != engine_sha256:
        return {}
    return dict(read.each(record["entries"], "entries", lambda value, field: _entry(read, value, field)))


def _entry(read: JsonReader, value: Any, field: str) -> Tuple[str, Tuning]:
    value = read.object(value, field, ("for", "memory", "cuda_graph", "milliseconds"))
    memory = read.texts(value["memory"], field + ".memory", Memory._fields)
    return read.text(value["for"], field + ".for"), Tuning(
        Memory(*(read.one_of(policy, field + ".memory", MEMORY_POLICIES) for policy in memory)),
        read.flag(value["cuda_graph"], field + ".cuda_graph"),
        read.numbers(value["milliseconds"], field + ".milliseconds"),
    )
