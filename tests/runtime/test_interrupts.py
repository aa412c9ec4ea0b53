"""Ctrl-C once to finish, twice to leave."""

import os
import signal
import threading

import pytest

from ccc_jetson.command import ONE_WISH_S, Interrupt
from ccc_jetson.runtime.interrupts import FinishOnInterrupt
from ccc_jetson.signals import ENDING_SIGNALS


@pytest.fixture(autouse=True)
def ordinary_handlers():
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_the_first_signal_calls_and_does_not_raise(number):
    called = []
    with FinishOnInterrupt(lambda: called.append(1)) as interrupts:
        os.kill(os.getpid(), number)
        assert called == [1]
    assert interrupts.received


def test_another_ctrl_c_after_a_second_interrupts():
    now, called = [100.0], []
    with pytest.raises(KeyboardInterrupt), FinishOnInterrupt(lambda: called.append(1), lambda: now[0]):
        os.kill(os.getpid(), signal.SIGINT)
        now[0] += ONE_WISH_S
        os.kill(os.getpid(), signal.SIGINT)
    assert called == [1]


def test_signals_to_the_process_and_its_group_are_one_wish():
    now, called = [100.0], []
    interrupt = Interrupt(lambda: now[0])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with FinishOnInterrupt(lambda: called.append(1), lambda: now[0]):
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            now[0] += 0.05
    os.kill(os.getpid(), signal.SIGTERM)  # while the reports are written
    assert called == [1]
    now[0] += ONE_WISH_S
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


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
