"""Answers the virtual calls of NVIDIA's bindings, and remembers them. Lives in the process that loads them.

Nobody needs to know the number of a slot: an answer is given for a call, which is made once to see where it arrives.

    world.answer(lambda: builder.create_network(0), network)  # from now on that is what comes back
    world.answer(lambda: tensor.name, b"features")
    world.answer(lambda: tensor.shape, world.shape((1, 4, 16, 32)))
    world.answer(lambda: network.get_layer(0), lambda call: layers[call.arguments[0]])
"""

import contextlib
import ctypes
import traceback
from typing import NamedTuple, Tuple

LIBRARY = "libfaketrt.so"
PHONY = "phony"
UNIVERSAL = 1 << 32  # the object that unanswered calls return: valid as a pointer, 0 as a number, PHONY as a string
_LAST_OBJECT = 64 << 32
_SLOTS = 256
BUILDER, RUNTIME, PARSER = ((0, _SLOTS + index) for index in range(3))  # keys of the functions that make these


class Call(NamedTuple):
    """A call that arrived.

    ``object`` is its address, 0 where a function makes one; ``slot`` is that of its vtable; ``arguments`` are the four
    registers after the object, of which those beyond the function's own hold anything; ``result`` is the address of the
    structure that the function has to fill, or 0.
    """

    object: int
    slot: int
    arguments: Tuple[int, ...]
    result: int

    @property
    def key(self):
        """What an answer is given for."""
        return self.object, self.slot


class _Registers(ctypes.Structure):
    _fields_ = [
        ("object", ctypes.c_uint64),
        ("slot", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 4),
        ("result", ctypes.c_uint64),
    ]


_HANDLER = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(_Registers))


class World:
    """Everything behind the bindings. An answer is a number (an address, too), a string, or a function of the ``Call``.

    Args:
        wide: whether sizes of tensors have 64 bits, as from TensorRT 10 on.
    """

    def __init__(self, wide):
        self.calls = []
        self.errors = []  # what answers raised, which is lost in C
        self._wide = wide
        self._answers = {}
        self._kept = []
        self._last = UNIVERSAL
        self._library = ctypes.CDLL(LIBRARY)
        self._handler = _HANDLER(self._handle)
        self._library.fake_handler(self._handler)

    def close(self):
        """Back to the library's own answers; to be called before the interpreter ends."""
        self._library.fake_handler(None)

    def object(self):
        """The address of an object that no call has returned yet."""
        self._last += 1 << 32
        assert self._last <= _LAST_OBJECT, "fake.cpp has no more objects"
        return self._last

    def memory(self, data):
        """The address of bytes that stay, with a zero after them."""
        self._kept.append(ctypes.create_string_buffer(data))
        return ctypes.addressof(self._kept[-1])

    def shape(self, sizes):
        """An answer that fills ``nvinfer1::Dims``: their number in 32 bits, then each, in 32 or 64 bits."""

        def fill(call):
            assert call.result, "slot {} returns no structure".format(call.slot)
            size = ctypes.c_int64 if self._wide else ctypes.c_int32
            ctypes.c_int32.from_address(call.result).value = len(sizes)
            (size * len(sizes)).from_address(call.result + ctypes.sizeof(size))[:] = list(sizes)
            return call.result

        return fill

    def made(self, call):
        """What arrives when ``call`` is made."""
        before = len(self.calls)
        result = call()
        made = self.calls[before:]
        del result  # only now: where it owns an object, that arrives as a call of its destructor
        return made

    def answer(self, call, value):
        """From now on ``value`` is what comes back; returns the call's key."""
        made = self.made(call)
        assert len(made) == 1, "it arrives as {} calls".format(len(made))
        self.set(made[0].key, value)
        return made[0].key

    def set(self, key, value):
        """The same for a call whose key is known."""
        self._answers[key] = self.memory(value) if isinstance(value, bytes) else value

    @contextlib.contextmanager
    def instead(self, key, value):
        """Another answer while the block lasts."""
        before = self._answers.get(key, UNIVERSAL)
        self.set(key, value)
        try:
            yield
        finally:
            self._answers[key] = before

    def answers(self, key):
        """Whether a call was given an answer."""
        return key in self._answers

    def arguments(self, key):
        """The arguments of every call of a slot so far."""
        return [call.arguments for call in self.calls if call.key == key]

    def _handle(self, registers):
        given = registers.contents
        call = Call(given.object, given.slot, tuple(given.arguments), given.result)
        self.calls.append(call)
        answer = self._answers.get(call.key, UNIVERSAL)
        try:
            return answer(call) if callable(answer) else int(answer)
        except BaseException:
            self.errors.append(traceback.format_exc())
            return 0
