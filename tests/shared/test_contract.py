"""The contract: literal bytes, both ways, and everything that may be wrong with one."""

import json

import onnx
import pytest

from ccc_jetson.carried import METADATA_KEY, attachment, check_against, contract_of, embed, read_contract
from ccc_jetson.contract import (
    HEAD_ATTACHMENT,
    SCHEMA,
    Architecture,
    Attachment,
    Class,
    Contract,
    Head,
    Input,
    Output,
    Preprocessing,
    Published,
    Source,
    read_contract_json,
)
from ccc_jetson.errors import CccError, ContractError
from ccc_jetson.half_verdict import HalfPrecision
from ccc_jetson.onnx_file import parse_onnx, with_metadata
from tests.doubles.tiny_model import tiny_contract, tiny_graph, tiny_model_bytes, write_tiny_model

CONTRACT = Contract(
    architecture=Architecture("c3net", "CCC2", {"classes": 2, "dilations": [2, 3, 7, 13], "p": 2, "q": 8}),
    target="tx2",
    precision="fp32",
    passes=("fold-batchnorm", "equalise"),
    input=Input("image", 1024, 512, 1),
    preprocessing=Preprocessing("BGR", (72.5, 83.0, 73.25), (45.5, 46.0, 45.0), 1 / 255),
    output=Output("class_map", "class_map", "logits"),
    classes=(Class("road", (128, 64, 128), 0, 7), Class("void", (0, 0, 0), 255, 0)),
    ignore_index=255,
    head=Head("transposed_conv_2x2", "head_features", 20, 2, 2, False),
    source=Source("a.pth", "ab"),
    published=(Published("mIoU %", 61.96, "Cityscapes, paper"),),
    verification={"argmax_agreement": 1.0},
    half=HalfPrecision(6, 0.996, 0.99, 0.99999, 0.9999, 0.4, None, 4.75, 20.5, True),
    attachments={},
    tool="ccc-jetson 0.1.0",
)
GOLDEN = (
    '{"architecture":{"arguments":{"classes":2,"dilations":[2,3,7,13],"p":2,"q":8},"name":"c3net","title":"CCC2"},'
    '"attachments":{},'
    '"classes":[{"color":[128,64,128],"label_id":7,"name":"road","train_id":0},'
    '{"color":[0,0,0],"label_id":0,"name":"void","train_id":255}],'
    '"half":{"agreement":0.996,"agreement_worst":0.99,"decided":0.99999,"decided_worst":0.9999,"frames":6,'
    '"largest_activation":20.5,"largest_weight":4.75,"miou_fp16":null,"miou_fp32":0.4,"safe":true},'
    '"head":{"align_corners":false,"channels_in":20,"channels_out":2,"features":"head_features",'
    '"kind":"transposed_conv_2x2","scale":2},'
    '"ignore_index":255,'
    '"input":{"batch":1,"height":512,"name":"image","width":1024},'
    '"output":{"kind":"class_map","logits":"logits","name":"class_map"},'
    '"passes":["fold-batchnorm","equalise"],"precision":"fp32",'
    '"preprocessing":{"color_order":"BGR","mean":[72.5,83.0,73.25],"scale":0.00392156862745098,"std":[45.5,46.0,45.0]},'
    '"published":[{"figure":"mIoU %","value":61.96,"where":"Cityscapes, paper"}],'
    '"schema":4,'
    '"source":{"file":"a.pth","sha256":"ab"},'
    '"target":"tx2","tool":"ccc-jetson 0.1.0",'
    '"verification":{"argmax_agreement":1.0}}'
)


def changed(path, value):
    """The golden JSON with the field at ``path`` (dots and numbers) replaced; ``...`` removes it."""
    record = json.loads(GOLDEN)
    at = record
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(record)


def test_writes_these_bytes():
    assert CONTRACT.to_json() == GOLDEN


def test_reads_these_bytes():
    assert Contract.from_json(GOLDEN) == CONTRACT
    assert Contract.from_json(GOLDEN.encode("ascii")) == CONTRACT


