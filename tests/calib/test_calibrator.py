"""Calibration on the device, with a stand-in TensorRT that asks for frames and measures ranges as the real one does.

That the same objects work through NVIDIA's own bindings is ``tests/engines/test_real_bindings.py``'s
(``checks_calibrating.py``).
"""

import contextlib

import numpy as np
import pytest

from ccc_jetson.calib.cache import parse_cache
from ccc_jetson.calib.calibrator import DeviceBatches
from ccc_jetson.calib.images import CalibrationImages, choose_images
from ccc_jetson.engines.builder import build_plan
from ccc_jetson.engines.cuda import Cuda
from ccc_jetson.engines.tensorrt_api import TensorRT, import_tensorrt
from ccc_jetson.engines.tensorrt_callbacks import Guard
from ccc_jetson.engines.tensorrt_log import TensorRTLog
from ccc_jetson.errors import BackendError, BuildError, UsageError
from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.ort import cpu_session
from tests.doubles import cuda_driver, standin
from tests.doubles.cuda_driver.lab import live
from tests.doubles.pictures import write_pictures
from tests.doubles.real_bindings.checks_build_plan import JOB
from tests.doubles.tiny_model import tiny_contract, tiny_model_bytes

XAVIER = {"version": "8.5.2.2", "sm": "7.2", "device": "Xavier"}


@pytest.fixture()
def frames(tmp_path):
    return choose_images([write_pictures(tmp_path / "frames", 5)]).frames


@contextlib.contextmanager
def device(**told):
    """A CUDA context on the stand-in's GPU, of which nothing may be left."""
    with standin.installed(**dict(XAVIER, **told)):
        import pycuda.driver

        with Cuda() as cuda:
            yield cuda
        assert set(pycuda.driver.standin_live().values()) == {0}


def batches_seen(cuda, batches, names=("image",)):
    """What lies on the device, batch by batch."""
    found = []
    for (address,) in batches.calibration("entropy2").batches(list(names)):
        seen = np.empty((batches.batch_size, 3, 32, 64), np.float32)
        cuda.download(seen, address)
        found.append(seen)
    return found


@pytest.mark.parametrize("batch, order", [(1, [[0], [1], [2], [3], [4]]), (2, [[0, 1], [2, 3], [4, 4]]),
                                          (3, [[0, 1, 2], [3, 4, 3]]), (8, [[0, 1, 2, 3, 4, 0, 1, 2]])])  # fmt: skip
def test_a_last_batch_that_lacks_frames_repeats_its_own(frames, batch, order):
    contract = tiny_contract(batch=batch)
    images = CalibrationImages(contract, frames)
    expected = np.concatenate(list(images))
    with device() as cuda, DeviceBatches(cuda, contract, images) as batches:
        found = batches_seen(cuda, batches)
    assert [len(seen) for seen in found] == [batch] * len(order)
    for seen, numbers in zip(found, order):
        assert (seen == expected[numbers]).all()


def test_every_batch_lies_at_the_same_place(frames):
    contract = tiny_contract()
    with device() as cuda, DeviceBatches(cuda, contract, CalibrationImages(contract, frames)) as batches:
        addresses = list(batches.calibration("minmax").batches(["image"]))
    assert len(addresses) == 5 and len({address for (address,) in addresses}) == 1


def test_memory_and_file_are_given_back_in_the_middle_of_the_frames(frames):
    contract = tiny_contract()
    with device() as cuda:
        batches = DeviceBatches(cuda, contract, CalibrationImages(contract, frames))
        running = batches.calibration("entropy2").batches(["image"])
        next(running)
        batches.close()
        batches.close()
        assert next(running, None) is None


def test_no_memory_for_a_batch_is_a_sentence(frames):
    contract = tiny_contract(width=1024, height=512)
    with device(free_mib=2) as cuda, pytest.raises(BackendError, match="no 6,291,456 bytes of memory left"):
        DeviceBatches(cuda, contract, CalibrationImages(contract, frames))


def test_an_algorithm_of_the_workstation_is_refused(frames):
    contract = tiny_contract()
    with device() as cuda, DeviceBatches(cuda, contract, CalibrationImages(contract, frames)) as batches:
        with pytest.raises(UsageError, match=r"'percentile' is no way .* expected entropy2 or minmax"):
            batches.calibration("percentile")


