"""The passes together: order, proof, refusal; and on networks that nobody trained."""

import numpy as np
import onnx_ir as ir
import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.export.passes.classes import cut_classes
from ccc_jetson.export.passes.order import NAMES, PASSES, Pass, chosen_passes, explained
from ccc_jetson.export.passes.run import run_passes
from ccc_jetson.export.passes.subject import Subject
from ccc_jetson.targets import ONNX_RUNTIME, OPENVINO, TENSORRT
from tests.doubles.small_nets import Net, pictures


def two_layers(classes=5):
    net = Net()
    net.conv(net.prelu(net.norm(net.conv("image", 8))), classes, name="logits")
    return Subject(net.model("logits", classes=True), "logits", pictures(), 2.0, (classes - 1,))


def breaking(change):
    """A pass that does ``change`` to the weights of the last layer."""

    def apply(subject):
        node = next(node for node in subject.graph if node.outputs[0].name == "logits")
        value = node.inputs[1]
        value.const_value = ir.tensor(change(value.const_value.numpy()), name=value.name)
        return "broke something"

    return Pass("break", "", "", (TENSORRT,), apply)


def test_the_order_is_that_of_the_list_whatever_was_asked():
    assert [each.name for each in chosen_passes(TENSORRT, ["equalise", "fold-batchnorm"])] == [
        "fold-batchnorm", "equalise",
    ]  # fmt: skip
    assert chosen_passes(TENSORRT, ()) == ()


def test_every_runtime_has_its_own_passes():
    tensorrt, openvino, onnxruntime = (
        {each.name for each in chosen_passes(name)} for name in (TENSORRT, OPENVINO, ONNX_RUNTIME)
    )
    assert "equalise" in tensorrt - onnxruntime
    assert "prelu-as-convolutions" in onnxruntime - openvino - tensorrt
    assert "prelu-apart" in openvino - onnxruntime - tensorrt
    assert tensorrt | openvino | onnxruntime == set(NAMES)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="'fold'") as caught:
        chosen_passes(TENSORRT, ["fold"])
    assert ", ".join(NAMES) in caught.value.hint


def test_every_pass_says_why_and_how_exact():
    assert len(explained()) == len(PASSES) == len(set(NAMES))
    for each, text in zip(PASSES, explained(), strict=True):
        assert each.reason in text and each.exactness in text and each.runtimes


