"""The stand-in TensorRT shows what its version has, takes what the real one takes, and says what was used."""

import os
import subprocess
import sys

import pytest

from tests.doubles import standin
from tests.doubles.standin.lab import Bench
from tests.doubles.tiny_model import tiny_model_bytes

VERSIONS = ("8.0.1.6", "8.2.1.8", "8.4.1", "8.5.3.1", "8.6.1", "10.3.0", "10.16.1.11", "11.0.0.114")
# Read in NVIDIA's sources and packages: class, member, and the first and the last of the versions above that have it
FACTS = (
    ("BuilderFlag", "FP16", "8.0.1.6", "10.16.1.11"),
    ("BuilderFlag", "STRICT_TYPES", "8.0.1.6", "8.6.1"),
    ("BuilderFlag", "OBEY_PRECISION_CONSTRAINTS", "8.2.1.8", "10.16.1.11"),
    ("Builder", "platform_has_fast_fp16", "8.0.1.6", "10.16.1.11"),
    ("Builder", "build_serialized_network", "8.0.1.6", "11.0.0.114"),
    ("IBuilderConfig", "max_workspace_size", "8.0.1.6", "8.6.1"),
    ("IBuilderConfig", "set_memory_pool_limit", "8.4.1", "11.0.0.114"),
    ("IBuilderConfig", "int8_calibrator", "8.0.1.6", "10.16.1.11"),
    ("IBuilderConfig", "progress_monitor", "10.3.0", "11.0.0.114"),
    ("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH", "8.0.1.6", "10.16.1.11"),
    ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED", "10.3.0", "11.0.0.114"),
    ("ICudaEngine", "num_bindings", "8.0.1.6", "8.6.1"),
    ("ICudaEngine", "num_io_tensors", "8.5.3.1", "11.0.0.114"),
    ("ICudaEngine", "create_engine_inspector", "8.2.1.8", "11.0.0.114"),
    ("IExecutionContext", "execute_async_v2", "8.0.1.6", "8.6.1"),
    ("IExecutionContext", "execute_async_v3", "8.5.3.1", "11.0.0.114"),
    ("ILayer", "precision", "8.0.1.6", "10.16.1.11"),
    ("ParserError", "node_name", "10.3.0", "11.0.0.114"),
    ("DataType", "UINT8", "8.5.3.1", "11.0.0.114"),
    ("DataType", "INT64", "10.3.0", "11.0.0.114"),
    ("ProfilingVerbosity", "VERBOSE", "8.0.1.6", "8.6.1"),
    ("ProfilingVerbosity", "DETAILED", "8.2.1.8", "11.0.0.114"),
)
FACT_CLASSES = (
    ("EngineInspector", "8.2.1.8", "11.0.0.114"),
    ("MemoryPoolType", "8.4.1", "11.0.0.114"),
    ("TensorIOMode", "8.5.3.1", "11.0.0.114"),
    ("IProgressMonitor", "10.3.0", "11.0.0.114"),
    ("IInt8EntropyCalibrator2", "8.0.1.6", "10.16.1.11"),
)


def between(version, first, last):
    return VERSIONS.index(first) <= VERSIONS.index(version) <= VERSIONS.index(last)


def has(owner, name):
    """Whether a member is there; one that the stand-in only names counts, asking for it says so."""
    try:
        return hasattr(owner, name)
    except NotImplementedError:
        return True


@pytest.mark.parametrize("version", VERSIONS)
def test_members_come_and_go_with_the_versions_as_in_reality(version):
    with standin.installed(version):
        import tensorrt as trt

        assert trt.__version__ == version
        for title, first, last in FACT_CLASSES:
            assert hasattr(trt, title) == between(version, first, last), title
        for title, member, first, last in FACTS:
            assert has(getattr(trt, title), member) == between(version, first, last), (title, member)
            if member.isupper():
                assert (member in getattr(trt, title).__members__) == between(version, first, last), (title, member)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_member_of_the_file_is_there_exactly_where_the_file_says_so(version):
    with open(standin.MEMBERS_FILE) as file:
        lines = file.read().splitlines()
    columns = lines[0].split("(")[0].split()[2:]
    wanted = tuple(int(part) for part in version.split("."))
    column = max(i for i, each in enumerate(columns) if tuple(int(part) for part in each.split(".")) <= wanted)
    checked = 0
    with standin.installed(version):
        import tensorrt as trt

        for line in lines:
            words = line.split()
            if words[0] == "##":
                owner, is_there = trt, words[2][column] == "x"
                for part in words[1].split("."):
                    owner = getattr(owner, part, None)
                assert (owner is not None) == is_there, words[1]
            elif words[0] != "#" and owner is not None:
                for name in words[1:]:
                    assert has(owner, name) == (words[0][column] == "x"), (owner, name)
                    checked += 1
    assert checked > 400


def test_a_version_between_two_columns_has_what_the_older_one_has():
    with standin.installed("8.3.0.12"):
        import tensorrt as trt

        assert hasattr(trt, "EngineInspector") and not hasattr(trt, "MemoryPoolType")
        assert trt.__version__ == "8.3.0.12"


