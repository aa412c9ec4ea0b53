"""Items from thread to thread: waiting, replacing, ending."""

import threading
import time

from ccc_jetson.runtime.handoff import Handoff


def started(target, *args):
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def test_items_come_out_in_order_and_then_none():
    handoff = Handoff(3)
    assert [handoff.put(item) for item in "abc"] == [True] * 3
    handoff.end()
    assert [handoff.get() for _ in range(4)] == ["a", "b", "c", None]
    assert handoff.dropped == 0


def test_a_full_queue_makes_the_producer_wait():
    handoff = Handoff(1)
    handoff.put("a")
    producer = started(handoff.put, "b")
    time.sleep(0.05)
    assert producer.is_alive()
    assert handoff.get() == "a"
    producer.join(5)
    assert not producer.is_alive()
    assert handoff.get() == "b"


def test_a_slot_keeps_the_newest_and_counts_the_rest():
    handoff = Handoff(1, newest_only=True)
    for item in range(5):
        assert handoff.put(item)
    assert handoff.get() == 4
    assert handoff.dropped == 4


def test_a_waiting_consumer_is_woken_by_an_item_and_by_the_end():
    handoff = Handoff(1)
    taken = []
    consumer = started(lambda: taken.extend([handoff.get(), handoff.get()]))
    handoff.put("a")
    handoff.end()
    consumer.join(5)
    assert taken == ["a", None]


def test_a_waiting_producer_is_told_that_nobody_takes_its_item():
    handoff = Handoff(1)
    handoff.put("a")
    answers = []
    producer = started(lambda: answers.append(handoff.put("b")))
    handoff.cancel()
    producer.join(5)
    assert answers == [False]
    assert handoff.get() is None


def test_nothing_can_be_put_after_the_end():
    handoff = Handoff(2)
    handoff.end()
    assert handoff.put("a") is False