def test_each_pass_is_recorded_with_what_it_did_and_what_the_graph_costs_then():
    subject = two_layers()
    seen = []
    after, records = run_passes(subject, chosen_passes(TENSORRT), seen.append)
    assert list(records) == seen
    by_name = {record.name: record for record in records}
    assert by_name["fold-batchnorm"].did == "1 of 1 folded"
    assert by_name["fold-batchnorm"].cost.nodes == len(subject.graph) - 1
    assert by_name["convolve-before-upsampling"].did == ""
    assert all(record.error < 1e-5 and not record.refused for record in records)
    assert after.scale == 0.5 and subject.scale == 1
    assert len(subject.graph) == 6  # the one that was given is not changed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda array: array * np.float32(1.01), "changes the logits by"),
        (lambda array: array[::-1].copy(), "of the classes"),
        (lambda array: array * np.float32("inf"), "not finite"),
    ],
)
def test_a_pass_that_changes_results_is_taken_back_with_a_reason(change, reason):
    subject = two_layers()
    before = subject.results(subject.frames)
    after, records = run_passes(subject, (breaking(change), *chosen_passes(TENSORRT, ["fold-batchnorm"])))
    assert reason in records[0].refused
    assert records[1].did == "1 of 1 folded" and not records[1].refused
    for one, other in zip(before, after.results(subject.frames), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_class_is_cut_only_where_it_may_be_and_never_wins():
    def cut(bias, optional):
        net = Net()
        net.conv("image", 3, name="logits", weight=np.zeros((3, 3, 3, 3)))
        net.nodes[-1].input.append(net.constant(bias))
        subject = Subject(net.model("logits", classes=True), "logits", pictures(), 1.0, optional)
        after, (record,) = run_passes(subject, chosen_passes(TENSORRT, ["cut-classes"]))
        return after.classes, record.did

    assert cut([0.0, 1.0, -1.0], (2,)) == ((0, 1), "class 2 cut: wins no pixel of 3 frames")
    assert cut([-1.0, 1.0, 0.0], (0, 2)) == ((1,), "class 0, 2 cut: wins no pixel of 3 frames")
    assert cut([0.0, 1.0, -1.0], ()) == ((0, 1, 2), "")
    assert cut([0.0, -1.0, 1.0], (2,)) == ((0, 1, 2), "")


def random_network(seed):
    """A C3-like network with statistics, slopes and ranges that training would hardly give."""
    net = Net(seed)
    rng = net.rng

    def slopes(count):
        return rng.choice([-3.4, -0.7, 0.0, 0.009, 0.25, 1.0, 1.3, 4.8], count)

    def norm(source):
        return net.norm(
            source,
            rng.normal(1, 1, net.channels[source])
            * 10.0 ** rng.uniform(-4, 3)
            * rng.choice([0, 1], p=[0.1, 0.9], size=net.channels[source]),
        )

    width = int(rng.choice([8, 16, 20]))
    first = net.prelu(norm(net.conv("image", width)), slopes(width))
    joined = net.concat(net.pool(first), net.pool("image"))
    stream = net.prelu(norm(joined), slopes(width + 3))
    stream = net.prelu(norm(net.concat(net.conv(stream, 8, (1, 1)), net.conv(stream, 8, (1, 1)))), slopes(16))
    for _ in range(int(rng.integers(1, 4))):
        reduced = net.conv(stream, 8, (1, 1))
        parts = []
        for dilation in (1, 2):
            tall = net.prelu(norm(net.conv(reduced, 8, (5, 1), 8)), slopes(8))
            wide = norm(net.conv(tall, 8, (1, 5), 8))
            parts.append(net.conv(net.conv(wide, 8, (3, 3), 8, dilations=(dilation, dilation)), 8, (1, 1)))
        stream = net.prelu(norm(net.sum(stream, net.concat(*parts))), slopes(16))
    if rng.random() < 0.5:
        net.deconv(norm(net.conv(stream, 6)), 6, name="logits")
    else:
        net.conv(net.resize(stream), 6, (1, 1), bias=True, name="logits")
    return net.model("logits", classes=True)


@pytest.mark.parametrize("runtime", [TENSORRT, OPENVINO, ONNX_RUNTIME])
@pytest.mark.parametrize("seed", range(12))
def test_on_random_networks_every_pass_keeps_the_results_or_is_not_applied(seed, runtime):
    model = random_network(seed)
    subject = Subject(model, "logits", pictures(2, seed), 3.0, (5,))
    after, records = run_passes(subject, chosen_passes(runtime))
    unseen = pictures(2, 1000 + seed)
    assert sum(bool(record.did) for record in records) >= 2
    for record in records:
        assert not record.refused and record.error < 1e-5, "seed {}: {}".format(seed, record)
    for before, result in zip(subject.results(unseen), after.results(unseen), strict=True):
        kept = before[:, list(after.classes)]
        error = np.abs(result - kept).max() / np.abs(kept).max()
        same = (result.argmax(axis=1) == kept.argmax(axis=1)).mean()
        assert error < 1e-5 and same > 0.99, f"seed {seed}: error {error}, agreement {same}"


@pytest.mark.parametrize("seed", range(4))
def test_all_passes_together_keep_the_results_too(seed):
    subject = Subject(random_network(seed), "logits", pictures(2, seed), 3.0)
    untouched = ir.to_proto(subject.model).SerializeToString()
    after, records = run_passes(subject, PASSES)
    assert not any(record.refused for record in records)
    assert ir.to_proto(subject.model).SerializeToString() == untouched
    for before, result in zip(subject.results(subject.frames), after.results(subject.frames), strict=True):
        assert np.abs(result - before).max() < 1e-5 * np.abs(before).max()


def test_every_pass_acts_on_some_of_the_random_networks():
    acted = set()
    for seed in range(12):
        subject = Subject(random_network(seed), "logits", pictures(2, seed), 3.0, (5,))
        for runtime in (TENSORRT, OPENVINO, ONNX_RUNTIME):
            acted |= {record.name for record in run_passes(subject, chosen_passes(runtime))[1] if record.did}
    assert set(NAMES) - acted <= {"flush-denormals", "cut-classes"}


def test_a_pass_that_raises_or_breaks_the_graph_is_taken_back():
    def raises(subject):
        raise IndexError("no such node")

    def breaks(subject):
        next(node for node in subject.graph if node.op_type == "Conv").attributes["strides"] = ir.AttrInt64s(
            "strides", [7, 7]
        )
        return "made the picture smaller"

    broken = [Pass(name, "", "", (TENSORRT,), apply) for name, apply in (("raises", raises), ("breaks", breaks))]
    subject = two_layers()
    _, records = run_passes(subject, [*broken, *chosen_passes(TENSORRT, ["fold-batchnorm"])])
    assert records[0].refused == "it failed: no such node"
    assert records[1].refused
    assert records[2].did and not records[2].refused


def test_a_pass_that_cuts_a_class_that_wins_is_taken_back():
    subject = two_layers()
    winner = int(np.bincount(subject.results(subject.frames)[0].argmax(axis=1).ravel()).argmax())

    def cuts(changed):
        changed.classes = tuple(number for number in changed.classes if number != winner)
        cut_classes(changed.graph, "logits", changed.classes)
        return "cut a class"

    after, (record,) = run_passes(subject, [Pass("cuts", "", "", (TENSORRT,), cuts)])
    assert "of the classes" in record.refused
    assert after.classes == (0, 1, 2, 3, 4)
