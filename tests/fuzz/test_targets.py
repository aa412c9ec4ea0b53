"""The short form of fuzzing: each parser keeps the law on its seeds and on some inputs that are made of them."""

import contextlib
import importlib.util
import random
import zlib

import pytest

pytest.importorskip("onnx")

from ccc_jetson.errors import CccError  # noqa: E402
from tests.fuzz.law import check, check_memory  # noqa: E402
from tests.fuzz.mutation import mutated  # noqa: E402
from tests.fuzz.targets import all_targets  # noqa: E402

INPUTS = 25
SEED = 20261128


@pytest.fixture(scope="module", autouse=True)
def no_page_stays_open():
    yield
    if importlib.util.find_spec("tornado") is not None:
        from tests.fuzz.page_targets import close_page

        close_page()


@pytest.mark.parametrize("target", all_targets(), ids=lambda target: target.name)
def test_a_parser_keeps_the_law(target):
    seeds = target.seeds()
    with contextlib.suppress(CccError):
        target.parse(seeds[0])  # the first call imports, which is not the reader's time
    accepted = [check(target, seed) for seed in seeds[:40]]
    assert any(accepted), "every seed is refused"
    rng = random.Random(SEED + zlib.crc32(target.name.encode()))
    print("seed", SEED)
    for number in range(INPUTS):
        data = mutated(rng, seeds, target.form)
        print("input {}: {!r}".format(number, data[:200]))
        (check_memory if number < 3 else check)(target, data)


def test_targets_have_names_of_their_own_and_modules_that_are_there():
    import os

    import tests

    root = os.path.dirname(os.path.dirname(os.path.abspath(tests.__file__)))
    targets = all_targets()
    assert len({target.name for target in targets}) == len(targets)
    for target in targets:
        assert target.modules and target.form in ("bytes", "json", "protobuf", "zlib", "any", "pickled"), target.name
        if os.path.isdir(os.path.join(root, "engines")):  # not where the wheel is tested
            for module in target.modules:
                assert os.path.exists(os.path.join(root, module)), module


@pytest.mark.parametrize("form", ["bytes", "json", "protobuf", "zlib", "any"])
def test_the_same_seed_makes_the_same_inputs(form):
    seeds = [b'{"a": [1, {"b": "c"}], "d": null}', b"\x08\x07\x12\x03abc"]
    one, other = (random.Random(3) for _ in range(2))
    made = [mutated(one, seeds, form) for _ in range(200)]
    assert made == [mutated(other, seeds, form) for _ in range(200)]
    assert len(set(made)) > 100
