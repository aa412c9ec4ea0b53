"""Engines of the tiny model, and commands that use them, over the CPU "CUDA driver"."""

import os
import subprocess
import sys

from tests.doubles import cuda_driver
from tests.doubles.tiny_model import write_tiny_model

_PATIENCE_S = 120
_MODULES = {
    "ccc-build-engine": "ccc_jetson.engines.build_cli",
    "ccc-run": "ccc_jetson.runtime.run_cli",
    "ccc-eval": "ccc_jetson.runtime.eval_cli",
    "ccc-bench": "ccc_jetson.runtime.bench.cli",
}


def build(folder, *options, **model):
    """The path of an engine of the tiny model, built in ``folder``; keywords as for ``write_tiny_model``."""
    write_tiny_model(os.path.join(str(folder), "model.onnx"), **model)
    code, out, err = command(folder, "ccc-build-engine", "model.onnx", *options)
    assert code == 0, out + err
    return os.path.join(str(folder), "model.engine")


def started(folder, name, *arguments, **environment):
    """One of our commands in a process of its own, in ``folder``; keywords as for ``cuda_driver.environment``.

    ``cameras`` are arguments of ``tests.doubles.cameras.installed``, as text.
    """
    cameras = environment.pop("cameras", "")
    code = "import sys; from {} import main; sys.exit(main(sys.argv[1:]))".format(_MODULES[name])
    if cameras:
        code = "from tests.doubles.cameras import *\nwith installed({}): {}".format(cameras, code)
    return _started(folder, ["-c", code] + [str(each) for each in arguments], environment)


def program(folder, path, *arguments, **environment):
    """Runs a program of Python's to its end; the rest as for ``command``."""
    return finished(_started(folder, [path] + [str(each) for each in arguments], environment))


def _started(folder, words, environment):
    variables = cuda_driver.environment(**environment)
    variables["CCC_JETSON_CACHE"] = os.path.join(str(folder), "cache")
    return subprocess.Popen(
        [sys.executable] + words,
        cwd=str(folder),
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


def command(folder, name, *arguments, **environment):
    """Runs it to its end: exit code, standard output, standard error."""
    return finished(started(folder, name, *arguments, **environment))


def finished(process):
    """Waits for a command: exit code, standard output, standard error."""
    try:
        out, err = process.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    print(out + err)
    return process.returncode, out, err
