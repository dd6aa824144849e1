"""What the suites of benchmarks share: building, running in turns, medians and the table.

A suite (class Suite) names its programs, says how each is run by each system, and what its lines mean. Programs
print lines `name nanoseconds` and their twins print the same names.
"""

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
MODES = ("free", "pinned")
TITLES = {"bobbin": "Bobbin", "swap": "Bobbin, swap", "wine": "Wine", "native": "native"}


class Suite:
    """Measurements that are made in one run."""

    systems = ("bobbin", "wine", "native")  # the columns; ratios are of the first to "wine" and "native"
    programs = {}                           # program -> the arguments that it is run with, one run each
    measured = {}                           # name -> (what it is, target as (against, low, high) or None)
    rounds = 9

    def build(self):
        """Makes the programs in WORK: start.exe is among them."""
        raise NotImplementedError

    def furnish_wine(self, prefix):
        """Adds to Wine's prefix what the programs need there."""

    def command(self, program, argument, system, options):
        """The words to run, or None if the system has nothing to run."""
        raise NotImplementedError

    def measure(self, program, words, environment):
        """Runs the program once; yields (name, value)."""
        del program
        for line in output_of(words, environment).splitlines():
            name, value = line.split()
            yield name, float(value)

    def repeats(self, program, argument):
        """How often it is run in each round: several times if it is short and the machine's noise large."""
        del program, argument
        return 1

    def derive(self, samples):
        """Adds to `samples` what follows from them: (name, mode, system) -> values."""

    def finish(self, rows):
        """Writes what the suite has beyond its table."""


# ---- building --------------------------------------------------------------------------------------------

def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


IMPORTS = "/usr/x86_64-w64-mingw32/lib/libkernel32.a"


def compile_guest(source, name=None, *definitions):
    """A Windows object: clang, for native gs:[58h] TLS."""
    target = WORK / f"{name or source}.obj"
    run("clang-22", "--target=x86_64-w64-windows-gnu", "-O2", "-ffreestanding", "-Wall", "-Wextra",
        *definitions, "-c", HERE / "guest" / f"{source}.c", "-o", target)
    return target


def compile_mingw(source):
    """A Windows program in C++, with mingw's runtimes in it."""
    run("x86_64-w64-mingw32-g++-posix", "-std=c++17", "-O2", "-Wall", "-Wextra", "-static",
        HERE / "guest" / f"{source}.cpp", "-o", WORK / f"{source}.exe")


def link_guest(output, *inputs, entry="/entry:start"):
    """lld-link, kernel32's import library and no runtime."""
    run("lld-link-22", "/nologo", entry, "/subsystem:console", "/nodefaultlib", f"/out:{WORK / output}", *inputs,
        IMPORTS)


def compile_native(source, output, *flags):
    run("g++", "-std=c++23", "-O2", "-Wall", "-Wextra", HERE / "native" / f"{source}.cpp", "-o", WORK / output, *flags,
        cwd=WORK)


# ---- running ---------------------------------------------------------------------------------------------

def wine_environment():
    return dict(os.environ, WINEPREFIX=str(WORK / "wine"), WINEDEBUG="-all", WINEDLLOVERRIDES="mscoree,mshtml=")