def test_other_inputs_than_the_contracts_are_refused(frames):
    contract = tiny_contract()
    with device() as cuda, DeviceBatches(cuda, contract, CalibrationImages(contract, frames)) as batches:
        with pytest.raises(BuildError, match=r"asks for calibration data of \['a', 'b'\]"):
            batches_seen(cuda, batches, ("a", "b"))


def test_the_real_pycuda_leaves_nothing_either(frames):
    contract = tiny_contract(batch=2)
    images = CalibrationImages(contract, frames)
    expected = np.concatenate(list(images))
    with cuda_driver.installed() as driver:
        with Cuda() as cuda:
            before = live(driver)
            for wanted in ([0, 1, 2, 3, 4, 4], [0, 1]):
                with DeviceBatches(cuda, contract, images) as batches:
                    assert live(driver) != before
                    if len(wanted) == 6:
                        found = np.concatenate(batches_seen(cuda, batches))
                    else:  # a build that ends in the middle
                        (address,) = next(batches.calibration("minmax").batches(["image"]))
                        found = np.empty((2, 3, 32, 64), np.float32)
                        cuda.download(found, address)
                assert live(driver) == before
                assert (found == expected[wanted]).all()
        assert live(driver) == {}


# a build


def built(cuda, folder, contract, calibration):
    """``build_plan`` with INT8 over the stand-in."""
    path = folder / "model.onnx"
    path.write_bytes(tiny_model_bytes(batch=contract.input.batch))
    guard = Guard()
    api = TensorRT(import_tensorrt(), TensorRTLog(), guard)
    job = JOB._replace(model=str(path), precisions=("int8",), output="features")
    return build_plan(api, guard, job, contract, lambda *phase: None, calibration)


@pytest.mark.parametrize("algorithm, header", [("entropy2", "EntropyCalibration2"), ("minmax", "MinMaxCalibration")])
@pytest.mark.parametrize("version, number", [("8.5.2.2", 8502), ("10.3.0", 100300)])
def test_a_build_on_pictures_gives_a_cache_with_their_ranges(tmp_path, frames, algorithm, header, version, number):
    contract = tiny_contract(batch=2)
    images = CalibrationImages(contract, frames)
    with device(version=version) as cuda, DeviceBatches(cuda, contract, images) as batches:
        made = built(cuda, tmp_path, contract, batches.calibration(algorithm))
    assert made.plan
    cache = parse_cache(made.calibration_cache, "model.calib")
    assert (cache.version, cache.algorithm) == (number, header)
    scales = dict(cache.scales)
    inputs = np.concatenate(list(images))
    session = cpu_session(with_extra_outputs(tiny_model_bytes(batch=1), ["features"]), "the tiny model")
    features = [session.run(["features"], {"image": image[None]})[0] for image in inputs]
    assert scales["image"] == np.float32(np.abs(inputs).max()) / np.float32(127)
    assert scales["features"] == pytest.approx(np.abs(features).max() / 127, rel=1e-6)
    assert cache.to_bytes() == made.calibration_cache


def test_a_picture_that_vanishes_fails_the_build_and_no_cache_comes_of_it(tmp_path, frames):
    contract = tiny_contract()
    seen = []

    def on_frame():
        seen.append(1)
        if len(seen) == 2:
            raise OSError("the card was pulled out")

    with device() as cuda, DeviceBatches(cuda, contract, CalibrationImages(contract, frames), on_frame) as batches:
        with pytest.raises(OSError, match="the card was pulled out"):
            built(cuda, tmp_path, contract, batches.calibration("entropy2"))


def test_a_build_without_int8_asks_for_no_picture(tmp_path, frames):
    contract, seen = tiny_contract(), []
    images = CalibrationImages(contract, frames)
    with device() as cuda, DeviceBatches(cuda, contract, images, lambda: seen.append(1)) as batches:
        path = tmp_path / "model.onnx"
        path.write_bytes(tiny_model_bytes())
        api = TensorRT(import_tensorrt(), TensorRTLog(), Guard())
        job = JOB._replace(model=str(path), precisions=("fp16",))
        made = build_plan(api, Guard(), job, contract, lambda *phase: None, batches.calibration("minmax"))
    assert made.calibration_cache == b"" and seen == []
