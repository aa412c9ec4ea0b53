"""NVIDIA's real TensorRT Python bindings over a libnvinfer that is not there.

The bindings are on the package index (about 1 MB each, under NVIDIA's licence: fetched when tests run, never
committed). They import and check every argument's type as on a real machine, for which they need only a library with
the right symbols: ``fake.cpp``. What its objects return is decided in Python, call by call: ``world.py``.

    releases.py         which TensorRT has bindings for which Python
    prepare.py          fetches and unpacks the bindings, compiles the library
    run.py, child.py    run checks in a process of their own; a crash costs the check that crashed and those after it
    world.py            answers virtual calls, and remembers them
    callbacks.py        calls loggers, calibrators and the like as TensorRT does
    scene.py            a builder, network, engine and context that behave
    older.py            8.0 and 8.2 through the signatures of 8.6.1
    checks_*.py         the checks, each a function of a ``Scene``: of the bindings over the double, and of our modules
"""
