"""What holds for every value, by Hypothesis: records come back from their files, and no JSON, text or message breaks a
reader. The examples are the same in every run."""

import json
import string

import pytest

hypothesis = pytest.importorskip("hypothesis")

import numpy as np  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ccc_jetson.calib.cache import cache_of_ranges, parse_cache  # noqa: E402
from ccc_jetson.clean_text import clean, without_secrets  # noqa: E402
from ccc_jetson.contract import (  # noqa: E402
    COLOR_ORDERS,
    PRECISIONS,
    Architecture,
    Attachment,
    Class,
    Contract,
    Input,
    Output,
    Preprocessing,
    Published,
    Source,
)
from ccc_jetson.golden import decode_golden, encode_golden, golden_frame  # noqa: E402
from ccc_jetson.runtime.source_grammar import SyntheticScene, parse_source  # noqa: E402
from tests.fuzz.law import check  # noqa: E402
from tests.fuzz.mutation import encoded_field  # noqa: E402
from tests.fuzz.targets import target_named  # noqa: E402

settings.register_profile(
    "ccc", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("ccc")

texts = st.text(max_size=20)
# no denormals: a backend that ran in this thread before may have switched them off
numbers = st.floats(-1e29, 1e29, allow_subnormal=False)
positive = st.floats(1e-29, 1e29)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_subnormal=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
contracts = st.builds(
    Contract,
    architecture=st.builds(
        Architecture, texts, texts, st.dictionaries(texts, st.none() | st.booleans() | numbers | texts, max_size=3)
    ),
    target=texts,
    precision=st.sampled_from(PRECISIONS),
    passes=st.lists(texts, max_size=3).map(tuple),
    input=st.builds(Input, texts, *[st.integers(1, 1 << 16)] * 3),
    preprocessing=st.builds(
        Preprocessing, st.sampled_from(COLOR_ORDERS), st.tuples(*[numbers] * 3), st.tuples(*[positive] * 3), positive
    ),
    output=st.builds(Output, texts, st.sampled_from(("class_map", "logits", "scores")), texts),
    classes=st.lists(
        st.builds(Class, texts, st.tuples(*[st.integers(0, 255)] * 3), st.integers(0, 255), st.integers(-1, 255)),
        min_size=1,
        max_size=5,
    ).map(tuple),
    ignore_index=st.integers(0, 255),
    head=st.none(),
    source=st.builds(Source, texts, texts),
    published=st.lists(st.builds(Published, texts, positive, texts), max_size=2).map(tuple),
    verification=st.dictionaries(texts, numbers, max_size=2),
    half=st.none(),
    attachments=st.dictionaries(texts, st.builds(Attachment, st.integers(0, 1 << 31), texts), max_size=2),
    tool=texts,
)
lines = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=("Cs",)), min_size=1, max_size=20)
messages = st.recursive(
    st.binary(max_size=12) | st.integers(0, (1 << 64) - 1),
    lambda inner: st.lists(st.tuples(st.integers(1, 26), inner), max_size=6).map(
        lambda found: b"".join(encoded_field(number, value) for number, value in found)
    ),
    max_leaves=25,
)


@settings(max_examples=60)
@given(contracts)
def test_a_contract_comes_back(contract):
    assert Contract.from_json(contract.to_json()) == contract


@settings(max_examples=60)
@given(st.dictionaries(lines, st.floats(0, 2.0**100, width=32, allow_subnormal=False), min_size=1, max_size=6))
def test_a_calibration_cache_comes_back(ranges):
    cache = cache_of_ranges(8201, "EntropyCalibration2", ranges.items())
    assert parse_cache(cache.to_bytes(), "a.calib") == cache


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(0, 1 << 30))
def test_golden_frames_come_back(height, width, classes, seed):
    rng = np.random.RandomState(seed)
    frame = rng.randint(0, 256, (height, width, 3)).astype(np.uint8)
    golden = golden_frame("street", frame, rng.randn(classes, height, width).astype(np.float32))
    (found,) = decode_golden(encode_golden([golden]), "m.onnx")
    assert all(np.array_equal(one, other) for one, other in zip(found, golden))


@settings(max_examples=60)
@given(st.tuples(st.integers(1, 8192), st.integers(1, 8192)), st.integers(1, 1000), st.none() | st.integers(1, 10**9))
def test_a_drawn_scene_comes_back_from_its_name(halves, fps, frames):
    size = (2 * halves[0], 2 * halves[1])
    scene = SyntheticScene(size, float(fps), frames, frames is None)
    assert parse_source(scene.shown) == scene


@pytest.mark.parametrize(
    "name",
    ["contract", "manifest", "provenance", "report", "comparison", "int8 errors", "label mapping", "build times"],
)
@settings(max_examples=30)
@given(json_values)
def test_no_json_breaks_a_reader(name, value):
    target = target_named(name)
    check(target, json.dumps(value).encode("ascii"))


@settings(max_examples=150)
@given(st.text(max_size=60))
def test_no_text_breaks_the_grammar_of_sources(text):
    target = target_named("source")
    check(target, text.encode("utf-8"))


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(1, 26), messages), max_size=5))
def test_no_protobuf_message_breaks_the_onnx_reader(found):
    target = target_named("onnx")
    graph = b"".join(encoded_field(number, value) for number, value in found)
    check(target, encoded_field(1, 7) + encoded_field(7, graph))


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_no_graph_breaks_the_rules_of_shapes(data):
    target = target_named("drawn graph")
    check(target, data)


@settings(max_examples=100)
@given(st.text(max_size=7), st.text(string.ascii_letters, min_size=8, max_size=12))
def test_text_for_people_has_no_control_characters_and_no_password(text, password):
    assert clean(text).isprintable()
    assert password not in without_secrets("{} rtsp://user:{}@host/ {}".format(text.replace("@", ""), password, "end"))
