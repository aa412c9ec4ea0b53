"""CUDA graphs: what is captured is done again, and what waits has no place in a capture."""

import contextlib

import numpy as np
import pytest

from tests.doubles.cuda_driver.lab import GLOBAL, NUMBERS, THREAD_LOCAL, Refused, in_thread, live

UNSUPPORTED, INVALIDATED, IMPLICIT, WRONG_THREAD = 900, 901, 906, 908  # of CUresult


def test_a_graph_does_its_work_again_whenever_it_is_launched(bed, graphs):
    graphs.begin(bed.stream)
    bed.queue(1)
    graph = graphs.end(bed.stream)
    bed.stream.synchronize()
    assert bed.found.tolist() == [0, 0, 0, 0], "a capture only records"
    before = bed.driver.counters.snapshot()
    for first in (10, 20):
        bed.given[:] = NUMBERS + first
        graphs.launch(graph, bed.stream)
        assert bed.found[0] != first + 1
        bed.stream.synchronize()
        np.testing.assert_array_equal(bed.found, NUMBERS + first + 1)
    changes = bed.driver.counters.difference(before)
    assert (changes["graph_launches"], changes["launches.add"], changes["bytes.host_to_device"]) == (2, 2, 32)
    assert live(bed.driver)["live.graph_executables"] == 1 and "live.graphs" not in live(bed.driver)


@pytest.mark.parametrize(
    "name, code",
    [("stream.synchronize", UNSUPPORTED), ("stream.is_done", UNSUPPORTED), ("synchronize", UNSUPPORTED),
     ("allocate", UNSUPPORTED), ("upload", UNSUPPORTED), ("default stream", IMPLICIT), ("pageable", UNSUPPORTED)],
)  # fmt: skip
def test_what_waits_is_refused_in_a_capture_and_ends_it(bed, graphs, name, code):
    cuda = bed.cuda
    calls = {
        "stream.synchronize": bed.stream.synchronize,
        "stream.is_done": bed.stream.is_done,
        "synchronize": cuda.Context.synchronize,
        "allocate": lambda: cuda.mem_alloc(4),
        "upload": lambda: cuda.memcpy_htod(bed.source, NUMBERS),
        "default stream": lambda: bed.add(1),
        "pageable": lambda: cuda.memcpy_htod_async(bed.source, NUMBERS, bed.stream),
    }
    words = {UNSUPPORTED: "not permitted when stream is capturing", IMPLICIT: "legacy stream depend on a capturing"}
    graphs.begin(bed.stream)
    with pytest.raises(cuda.Error, match=words[code]):
        calls[name]()
    with pytest.raises(cuda.Error, match="previous error during capture"):
        bed.add(1, bed.stream)
    with pytest.raises(Refused) as caught:
        graphs.end(bed.stream)
    assert caught.value.code == INVALIDATED
    bed.queue(1)
    bed.stream.synchronize()
    assert bed.found.tolist() == [1, 2, 3, 4], "the stream is as before"


@pytest.mark.parametrize("mode, ends", [(THREAD_LOCAL, None), (GLOBAL, INVALIDATED)])
def test_another_thread_ends_a_capture_only_in_global_mode(bed, graphs, mode, ends):
    graphs.begin(bed.stream, mode)
    error = in_thread(lambda: bed.within_context(lambda: bed.cuda.mem_alloc(4).free()))
    if ends is None:
        assert error is None
        graphs.end(bed.stream)
        return
    assert isinstance(error, bed.cuda.Error) and "not permitted when stream is capturing" in str(error)
    with pytest.raises(Refused) as caught:
        graphs.end(bed.stream)
    assert caught.value.code == ends


def test_a_capture_ends_in_the_thread_that_began_it(bed, graphs):
    graphs.begin(bed.stream)
    error = in_thread(lambda: bed.within_context(lambda: graphs.end(bed.stream)))
    assert isinstance(error, Refused) and error.code == WRONG_THREAD
    graphs.end(bed.stream)


def test_a_graph_whose_memory_is_gone_fails(bed, graphs):
    graphs.begin(bed.stream)
    bed.queue(1)
    graph = graphs.end(bed.stream)
    bed.source.free()
    bed.source = None
    graphs.launch(graph, bed.stream)
    with pytest.raises(bed.cuda.LogicError, match="illegal memory access"):
        bed.stream.synchronize()


@pytest.mark.parametrize("fault, code", [("no_capture", 900), ("no_instantiate", 801), ("capture_breaks", 901)])
def test_graphs_fail_as_the_test_says(bed, graphs, fault, code):
    bed.driver.set_faults(**{fault: True})
    with pytest.raises(Refused) as caught:
        graphs.begin(bed.stream)
        with contextlib.suppress(bed.cuda.Error):
            bed.add(1, bed.stream)
        graphs.end(bed.stream)
    assert caught.value.code == code
    bed.driver.set_faults()
    bed.queue(1)
    bed.stream.synchronize()
    assert bed.found.tolist() == [1, 2, 3, 4]
