"""The calibration cache is read and written to the letter, and every kind of damage has its name."""

import random
import struct

import numpy as np
import pytest

from ccc_jetson.calib.cache import (
    ALGORITHMS,
    CalibrationCache,
    cache_of_ranges,
    differences,
    parse_cache,
    read_cache,
    rewritten,
    tensorrt_version_number,
    tensorrt_version_text,
)
from ccc_jetson.errors import FileProblem, UsageError

# 3c010a14: sign 0, exponent 0x78 - 127 = -7, mantissa 0x010a14: (1 + 68116 / 2**23) / 2**7
# 40800000: 4.0; 0: what TensorRT 8.4 writes for zero
GOLDEN = (
    b"TRT-8201-EntropyCalibration2\n"
    b"input: 3c010a14\n"
    b"onnx::Conv_329: 40800000\n"
    b"/level2.0/conv: 1/Conv_output_0: 3f800000\n"
    b"(Unnamed Layer* 22) [Shuffle]_output: 0\n"
)
SCALES = (
    ("input", (1 + 68116 / 2.0**23) / 2.0**7),
    ("onnx::Conv_329", 4.0),
    ("/level2.0/conv: 1/Conv_output_0", 1.0),
    ("(Unnamed Layer* 22) [Shuffle]_output", 0.0),
)
FIRST = b"TRT-8201-EntropyCalibration2\n"


def test_golden_bytes_are_read_as_computed_by_hand():
    cache = parse_cache(GOLDEN, "model.calib")
    assert cache == CalibrationCache(8201, "EntropyCalibration2", SCALES)
    assert cache.header == "TRT-8201-EntropyCalibration2"


def test_the_same_cache_gives_the_same_bytes():
    assert CalibrationCache(8201, "EntropyCalibration2", SCALES).to_bytes() == GOLDEN
    assert parse_cache(GOLDEN, "").to_bytes() == GOLDEN


def test_a_range_is_127_scales():
    cache = parse_cache(b"TRT-8201-EntropyCalibration2\ninput: 3c010a14\n", "")
    assert cache.ranges == (("input", float(np.float32(127) * np.float32(SCALES[0][1]))),)
    assert abs(cache.ranges[0][1] - 1.00024) < 1e-5


def test_a_scale_is_amax_by_127_in_float32():
    cache = cache_of_ranges(100300, "MinMaxCalibration", [("images", 1.0), ("a", 254.0), ("never", -0.0)])
    # 1 / 127 = 0x3c010204, computed by hand: 0.00787401574 = 1.00787401574 / 2**7, mantissa 0x010204
    assert cache.to_bytes() == b"TRT-100300-MinMaxCalibration\nimages: 3c010204\na: 40000000\nnever: 0\n"


def test_what_is_written_is_read_to_the_bit():
    seed = random.randrange(1 << 30)
    print("seed", seed)
    source = random.Random(seed)
    ranges = []
    for index in range(2000):
        bits = source.randrange(0x7F000000)  # float32 that is not negative, denormals too
        ranges.append(("t{}::{}".format(index, source.randrange(9)), struct.unpack("!f", struct.pack("!I", bits))[0]))
    cache = cache_of_ranges(8502, "EntropyCalibration2", ranges)
    assert parse_cache(cache.to_bytes(), "") == cache
    scales = np.array([scale for _, scale in cache.scales])
    assert (scales == (np.array([amax for _, amax in ranges], np.float32) / np.float32(127))).all()


def test_rows_of_layers_that_the_parser_added_are_told():
    assert parse_cache(GOLDEN, "").helper_rows == ("(Unnamed Layer* 22) [Shuffle]_output",)


def test_zero_scales_are_warned_about_with_their_names():
    cache = parse_cache(GOLDEN, "")
    (warning,) = cache.warnings
    assert cache.zero_scales == ("(Unnamed Layer* 22) [Shuffle]_output",)
    assert "1 of 4 tensors have it: (Unnamed Layer* 22)" in warning
    assert cache_of_ranges(8201, "MinMaxCalibration", [("a", 1.0)]).warnings == []


def test_zero_may_have_all_its_digits_as_other_tools_write_it():
    assert parse_cache(FIRST + b"a: 00000000\nb: 3F800000\n", "").scales == (("a", 0.0), ("b", 1.0))


def test_the_last_line_break_may_be_missing():
    assert parse_cache(GOLDEN[:-1], "") == parse_cache(GOLDEN, "")