def test_class_names_are_in_channel_order():
    assert CONTRACT.class_names == ("road", "void")


def test_a_contract_without_a_head_survives_the_way():
    contract = CONTRACT._replace(head=None)
    assert Contract.from_json(contract.to_json()) == contract


def test_the_verdict_on_half_precision_is_told_in_sentences():
    told = CONTRACT.half.sentences()
    assert told[0].startswith("simulated on 6 frames: same class for 99.600% (worst frame 99.000%)")
    assert told[-1] == "largest weight 4.75, activation 20.5, of 65,504; safe"
    unsafe = CONTRACT.half._replace(safe=False, miou_fp16=0.25).sentences()
    assert unsafe[1] == "mIoU 0.4000 in FP32, 0.2500 in FP16"
    assert "NOT SAFE" in unsafe[2] and "--fp32" in unsafe[2]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("schema", ..., "schema is None"),
        ("schema", "1", "schema is '1'"),
        ("input", ..., "lacks input"),
        ("input.width", 0, "input.width is 0"),
        ("input.width", 3.5, "input.width is 3.5"),
        ("input.depth", 3, "has unknown depth"),
        ("more", 1, "has unknown more"),
        ("precision", "int8", "precision is 'int8'"),
        ("published.0.value", 0, "value is 0.0, expected a positive number"),
        ("passes", "all", "passes is 'all'"),
        ("half.safe", 1, "half.safe is 1"),
        ("half.agreement", None, "half.agreement is None"),
        ("half.frames", 0, "half.frames is 0"),
        ("preprocessing.std", [1, 0, 1], "preprocessing.std"),
        ("preprocessing.std", [1, 1], "three values"),
        ("preprocessing.mean", [1, 1, "x"], r"preprocessing.mean\[2\] is 'x'"),
        ("preprocessing.scale", -1, "preprocessing.scale"),
        ("preprocessing.scale", True, "preprocessing.scale"),
        ("preprocessing.color_order", "GBR", "one of BGR, RGB"),
        ("output.kind", "mask", "one of class_map, logits"),
        ("classes", {}, "classes is {}, expected a list"),
        ("classes.0.color", [0, 0, 256], r"classes\[0\].color\[2\] is 256"),
        ("classes.1.name", None, r"classes\[1\].name is None"),
        ("head.channels_out", 3, "head.channels_out is 3, expected 2"),
        ("head.kind", "magic", "head.kind is 'magic', expected one of transposed_conv_2x2, bilinear"),
        ("head.scale", ..., "head lacks scale"),
        ("head.scale", 1, "head.scale is 1, expected a whole number from 2 to 32"),
        ("head.scale", 33, "head.scale is 33"),
        ("head.scale", 4, "head.scale is 4, expected 2, because the head is a transposed_conv_2x2"),
        ("head.align_corners", 1, "head.align_corners is 1, expected true or false"),
        ("head.align_corners", True, "head.align_corners is True, expected false, because the head is a transposed"),
        ("head.kind", "bilinear", r"head.channels_in is 20, expected 2 \(interpolation keeps channels\)"),
        ("input.height", 511, "head.scale is 2, expected a divisor of the input's 1024x511"),
        ("head", 4, "head is 4, expected an object"),
        ("published.0.value", "high", r"published\[0\].value"),
        ("verification", {"x": "y"}, "verification.x"),
        ("attachments", {"a": {"bytes": 1}}, "attachments.a lacks sha256"),
        ("tool", 1, "tool is 1"),
        ("classes", [], "classes is 0, expected 1 to 255"),
        ("preprocessing.scale", 10**400, "preprocessing.scale"),
        ("preprocessing.mean", [1e300, 0, 0], r"preprocessing.mean\[0\]"),
    ],
)
def test_a_damaged_field_is_named(path, value, complaint):
    with pytest.raises(ContractError, match=complaint) as caught:
        Contract.from_json(changed(path, value), "model.onnx")
    assert str(caught.value).startswith("model.onnx: ")
    assert "ccc-export" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "1", b"\xff", "null", "[" * 100000])
