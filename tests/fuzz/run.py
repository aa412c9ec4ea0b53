"""The long form of fuzzing, a process for each target: ``python -m tests.fuzz.run --target all --seconds 60``.

Prints what was tried and found, and keeps in the folder of ``--out`` a corpus of each target, which the next run grows
further, and the shortest input of each fault. Ends with 1 where there is a fault.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys

from tests.fuzz.targets import all_targets, target_named

_PATIENCE_S = 120.0  # beyond the seconds: imports, seeds, the last input
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# "#4096 pulse  cov: 512 ft: 2011 corp: 153/44Kb", the last of which counts
_EDGES = re.compile(r" cov: ([0-9]+) ft: [0-9]+ corp: ([0-9]+)")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", nargs="+", default=["all"], metavar="NAME", help='"all", or names of targets')
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--engine", choices=("atheris", "mutation"), help="by default atheris where it is installed")
    parser.add_argument("--out", default=os.path.join(_ROOT, "build", "fuzz"), metavar="FOLDER")
    parser.add_argument("--lines", action="store_true", help="measure which lines the inputs reach; needs coverage")
    arguments = parser.parse_args(argv)
    try:
        targets = all_targets() if "all" in arguments.target else [target_named(name) for name in arguments.target]
    except KeyError as error:
        parser.error("no target {}; there are {}".format(error, ", ".join(each.name for each in all_targets())))
    engine = arguments.engine or ("atheris" if _has_atheris() else "mutation")
    print("seed {}, {} s for each of {} targets, {}".format(arguments.seed, arguments.seconds, len(targets), engine))
    faults = 0
    for target in targets:
        folder = os.path.join(arguments.out, re.sub("[^a-z0-9]+", "-", target.name.lower()).strip("-"))
        os.makedirs(folder, exist_ok=True)
        found = _fuzzed(target.name, folder, arguments, engine)
        faults += len(found["faults"])
        print(_row(target.name, found), flush=True)
        _keep(folder, found)
        if arguments.lines:
            print(_lines(target.name, folder, arguments), flush=True)
    print("{} faults{}".format(faults, "; inputs lie in " + arguments.out if faults else ""))
    return 1 if faults else 0


def _has_atheris():
    try:
        import atheris  # noqa: F401
    except ImportError:
        return False
    return True


def _child(name, folder, arguments, *more):
    return [sys.executable, "-m", "tests.fuzz.child", name, folder, "--seed", str(arguments.seed), *more]


def _fuzzed(name, folder, arguments, engine):
    """The child's last word, and its death where it was one."""
    command = _child(name, folder, arguments, "--seconds", str(arguments.seconds), "--engine", engine)
    paths = [os.path.join(folder, each) for each in ("stdout", "stderr")]
    with open(paths[0], "w") as out, open(paths[1], "w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=_ROOT)
        try:
            code = process.wait(arguments.seconds + _PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    said, complained = (_text(path) for path in paths)
    lines = [line for line in said.splitlines() if line.startswith('{"tried"')]
    found = json.loads(lines[-1]) if lines else {"tried": 0, "accepted": 0, "seconds": 0.0, "faults": {}}
    edges = _EDGES.findall(complained)
    found["edges"], found["corpus"] = (int(each) for each in (edges[-1] if edges else (0, 0)))
    if code:
        last = (complained.strip().splitlines() or [""])[-1][:300]
        found["faults"]["the process died"] = {
            "text": "code {}: {}".format(code, last),
            "file": "../current",
            "times": 1,
        }
    return found


def _row(name, found):
    reached = ", {:,} edges, {:,} inputs kept".format(found["edges"], found["corpus"]) if found["edges"] else ""
    text = "{}: {:,} inputs in {:.0f} s, {:,} accepted{}, {} faults".format(
        name, found["tried"], found["seconds"], found["accepted"], reached, len(found["faults"])
    )
    return text + "".join(
        "\n  {} times: {}\n    crashes/{}".format(fault["times"], fault["text"], fault.get("file", "?"))
        for fault in found["faults"].values()
    )


def _keep(folder, found):
    """Adds this run to the figures of all."""
    path = os.path.join(folder, "figures.json")
    total = json.loads(_text(path) or '{"tried": 0, "accepted": 0, "seconds": 0.0, "runs": 0, "edges": 0}')
    for key in ("tried", "accepted", "seconds"):
        total[key] += found[key]
    total["runs"] += 1
    total["edges"] = max(total["edges"], found["edges"])
    with open(path, "w") as file:
        json.dump(total, file)


def _lines(name, folder, arguments):
    process = subprocess.run(
        _child(name, folder, arguments, "--lines"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=_ROOT
    )
    return process.stdout.decode() or process.stderr.decode()[-500:]


def _text(path):
    if not os.path.exists(path):
        return ""
    with open(path, errors="replace") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main())
