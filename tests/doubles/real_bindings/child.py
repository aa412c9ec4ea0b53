"""Runs checks in the process that has the bindings: ``python -m tests.doubles.real_bindings.child REPORT CHECKS...``.

``REPORT`` is written line by line in JSON, so that it says how far things came when the process crashes; ``CHECKS`` are
modules with a tuple ``CHECKS`` of functions of a ``Scene``.
"""

import faulthandler
import functools
import gc
import importlib
import inspect
import json
import sys
import traceback

from tests.doubles.real_bindings.scene import Scene

# What is watched, in the order of imports: the second uses the first
SUBJECTS = ("ccc_jetson.engines.tensorrt_callbacks", "ccc_jetson.engines.tensorrt_api")


def members(trt):
    """Public members of every public class of the bindings, by its qualified name, and under "" the module's own."""
    found = {"": _public(trt)}

    def add(name, kind):
        found[name] = _public(kind)
        for inner in found[name]:
            if inspect.isclass(getattr(kind, inner)):
                add("{}.{}".format(name, inner), getattr(kind, inner))

    for name in found[""]:
        if inspect.isclass(getattr(trt, name)):
            add(name, getattr(trt, name))
    return found


def integers(trt):
    """The numbers behind the members of every enumeration, by class and name."""
    kinds = {name: getattr(trt, name) for name in _public(trt)}
    return {
        name: {member: int(value) for member, value in kind.__members__.items()}
        for name, kind in kinds.items()
        if inspect.isclass(kind) and hasattr(kind, "__members__")
    }


def _public(thing):
    """Public names of a module or a class; without those that every enumeration of pybind11 has."""
    of_every_one = ("name", "value") if hasattr(thing, "__members__") else ()
    return sorted(name for name in dir(thing) if not name.startswith("_") and name not in of_every_one)


class Watch:
    """Puts a note in front of every public function of a module, and of every public method of its classes.

    A profiler in the interpreter would need no change to them, but breaks programs that keep ``locals()`` (OpenCV's
    import does).
    """

    def __init__(self):
        self.public, self.called = set(), set()

    def add(self, module):
        """To be called before other modules import its functions."""
        for name, value in list(vars(module).items()):
            if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(value):
                setattr(module, name, self._noting(name, value))
            elif inspect.isclass(value):
                self._add_class(value, module.__file__)

    def _add_class(self, kind, path):
        for name, value in list(vars(kind).items()):
            full = "{}.{}".format(kind.__name__, name)
            function = value.fget if isinstance(value, property) else value
            # what a NamedTuple brings with it comes from another file
            if not inspect.isfunction(function) or function.__code__.co_filename != path:
                continue
            if name == "__init__" or not name.startswith("_"):
                noting = self._noting(full, function)
                setattr(kind, name, property(noting) if isinstance(value, property) else noting)

    def _noting(self, name, function):
        self.public.add(name)

        @functools.wraps(function)
        def noting(*arguments, **named):
            self.called.add(name)
            return function(*arguments, **named)

        return noting


def outcome(check, trt):
    """What went wrong in a check, or ``None``."""
    scene = None
    try:
        scene = Scene(trt)
        check(scene)
        return "\n".join(scene.world.errors) or None
    except BaseException:
        return traceback.format_exc()
    finally:
        if scene is not None:
            scene.world.close()


def main(report, *names):
    faulthandler.enable()
    gc.disable()  # a destructor is a virtual call as well: none shall arrive in the middle of something else
    import tensorrt as trt

    watch = Watch()
    for name in SUBJECTS:
        watch.add(importlib.import_module(name))
    checks = [check for name in names for check in importlib.import_module(name).CHECKS]
    with open(report, "w") as file:

        def say(line):
            file.write(json.dumps(line) + "\n")
            file.flush()

        facts = {"version": trt.__version__, "members": members(trt), "integers": integers(trt)}
        say(dict(facts, public=sorted(watch.public)))
        for check in checks:
            say({"begins": check.__name__})
            error = outcome(check, trt)
            gc.collect()
            say({"ends": check.__name__, "error": error})
        say({"called": sorted(watch.called)})


if __name__ == "__main__":
    main(*sys.argv[1:])