# damage


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf" + GOLDEN, "begins with a byte order mark"),
        (GOLDEN.decode().encode("utf-16"), "begins with a byte order mark"),
        (GOLDEN.replace(b"\n", b"\r\n"), r"has Windows line ends \(CRLF\)"),
        (b"ftrt\0\0\0\0", "is a binary file"),
        (b"TRT-8201-\xff\xfe", "is no text in UTF-8: byte 9 is 0xff"),
        (b"input: 3c010a14\n", "is no calibration cache: its first line is 'input: 3c010a14'"),
        (b"\n" + GOLDEN, "is no calibration cache: its first line is ''"),
        (b"TRT--EntropyCalibration2\n", "is no calibration cache"),
        (b"TRT-8201-Entropy Calibration2\n", "is no calibration cache"),
        (b"TRT-8201-LegacyCalibration\na: 3c010a14\n", "line 1, .*'LegacyCalibration' is no algorithm of TensorRT's"),
        (b"TRT-8XXX-MinMaxCalibration\na: 3c010a14\n", "is no calibration cache: its first line is 'TRT-8XXX-"),
        (b"TRT-82-MinMaxCalibration\na: 3c010a14\n", "line 1, .*82 is no version of TensorRT"),
        (b"TRT-10300-MinMaxCalibration\na: 3c010a14\n", "10300 is no version of TensorRT"),
        (FIRST, "ends after its first line"),
        (FIRST.rstrip(), "ends after its first line 'TRT-8201-EntropyCalibration2'"),
        (FIRST + b"a: 3c010a14\n\nb: 3c010a14\n", "line 3, '': expected a tensor's name, a colon and a number"),
        (FIRST + b"a 3c010a14\n", "line 2, 'a 3c010a14': expected a tensor's name"),
        (FIRST + b": 3c010a14\n", "line 2, ': 3c010a14': expected a tensor's name"),
        (FIRST + b"a::b\n", "line 2, 'a::b': expected a space and 8 hexadecimal digits"),
        (FIRST + b"a: 3c010a1", "line 2, .* the file is cut short"),
        (FIRST + b"a: 03c010a\n", "line 2, .* the file may be cut short"),
        (FIRST + b"a: 3c010a144\n", "line 2, .* the file may be cut short"),
        (FIRST + b"a: 3c010a144\n", "expected a space and 8 hexadecimal digits"),
        (FIRST + b"a:3c010a14\n", "expected a space and 8 hexadecimal digits"),
        (FIRST + b"a:  3c010a14\n", "expected a space and 8 hexadecimal digits"),
        (FIRST + b"a: 3c010g14\n", "expected a space and 8 hexadecimal digits"),
        (FIRST + b"a: 0.007875\n", "expected a space and 8 hexadecimal digits"),
        (FIRST + b"a: bc010a14\n", "line 2, 'a: bc010a14': the scale is negative"),
        (FIRST + b"a: 80000000\n", "the scale is negative"),
        (FIRST + b"a: 7f800000\n", "the scale is infinite"),
        (FIRST + b"a: 7fc00000\n", "the scale is NaN"),
        (FIRST + b"a: 7f000000\n", "the scale is so large that its range is infinite"),
        (FIRST + b"a: 3c010a14\nb: 3c010a14\na: 3c010a15\n", "line 4, .*the same tensor stands in line 2"),
        (FIRST + b"\x1b[31m" + b"n" * 300 + b"\n", r"line 2, '\?\[31mn+\.\.\.': expected"),
    ],
)
def test_damage_is_refused_by_name(data, message):
    with pytest.raises(FileProblem, match=r"^model\.calib: .*" + message):
        parse_cache(data, "model.calib")


def test_wherever_a_file_is_cut_off_it_is_whole_lines_or_refused():
    whole = parse_cache(GOLDEN, "").scales
    for length in range(len(GOLDEN)):
        try:
            found = parse_cache(GOLDEN[:length], "").scales
        except FileProblem:
            continue
        assert found == whole[: len(found)]


def test_more_bytes_than_any_cache_has_are_not_looked_at():
    with pytest.raises(FileProblem, match="has 16,777,217 bytes, which no calibration cache has"):
        parse_cache(b"TRT-8201-" + b"x" * ((1 << 24) - 8), "model.calib")


def test_a_file_is_read_and_one_too_large_is_not(tmp_path):
    path = tmp_path / "model.calib"
    path.write_bytes(GOLDEN)
    assert read_cache(str(path)).scales == SCALES
    with open(str(path), "wb") as file:
        file.truncate(1 << 34)  # no block of it is on the disk
    with pytest.raises(FileProblem, match="has 17,179,869,184 bytes"):
        read_cache(str(path))
    with pytest.raises(FileProblem, match="No such file"):
        read_cache(str(tmp_path / "none"))


