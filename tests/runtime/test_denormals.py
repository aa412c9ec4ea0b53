"""Denormals as zero: in this thread, and in no other."""

import platform
import threading

import pytest

from ccc_jetson.runtime import denormals
from ccc_jetson.runtime.denormals import denormals_are_flushed, flush_denormals


def in_a_thread(work):
    """The result of ``work`` in a thread of its own, whose floating-point mode is gone afterwards."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="only these processors are known")
def test_the_calling_thread_computes_with_zero_afterwards():
    assert in_a_thread(lambda: (flush_denormals(), denormals_are_flushed())) == (True, True)


def test_another_processor_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert in_a_thread(lambda: (denormals_are_flushed(), flush_denormals())) in ((False, False), (True, True))


def test_without_glibc_nothing_breaks(monkeypatch):
    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(denormals.ctypes, "CDLL", absent)
    assert in_a_thread(lambda: (denormals_are_flushed(), flush_denormals())) in ((False, False), (True, True))
