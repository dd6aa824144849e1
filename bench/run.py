#!/usr/bin/env python3
"""Measures Bobbin beside Wine and beside native Linux, in one run.

Each guest program of bench/guest is run by Bobbin and by Wine, its twin of bench/native as it is; the three take
turns, so that a machine that warms up or slows down does so for all. Everything is measured twice: free, and
pinned to one CPU (Wine's server too), because waking an idle CPU is dear on some machines and makes everything
that switches between threads or processes look worse than it is.

A cell is the median over the rounds, with half the interquartile range as the spread. Nothing here is a test:
times depend on the machine. The targets beside the ratios are what the project wants to reach.

Prints a table, and writes results.json and results.md to build/bench/.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / "build" / "bench"
BOBBIN = ROOT / "build" / "bin" / "bobbin"
WINE = next((p for p in (shutil.which("wine64"), "/usr/lib/wine/wine64") if p and os.path.exists(p)), None)
WINESERVER = next((p for p in (shutil.which("wineserver"), "/usr/lib/wine/wineserver") if p and os.path.exists(p)), None)
SYSTEMS = ("bobbin", "wine", "native")
MODES = ("free", "pinned")
LIBRARIES = 100

# program -> the arguments that it is run with
PROGRAMS = {"start": [""], "access": [""], "slots": [""], "alloc": [""], "threads": ["0", "1", "10", "100"],
            "load": [""], "calls": [""], "heap": [""]}

# name -> (what it is, target as (against, low, high) or None); in the order of the table
MEASURED = {
    "start": ("process, start to exit", ("native", 0, 1.5)),
    "access.exe": ("thread_local of the program", ("wine", 0.95, 1.05)),
    "access.dll": ("thread_local of a library", ("wine", 0.95, 1.05)),
    "get.low": ("TlsGetValue, slot < 64", ("wine", 0, 0.65)),
    "set.low": ("TlsSetValue, slot < 64", ("wine", 0, 0.65)),
    "get.high": ("TlsGetValue, slot >= 64", ("wine", 0, 0.65)),
    "set.high": ("TlsSetValue, slot >= 64", ("wine", 0, 0.65)),
    "alloc.1": ("TlsAlloc + TlsFree, 1 thread", None),
    "alloc.64": ("TlsAlloc + TlsFree, 64 threads", None),
    "alloc.1000": ("TlsAlloc + TlsFree, 1000 threads", None),
    "thread.0": ("thread create + join, 0 TLS DLLs", ("native", 0, 1.5)),
    "thread.1": ("thread create + join, 1 TLS DLL", ("native", 0, 1.5)),
    "thread.10": ("thread create + join, 10 TLS DLLs", ("native", 0, 1.5)),
    "thread.100": ("thread create + join, 100 TLS DLLs", None),
    "load": ("load + unload of a TLS DLL", ("native", 0, 3)),
    "call.into_guest": ("call, host to guest (native: pointer)", None),
    "call.into_host": ("call, guest to host (native: pointer)", None),
    "heap.16": ("HeapAlloc + HeapFree, 16 bytes (native: malloc)", ("native", 0, 1.5)),
    "heap.own": ("the same in a heap of one's own", ("native", 0, 1.5)),
    "heap.1000": ("HeapAlloc + HeapFree, 1000 bytes", ("native", 0, 1.5)),
    "heap.64k": ("HeapAlloc + HeapFree, 64 KiB", None),
    "heap.live": ("the same, 1000 live blocks of 64 bytes", ("native", 0, 1.5)),
    "heap.threads": ("the same in 4 threads, 64 bytes", ("native", 0, 1.5)),
}


# ---- building --------------------------------------------------------------------------------------------

def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


def build_guests():
    """The Windows programs: clang for native gs:[58h] TLS, lld-link, kernel32's import library and no runtime."""
    imports = "/usr/x86_64-w64-mingw32/lib/libkernel32.a"

    def compiled(name):
        target = WORK / f"{name}.obj"
        run("clang-22", "--target=x86_64-w64-windows-gnu", "-O2", "-ffreestanding", "-Wall", "-Wextra", "-c",
            HERE / "guest" / f"{name}.c", "-o", target)
        return target

    def linked(output, *inputs):
        run("lld-link-22", "/nologo", "/entry:start", "/subsystem:console", "/nodefaultlib", f"/out:{WORK / output}",
            *inputs, imports)

    library = compiled("library")
    linked("bench_tls_000.dll", "/dll", f"/implib:{WORK / 'library.lib'}", library)
    for i in range(1, LIBRARIES):
        shutil.copyfile(WORK / "bench_tls_000.dll", WORK / f"bench_tls_{i:03}.dll")
    linked("callee.dll", "/dll", compiled("callee"))
    linked("access.exe", compiled("access"), WORK / "library.lib")
    for name in ("start", "slots", "alloc", "threads", "load", "heap"):
        linked(f"{name}.exe", compiled(name))


