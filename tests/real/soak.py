#!/usr/bin/env python3
"""Runs esbuild and biome over and over, beside each other, and compares every run with the native Linux build's answer:
for crashes, hangs and differences that come once in a thousand times. `./dev soak` runs it.

  soak.py --bobbin COMMAND --real FOLDER [RUNS]

Keeps what a run that went wrong has printed, says so, and goes on; ends with 1 if there was one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from programs import PROGRAMS, in_any_order

HANG = 120  # seconds, where a run takes less than one
TASKS = {  # arguments and the exit codes that are right
    "esbuild": (("--bundle", "--minify", "--format=esm", "--log-level=error", "src/Three.js"), (0,)),
    "biome": (("check", "--max-diagnostics=none", "--colors=off", "src/math"), (0, 1)),
}


class Soak:
    def __init__(self, name, options):
        self.name, self.options = name, options
        self.done = self.bad = 0
        windows, native = (options.real / file for file in PROGRAMS[name])
        self.ours, self.native = [options.bobbin, "run", windows], [native]

    def answer(self, command):
        arguments, codes = TASKS[self.name]
        run = subprocess.run([*command, *arguments], cwd=self.options.real / "three", stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=HANG)
        return run.returncode in codes, run.returncode, in_any_order(run.stdout), in_any_order(run.stderr)

    def run(self):
        right = self.answer(self.native)
        assert right[0], right
        for _ in range(self.options.runs):
            try:
                got = self.answer(self.ours)
            except subprocess.TimeoutExpired as hang:
                got = (False, f"hung for {HANG} s", hang.stdout or b"", hang.stderr or b"")
            self.done += 1
            if got != right:
                self.bad += 1
                kept = Path(tempfile.mkdtemp(prefix=f"bobbin-soak-{self.name}-{self.done}."))
                for what, text in (("out", got[2]), ("err", got[3])):
                    (kept / what).write_bytes(text)
                print(f"{self.name}, run {self.done}: {'differs' if got[0] else got[1]}; kept in {kept}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bobbin", required=True, help="the command")
    parser.add_argument("--real", required=True, type=Path, help="where fetch.py put the programs")
    parser.add_argument("runs", nargs="?", type=int, default=1000, help="of each program (default 1000)")
    options = parser.parse_args()
    options.bobbin, options.real = os.path.abspath(options.bobbin), options.real.resolve()
    soaks = [Soak(name, options) for name in TASKS]
    threads = [threading.Thread(target=soak.run, daemon=True) for soak in soaks]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.join(30)
        print("; ".join(f"{soak.name} {soak.done} runs, {soak.bad} bad" for soak in soaks), f"({time.monotonic() - begin:.0f} s)",
              flush=True)
    sys.exit(any(soak.bad or soak.done < options.runs for soak in soaks))


if __name__ == "__main__":
    main()
