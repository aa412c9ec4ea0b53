"""What runs on the board beside our commands: programs that use an engine and print what they found, as JSON."""

# The golden frames through the backend of live use: how many of the decided pixels keep FP32's class in the worst
GOLDEN = """
import json, sys
from ccc_jetson.carried import contract_of
from ccc_jetson.golden import read_golden
from ccc_jetson.onnx_file import read_onnx
from ccc_jetson.runtime.backends import GpuOptions, open_backend
file = read_onnx("model.onnx")
frames = read_golden(contract_of(file, "model.onnx"), file, "model.onnx")
shares = []
with open_backend(sys.argv[1], gpu=GpuOptions(cuda_graph=sys.argv[2] == "graph")) as backend:
    for each in frames:
        decided = each.decided()
        for _ in range(3):  # the first frames try memory and graph
            same = backend.infer(each.frame).class_map == each.class_map
            shares.append(float(same[decided].mean()))
    facts = dict(backend.facts)
print(json.dumps({"frames": len(frames), "worst": min(shares), "facts": facts}))
"""

# Memory that is asked for while frames go through, after those that settle it
ALLOCATIONS = """
import json, sys
import numpy as np
import pycuda.driver as driver
from ccc_jetson.runtime.backends import GpuOptions, open_backend
made = []
def counted(name):
    asked = getattr(driver, name)
    def call(*given, **named):
        made.append(name)
        return asked(*given, **named)
    setattr(driver, name, call)
for name in ("mem_alloc", "pagelocked_empty", "managed_empty"):
    counted(name)
with open_backend(sys.argv[1]) as backend:
    given = backend.contract.input
    frame = np.random.RandomState(1).randint(0, 256, (given.height, given.width, 3)).astype(np.uint8)
    backend.warm_up()
    for _ in range(int(sys.argv[2])):
        backend.infer(frame)
    before = len(made)
    if len(sys.argv) > 3:  # the counter itself is put to the test
        driver.mem_alloc(1)
    for _ in range(int(sys.argv[2])):
        backend.infer(frame)
    print(json.dumps({"before": before, "during": made[before:]}))
"""

# What the sensors show within ten seconds
SENSORS = """
import json, sys, time
from ccc_jetson.runtime.telemetry.sensors import Sensors
sensors = Sensors(0.5, sys.argv[1])
until = time.monotonic() + 10
try:
    while True:
        found = sensors.read()
        if found.power_w is not None or time.monotonic() > until:
            break
        time.sleep(0.5)
finally:
    sensors.close()
clocks = [clock.name for clock in found.clocks]
print(json.dumps({"power_w": found.power_w, "temperatures_c": dict(found.temperatures_c), "clocks": clocks,
                  "trouble": sorted(sensors.trouble)}))
"""
