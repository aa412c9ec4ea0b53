"""TensorRT's own words, as users saw them, and what becomes of them."""

import pytest

from ccc_jetson.engines.tensorrt_log import ERROR, INFO, SEVERITIES, WARNING, OutOfMemory, TensorRTLog
from ccc_jetson.errors import BuildError

NO_TACTIC = (
    "10: [optimizer.cpp::computeCosts::2011] Error Code 10: Internal Error (Could not find any implementation for node "
    "Conv_1 + Relu_2.)"
)


def log_of(*lines):
    log = TensorRTLog()
    for severity, text in lines:
        log.add(severity, text)
    return log


@pytest.mark.parametrize(
    "lines",
    [
        [(ERROR, "Requested amount of GPU memory (150994944 bytes) could not be allocated. There may not be enough")],
        [(ERROR, "../rtSafe/safeRuntime.cpp (25) - Cuda Error in allocate: 2 (out of memory)")],
        [(ERROR, "1: [virtualMemoryBuffer.cpp::resizePhysical::160] Error Code 1: Cuda Driver (out of memory)")],
        [(ERROR, "../rtSafe/WeightsPtr.cpp (92) - OutOfMemory Error in allocate: 0")],
        [
            (WARNING, "Skipping tactic 3 due to insuficient memory on requested size of 4364 detected for tactic 60."),
            (ERROR, NO_TACTIC),
        ],
        [
            (WARNING, "Skipping tactic 0 due to oom error on requested size of 1785 detected for tactic 1002."),
            (ERROR, NO_TACTIC),
        ],
        [
            (ERROR, "Tactic Device request: 2168MB Available: 1536MB. Device memory is insufficient to use tactic."),
            (ERROR, NO_TACTIC),
        ],
    ],
)
def test_out_of_memory_is_told_from_what_tensorrt_prints(lines):
    failure = log_of(*lines).failure("the engine could not be built")
    assert isinstance(failure, OutOfMemory)
    assert str(failure).startswith("the engine could not be built: out of memory; TensorRT says:\n  ")
    assert "--workspace" in failure.hint and "desktop" in failure.hint


def test_a_missing_tactic_without_a_word_of_memory_is_no_lack_of_it():
    failure = log_of((ERROR, NO_TACTIC)).failure("the engine could not be built")
    assert type(failure) is BuildError
    assert "no implementation of Conv_1 + Relu_2 in this precision and workspace" in str(failure)
    assert failure.hint == "try a larger --workspace, or --layer-precision 'Conv_1=fp32'"


def test_a_tactic_skipped_for_memory_does_not_explain_another_failure():
    log = log_of((WARNING, "Skipping tactic 3 due to insuficient memory on requested size of 4364"), (ERROR, "odd"))
    assert type(log.failure("x")) is BuildError


@pytest.mark.parametrize(
    "text, sentence, hint",
    [
        (
            "Error Code 9: Internal Error (Networks with QuantizeLayer/DequantizeLayer layers require hardware with "
            "Int8 support.)",
            "need INT8 units, which this GPU does not have",
            "--fp16",
        ),
        (
            "In node 3 (parseGraph): UNSUPPORTED_NODE: No importer registered for op: MaxUnpool",
            "MaxUnpool",
            "ccc-inspect",
        ),
        ("3: getPluginCreator could not find plugin: MaxUnpool version: 1", "the operator MaxUnpool", "ccc-inspect"),
        ("Unsupported ONNX data type: UINT8 (2)", "does not know tensors of type UINT8", "ccc-inspect"),
        (
            "6: The engine plan file is not compatible with this version of TensorRT, expecting library version 8.2.3 "
            "got 8.2.1, please rebuild.",
            "for another TensorRT: the log names the versions 8.2.3 and 8.2.1",
            "ccc-build-engine",
        ),
        (
            "1: [stdArchiveReader.cpp::StdArchiveReader::40] Error Code 1: Serialization (Serialization assertion "
            "stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: 213, "
            "Serialized Engine Version: 205)",
            "reads plans of serialization version 213, the file has 205",
            "ccc-build-engine",
        ),
        (
            "6: The engine plan file is generated on an incompatible device, expecting compute 7.5 got compute 8.6, "
            "please rebuild.",
            "for another GPU: the log names the compute capabilities 7.5 and 8.6",
            "ccc-build-engine",
        ),
        (
            "1: [stdArchiveReader.cpp::StdArchiveReader::32] Error Code 1: Serialization (Serialization assertion "
            "magicTagRead == kMAGIC_TAG failed.Magic tag does not match)",
            "no plan of this TensorRT, or a damaged one",
            "ccc-build-engine",
        ),
        ("CUDA initialization failure with error 35", "CUDA cannot be used here (error 35)", "--runtime nvidia"),
        (
            "Cuda Runtime (the launch timed out and was terminated)",
            "watchdog ended a kernel that ran too long",
            "multi-user.target",
        ),
    ],
)
def test_known_causes_are_put_into_words(text, sentence, hint):
    failure = log_of((WARNING, "something harmless"), (ERROR, text)).failure("it failed")
    assert sentence in str(failure)
    assert text in str(failure)
    assert hint in failure.hint


def test_a_gpu_that_cannot_be_used_is_told_from_a_warning():
    failure = log_of((WARNING, "CUDA initialization failure with error: 35. Please check your CUDA")).failure("no")
    assert "CUDA cannot be used here (error 35)" in str(failure)


def test_no_memory_for_cuda_itself_is_out_of_memory():
    failure = log_of((WARNING, "CUDA initialization failure with error: 2. Please check")).failure("no")
    assert isinstance(failure, OutOfMemory)
    assert not isinstance(log_of((WARNING, "CUDA initialization failure with error: 209")).failure("no"), OutOfMemory)


def test_an_error_explains_more_than_a_warning():
    log = log_of((ERROR, "No importer registered for op: Foo"), (WARNING, "CUDA initialization failure with error: 35"))
    assert "operator Foo" in str(log.failure("no"))


def test_an_unknown_cause_shows_the_last_errors_and_no_warnings():
    log = log_of(*[(ERROR, "error {}".format(number)) for number in range(5)] + [(WARNING, "noise")])
    assert str(log.failure("it failed")) == "it failed; TensorRT says:\n  error 2\n  error 3\n  error 4"


def test_where_there_is_no_error_warnings_are_better_than_nothing():
    assert "TensorRT says:\n  noise" in str(log_of((WARNING, "noise"), (INFO, "chatter")).failure("it failed"))


def test_silence_is_named_so():
    failure = TensorRTLog().failure("it failed")
    assert str(failure) == "it failed; TensorRT gave no reason"
    assert "--verbose" in failure.hint


def test_what_was_said_before_does_not_explain_the_next_call():
    log = log_of((ERROR, "out of memory"))
    log.clear()
    assert type(log.failure("x")) is BuildError


def test_a_chatty_builder_fills_no_memory():
    log = log_of(*[(WARNING, str(number)) for number in range(10000)])
    assert str(log.failure("x")).endswith("\n  9997\n  9998\n  9999")


def test_severities_stand_in_the_order_of_tensorrts_enum():
    assert SEVERITIES == ("internal error", "error", "warning", "info", "verbose")
