"""What is shortened when the documents' commands are run: how long, how many, how large. Never what is done.

ccc-bench                 measures 150 frames after 2 of warm-up, whatever --duration says
ccc-run --frames N        at most 8 frames; --serve takes any free port
ccc-export                128x64 where a network's own size would be 1024x512 (``small_networks``)
benchmarks/*.py           one round of few frames
"""

import os

SIZE = (128, 64)
_MOST_FRAMES = 8
_FEW = {
    "half_precision.py": ["--frames", "2"],
    "host.py": ["--rounds", "1", "--frames", "1", "--size", "128x64"],
    "denormals.py": ["--pairs", "1", "--frames", "1"],
    "pipeline_overhead.py": ["--pairs", "1", "--frames", "2"],
    "serve.py": ["--rounds", "1", "--frames", "4"],
    "kernels.py": ["--runs", "1"],
    "int8.py": ["--samples", "2", "--methods", "percentile"],
}


def words(given):
    """The words of a command, with shorter ones in their place."""
    name, rest = given[0], list(given[1:])
    if name == "ccc-bench" and rest[:1] != ["compare"] and not {"--help", "--version"} & set(rest):
        rest += ["--duration", "20", "--frames", "150", "--warm-up-frames", "2", "--warm-up-seconds", "0"]
    if name == "ccc-run":
        rest = _free_port(_few_frames(rest))
    if rest and os.path.basename(rest[0]) in _FEW and name.startswith("python"):
        rest += _FEW[os.path.basename(rest[0])]
    return [name] + rest


def _few_frames(rest):
    for index, word in enumerate(rest[:-1]):
        if word == "--frames" and rest[index + 1].isdigit():
            rest[index + 1] = str(min(int(rest[index + 1]), _MOST_FRAMES))
    return rest


def _free_port(rest):
    if "--serve" in rest:
        index = rest.index("--serve") + 1
        if index < len(rest) and not rest[index].startswith("-"):
            rest[index] = rest[index].rpartition(":")[0] + ":0" if ":" in rest[index] else "127.0.0.1:0"
        else:
            rest.insert(index, "127.0.0.1:0")
    return rest


def small_networks():
    """Networks that segment have inputs of ``SIZE``, unless they are asked for others; in this process from now on."""
    from ccc_jetson.export.networks import registry

    own = registry.Recognised.defaults

    def smaller(self):
        defaults = own.fget(self)
        return defaults if self.network.task != "segmentation" else defaults._replace(width=SIZE[0], height=SIZE[1])

    registry.Recognised.defaults = property(smaller)
