"""Checks of INT8 calibration on pictures and from caches, from C++ through the bindings to our files and back.

Device memory is the stand-in GPU's, so that what TensorRT would read there can be looked at, and what is left counted.
"""

import contextlib
import ctypes
import functools
import os
import shutil
import tempfile

import numpy as np

from ccc_jetson.calib.cache import cache_of_ranges, parse_cache
from ccc_jetson.calib.calibrator import DeviceBatches
from ccc_jetson.calib.images import CalibrationImages, choose_images
from ccc_jetson.engines.cuda import Cuda
from ccc_jetson.engines.tensorrt_callbacks import CacheStore, Calibration, make_calibrator
from ccc_jetson.errors import BuildError, FileProblem
from tests.doubles import standin
from tests.doubles.pictures import write_pictures
from tests.doubles.real_bindings.checks_build_plan import built
from tests.doubles.real_bindings.checks_building import api_of, refusal
from tests.doubles.real_bindings.scene import PLAN
from tests.doubles.tiny_model import tiny_contract

BATCH, FRAMES = 2, 5
SHAPE = (BATCH, 3, 32, 64)
CACHE = cache_of_ranges(
    8601, "EntropyCalibration2", [("image", 1.00024), ("onnx::Conv_329", 12.5), ("a: b", 0.0), ("logits", 3e38)]
)


class Bench:
    """Pictures on the disk, and a GPU with room for a batch."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        self.contract = tiny_contract(batch=BATCH)
        self.paths = choose_images([write_pictures(self.folder, FRAMES)]).frames
        self.images = CalibrationImages(self.contract, self.paths)
        self.expected = np.concatenate(list(self.images))

    @contextlib.contextmanager
    def batches(self, on_frame=lambda: None):
        """``DeviceBatches`` on the stand-in's GPU, of which nothing may be left."""
        with standin.installed():
            import pycuda.driver

            with Cuda() as cuda:
                before = pycuda.driver.standin_live()["allocations"]
                with DeviceBatches(cuda, self.contract, self.images, on_frame) as batches:
                    assert pycuda.driver.standin_live()["allocations"] == before + 1
                    yield batches
                assert pycuda.driver.standin_live()["allocations"] == before, "memory is left on the GPU"
            assert set(pycuda.driver.standin_live().values()) == {0}


@contextlib.contextmanager
def bench():
    made = Bench()
    try:
        yield made
    finally:
        shutil.rmtree(made.folder)


def seen_at(address):
    """What TensorRT would read there: (2, 3, 32, 64) float32."""
    return np.frombuffer(ctypes.string_at(address, int(np.prod(SHAPE)) * 4), np.float32).reshape(SHAPE)


def calibrate(scene, found):
    """What TensorRT does with a calibrator when it builds, as an answer; what it sees goes into ``found``."""

    def build(call):
        calibrator = scene.arguments("IBuilderConfig.int8_calibrator")[0]
        found["batch size"] = scene.callbacks.batch_size(calibrator)
        found["cache"] = scene.callbacks.read_cache(calibrator)
        found["batches"] = batches = []
        while found["cache"] is None:
            addresses = scene.callbacks.batch(calibrator, ["image"])
            if addresses is None:
                break
            batches.append(seen_at(addresses[0]))
        scene.callbacks.write_cache(calibrator, CACHE.to_bytes())
        return scene.address("Builder.build_serialized_network")

    return scene.instead("Builder.build_serialized_network", build)


def pictures_reach_tensorrt_as_live_frames_would_and_nothing_is_left(scene):
    with bench() as pictures:
        for algorithm in ("entropy2", "minmax"):
            with pictures.batches() as batches:
                build = functools.partial(
                    built, scene, precisions=("int8",), calibration=batches.calibration(algorithm)
                )
                if scene.major >= 11:
                    refusal(BuildError, build)
                    continue
                found = {}
                with calibrate(scene, found):
                    made = build()
            assert (made.plan, made.calibration_cache) == (PLAN, CACHE.to_bytes())
            assert (found["batch size"], found["cache"], len(found["batches"])) == (BATCH, None, 3)
            # the last batch lacks a frame, and repeats its own
            expected = np.concatenate([pictures.expected, pictures.expected[-1:]])
            assert (np.concatenate(found["batches"]) == expected).all()


