"""Classes that behave as those of a pybind11 module: arguments are not converted, attributes are not invented.

A member is there if ``members.txt`` says so for this version; the package's own code sees all of them, and what it uses
itself is not noted.
"""

import functools
import inspect
import operator
import sys
import types

import numpy as np

from tensorrt._version import MEMBERS, note

_PACKAGE = "tensorrt"


class Binding(type):
    """The type of the stand-in's classes and of the subclasses that a program makes of them."""

    _constructible = True

    def __getattribute__(cls, name):
        if not name.startswith("_") and not _asked_from_inside():
            _check(cls, name, (), "type object {!r} has no attribute {!r}")
        return type.__getattribute__(cls, name)

    def __call__(cls, *given, **named):
        if not cls._constructible and not _asked_from_inside():
            raise TypeError("{}: No constructor defined!".format(_full_name(cls)))
        made = type.__call__(cls, *given, **named)
        if "_made" not in vars(made):
            raise TypeError("{}.__init__() must be called when overriding __init__".format(_full_name(cls)))
        return made

    def __dir__(cls):
        return sorted(set(type.__dir__(cls)) - _hidden(cls))


class Object(metaclass=Binding):
    """The root of the stand-in's classes. What begins with an underscore is the stand-in's own."""

    _always = ()  # public names that every version has

    def __init__(self):
        self._made = True

    def __getattribute__(self, name):
        if not name.startswith("_") and not _asked_from_inside():
            _check(type(self), name, vars(self), "{!r} object has no attribute {!r}")
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        # an instance of a program's own subclass takes any attribute, one of the binding's own its members alone
        if not name.startswith("_") and not _asked_from_inside() and _ours(type(self)) is type(self):
            _check(type(self), name, (), "{!r} object has no attribute {!r}")
        object.__setattr__(self, name, value)

    def __dir__(self):
        return sorted(set(object.__dir__(self)) - _hidden(type(self)))


class Enum(Object):
    """An enumeration as pybind11 makes it: no number, no order, until ``int`` makes one of it."""

    _always = ("name", "value")
    _members = types.MappingProxyType({})
    _ordered = False

    def __init__(self, value):
        super().__init__()
        try:
            self._value = integer(value)
        except Refused:
            raise incompatible("__init__", (value,))

    @property
    def name(self):
        """Of the member."""
        return next((name for name, member in self._members.items() if member._value == self._value), "???")

    @property
    def value(self):
        """The number behind it."""
        return self._value

    def __int__(self):
        return self._value

    __index__ = __hash__ = __int__

    def __eq__(self, other):
        return type(other) is type(self) and other._value == self._value

    def __ne__(self, other):
        return not self == other

    def __lt__(self, other):
        return self._compared(other, operator.lt)

    def __le__(self, other):
        return self._compared(other, operator.le)

    def __gt__(self, other):
        return self._compared(other, operator.gt)

    def __ge__(self, other):
        return self._compared(other, operator.ge)

    def _compared(self, other, compare):
        if not self._ordered:
            return NotImplemented
        if type(other) is not type(self):
            raise TypeError("Expected an enumeration of matching type!")
        return compare(self._value, other._value)

    def __str__(self):
        return "{}.{}".format(type(self).__name__, self.name)

    def __repr__(self):
        return "<{}.{}: {}>".format(type(self).__name__, self.name, self._value)


def enumeration(title, values, ordered=False, own=None):
    """An enumeration with those members that this version has.

    Args:
        values: their numbers, by name.
        ordered: whether they can be compared.
        own: more attributes.
    """
    shown = MEMBERS.get(title, ())
    namespace = dict(own or {}, __module__=__name__, __qualname__=title, _ordered=ordered)
    made = Binding(title.rsplit(".", 1)[-1], (Enum,), namespace)
    made._members = {name: made(value) for name, value in values.items() if name in shown}
    made.__members__ = dict(made._members)
    for name, member in made._members.items():
        setattr(made, name, member)
    return made