def test_what_is_no_json_object_is_damaged(text):
    with pytest.raises(ContractError, match="damaged"):
        Contract.from_json(text)


@pytest.mark.parametrize("head", [Head("bilinear", "small", 2, 2, 8, False), Head("bilinear", "small", 2, 2, 32, True)])
def test_a_bilinear_head_survives_the_way_and_needs_no_weights(head):
    contract = CONTRACT._replace(head=head)
    assert Contract.from_json(contract.to_json()) == contract
    assert contract.has_head and not CONTRACT.has_head


def test_a_transposed_convolution_can_be_computed_where_its_weights_are_attached():
    assert CONTRACT._replace(attachments={HEAD_ATTACHMENT: Attachment(648, "ab")}).has_head
    assert not CONTRACT._replace(head=None, attachments={HEAD_ATTACHMENT: Attachment(648, "ab")}).has_head


def test_a_bilinear_head_with_weights_contradicts_itself():
    contract = CONTRACT._replace(
        head=Head("bilinear", "small", 2, 2, 8, False), attachments={HEAD_ATTACHMENT: Attachment(648, "ab")}
    )
    with pytest.raises(ContractError, match=r"attachments has ccc_jetson\.head, and a bilinear head has no weights"):
        Contract.from_json(contract.to_json())


def test_a_scale_that_does_not_divide_the_input_is_refused():
    contract = CONTRACT._replace(head=Head("bilinear", "small", 2, 2, 3, False))
    with pytest.raises(ContractError, match=r"head\.scale is 3, expected a divisor of the input's 1024x512"):
        Contract.from_json(contract.to_json())


@pytest.mark.parametrize("schema", range(1, SCHEMA))
def test_an_older_schema_says_export_again(schema):
    with pytest.raises(ContractError, match="schema {}, this version reads schema {}".format(schema, SCHEMA)) as caught:
        Contract.from_json(json.dumps({"schema": schema, "everything": "else"}))
    assert "ccc-export" in caught.value.hint


def test_a_newer_schema_says_update_even_when_its_fields_are_unknown():
    with pytest.raises(
        ContractError, match="schema {}, this version reads up to {}".format(SCHEMA + 1, SCHEMA)
    ) as caught:
        Contract.from_json(json.dumps({"schema": SCHEMA + 1, "everything": "else"}))
    assert "update ccc-jetson" in caught.value.hint


def test_travels_in_an_onnx_file_that_onnx_can_read(tmp_path):
    path = write_tiny_model(tmp_path / "a.onnx")
    contract = read_contract(path)
    assert contract._replace(attachments={}) == tiny_contract()
    model = onnx.load(path)
    onnx.checker.check_model(model)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    assert entries[METADATA_KEY] == contract.to_json()


def test_a_file_without_contract_says_who_made_it_and_what_to_do():
    model = parse_onnx(tiny_graph(tiny_contract()).SerializeToString())
    with pytest.raises(ContractError, match=r"m.onnx: holds no contract.*\(tests\)") as caught:
        contract_of(model, "m.onnx")
    assert "--contract FILE" in caught.value.hint


def test_a_model_of_another_size_is_refused_with_both_sizes():
    model = parse_onnx(tiny_graph(tiny_contract(width=32, height=16)).SerializeToString())
    with pytest.raises(ContractError, match="shape 1x3x32x64, the graph has float32 'image' of shape 1x3x16x32"):
        check_against(tiny_contract(), model, "m.onnx")


def test_a_model_with_another_output_is_refused_with_both_shapes():
    model = parse_onnx(tiny_graph(tiny_contract("logits")).SerializeToString())
    with pytest.raises(
        ContractError, match="'class_map' of type int32 or int64 and shape 1x32x64, the graph has float32 'logits'"
    ):
        check_against(tiny_contract(), model, "m.onnx")


