"""Ctrl-C once to finish, twice to leave."""

import os
import signal
import threading

import pytest

from ccc_jetson.runtime.interrupts import FinishOnInterrupt


@pytest.fixture(autouse=True)
def ordinary_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_calls_and_does_not_raise(number):
    called = []
    with FinishOnInterrupt(lambda: called.append(1)) as interrupts:
        os.kill(os.getpid(), number)
        assert called == [1]
    assert interrupts.received


def test_the_second_ctrl_c_interrupts():
    with pytest.raises(KeyboardInterrupt), FinishOnInterrupt(lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with FinishOnInterrupt(lambda: None) as interrupts:
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert not interrupts.received


def test_a_signal_that_was_switched_off_stays_off():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with FinishOnInterrupt(lambda: None):
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_change_nothing():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with FinishOnInterrupt(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