class Attribute:
    """An attribute that only takes what its ``kind`` takes; without a kind it cannot be set."""

    def __init__(self, kind=None, default=None):
        self._kind, self._default = kind, default

    def __set_name__(self, owner, name):
        self._name = "_" + name

    def __get__(self, instance, owner):
        return self if instance is None else vars(instance).get(self._name, self._default)

    def __set__(self, instance, value):
        if self._kind is None:
            raise AttributeError("can't set attribute")
        try:
            vars(instance)[self._name] = self._kind(value)
        except Refused:
            raise incompatible("", (instance, value))


def strict(**kinds):
    """Refuses a call whose arguments are not of these kinds, in pybind11's words."""

    def decorate(function):
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*given, **named):
            try:
                bound = signature.bind(*given, **named)
                for name, kind in kinds.items():
                    if name in bound.arguments:
                        bound.arguments[name] = kind(bound.arguments[name])
            except TypeError:
                raise incompatible(function.__name__, given)
            return function(*bound.args, **bound.kwargs)

        return call

    return decorate


class Refused(TypeError):
    """An argument of the wrong kind."""


def integer(value):
    """What has an integer in it, but no float and no text."""
    if isinstance(value, (float, np.floating, str, bytes)) or not (
        hasattr(value, "__index__") or hasattr(value, "__int__")
    ):
        raise Refused()
    return int(value)


def size(value):
    """An integer that is not negative."""
    number = integer(value)
    if number < 0:
        raise Refused()
    return number


def real(value):
    """A float or an integer."""
    if not isinstance(value, (float, np.floating)):
        value = integer(value)
    return float(value)


def text(value):
    """A text, and no path."""
    if not isinstance(value, str):
        raise Refused()
    return value


def data(value):
    """The bytes of something with a buffer."""
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise Refused()


def sequence(kind):
    """A list or tuple of a kind."""

    def convert(value):
        if not isinstance(value, (list, tuple)):
            raise Refused()
        return [kind(each) for each in value]

    return convert


def instance(owner):
    """An object of a class."""

    def convert(value):
        if not isinstance(value, owner):
            raise Refused()
        return value

    return convert


def optional(kind):
    """``None``, or a kind."""
    return lambda value: None if value is None else kind(value)


def incompatible(name, given):
    """The TypeError for arguments that fit no signature."""
    what = "constructor" if name == "__init__" else "function"
    return TypeError(
        "{}(): incompatible {} arguments. The following argument types are supported:\n    1. (see NVIDIA's "
        "documentation)\n\nInvoked with: {}".format(name, what, ", ".join(map(repr, given)))
    )


def _asked_from_inside():
    """Whether whoever asks for an attribute, two calls up, is the stand-in itself."""
    return sys._getframe(2).f_globals.get("__name__", "").split(".")[0] == _PACKAGE


def _check(cls, name, own, complaint):
    """Notes the use of a member, or refuses it as the real binding does."""
    for each in cls.__mro__:
        if is_ours(each):
            if name in each._always:
                return
            title = _title(each)
            if name not in MEMBERS.get(title, ()):
                raise AttributeError(complaint.format(_full_name(cls), name))
            if not any(name in vars(base) for base in each.__mro__):
                raise NotImplementedError("the stand-in has no {}.{}: add it where it is needed".format(title, name))
            note(title, name)
            return
        if name in own or name in vars(each):
            return


def _hidden(cls):
    """Public names that this version lacks, or that the real classes do not have."""
    ours = _ours(cls)
    shown = MEMBERS.get(_title(ours), frozenset()) | frozenset(ours._always)
    return {name for each in ours.__mro__ for name in vars(each) if not name.startswith("_")} - shown


def _ours(cls):
    """The nearest class of the stand-in itself."""
    return next(each for each in cls.__mro__ if is_ours(each))


def is_ours(cls):
    """Whether a class is the stand-in's own, and not a program's subclass."""
    return type.__getattribute__(cls, "__module__").split(".")[0] == _PACKAGE


def _title(cls):
    return cls.__qualname__


def _full_name(cls):
    """As the real package names its classes in messages."""
    return "tensorrt.tensorrt." + _title(_ours(cls))
