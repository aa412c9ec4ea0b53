"""Checks that go wrong, to see how that is reported. Never part of the others."""

import ctypes


def one_that_is_right(scene):
    assert scene.network.num_layers > 0


def one_with_a_wrong_answer(scene):
    with scene.instead("OnnxParser.parse", lambda call: 1 // 0):
        assert scene.trt.OnnxParser(scene.network, scene.trt.Logger()).parse(b"model") is False


def one_that_crashes(scene):
    ctypes.string_at(0)


def one_after_the_crash(scene):
    raise AssertionError("this is never run")


CHECKS = (one_that_is_right, one_with_a_wrong_answer, one_that_crashes, one_after_the_crash)
