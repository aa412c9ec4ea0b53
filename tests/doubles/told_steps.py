"""Stands for the interpreter of a report's steps: instead of running a command, it leaves what that would leave.

BOARD_TOLD is JSON: for a command's module, or the script's name, what is to happen otherwise: ``exit`` (code), ``says``
(standard error), ``hangs`` (until it is interrupted), ``writes`` false (nothing, whatever the exit code says).
"""

import json
import os
import re
import shutil
import sys
import time

MANIFEST = "manifest.json"  # in the board's root: what a build leaves beside its engine
FPS = {"0": 16.25, "1": 9.5, "2": 20.0, "3": 12.5}  # by the power mode


def mode(root):
    with open(os.path.join(root, "var/lib/nvpmodel/status")) as file:
        return str(int(file.read().split(":")[1]))


def power_mode_name(root):
    from ccc_jetson.board import read_board

    return read_board(root).power_mode


def write(path, record):
    with open(path, "w") as file:
        json.dump(record, file)


def engine(words, root):
    path = words[words.index("-o") + 1]
    with open(path, "wb") as file:
        file.write(b"plan")
    shutil.copy(os.path.join(root, MANIFEST), path + ".json")


def evaluation(words, root):
    write(words[words.index("--report") + 1], {"miou": 0.402, "pixel_accuracy": 0.743, "frames": 24})


def benchmark(words, root):
    summary = {"mean_power_w": 7.5, "hottest_c": 61.5, "throttled_s": 1.5}
    result = {
        "fps": FPS[mode(root)], "frame": {"p50_ms": 61.0, "p99_ms": 80.5}, "network": {"p50_ms": 50.25},
        "telemetry": {"summary": summary, "joules_per_frame": 0.46}, "notes": ["the clocks are free to move"],
        "backend": "TensorRT 8.2.1.8 on NVIDIA Tegra X2",
    }  # fmt: skip
    write(
        words[words.index("--report") + 1],
        {"results": [result], "environment": {"power_mode": power_mode_name(root)}},
    )


def run(words, root):
    write(words[words.index("--report") + 1], {"fps": 29.7, "frames": 300, "dropped": 2, "latency": {"p50_ms": 71.0}})


def kernels(words, root):
    one = {"title": "pre BGR float16", "is_right": True, "microseconds": 90.0, "gigabytes_per_second": 30.0}
    print(json.dumps({"copy_gigabytes_per_second": 40.0, "kernels": [dict(one, share=0.75)]}))


def soak(words, root):
    trend = {"name": "resident KiB", "first": 100000.0, "last": 100010.0, "growth": 3.0, "allowed": 2000.0}
    write(os.path.join(words[1], "soak.json"), {"trends": [dict(trend, grows=False)]})


def doctor(words, root):
    if "--version" in words:
        print("ccc-doctor 0.1.0\nnumpy 1.19.4")
        return
    found = {"verdict": "problem", "probe": "power-mode", "evidence": "not the fastest", "fix": "sudo nvpmodel -m 0"}
    print(json.dumps({"kind": "doctor", "findings": [dict(found, verdict="ok", probe="disk", fix=""), found]}))


LEAVE = {
    "engines.build_cli": engine, "runtime.eval_cli": evaluation, "runtime.bench.cli": benchmark,
    "runtime.run_cli": run, "kernels.py": kernels, "soak.py": soak, "runtime.doctor.cli": doctor,
    "engines.inspect_cli": lambda words, root: print("a model"),
    "runtime.board_report.golden_frames": lambda words, root: None, "pytest": lambda words, root: None,
}  # fmt: skip


def main():
    root, words = sys.argv[1], sys.argv[2:]
    name = os.path.basename(words[0])
    if words[0] == "-c":
        name = re.search(r"from (?:ccc_jetson\.)?(\S+) import", words[1]).group(1)
        words = words[2:]
    else:
        words = words[1:]
    told = json.loads(os.environ.get("BOARD_TOLD", "{}")).get(name, {})
    sys.stderr.write(told.get("says", "") + "\n")
    if told.get("hangs"):
        try:
            sys.stderr.write("hanging\n")
            sys.stderr.flush()
            time.sleep(600)
        except KeyboardInterrupt:
            sys.stderr.write("ended in order\n")
            sys.exit(130)
    if told.get("writes", True) and not told.get("exit"):
        LEAVE[name](words, root)
    sys.exit(told.get("exit", 0))


if __name__ == "__main__":
    main()