@pytest.mark.parametrize(
    "ranges, message",
    [
        ([("a", -1.0)], "tensor 'a': -1.0 is no range"),
        ([("a", float("nan"))], "is no range"),
        ([("a", float("inf"))], "is no range"),
        ([("a", 1e300)], "is no range"),
        ([("", 1.0)], "a name with line breaks, or none"),
        ([("a\nb", 1.0)], "a name with line breaks, or none"),
        ([("a", 1.0), ("a", 2.0)], "it comes twice"),
    ],
)
def test_what_a_cache_cannot_hold_is_refused(ranges, message):
    with pytest.raises(UsageError, match=message):
        cache_of_ranges(8201, "MinMaxCalibration", ranges)


def test_a_cache_of_an_unknown_version_or_algorithm_is_not_made():
    with pytest.raises(UsageError, match="1 is no version"):
        cache_of_ranges(1, "MinMaxCalibration", [("a", 1.0)])
    with pytest.raises(UsageError, match="'Entropy' is no algorithm"):
        cache_of_ranges(8201, "Entropy", [("a", 1.0)])


# versions


@pytest.mark.parametrize(
    "text, number, back",
    [
        ("8.0.1.6", 8001, "8.0.1"),
        ("8.2.1.8", 8201, "8.2.1"),
        ("8.5.10", 8510, "8.5.10"),
        ("8.6.1", 8601, "8.6.1"),
        ("7.1.3", 7103, "7.1.3"),
        ("9.3.0.1", 9300, "9.3.0"),
        ("10.0", 100000, "10.0.0"),
        ("10.3.0", 100300, "10.3.0"),
        ("10.16.1.11", 101601, "10.16.1"),
        ("8.5.2-1+cuda11.4", 8502, "8.5.2"),
        ("8.5.2.2-1+cuda11.4", 8502, "8.5.2"),
        ("10.3.0.26-1+cuda12.5", 100300, "10.3.0"),
    ],
)
def test_versions_are_numbers_as_tensorrt_computes_them(text, number, back):
    assert tensorrt_version_number(text) == number
    assert tensorrt_version_text(number) == back
    assert tensorrt_version_number(back) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8",
        "8.x",
        "8.5.x",
        "8.2.1rc1",
        "8.5.2a",
        "8.10.1",
        "8.2.100",
        "10.100",
        "1.0.0",
        "eight",
        "8.2.1 ",
        "9" * 5000 + ".1",
    ],
)
def test_what_is_no_version_is_refused(text):
    with pytest.raises(UsageError, match="no version of TensorRT"):
        tensorrt_version_number(text)


def test_scales_that_are_all_but_zero_have_fewer_digits_and_come_back_to_the_letter():
    """As TensorRT writes them, without leading zeros; only an unended last line may be cut short.

    No denormals: they are zero where something in this process has switched them off.
    """
    data = FIRST + b"a: ffffffe\nb: 800000\nc: 3c010a14\n"
    cache = parse_cache(data, "c")
    assert cache.to_bytes() == data
    assert dict(cache.scales)["b"] == 2.0**-126
    assert parse_cache(data[:-1], "c") == cache


# rewriting and comparing


def test_rewriting_changes_the_first_line_alone():
    cache = parse_cache(GOLDEN, "")
    assert rewritten(cache, 100300).to_bytes() == GOLDEN.replace(b"8201", b"100300")
    assert rewritten(cache, 8201, "MinMaxCalibration").header == "TRT-8201-MinMaxCalibration"
    with pytest.raises(UsageError, match="no version"):
        rewritten(cache, 82)
    with pytest.raises(UsageError, match="no algorithm"):
        rewritten(cache, 8201, "Percentile")


def test_every_algorithm_of_the_header_is_read():
    for algorithm in ALGORITHMS:
        assert parse_cache("TRT-8601-{}\na: 0\n".format(algorithm).encode(), "").algorithm == algorithm


def test_differences_are_by_name_with_the_largest_change_first():
    def cache(*ranges):
        return cache_of_ranges(8201, "MinMaxCalibration", ranges)

    here = cache(("only", 1.0), ("same", 3.0), ("half", 2.0), ("five", 1.0), ("from zero", 0.0), ("to zero", 1.0))
    there = cache(("other", 1.0), ("to zero", 0.0), ("same", 3.0), ("half", 1.0), ("five", 5.0), ("from zero", 1.0))
    found = differences(here, there)
    assert (found.only_here, found.only_there) == (("only",), ("other",))
    assert [(change.name, round(change.ratio, 6)) for change in found.changed] == [
        ("from zero", float("inf")),
        ("to zero", 0.0),
        ("five", 5.0),
        ("half", 0.5),
    ]
    assert differences(here, here) == ((), (), ())