def test_a_version_older_than_all_columns_is_refused():
    with standin.installed("7.1.3.0"), pytest.raises(ValueError, match=r"TensorRT 7\.1\.3\.0"):
        import tensorrt  # noqa: F401


def test_what_is_not_there_is_an_attribute_error_in_the_real_ones_words():
    with standin.installed("8.0.1.6"):
        import tensorrt as trt

        with pytest.raises(
            AttributeError, match=r"type object 'tensorrt\.tensorrt\.BuilderFlag' has no attribute 'OBEY_"
        ):
            trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS  # noqa: B018
        with pytest.raises(AttributeError, match="module 'tensorrt' has no attribute 'MemoryPoolType'"):
            trt.MemoryPoolType  # noqa: B018
        bench = Bench(trt, None)
        with pytest.raises(
            AttributeError, match=r"'tensorrt\.tensorrt\.Builder' object has no attribute 'max_threads'"
        ):
            bench.builder.max_threads  # noqa: B018
        with pytest.raises(
            AttributeError, match=r"'tensorrt\.tensorrt\.IBuilderConfig' object has no attribute 'workspace'"
        ):
            bench.config.workspace = 1
        with pytest.raises(AttributeError, match="progress_monitor"):
            bench.config.progress_monitor = None


def test_what_the_stand_in_only_names_says_so():
    with standin.installed():
        import tensorrt as trt

        with pytest.raises(NotImplementedError, match=r"Builder\.create_optimization_profile"):
            Bench(trt, None).builder.create_optimization_profile()


def test_enumerations_have_each_versions_numbers():
    found = {}
    for version in ("8.2.1.8", "10.3.0", "11.0.0.114"):
        with standin.installed(version):
            import tensorrt as trt

            flags = trt.BuilderFlag.__members__
            found[version] = {name: int(member) for name, member in flags.items()}
            found[version].update(
                (name, int(member)) for name, member in trt.NetworkDefinitionCreationFlag.__members__.items()
            )
    numbers = {
        name: tuple(found[version].get(name) for version in sorted(found)) for each in found.values() for name in each
    }
    assert sorted(found) == ["10.3.0", "11.0.0.114", "8.2.1.8"]
    assert numbers["FP16"] == (0, None, 0)
    assert numbers["TF32"] == (6, 6, 7)
    assert numbers["REFIT"] == (4, 4, 5)
    assert numbers["STRONGLY_TYPED"] == (1, 0, None)
    assert numbers["STRICT_TYPES"] == (None, None, 4)
    assert numbers["OBEY_PRECISION_CONSTRAINTS"] == (9, None, 10)


def test_an_enumeration_is_no_number_until_it_is_asked_for_one():
    with standin.installed():
        import tensorrt as trt

        flag = trt.BuilderFlag.FP16
        with pytest.raises(TypeError):
            1 << flag
        with pytest.raises(TypeError):
            flag | trt.BuilderFlag.INT8
        assert 1 << int(flag) == 1
        assert flag != 0 and flag != trt.DataType.FLOAT and flag == trt.BuilderFlag(0)
        assert (repr(flag), str(flag), flag.name, flag.value) == (
            "<BuilderFlag.FP16: 0>",
            "BuilderFlag.FP16",
            "FP16",
            0,
        )
        assert trt.Logger.ERROR < trt.Logger.WARNING
        with pytest.raises(TypeError):
            trt.DataType.FLOAT < trt.DataType.HALF  # noqa: B015
        assert (trt.float32, trt.DataType.HALF.itemsize) == (trt.DataType.FLOAT, 2)


WRONG_CALLS = {
    "a flag's number": lambda trt, bench: bench.config.set_flag(0),
    "a workspace of a float": lambda trt, bench: bench.config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1.5),
    "a workspace below nothing": lambda trt, bench: bench.config.set_memory_pool_limit(
        trt.MemoryPoolType.WORKSPACE, -1
    ),
    "the old workspace of a float": lambda trt, bench: setattr(bench.config, "max_workspace_size", 1.5),
    "a verbosity's number": lambda trt, bench: setattr(bench.config, "profiling_verbosity", 2),
    "a precision's number": lambda trt, bench: setattr(bench.layer("conv"), "precision", 0),
    "a type's number": lambda trt, bench: setattr(bench.network.get_input(0), "dtype", 1),
    "formats of a float": lambda trt, bench: setattr(bench.network.get_input(0), "allowed_formats", 1.0),
    "a calibrator of no such class": lambda trt, bench: setattr(bench.config, "int8_calibrator", object()),
    "a network's flags as text": lambda trt, bench: bench.builder.create_network("1"),
    "no logger": lambda trt, bench: trt.Builder(None),
    "an ONNX file as text": lambda trt, bench: bench.parser.parse("model"),
    "a plan as text": lambda trt, bench: trt.Runtime(bench.logger).deserialize_cuda_engine("plan"),
    "no second argument": lambda trt, bench: bench.config.set_timing_cache(bench.config.create_timing_cache(b"")),
    "no timing cache": lambda trt, bench: bench.config.set_timing_cache(None, False),
    "no tensor": lambda trt, bench: bench.network.mark_output(None),
    "no configuration": lambda trt, bench: bench.builder.build_serialized_network(bench.network, None),
    "a class that nobody makes": lambda trt, bench: trt.IHostMemory(b""),
}