def output_of(words, environment):
    """By files: Wine's background processes inherit the ends of a pipe, and would keep it open."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        code = subprocess.run(words, cwd=WORK, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                              timeout=120).returncode
        out.seek(0), err.seek(0)
        if code != 0:
            raise RuntimeError(f"exit code {code}: {err.read().strip()[-300:]}")
        return out.read()


class Driver:
    def __init__(self, suite, options):
        self.suite = suite
        self.options = options
        self.samples = defaultdict(list)  # (name, mode, system) -> values
        self.broken = {}                  # (program, argument, system) -> why; reported once, then left out
        self.systems = [s for s in suite.systems if s != "wine" or WINE]

    def prefix(self, mode):
        return ["taskset", "--cpu-list", str(self.options.cpu)] if mode == "pinned" else []

    def start_wine_server(self, mode):
        """One server for the whole of a mode, on the same CPU if pinned; Wine's start is measured warm."""
        if WINE is None:
            return
        (WORK / "wine").mkdir(exist_ok=True)
        self.stop_wine_server()
        run(*self.prefix(mode), WINESERVER, "-p", env=wine_environment())
        subprocess.run([*self.prefix(mode), WINE, "start.exe"], cwd=WORK, env=wine_environment(), timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.suite.furnish_wine(WORK / "wine")

    def stop_wine_server(self):
        if WINE is not None:
            subprocess.run([WINESERVER, "-k"], env=wine_environment(), timeout=20, stderr=subprocess.DEVNULL)

    def sample(self, program, argument, system, mode):
        words = self.suite.command(program, argument, system, self.options)
        if words is None or (program, argument, system) in self.broken:
            return
        environment = wine_environment() if system == "wine" else None
        try:
            for name, value in self.suite.measure(program, [*self.prefix(mode), *map(str, words)], environment):
                self.samples[name, mode, system].append(value)
        except (OSError, RuntimeError, ValueError, subprocess.TimeoutExpired) as problem:
            self.broken[program, argument, system] = str(problem)
            print(f"\nbench: {program} {argument} does not run on {system}: {problem}", file=sys.stderr)

    def measure(self):
        wanted = [p for p in self.suite.programs if not self.options.only or p in self.options.only]
        for mode in self.options.modes:
            self.start_wine_server(mode)
            for turn in range(self.options.rounds):
                print(f"\r{mode}: round {turn + 1} of {self.options.rounds}   ", end="", file=sys.stderr, flush=True)
                for program in wanted:
                    for argument in self.suite.programs[program]:
                        for time in range(self.suite.repeats(program, argument)):
                            for i in range(len(self.systems)):  # in another order each time
                                system = self.systems[(i + time + turn) % len(self.systems)]
                                self.sample(program, argument, system, mode)
        self.stop_wine_server()
        self.suite.derive(self.samples)
        print(file=sys.stderr)


# ---- reporting -------------------------------------------------------------------------------------------

def summary(values):
    quarters = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return {"median": statistics.median(values), "spread": (quarters[2] - quarters[0]) / 2, "samples": len(values)}


def rows(suite, samples, modes):
    """One row for each benchmark and mode: the systems, the ratios, the target and whether it is met."""
    for name, (what, target) in suite.measured.items():
        for mode in modes:
            cells = {s: summary(samples[name, mode, s]) for s in suite.systems if samples.get((name, mode, s))}
            if not cells:
                continue
            ratios = {other: cells["bobbin"]["median"] / cells[other]["median"]
                      for other in ("wine", "native") if "bobbin" in cells and cells.get(other, {}).get("median")}
            row = {"name": name, "what": what, "mode": mode, "systems": cells, "ratios": ratios}
            if target:
                against, low, high = target
                row["target"] = {"against": against, "low": low, "high": high}
                value = cells["bobbin"]["median"] if against == "absolute" else ratios.get(against)
                if value is not None:
                    row["met"] = low <= value <= high
            yield row


def value_text(cell, name):
    if cell is None:
        return "-"
    median, spread = cell["median"], cell["spread"]
    if name.endswith(".kib"):
        return f"{median:.1f} ±{spread:.1f} KiB"
    if name.endswith(".count"):
        return f"{median:.0f}"
    for unit, size in (("ms", 1e6), ("us", 1e3), ("ns", 1)):
        if median >= size or unit == "ns":
            return f"{median / size:.2f} ±{spread / size:.2f} {unit}"


def target_text(row):
    if "target" not in row:
        return ""
    target = row["target"]
    bound = f"{target['low']:g}-{target['high']:g}" if target["low"] else f"<= {target['high']:.3g}"
    against = "" if target["against"] == "absolute" else f" x {TITLES[target['against']]}"
    return bound + against + {True: " met", False: " MISSED", None: ""}[row.get("met")]


def header(suite):
    return ("measured", "mode", *(TITLES[s] for s in suite.systems), "/Wine", "/native", "target")


def table(suite, all_rows):
    for row in all_rows:
        ratio = {s: f"{row['ratios'][s]:.2f}" if s in row["ratios"] else "-" for s in ("wine", "native")}
        yield (row["what"], row["mode"], *(value_text(row["systems"].get(s), row["name"]) for s in suite.systems),
               ratio["wine"], ratio["native"], target_text(row))


def print_table(head, lines):
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]
    for line in (head, tuple("-" * width for width in widths), *lines):
        print("  ".join([*(t.ljust(w) for t, w in zip(line[:2], widths)),
                         *(t.rjust(w) for t, w in zip(line[2:-1], widths[2:])), line[-1]]).rstrip())


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    version = subprocess.run([WINE, "--version"], capture_output=True, text=True).stdout.strip() if WINE else None
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "wine": version}


def write_markdown(path, head, lines):
    about = machine()
    markdown = [f"{about['cpus']} x {about['cpu']}, Linux {about['kernel']}, {about['wine'] or 'no Wine'}", "",
                "| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 3) + "---|",
                *("| " + " | ".join(line) + " |" for line in lines)]
    path.write_text("\n".join(markdown) + "\n")


def write_results(name, all_rows, head, lines, about):
    (WORK / f"{name}.json").write_text(json.dumps({"machine": about, "rows": all_rows}, indent=1) + "\n")
    write_markdown(WORK / f"{name}.md", head, lines)


def run_suite(name, suite, options):
    WORK.mkdir(parents=True, exist_ok=True)
    suite.build()
    if WINE is None:
        print("bench: NO WINE: install wine64 for the comparison (./dev setup)", file=sys.stderr)
    driver = Driver(suite, options)
    driver.measure()
    all_rows = list(rows(suite, driver.samples, options.modes))
    lines = list(table(suite, all_rows))
    about = machine()
    write_results(name, all_rows, header(suite), lines, about)
    print_table(header(suite), lines)
    print(f"\nmedians ± half the interquartile range, {options.rounds} rounds; {about['cpus']} x {about['cpu']}, "
          f"Linux {about['kernel']}, {about['wine'] or 'no Wine'}\nwritten: build/bench/{name}.md, {name}.json")
    suite.finish(all_rows)