def build_natives():
    flags = ["-std=c++23", "-O2", "-Wall", "-Wextra"]
    native = HERE / "native"
    run("g++", *flags, "-fPIC", "-shared", native / "library.cpp", "-o", WORK / "bench_tls_000.so")
    for i in range(1, LIBRARIES):
        shutil.copyfile(WORK / "bench_tls_000.so", WORK / f"bench_tls_{i:03}.so")
    run("g++", *flags, native / "access.cpp", "./bench_tls_000.so", "-Wl,-rpath,$ORIGIN", "-o", WORK / "access",
        cwd=WORK)
    for name in ("start", "slots", "alloc", "threads", "load", "calls", "spawn", "heap"):
        run("g++", *flags, native / f"{name}.cpp", "-o", WORK / name, "-pthread", "-ldl")


# ---- running ---------------------------------------------------------------------------------------------

def wine_environment():
    return dict(os.environ, WINEPREFIX=str(WORK / "wine"), WINEDEBUG="-all", WINEDLLOVERRIDES="mscoree,mshtml=")


def command(program, argument, system, spawns):
    arguments = [argument] if argument else []
    if program == "calls" and system != "native":
        return [ROOT / "build" / "bin" / "calls_bench"] if system == "bobbin" else None
    executable = {"bobbin": [BOBBIN, "run", WORK / f"{program}.exe"], "wine": [WINE, f"{program}.exe"],
                  "native": [WORK / program]}[system]
    timed = [WORK / "spawn", spawns] if program == "start" else []
    return [*timed, *executable, *arguments]


