"""A soak of an engine's way: real pycuda over the CPU "CUDA driver", and a camera that is unplugged now and then.

    python -m tests.faults.soak OUT --minutes 30

The driver's own counters are looked at beside what benchmarks/soak.py looks at: what is held, and what has ever been
made, so that an allocation a frame would be seen although it is given back.
"""

import argparse
import importlib.util
import os
import sys

from tests.doubles import cuda_driver
from tests.doubles.engine_room import build

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = "/dev/video0"
GAUGES = "gauges.txt"
# In the process that is watched. What the camera's double remembers of lost connections is forgotten: no leak of ours.
_RUN = """
import os, sys, threading, time
from tests.doubles.cameras import FakeCamera, installed
from tests.doubles.cuda_driver import Counters

def tell():
    counters = Counters()
    held = ("live.device", "live.pinned", "live.managed", "live.streams", "live.events", "live.graphs")
    made = ("made.device", "made.pinned", "made.managed", "made.streams")
    while True:
        now = counters.snapshot()
        lines = ["GPU: held {{}}".format(sum(now[name] for name in held))]
        lines += ["GPU: made {{}}".format(sum(now[name] for name in made))]
        with open({gauges!r} + ".new", "w") as file:
            file.write("\\n".join(lines) + "\\n")
        os.rename({gauges!r} + ".new", {gauges!r})
        time.sleep({interval})

def pull_out(camera):
    while True:
        time.sleep({every})
        camera.unplugged.set()
        time.sleep(3.0)
        camera.unplugged.clear()
        del camera.captures[:-1]

camera = FakeCamera(size=(320, 180), interval_s={frame_s}, stated_fps=1 / {frame_s})
for work in (tell, lambda: pull_out(camera)):
    threading.Thread(target=work, daemon=True).start()
with installed({{0: camera}}):
    from ccc_jetson.runtime.run_cli import main
    sys.exit(main(sys.argv[1:]))
"""


def benchmark():
    """The module benchmarks/soak.py."""
    spec = importlib.util.spec_from_file_location("soak", os.path.join(ROOT, "benchmarks", "soak.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def soak(folder, minutes, interval_s=2.0, fps=10.0, unplugged_every_s=120.0):
    """Builds an engine in the folder and soaks it there; the exit code of benchmarks/soak.py."""
    folder = os.path.abspath(str(folder))
    engine = build(folder, "--fp16", golden=1)
    soaking = benchmark()
    gauges = os.path.join(folder, GAUGES)
    code = _RUN.format(gauges=gauges, interval=interval_s, every=unplugged_every_s, frame_s=1.0 / fps)
    variables = cuda_driver.environment()
    variables["CCC_JETSON_CACHE"] = os.path.join(folder, "cache")
    command = [sys.executable, "-c", code, *soaking.run_of(engine, SOURCE, folder)]
    looks, ended, left = soaking.watched(command, folder, 60.0 * minutes, interval_s, variables, gauges)
    return soaking.tell(folder, "a camera on an engine", looks, ended, left)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="OUT")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=120.0, metavar="S", help="between two times without a camera")
    given = parser.parse_args()
    sys.exit(soak(given.folder, given.minutes, unplugged_every_s=given.every))