@pytest.mark.parametrize("call", sorted(WRONG_CALLS))
def test_arguments_are_not_converted(call):
    with standin.installed("8.5.3.1"):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        with pytest.raises(TypeError):
            WRONG_CALLS[call](trt, bench)


def test_a_subclass_that_does_not_call_the_base_cannot_be_made():
    with standin.installed():
        import tensorrt as trt

        class Forgetful(trt.ILogger):
            def __init__(self):
                pass

        with pytest.raises(TypeError, match=r"ILogger\.__init__\(\) must be called"):
            Forgetful()


def test_a_plan_is_a_buffer_and_neither_bytes_nor_a_sequence():
    with standin.installed():
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes())
        plan = bench.builder.build_serialized_network(bench.network, bench.config)
        assert len(bytes(plan)) == plan.nbytes == memoryview(plan).nbytes
        for wrong in (len, iter, lambda plan: plan[:4], lambda plan: plan + b""):
            with pytest.raises(TypeError):
                wrong(plan)
        with pytest.raises(AttributeError):
            plan.startswith(b"ftrt")


def test_shapes_compare_with_tuples_and_are_none():
    with standin.installed("8.5.3.1"):
        import tensorrt as trt

        shape = Bench(trt, tiny_model_bytes()).network.get_input(0).shape
        assert shape == (1, 3, 32, 64) and tuple(shape) == (1, 3, 32, 64) and not isinstance(shape, tuple)
        with pytest.raises(TypeError):
            hash(shape)


def test_members_that_a_program_asks_for_are_noted_and_those_of_the_stand_in_itself_are_not(tmp_path):
    noted = tmp_path / "members.txt"
    with standin.installed(members=noted):
        import tensorrt as trt

        bench = Bench(trt, tiny_model_bytes(), ["FP16"])
        bench.logger.lines  # noqa: B018  of the test's own class
        for _ in range(2):
            hasattr(bench.config, "progress_monitor")  # which 8.2 does not have
    lines = noted.read_text().splitlines()
    assert sorted(lines) == sorted(set(lines))
    assert set(lines) == {
        "NetworkDefinitionCreationFlag.EXPLICIT_BATCH", "Builder.create_network", "Builder.create_builder_config",
        "OnnxParser.parse", "IBuilderConfig.max_workspace_size", "IBuilderConfig.set_flag", "BuilderFlag.FP16",
    }  # fmt: skip


def test_members_are_noted_at_once_so_that_a_killed_process_has_said_them(tmp_path):
    noted = tmp_path / "members.txt"
    code = "import os, tensorrt; tensorrt.BuilderFlag.INT8; os._exit(3)"
    child = subprocess.run([sys.executable, "-c", code], env=standin.environment("10.3.0", noted))
    assert child.returncode == 3
    assert noted.read_text() == "BuilderFlag.INT8\n"


def test_a_child_process_finds_both_packages_and_ours():
    code = "import tensorrt, pycuda, pycuda.driver, ccc_jetson; print(tensorrt.__version__, pycuda.VERSION)"
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=standin.environment("10.3.0", pycuda="2020.1"),
        stdout=subprocess.PIPE,
        cwd=os.path.dirname(os.path.abspath(__file__)),
    )
    assert child.stdout.decode().strip() == "10.3.0 (2020, 1)"


@pytest.mark.parametrize("package", ["tensorrt", "pycuda"])
def test_a_package_can_be_missing_or_broken(package):
    with standin.installed(**{package + "_missing": True}):
        with pytest.raises(ImportError, match="No module named '{}'".format(package)):
            __import__(package)
    with standin.installed(**{package + "_missing": "libnvinfer.so.8: cannot open shared object file"}):
        with pytest.raises(ImportError, match="libnvinfer"):
            __import__(package)


def test_installed_leaves_the_process_as_it_was():
    before = dict(os.environ), list(sys.path), set(sys.modules)
    with standin.installed(wrong=True):
        import pycuda.driver
        import tensorrt

        assert "standin" in tensorrt.__file__ and "standin" in pycuda.driver.__file__
    assert (dict(os.environ), list(sys.path)) == before[:2]
    assert not [name for name in set(sys.modules) - before[2] if name.split(".")[0] in ("tensorrt", "pycuda")]


def test_a_fault_that_nobody_knows_is_refused_before_the_program_starts():
    with pytest.raises(ValueError, match="no fault wrnog"):
        standin.environment(wrnog=True)
    with pytest.raises(ValueError, match="cannot abort in 'lunch'"):
        standin.environment(abort="lunch")
    with standin.installed(), pytest.raises(ValueError, match="no fault wrnog"):
        standin.set_faults(wrnog=True)


def test_every_fault_is_described():
    with standin.installed():
        import tensorrt
        from standin_faults import FAULTS

        words = set(tensorrt.__doc__.replace(",", " ").split())
        assert set(FAULTS) - words == set()
