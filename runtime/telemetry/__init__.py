"""Power, temperatures, clocks and memory while something runs, and whether the machine was throttled.

    sensors (tegrastats, sysfs) --> Sample, once a second --> Monitor --> Telemetry, which reports hold

Runs beside a pipeline in a thread of its own and never disturbs it: what cannot be read is left out and noted once.
May import ``engines.machine`` and the shared modules; needs neither numpy nor root.
"""

from ccc_jetson.runtime.telemetry.monitor import Monitor
from ccc_jetson.runtime.telemetry.record import Telemetry
from ccc_jetson.runtime.telemetry.sample import Sample

__all__ = ["Monitor", "Sample", "Telemetry"]
