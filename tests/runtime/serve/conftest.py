"""A page over frames that a test gives it."""

import contextlib
import threading
import time

import numpy as np
import pytest

pytest.importorskip("tornado", reason="Tornado is not installed")
pytest.importorskip("onnx")

from ccc_jetson.runtime.frames import Frame  # noqa: E402
from ccc_jetson.runtime.serve.address import Address  # noqa: E402
from ccc_jetson.runtime.serve.entrance import open_entrance  # noqa: E402
from ccc_jetson.runtime.serve.page import Page  # noqa: E402
from tests.doubles.stages import FakeSource, segmentation_of  # noqa: E402
from tests.doubles.tiny_model import tiny_contract  # noqa: E402

TOKEN = "a-token-of-a-test-0123"


def frame_of(number, size=(96, 64)):
    image = np.full((size[1], size[0], 3), number % 256, np.uint8)
    return Frame(number, "frame_{:06d}".format(number), image, time.monotonic())


def give(page, number=0, class_index=0, fit="stretch", size=(96, 64)):
    """One frame, as the pipeline would."""
    frame = frame_of(number, size)
    page.write(frame, segmentation_of(frame.image, class_index, fit))


@contextlib.contextmanager
def feeding(page, seconds=0.005):
    """Gives frames all the time, in a thread."""
    ended = threading.Event()
    failures = []

    def feed():
        number = 0
        try:
            while not ended.wait(seconds):
                give(page, number, number % 19)
                number += 1
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        assert not failures


def opened_page(host="127.0.0.1", token=None, telemetry=None):
    given = {} if telemetry is None else {"telemetry": telemetry}
    door = open_entrance(Address(host, 0), token)
    return Page(door, tiny_contract(), "models/model.onnx", FakeSource(10), 0.5, **given)


def port_of(page):
    return int(page.url.rstrip("/").rsplit(":", 1)[1])


@pytest.fixture
def page():
    """On a loopback address, without a token."""
    made = opened_page()
    yield made
    made.close()


@pytest.fixture
def guarded():
    """On every address, with ``TOKEN``."""
    made = opened_page("0.0.0.0", TOKEN)
    yield made
    made.close()
