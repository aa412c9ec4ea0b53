"""The stand-in's parser and network, and what its builder refuses before it begins."""

import pytest
from onnx import helper

from tests.doubles import standin
from tests.doubles.graphs import graph_bytes, quantized_bytes
from tests.doubles.standin.lab import Bench
from tests.doubles.tiny_model import tiny_model_bytes


def test_a_network_has_a_layer_for_each_node_with_its_type_and_tensors():
    with standin.installed():
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        layers = [bench.network.get_layer(index) for index in range(bench.network.num_layers)]
        assert [(layer.name, layer.type.name) for layer in layers] == [
            ("conv", "CONVOLUTION"), ("relu", "ACTIVATION"), ("head", "DECONVOLUTION"), ("argmax", "TOPK"),
            ("cast", "IDENTITY"),
        ]  # fmt: skip
        features = bench.layer("relu").get_output(0)
        assert (features.name, features.dtype, features.shape) == ("features", trt.DataType.FLOAT, (1, 4, 16, 32))
        assert bench.layer("head").num_inputs == 1  # weights are none
        assert bench.network.get_input(0).is_network_input and not features.is_network_output
        bench.output_only("relu")
        assert [bench.network.get_output(0).name, bench.network.num_outputs] == ["features", 1]
        assert bench.network.get_layer(9) is None


def test_64_bit_integers_are_kept_from_10_on():
    found = {}
    for version in ("8.2.1.8", "10.3.0"):
        with standin.installed(version):
            import tensorrt as trt

            bench = Bench(trt, tiny_model_bytes())
            found[version] = bench.layer("argmax").get_output(0).dtype.name
    assert found == {"8.2.1.8": "INT32", "10.3.0": "INT64"}


def test_the_parser_says_why_it_refuses_a_file():
    with standin.installed():
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes()[:5000])
        error = bench.parser.get_error(0)
        assert (bench.parsed, bench.parser.num_errors, error.node(), error.code()) == (
            False, 1, -1, trt.ErrorCode.MODEL_DESERIALIZE_FAILED,
        )  # fmt: skip
        assert str(error).startswith("In node -1 (deserialize_onnx_model): MODEL_DESERIALIZE_FAILED: Assertion failed")
        assert not hasattr(error, "node_name")
        bench.parser.clear_errors()
        assert bench.parser.num_errors == 0


@pytest.mark.parametrize("version", ["8.2.1.8", "10.3.0"])
def test_a_node_without_an_importer_ends_the_parsing_with_its_number(version):
    with standin.installed(version, parse_fail_node="head"):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        assert not bench.parsed
        error = bench.parser.get_error(0)
        assert (error.node(), error.code()) == (2, trt.ErrorCode.UNSUPPORTED_NODE)
        assert "Plugin not found" in error.desc()
        told = "No importer registered for op: ConvTranspose. Attempting to import as plugin."
        assert told in bench.logger.texts("INFO")
        if version == "10.3.0":
            assert (error.node_name(), error.node_operator()) == ("head", "ConvTranspose")


def test_8_parses_nothing_without_explicit_batch_and_10_does_not_mind():
    found = {}
    for version in ("8.6.1", "10.3.0"):
        with standin.installed(version):
            import tensorrt as trt

            bench = Bench(trt, None)
            parser = trt.OnnxParser(bench.builder.create_network(0), bench.logger)
            found[version] = parser.parse(tiny_model_bytes()), parser.num_errors and parser.get_error(0).desc()
    assert found["10.3.0"] == (True, 0)
    parsed, reason = found["8.6.1"]
    assert not parsed and "EXPLICIT_BATCH" in reason


def test_units_follow_from_the_compute_capability():
    found = {}
    for sm in ("5.3", "6.1", "6.2", "7.2", "8.7"):
        with standin.installed(sm=sm):
            import tensorrt as trt

            builder = Bench(trt, None).builder
            found[sm] = (builder.platform_has_fast_fp16, builder.platform_has_fast_int8, builder.num_DLA_cores)
    assert found == {
        "5.3": (True, False, 0),
        "6.1": (False, True, 0),
        "6.2": (True, False, 0),
        "7.2": (True, True, 2),
        "8.7": (True, True, 2),
    }


def test_a_quantized_network_needs_int8_units_and_the_flag():
    for sm, flags, reason in (
        ("6.2", ("INT8",), "Networks with QuantizeLayer/DequantizeLayer layers require hardware with Int8 support."),
        ("7.2", (), "int8 precision has been set for a layer or layer output, but int8 is not configured"),
        ("7.2", ("INT8",), ""),
    ):
        with standin.installed(sm=sm):
            import tensorrt as trt

            bench = Bench(trt, quantized_bytes(), flags)
            assert (bench.build() is None) == bool(reason)
            assert reason in "\n".join(bench.logger.texts("ERROR"))


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda trt, bench: bench.network.unmark_output(bench.network.get_output(0)), "at least one output"),
        (lambda trt, bench: setattr(bench.layer("conv"), "precision", trt.float16), "fp16 is not configured"),
        (lambda trt, bench: setattr(bench.network.get_input(0), "dtype", trt.float16), "fp16 is not configured"),
        (lambda trt, bench: bench.layer("argmax").set_output_type(0, trt.float32), "argmax: output 0 cannot be"),
        (lambda trt, bench: setattr(bench.config, "default_device_type", trt.DeviceType.DLA), "not supported on DLA"),
    ],
)
def test_a_network_that_contradicts_itself_is_not_built(change, reason):
    with standin.installed():
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        change(trt, bench)
        assert bench.build() is None
        assert reason in bench.logger.texts("ERROR")[0]
        assert "2: [builder.cpp::buildSerializedNetwork::609]" in bench.logger.texts("ERROR")[1]


def test_open_sizes_need_a_profile():
    model = graph_bytes([helper.make_node("Relu", ["x"], ["y"], "relu")], {"x": ["N", 3]}, {"y": ["N", 3]})
    with standin.installed():
        import tensorrt as trt

        bench = Bench(trt, model)
        assert bench.network.get_input(0).shape == (-1, 3)
        assert bench.build() is None
        assert "no optimization profile has been defined" in bench.logger.texts("ERROR")[0]


def test_a_strongly_typed_network_takes_no_precisions():
    with standin.installed("10.3.0"):
        import tensorrt as trt

        bench = Bench(trt, None)
        bench.network = bench.builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        assert trt.OnnxParser(bench.network, bench.logger).parse(tiny_model_bytes())
        assert bench.network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        assert bench.build() is not None
        bench.config.set_flag(trt.BuilderFlag.FP16)
        assert bench.build() is None