def test_a_model_of_another_number_type_is_refused_before_it_runs():
    model = parse_onnx(tiny_graph(tiny_contract()).SerializeToString())
    half = model._replace(inputs=(model.inputs[0]._replace(dtype="float16"),))
    with pytest.raises(ContractError, match="expects a float32 input"):
        check_against(tiny_contract(), half, "m.onnx")


def test_an_infinite_number_is_no_number():
    with pytest.raises(ContractError, match="scale is inf"):
        Contract.from_json(GOLDEN.replace("0.00392156862745098", "Infinity"))


def test_a_damaged_attachment_is_noticed():
    graph = tiny_graph(tiny_contract()).SerializeToString()
    good = embed(graph, tiny_contract(), {"x": b"weights"})
    model = parse_onnx(good)
    assert attachment(contract_of(model, "m"), model, "x", "m") == b"weights"
    with pytest.raises(ContractError, match="names no attachment 'y'"):
        attachment(contract_of(model, "m"), model, "y", "m")
    for damaged in (b"d2VpZ2h0ZQ==", b"!"):
        with pytest.raises(ContractError, match="attachment 'x' is missing or damaged"):
            contract_of(parse_onnx(good.replace(b"d2VpZ2h0cw==", damaged.ljust(12, b"="))), "m")


def test_a_second_contract_in_one_file_is_refused():
    with pytest.raises(ContractError, match="already has"):
        embed(tiny_model_bytes(), tiny_contract(), {})


def test_a_contract_file_can_be_read_alone(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(GOLDEN)
    assert read_contract_json(str(path)) == CONTRACT
    with pytest.raises(CccError):
        read_contract_json(str(tmp_path / "none.json"))


def test_a_foreign_metadata_entry_is_no_contract():
    data = with_metadata(tiny_graph(tiny_contract()).SerializeToString(), {METADATA_KEY: "{}"})
    with pytest.raises(ContractError, match="damaged"):
        contract_of(parse_onnx(data), "m")


def test_a_contract_by_hand_is_not_to_be_exported_again(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(changed("schema", SCHEMA + 1))
    with pytest.raises(ContractError) as caught:
        read_contract_json(str(path))
    assert "update" in caught.value.hint
    path.write_text(changed("input.width", 0))
    with pytest.raises(ContractError) as caught:
        read_contract_json(str(path))
    assert "docs/contract.md has a contract by hand" in caught.value.hint


def scores_contract(classes=1000, **more):
    named = tuple(Class("class {}".format(index), (0, 0, 0), 255, -1) for index in range(classes))
    return CONTRACT._replace(output=Output("scores", "scores", "scores"), classes=named, head=None)._replace(**more)


def test_a_classifiers_contract_may_have_many_classes_and_survives_the_way():
    contract = scores_contract()
    assert contract.is_classifier and not CONTRACT.is_classifier
    assert Contract.from_json(contract.to_json()) == contract


@pytest.mark.parametrize(
    ("contract", "complaint"),
    [
        (scores_contract(output=Output("class_map", "class_map", "logits")), "classes is 1000, expected 1 to 255"),
        (scores_contract(classes=65537), "classes is 65537, expected 1 to 65536"),
        (scores_contract(classes=2, head=CONTRACT.head), "it has a head, and scores of a picture have none"),
    ],
)
def test_what_a_contract_of_scores_cannot_be(contract, complaint):
    with pytest.raises(ContractError, match=complaint):
        Contract.from_json(contract.to_json())


def test_scores_are_one_number_for_each_class():
    data = tiny_model_bytes("scores")
    contract = contract_of(parse_onnx(data), "m")
    assert contract.output.kind == "scores"
    fewer = contract._replace(classes=contract.classes[:5])
    with pytest.raises(ContractError, match="an output 'scores' of type float32 and shape 1x5"):
        check_against(fewer, parse_onnx(data), "m")


def test_a_classifiers_verdict_counts_pictures():
    half = CONTRACT.half._replace(frames=4, agreement=0.75, decided=1.0)
    assert half.sentences(of_pictures=True)[0] == (
        "simulated on 4 pictures: same class for 3, the same or one as good for 4"
    )
