"""Moments that no Ctrl-C, SIGTERM or SIGHUP falls into."""

import os
import signal
import threading

import pytest

from ccc_jetson.signals import ENDING_SIGNALS, uninterrupted


def wake(number, frame):
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def handled():
    before = {number: signal.signal(number, wake) for number in ENDING_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_comes_when_the_block_is_over(number):
    done = []
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            done.append(1)
        done.append(2)
    assert done == [1]
    assert signal.getsignal(number) is wake


def test_another_thread_that_gets_the_signal_changes_nothing():
    waiting, over, done = threading.Event(), threading.Event(), []

    def kill():
        waiting.wait(10)
        os.kill(os.getpid(), signal.SIGTERM)  # the kernel may give it to any thread
        over.set()

    other = threading.Thread(target=kill)
    other.start()
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        waiting.set()
        assert over.wait(10)
        done.append(1)
    other.join()
    assert done == [1]


def test_what_is_switched_off_stays_off():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_failure_in_the_block_gives_the_handlers_back():
    with pytest.raises(ValueError), uninterrupted():
        raise ValueError
    assert signal.getsignal(signal.SIGINT) is wake


def test_outside_the_main_thread_nothing_changes():
    seen = []

    def look():
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    other = threading.Thread(target=look)
    other.start()
    other.join()
    assert seen == [wake]
