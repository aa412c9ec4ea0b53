"""The machine for engine builds, as the tests of engines have it; what works off the device needs Python 3.10."""

import sys

import pytest

from tests.engines.conftest import board

__all__ = ["board"]

_OFF_THE_DEVICE = (
    "cost",
    "implicit",
    "judged_frames",
    "off_device",
    "off_device_report",
    "qdq",
    "ranges",
    "segments",
    "sensitivity",
)
collect_ignore = ["test_{}.py".format(name) for name in _OFF_THE_DEVICE] if sys.version_info < (3, 10) else []


@pytest.fixture(scope="module")
def model():
    """A network with everything that can be quantised, and some that cannot; imports stand inside, for old Pythons."""
    import onnx

    from tests.doubles.quantisable import quantisable_bytes

    return onnx.load_model_from_string(quantisable_bytes())


@pytest.fixture(scope="module")
def ranges():
    """Its ranges."""
    from ccc_jetson.calib.ranges import observe
    from tests.doubles.quantisable import images, quantisable_bytes

    return observe(quantisable_bytes(), lambda: images(2), False, 1).ranges("minmax")


@pytest.fixture(scope="module")
def layers(model):
    """Its convolutions."""
    from ccc_jetson.calib.qdq import convolutions

    return convolutions(model, "up")
