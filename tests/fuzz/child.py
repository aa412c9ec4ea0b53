"""The process that fuzzes one target; ``run.py`` starts it and outlives it. Prints one line of JSON a second.

What it works on lies in ``current`` before it is tried, so that nothing is lost where the process itself dies.
"""

import argparse
import gc
import hashlib
import json
import os
import random
import sys
import time

_MEMORY = 1 << 30
_TELL_S = 1.0
_KEPT_LONGEST = 1 << 20


def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--engine", choices=("atheris", "mutation"))
    parser.add_argument("--lines", action="store_true")
    arguments = parser.parse_args(argv)
    if arguments.lines:
        _print_lines(arguments)
        return
    atheris = None
    if arguments.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["ccc_jetson"]):
            from tests.fuzz.targets import target_named
    else:
        from tests.fuzz.targets import target_named
    from tests.fuzz import law

    target = target_named(arguments.name)
    session = _Session(target, arguments)
    session.replay()
    law.watch_for_hangs()
    law.limit_memory(_MEMORY)
    if atheris is not None:
        session.guided(atheris)
    else:
        session.mutate()
    session.tell()


def _print_lines(arguments):
    """Which lines of the target's modules its seeds, its corpus and some more inputs reach."""
    import coverage

    measured = coverage.Coverage(data_file=None, config_file=False)
    measured.start()
    from tests.fuzz.targets import target_named

    target = target_named(arguments.name)
    session = _Session(target, arguments)
    session.replay()
    session.replay_corpus()
    measured.stop()
    files = {os.path.realpath(path): path for path in measured.get_data().measured_files()}
    for module in target.modules:
        path = files.get(os.path.realpath(module))
        if path is None:
            print("  {}: no line".format(module))
            continue
        _, statements, _, missing, _ = measured.analysis2(path)
        share = 100.0 * (len(statements) - len(missing)) / max(1, len(statements))
        print("  {}: {} of {} lines, {:.0f} %".format(module, len(statements) - len(missing), len(statements), share))


class _Session:
    """One target, what was tried and what was found."""

    def __init__(self, target, arguments):
        self._target, self._arguments = target, arguments
        self._rng = random.Random(arguments.seed)
        self._corpus = os.path.join(arguments.folder, "corpus")
        self._crashes = os.path.join(arguments.folder, "crashes")
        for folder in (self._corpus, self._crashes):
            os.makedirs(folder, exist_ok=True)
        self._current = open(os.path.join(arguments.folder, "current"), "w+b", buffering=0)  # noqa: SIM115  (to the end)
        self.tried = self.accepted = 0
        self._faults = {}
        self._began_s = self._told_s = time.monotonic()
        self.seeds = [bytes(seed) for seed in target.seeds()]

    def replay(self):
        """The seeds themselves; a target that refuses all of them tests nothing."""
        if not [seed for seed in self.seeds if self.one(seed)]:
            raise SystemExit("{}: all seeds are refused: {}".format(self._target.name, self._faults))

    def replay_corpus(self):
        """What earlier runs kept, and some hundred inputs more."""
        from tests.fuzz.mutation import mutated

        for name in sorted(os.listdir(self._corpus)):
            with open(os.path.join(self._corpus, name), "rb") as file:
                self.one(file.read())
        for _ in range(300):
            self.one(mutated(self._rng, self.seeds, self._target.form))

    def one(self, data):
        """Tries an input; True where it was accepted."""
        from tests.fuzz import law

        self._current.seek(0)
        self._current.truncate()
        self._current.write(data)
        self.tried += 1
        accepted = False
        try:
            accepted = (law.check_memory if self.tried % 50 == 0 else law.check)(self._target, data)
        except law.Fault as fault:
            self._note(fault, data)
        self.accepted += accepted
        if not self._arguments.lines and time.monotonic() - self._told_s > _TELL_S:
            self.tell()
        return accepted

    def _note(self, fault, data):
        key = "{} {}".format(fault.kind, fault.place)
        found = self._faults.setdefault(key, {"times": 0, "text": str(fault)[:300], "bytes": 1 << 60})
        found["times"] += 1
        if len(data) < found["bytes"]:  # the shortest is kept
            found["bytes"] = len(data)
            found["file"] = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:12]
            with open(os.path.join(self._crashes, found["file"]), "wb") as file:
                file.write(data)

    def tell(self):
        self._told_s = time.monotonic()
        record = {"tried": self.tried, "accepted": self.accepted, "seconds": self._told_s - self._began_s}
        print(json.dumps(dict(record, faults=self._faults)))
        sys.stdout.flush()

    def mutate(self):
        """Seeds changed at random, until the time is up."""
        from tests.fuzz.mutation import mutated

        while time.monotonic() - self._began_s < self._arguments.seconds:
            self.one(mutated(self._rng, self.seeds, self._target.form))
            if self.tried % 1000 == 0:
                gc.collect()

    def guided(self, atheris):
        """libFuzzer chooses; the target's own way of changing inputs takes turns with libFuzzer's."""
        from tests.fuzz.mutation import mutated

        for index, seed in enumerate(self.seeds):
            with open(os.path.join(self._corpus, "seed{:03d}".format(index)), "wb") as file:
                file.write(seed)

        def change(data, most, seed):
            rng = random.Random(seed)
            if rng.random() < 0.5:
                return bytes(atheris.Mutate(data, len(data)))[:most]
            return mutated(rng, [bytes(data), rng.choice(self.seeds)], self._target.form)[:most]

        options = [
            sys.argv[0], self._corpus, "-max_total_time={:.0f}".format(self._arguments.seconds), "-timeout=60",
            "-rss_limit_mb=6000", "-seed={}".format(self._arguments.seed), "-max_len={}".format(_KEPT_LONGEST),
            "-artifact_prefix=" + self._crashes + os.sep, "-reload=0", "-detect_leaks=0",
        ]  # fmt: skip
        atheris.Setup(options, lambda data: self.one(data) and None, custom_mutator=change)
        import atexit

        atexit.register(self.tell)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
