"""A context with all that a frame needs, which has to be left as it was."""

import gc

import pytest

from tests.doubles import cuda_driver
from tests.doubles.cuda_driver.lab import Bed, Graphs, live, new_context


@pytest.fixture()
def bed(tmp_path):
    """A ``Bed`` in a context of its own; nothing may be left."""
    with cuda_driver.installed() as driver:
        import pycuda.driver as cuda

        cuda.init()
        with new_context(cuda) as context:
            made = Bed(cuda, driver, context, tmp_path)
            yield made
            made.close()
            gc.collect()
            assert live(driver) == {"live.contexts": 1}
        assert live(driver) == {}


@pytest.fixture()
def graphs(bed):
    """CUDA's graph functions; what they made ends with the test."""
    made = Graphs()
    yield made
    made.close()