class Driver:
    def __init__(self, options):
        self.options = options
        self.samples = defaultdict(list)  # (name, mode, system) -> nanoseconds
        self.broken = {}                  # (program, system) -> why; reported once, then left out
        self.systems = [s for s in SYSTEMS if s != "wine" or WINE]

    def prefix(self, mode):
        return ["taskset", "--cpu-list", str(self.options.cpu)] if mode == "pinned" else []

    def start_wine_server(self, mode):
        """One server for the whole of a mode, on the same CPU if pinned; Wine's start is measured warm."""
        if WINE is None:
            return
        (WORK / "wine").mkdir(exist_ok=True)
        subprocess.run([WINESERVER, "-k"], env=wine_environment(), timeout=20, stderr=subprocess.DEVNULL)
        run(*self.prefix(mode), WINESERVER, "-p", env=wine_environment())
        subprocess.run([*self.prefix(mode), WINE, "start.exe"], cwd=WORK, env=wine_environment(), timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop_wine_server(self):
        if WINE is not None:
            subprocess.run([WINESERVER, "-k"], env=wine_environment(), timeout=20, stderr=subprocess.DEVNULL)

    def sample(self, program, argument, system, mode):
        words = command(program, argument, system, self.options.spawns)
        if words is None or (program, system) in self.broken:
            return
        environment = wine_environment() if system == "wine" else None
        try:
            for line in self.output([*self.prefix(mode), *map(str, words)], environment).splitlines():
                name, value = line.split()
                self.samples[name, mode, system].append(float(value))
        except (OSError, RuntimeError, ValueError, subprocess.TimeoutExpired) as problem:
            self.broken[program, system] = str(problem)
            print(f"\nbench: {program} does not run on {system}: {problem}", file=sys.stderr)

    def output(self, words, environment):
        """By files: Wine's background processes inherit the ends of a pipe, and would keep it open."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            code = subprocess.run(words, cwd=WORK, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                  timeout=60).returncode
            out.seek(0), err.seek(0)
            if code != 0:
                raise RuntimeError(f"exit code {code}: {err.read().strip()[-300:]}")
            return out.read()

    def measure(self):
        wanted = [p for p in PROGRAMS if not self.options.only or p in self.options.only]
        for mode in self.options.modes:
            self.start_wine_server(mode)
            for turn in range(self.options.rounds):
                print(f"\r{mode}: round {turn + 1} of {self.options.rounds}   ", end="", file=sys.stderr, flush=True)
                for program in wanted:
                    for argument in PROGRAMS[program]:
                        for i in range(len(self.systems)):  # in another order each round
                            self.sample(program, argument, self.systems[(i + turn) % len(self.systems)], mode)
        self.stop_wine_server()
        print(file=sys.stderr)


# ---- reporting -------------------------------------------------------------------------------------------

def summary(values):
    quarters = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return {"median_ns": statistics.median(values), "spread_ns": (quarters[2] - quarters[0]) / 2, "samples": len(values)}


def rows(samples, modes):
    """One row for each benchmark and mode: the three systems, the ratios, the target and whether it is met."""
    for name, (what, target) in MEASURED.items():
        for mode in modes:
            cells = {s: summary(samples[name, mode, s]) for s in SYSTEMS if samples.get((name, mode, s))}
            if not cells:
                continue
            ratios = {other: cells["bobbin"]["median_ns"] / cells[other]["median_ns"]
                      for other in ("wine", "native") if "bobbin" in cells and other in cells}
            row = {"name": name, "what": what, "mode": mode, "systems": cells, "ratios": ratios}
            if target:
                against, low, high = target
                row["target"] = {"against": against, "low": low, "high": high}
                if against in ratios:
                    row["met"] = low <= ratios[against] <= high
            yield row


def time_text(cell):
    if cell is None:
        return "-"
    median, spread = cell["median_ns"], cell["spread_ns"]
    for unit, size in (("ms", 1e6), ("us", 1e3), ("ns", 1)):
        if median >= size or unit == "ns":
            return f"{median / size:.2f} ±{spread / size:.2f} {unit}"


def target_text(row):
    if "target" not in row:
        return ""
    target = row["target"]
    bound = f"{target['low']:.2f}-{target['high']:.2f}" if target["low"] else f"<= {target['high']:.2f}"
    verdict = {True: " met", False: " MISSED", None: ""}[row.get("met")]
    return f"{bound} x {target['against'].capitalize()}{verdict}"


HEADER = ("measured", "mode", "Bobbin", "Wine", "native", "/Wine", "/native", "target")


def table(all_rows):
    for row in all_rows:
        ratio = {s: f"{row['ratios'][s]:.2f}" if s in row["ratios"] else "-" for s in ("wine", "native")}
        yield (row["what"], row["mode"], *(time_text(row["systems"].get(s)) for s in SYSTEMS), ratio["wine"],
               ratio["native"], target_text(row))


def print_table(lines):
    widths = [max(len(line[i]) for line in (HEADER, *lines)) for i in range(len(HEADER))]
    for line in (HEADER, tuple("-" * width for width in widths), *lines):
        left, right = line[:2], line[2:7]
        print("  ".join([*(t.ljust(w) for t, w in zip(left, widths)),
                         *(t.rjust(w) for t, w in zip(right, widths[2:])), line[7]]).rstrip())


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    version = subprocess.run([WINE, "--version"], capture_output=True, text=True).stdout.strip() if WINE else None
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "wine": version}


def write_results(all_rows, lines, about):
    (WORK / "results.json").write_text(json.dumps({"machine": about, "rows": all_rows}, indent=1) + "\n")
    markdown = [f"{about['cpus']} x {about['cpu']}, Linux {about['kernel']}, {about['wine'] or 'no Wine'}", "",
                "| " + " | ".join(HEADER) + " |", "|---|---|" + "---:|" * 5 + "---|",
                *("| " + " | ".join(line) + " |" for line in lines)]
    (WORK / "results.md").write_text("\n".join(markdown) + "\n")


def parse_options():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="how often each program is run (default 9)")
    parser.add_argument("--spawns", type=int, default=10, help="starts of a process per round (default 10)")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU to pin to (default: the last)")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--only", nargs="+", choices=list(PROGRAMS), help="only these programs")
    return parser.parse_args()


def main():
    options = parse_options()
    WORK.mkdir(parents=True, exist_ok=True)
    build_guests()
    build_natives()
    driver = Driver(options)
    if WINE is None:
        print("bench: NO WINE: install wine64 for the comparison (./dev setup)", file=sys.stderr)
    driver.measure()
    all_rows = list(rows(driver.samples, options.modes))
    lines = list(table(all_rows))
    about = machine()
    write_results(all_rows, lines, about)
    print_table(lines)
    print(f"\nmedians ± half the interquartile range, {options.rounds} rounds; {about['cpus']} x {about['cpu']}, "
          f"Linux {about['kernel']}, {about['wine'] or 'no Wine'}\nwritten: build/bench/results.md, results.json")


if __name__ == "__main__":
    main()
