"""The head's reference against the operator it stands for."""

import numpy as np
import onnxruntime
import pytest

from ccc_jetson.carried import read_contract
from ccc_jetson.errors import ContractError
from ccc_jetson.head import METADATA_KEY, head_class_map, head_logits, read_head
from ccc_jetson.onnx_file import read_onnx, with_extra_outputs
from tests.doubles.tiny_model import tiny_contract, tiny_model_bytes, tiny_weights, write_tiny_model


def test_head_gives_what_the_whole_graph_gives(tmp_path):
    path = write_tiny_model(tmp_path / "a.onnx")
    data = with_extra_outputs(tiny_model_bytes(), ["features", "logits"])
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    image = np.random.RandomState(0).randn(1, 3, 32, 64).astype(np.float32)
    class_map, features, logits = session.run(["class_map", "features", "logits"], {"image": image})
    head = read_head(read_contract(path), read_onnx(path), path)
    np.testing.assert_allclose(head_logits(features[0], head), logits[0], rtol=1e-5, atol=1e-5)
    assert (head_class_map(features[0], head) == class_map[0]).all()


def test_weights_come_back_bit_for_bit(tmp_path):
    path = write_tiny_model(tmp_path / "a.onnx")
    head = read_head(read_contract(path), read_onnx(path), path)
    _, expected = tiny_weights()
    assert (head.weight == expected.weight).all()
    assert (head.bias == expected.bias).all()


def test_a_contract_without_head_and_weights_of_another_size_are_named():
    contract = tiny_contract()
    from ccc_jetson.carried import contract_of, embed
    from ccc_jetson.onnx_file import parse_onnx
    from tests.doubles.tiny_model import tiny_graph

    model = parse_onnx(embed(tiny_graph(contract).SerializeToString(), contract, {METADATA_KEY: b"\0" * 8}))
    with pytest.raises(ContractError, match="the head's weights are 2 numbers, 323 were expected"):
        read_head(contract_of(model, "m"), model, "m")
    with pytest.raises(ContractError, match="describes no head"):
        read_head(contract._replace(head=None), model, "m")
