"""One encoder for everybody, and only while somebody looks."""

import threading

import pytest

from ccc_jetson.runtime.serve.newest import NewestPicture
from tests.doubles.stages import segmentation_of
from tests.runtime.serve.conftest import frame_of


class CountingEncoder:
    """Encodes a frame as its number; waits for ``go`` where one is given."""

    def __init__(self, go=None, error=None):
        self.encoded, self.threads = [], set()
        self._go, self._error = go, error

    def __call__(self, frame, segmentation, latency_s):
        if self._go is not None:
            assert self._go.wait(10)
        if self._error is not None:
            raise self._error
        self.threads.add(threading.current_thread().name)
        self.encoded.append(frame.number)
        return str(frame.number).encode()


def newest_of(encoder, fps=1e6):
    pictures = NewestPicture(encoder, "a page", fps)
    come = threading.Semaphore(0)
    pictures.announce(come.release)
    return pictures, come


def write(pictures, number):
    frame = frame_of(number)
    pictures.write(frame, segmentation_of(frame.image, 0))


def test_nothing_is_encoded_while_nobody_looks():
    encoder = CountingEncoder()
    pictures, _ = newest_of(encoder)
    for number in range(50):
        write(pictures, number)
    pictures.close()
    assert encoder.encoded == []


def test_the_next_frame_is_encoded_once_in_a_thread_of_its_own():
    encoder = CountingEncoder()
    pictures, come = newest_of(encoder)
    write(pictures, 0)
    for _ in range(5):  # five who look
        pictures.want()
    for number in range(1, 20):
        write(pictures, number)
    assert come.acquire(timeout=10)
    assert (pictures.newest.number, pictures.newest.data) == (1, b"1")
    pictures.close()
    assert encoder.encoded == [1]
    assert encoder.threads == {"ccc-encode"}


def test_a_slow_encoder_makes_nobody_wait_and_gets_the_newest():
    go = threading.Event()
    encoder = CountingEncoder(go)
    pictures, come = newest_of(encoder)
    for number in range(30):  # would never end if a frame waited for the encoder
        pictures.want()
        write(pictures, number)
    go.set()
    assert come.acquire(timeout=10)
    pictures.close()
    assert encoder.encoded[-1] == 29 and len(encoder.encoded) <= 2


def test_pictures_come_no_faster_than_they_should():
    encoder = CountingEncoder()
    pictures, come = newest_of(encoder, fps=1e-3)
    for number in range(20):
        pictures.want()
        write(pictures, number)
    assert come.acquire(timeout=10)
    pictures.close()
    assert encoder.encoded == [0]


def test_of_thirty_frames_a_second_more_than_every_other_is_shown(monkeypatch):
    from ccc_jetson.runtime.serve import newest

    class Clock:
        now_s = 1000.0

        def monotonic(self):
            return self.now_s

    clock, taken = Clock(), []
    monkeypatch.setattr(newest, "time", clock)
    pictures, come = newest_of(CountingEncoder(), fps=25.0)
    for number in range(300):
        pictures.want()
        write(pictures, number)
        if not pictures._wanted:
            taken.append(number)
            assert come.acquire(timeout=10)
        clock.now_s += 1 / 30.0
    pictures.close()
    assert 220 <= len(taken) <= 252  # of ten seconds; 150 would be every other one


def test_the_end_is_announced_and_leaves_no_thread():
    pictures, come = newest_of(CountingEncoder())
    pictures.close()
    pictures.close()
    assert pictures.ended and come.acquire(timeout=10)
    assert not any(thread.name == "ccc-encode" for thread in threading.enumerate())


def test_what_breaks_the_encoder_is_not_hidden():
    pictures, _ = newest_of(CountingEncoder(error=ZeroDivisionError("a bug")))
    pictures.want()
    write(pictures, 0)
    pictures._thread.join(10)
    with pytest.raises(ZeroDivisionError):
        write(pictures, 1)
    pictures.close()