def a_cache_of_ours_reaches_tensorrt_byte_by_byte(scene):
    if scene.major >= 11:
        return
    for key, algorithm in (("entropy2", "EntropyCalibration2"), ("minmax", "MinMaxCalibration")):
        cache, found = CACHE._replace(algorithm=algorithm), {}
        with calibrate(scene, found):
            made = built(
                scene, {"calibration_cache": cache.to_bytes()}, precisions=("int8",), calibration_algorithm=key
            )
        assert found["cache"] == cache.to_bytes() and found["batches"] == []
        assert parse_cache(found["cache"], "") == cache
        assert made.calibration_cache == CACHE.to_bytes()  # what TensorRT says back is kept as it is


def _ends_in(scene, error, calibration, store, found):
    """Builds with a calibrator one of whose callbacks fails; the failure has to come back from the build."""
    api, guard = api_of(scene)
    api.calibrate_with(scene.config, make_calibrator(api.module, guard, calibration, store))
    with calibrate(scene, found):
        try:
            api.build(scene.builder, scene.network, scene.config)
        except error as caught:
            assert store.written == b""
            return str(caught)
    raise AssertionError("the failure was lost")


class _Bad:
    """Neither a number nor bytes."""

    def __int__(self):
        raise ZeroDivisionError("no number")

    def __bytes__(self):
        raise ZeroDivisionError("no bytes")


class _FullStore(CacheStore):
    @property
    def written(self):
        return b""

    @written.setter
    def written(self, data):
        if data:
            raise MemoryError("no room")


def a_failure_in_any_callback_comes_back_from_the_build_and_nothing_is_left(scene):
    if scene.major >= 11:
        return
    with bench() as pictures:
        with pictures.batches() as batches:
            calibration, found = batches.calibration("entropy2"), {}
            wrong = calibration._replace(batch_size=_Bad())
            assert _ends_in(scene, ZeroDivisionError, wrong, CacheStore(), found) == "no number"
            assert found["batches"] == []  # after a failure nothing is read any more
            assert (
                _ends_in(scene, ZeroDivisionError, calibration._replace(cache=_Bad()), CacheStore(), {}) == "no bytes"
            )
            assert _ends_in(scene, MemoryError, calibration, _FullStore(), {}) == "no room"
        with pictures.batches() as batches:
            os.unlink(pictures.paths[3].path)
            found = {}
            said = _ends_in(scene, FileProblem, batches.calibration("minmax"), CacheStore(), found)
            assert "picture003.png: cannot be read" in said and len(found["batches"]) == 1


def ctrl_c_while_a_picture_is_read_ends_calibration(scene):
    if scene.major >= 11:
        return
    told = []

    def on_frame():
        told.append(1)
        if len(told) == 3:
            raise KeyboardInterrupt("stop")

    with bench() as pictures, pictures.batches(on_frame) as batches:
        found = {}
        assert _ends_in(scene, KeyboardInterrupt, batches.calibration("entropy2"), CacheStore(), found) == "stop"
        assert len(found["batches"]) == 1 and len(told) == 3


def another_input_than_the_contracts_is_a_sentence(scene):
    if scene.major >= 11:
        return
    with bench() as pictures:
        other = pictures.contract.input._replace(name="pixels")
        pictures.contract = pictures.contract._replace(input=other)
        with pictures.batches() as batches:
            said = _ends_in(scene, BuildError, batches.calibration("entropy2"), CacheStore(), {})
        assert "['image'], the contract has one input 'pixels'" in said, said


def a_calibrator_is_asked_for_after_our_last_reference_is_gone(scene):
    if scene.major >= 11:
        return
    api, guard = api_of(scene)
    calibration = Calibration("minmax", CACHE.to_bytes(), 1, None)
    api.calibrate_with(scene.config, make_calibrator(api.module, guard, calibration, CacheStore()))
    calibrator = scene.arguments("IBuilderConfig.int8_calibrator")[0]
    del calibration
    assert [scene.callbacks.read_cache(calibrator) for _ in range(3)] == [CACHE.to_bytes()] * 3


CHECKS = (
    pictures_reach_tensorrt_as_live_frames_would_and_nothing_is_left,
    a_cache_of_ours_reaches_tensorrt_byte_by_byte,
    a_failure_in_any_callback_comes_back_from_the_build_and_nothing_is_left,
    ctrl_c_while_a_picture_is_read_ends_calibration,
    another_input_than_the_contracts_is_a_sentence,
    a_calibrator_is_asked_for_after_our_last_reference_is_gone,
)
