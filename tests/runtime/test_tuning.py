"""What was found fastest is remembered, for what it was found for, and damage costs no more than another trial."""

import json
import os

import pytest

from ccc_jetson.runtime.slots import Memory
from ccc_jetson.runtime.tuning import Tuning, read_tuning, tuning_path, write_tuning

SHA = "ab" * 32
TUNING = Tuning(Memory("mapped", "copy", "copy"), True, {"input mapped": 0.5, "input copy": 1.25})


@pytest.fixture()
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("CCC_JETSON_CACHE", str(tmp_path.parent / "cache"))
    return str(tmp_path / "model.engine")


def test_what_is_written_is_read(engine):
    assert read_tuning(engine, SHA, "MAXN") is None
    assert write_tuning(engine, SHA, "MAXN", TUNING) == ""
    assert read_tuning(engine, SHA, "MAXN") == TUNING
    assert read_tuning(engine, SHA, "MAXQ") is None
    other = TUNING._replace(cuda_graph=False)
    write_tuning(engine, SHA, "MAXQ", other)
    assert (read_tuning(engine, SHA, "MAXN"), read_tuning(engine, SHA, "MAXQ")) == (TUNING, other)


def test_another_engine_begins_anew(engine):
    write_tuning(engine, SHA, "MAXN", TUNING)
    assert read_tuning(engine, "cd" * 32, "MAXN") is None
    write_tuning(engine, "cd" * 32, "MAXQ", TUNING)
    assert read_tuning(engine, SHA, "MAXN") is None


def test_the_oldest_entries_make_room(engine):
    for number in range(40):
        write_tuning(engine, SHA, str(number), TUNING)
    found = [number for number in range(40) if read_tuning(engine, SHA, str(number))]
    assert found == list(range(8, 40))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"schema": 2}',
        '{"schema": 1}',
        json.dumps({"schema": 1, "engine_sha256": SHA, "entries": [{"for": "MAXN"}]}),
        json.dumps(
            {
                "schema": 1,
                "engine_sha256": SHA,
                "entries": [
                    {
                        "for": "MAXN",
                        "memory": {"input": "magic", "class_map": "copy", "picture": "copy"},
                        "cuda_graph": True,
                        "milliseconds": {},
                    }
                ],
            }
        ),
        " " * (2 << 20),
    ],
)
def test_a_damaged_file_counts_as_missing_and_is_replaced(engine, text):
    with open(tuning_path(engine), "w") as file:
        file.write(text)
    assert read_tuning(engine, SHA, "MAXN") is None
    assert write_tuning(engine, SHA, "MAXN", TUNING) == ""
    assert read_tuning(engine, SHA, "MAXN") == TUNING


def test_a_link_to_an_engine_shares_its_tuning(engine, tmp_path):
    link = str(tmp_path / "link.engine")
    os.symlink(engine, link)
    write_tuning(link, SHA, "MAXN", TUNING)
    assert sorted(os.listdir(str(tmp_path))) == ["link.engine", "model.engine.tuning.json"]
    assert read_tuning(engine, SHA, "MAXN") == TUNING


def test_where_the_engines_folder_cannot_be_written_the_users_cache_does(tmp_path, monkeypatch):
    monkeypatch.setenv("CCC_JETSON_CACHE", str(tmp_path / "cache"))
    engine = str(tmp_path / "missing" / "x.engine")
    assert write_tuning(engine, SHA, "MAXN", TUNING) == ""
    assert os.listdir(str(tmp_path / "cache" / "tuning")) == [SHA + ".json"]
    assert read_tuning(engine, SHA, "MAXN") == TUNING


def test_where_nothing_can_be_written_that_is_told_and_nothing_is_raised(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CCC_JETSON_CACHE", str(tmp_path / "file"))
    assert "cannot be made" in write_tuning(str(tmp_path / "missing" / "x.engine"), SHA, "MAXN", TUNING)
