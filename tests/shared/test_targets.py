"""Facts that the rest relies on."""

import pytest

from ccc_jetson.cityscapes import CAMVID_CLASSES, CAMVID_FROM_TRAIN_ID, TRAIN_LABELS, train_ids_from_label_ids
from ccc_jetson.errors import UsageError
from ccc_jetson.targets import (
    DEFAULT_TARGET,
    ONNX_RUNTIME,
    OPENVINO,
    TARGETS,
    TENSORRT,
    runtime_for,
    target_named,
)


def test_a_tx2_has_half_precision_but_no_int8_and_takes_opset_13():
    tx2 = target_named(DEFAULT_TARGET)
    assert (tx2.compute_capability, tx2.fp16, tx2.int8, tx2.opset, tx2.python) == ((6, 2), True, False, 13, (3, 6))


def test_every_board_reads_what_is_written_for_it():
    for target in TARGETS:
        assert target.opset <= 13 and target.ir_version <= 7


def test_an_unknown_board_lists_the_known_ones():
    with pytest.raises(UsageError, match="tx2, tx2-nx, nano"):
        target_named("tx3")


def test_label_ids_map_to_cityscapes_train_ids():
    table = train_ids_from_label_ids()
    assert len(table) == 256
    assert (table[7], table[11], table[23], table[26], table[33], table[0], table[29], table[200]) == (
        0, 2, 10, 13, 18, 255, 255, 255,
    )  # fmt: skip
    assert [label.train_id for label in TRAIN_LABELS] == list(range(19))


def test_every_train_id_has_a_camvid_class():
    assert len(CAMVID_FROM_TRAIN_ID) == len(TRAIN_LABELS)
    assert set(CAMVID_FROM_TRAIN_ID) == set(range(len(CAMVID_CLASSES)))


def test_a_file_is_run_by_the_runtime_of_its_target_and_an_unknown_one_by_none_in_particular():
    assert [runtime_for(name) for name in ("tx2", "cpu", "cpu-onnxruntime", "abacus")] == [
        TENSORRT, OPENVINO, ONNX_RUNTIME, TENSORRT,
    ]  # fmt: skip
