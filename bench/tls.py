"""The TLS engine at its limits: many modules, large templates, many threads.

Templates of 64 B, 64 KiB and 4 MiB in 0 to 100 DLLs, which are made here. Beside the table it draws chart.svg: cost
against threads, modules and template size, where the shape of the growth is the point; and it writes growth.md, the two
ways of growing beside each other.
"""

import os
import re
import statistics
import subprocess

import chart
from harness import (BOBBIN, WINE, WORK, Suite, compile_guest, compile_native, link_guest, print_table, run,
                     value_text, write_markdown)

SIZES = {64: 100, 65536: 100, 4194304: 100}  # template bytes -> how many DLLs
LOADS = (1, 10, 100, 1000, 4000, 10000)
OURS = {"bobbin": [], "swap": ["--tls-growth=swap"]}  # the two ways of growing: options
RETIRED = re.compile(r"retired \(\d+ by now, (\d+) bytes\)")
WINE_THREADS = 4000  # about what Wine can have alive at once
ALIVE = {"bobbin": 20000, "swap": 20000, "native": 20000, "wine": 4000}


def births(size, count, touched=0):
    return f"{size} {count} {touched}"


class Tls(Suite):
    systems = ("bobbin", "swap", "wine", "native")
    rounds = 5
    programs = {
        "births": [births(64, 0), births(64, 1), births(64, 10), births(64, 100),
                   births(64, 100, 1), births(64, 10, 2), births(64, 100, 2),
                   births(65536, 1), births(65536, 10), births(65536, 100),
                   births(4194304, 1), births(4194304, 10), births(4194304, 100)],
        "loads": [str(threads) for threads in LOADS],
        "cells": ["1", "1000"],
        "alive": ["0", "100"],
        "retired": [str(threads) for threads in LOADS],
    }
    # Where a time was to be reached, it is a fraction of what Wine or Linux took on the machine of that time: a
    # machine half as fast must not miss it, nor a faster one pass.
    measured = {
        "birth.64.0.0": ("create + join, no TLS DLL", ("native", 0, 1.5)),
        "birth.64.1.0": ("create + join, 1 x 64 B", ("native", 0, 1.5)),
        "birth.64.10.0": ("create + join, 10 x 64 B", ("native", 0, 1.5)),
        "birth.64.100.0": ("create + join, 100 x 64 B", ("native", 0, 2.2)),
        "birth.64.100.1": ("create + join, 100 x 64 B, touched", None),
        "birth.65536.1.0": ("create + join, 1 x 64 KiB", None),
        "birth.65536.10.0": ("create + join, 10 x 64 KiB", None),
        "birth.65536.100.0": ("create + join, 100 x 64 KiB", ("native", 0, 21)),
        "birth.4194304.1.0": ("create + join, 1 x 4 MiB", ("native", 0, 3)),
        "birth.4194304.10.0": ("create + join, 10 x 4 MiB", None),
        "birth.4194304.100.0": ("create + join, 100 x 4 MiB", ("native", 0, 130)),
        "told.10": ("one of 10 modules told of a birth or death (native: a destructor)", ("native", 0, 20 / 21)),
        "told.100": ("one of 100 modules told of a birth or death", None),
        "load.1": ("load of a 64 B TLS DLL, 1 thread", ("native", 0, 2)),
        **{f"load.{n}": (f"load of a 64 B TLS DLL, {n} threads", None) for n in LOADS[1:]},
        "load.each": ("load, for each further thread", ("wine", 0, 40 / 147)),
        "cell.unset.1": ("TlsAlloc + TlsFree, 1 thread", ("wine", 0, 60 / 646)),
        "cell.set.1": ("the same, the slot was set", ("wine", 0, 60 / 646)),
        "cell.unset.1000": ("TlsAlloc + TlsFree, 1000 threads", ("wine", 0, 8 / 45.6)),
        "cell.set.1000": ("the same, the slot was set in all", ("wine", 0, 8 / 45.6)),
        "alive.0.count": ("threads alive at once", ("absolute", 20000, 1e9)),
        "alive.0.kib": ("memory of each of them", ("absolute", 0, 24)),
        "alive.100.kib": ("the same, then 100 x 64 B are loaded", None),
        "alive.0.descriptors.count": ("file descriptors for all of them", ("absolute", 0, 0)),
        "alive.0.mappings.count": ("mappings for all of them", None),
        **{f"retired.{n}.kib": (f"vectors retired by loads of 20 x 64 B, {n} threads", None) for n in LOADS},
    }

    def build(self):
        for size, count in SIZES.items():
            kinds = {"_": [], "n": ["-DNOTIFIED"]} if size == 64 else {"_": []}
            for kind, definitions in kinds.items():
                self.make_libraries(size, count, kind, definitions)
        for name in ("start", "births", "loads", "cells", "alive"):
            link_guest(f"{name}.exe", compile_guest(name))
        for name in ("births", "loads", "cells", "alive"):
            compile_native(name, name, "-pthread", "-ldl")

    @staticmethod
    def make_libraries(size, count, kind, definitions):
        """Sections aligned in the file as in memory, as large DLLs mostly are not: what is measured is TLS."""
        name = f"tls_{size}{kind}"
        code = compile_guest("sized", name, f"-DTEMPLATE={size}", *definitions)
        link_guest(f"{name}000.dll", "/dll", "/filealign:4096", code, entry="/entry:start" if definitions else "/noentry")
        compile_native("sized", f"{name}000.so", "-fPIC", "-shared", f"-DTEMPLATE={size}", *definitions)
        for i in range(1, count):
            for ending in ("dll", "so"):
                run("cp", "--sparse=always", WORK / f"{name}000.{ending}", WORK / f"{name}{i:03}.{ending}")

    def command(self, program, argument, system, options):
        if program == "alive":
            if argument != "0" and system not in OURS:
                return None
            argument = f"{ALIVE[system]} {argument}"
        if program == "retired":  # what the trace of loads says
            if system not in OURS:
                return None
            return [BOBBIN, "run", "--trace=tls", *OURS[system], WORK / "loads.exe", argument]
        if system == "wine" and program == "loads" and int(argument) > WINE_THREADS:
            return None
        ours = {way: [BOBBIN, "run", *words, WORK / f"{program}.exe"] for way, words in OURS.items()}
        return (ours | {"wine": [WINE, f"{program}.exe"], "native": [WORK / program]})[system] + argument.split()

    def measure(self, program, words, environment):
        if program == "retired":
            trace = subprocess.run(words, cwd=WORK, capture_output=True, text=True, check=True, timeout=120).stderr
            yield f"retired.{words[-1]}.kib", max([0, *map(int, RETIRED.findall(trace))]) / 1024
            return
        if program != "alive":
            yield from super().measure(program, words, environment)
            return
        with subprocess.Popen(words, cwd=WORK, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as process:
            try:
                before = look_at(process)
                after = look_at(process)
            finally:
                process.kill()
        threads, libraries = map(int, words[-2:])
        yield f"alive.{libraries}.count", after["threads"]
        yield f"alive.{libraries}.kib", (after["kib"] - before["kib"]) / (threads - 1)
        yield f"alive.{libraries}.descriptors.count", after["descriptors"] - before["descriptors"]
        yield f"alive.{libraries}.mappings.count", after["mappings"] - before["mappings"]

    def repeats(self, program, argument):
        """What threads cost depends on whether an idle CPU has to be woken: many short runs instead of a long one."""
        small = argument.startswith("64 ") or argument in ("1", "1000")
        return {"births": 10, "loads": 3, "cells": 4}.get(program, 1) if small else 1

    def derive(self, samples):
        for (name, mode, system), values in list(samples.items()):
            if name == "load.1000":
                one = statistics.median(samples["load.1", mode, system])
                samples["load.each", mode, system] = [(value - one) / 999 for value in values]

    def finish(self, rows):
        mode = "pinned" if any(row["mode"] == "pinned" for row in rows) else "free"
        chart.draw(WORK / "chart.svg", [row for row in rows if row["mode"] == mode], self.systems)
        print("written: build/bench/chart.svg\n")
        self.compare_growths(rows)

    def compare_growths(self, rows):
        """The two ways of growing beside each other: what a load costs, what a thread takes, what is retired."""
        head, lines = ("measured", "mode", "in place", "swap", "swap/in place"), []
        for row in rows:
            cells = [row["systems"].get(way) for way in OURS]
            name = row["name"]
            if all(cells) and name.startswith(("load.", "alive.", "retired.")) and not name.endswith(".count"):
                in_place, swap = (cell["median"] for cell in cells)
                lines.append((row["what"], row["mode"], *(value_text(cell, name) for cell in cells),
                              f"{swap / in_place:.2f}" if in_place else "-"))
        write_markdown(WORK / "growth.md", head, lines)
        print_table(head, lines)
        print("written: build/bench/growth.md")


def look_at(process):
    """Waits until the process says that it is ready, looks, and lets it go on."""
    if process.stdout.readline().strip() != b"ready":
        raise RuntimeError("ended before it was ready")
    status = dict(line.split(":", 1) for line in open(f"/proc/{process.pid}/status"))
    seen = {"threads": int(status["Threads"]), "kib": int(status["VmRSS"].split()[0]),
            "descriptors": len(os.listdir(f"/proc/{process.pid}/fd")),
            "mappings": sum(1 for _ in open(f"/proc/{process.pid}/maps"))}
    process.stdin.write(b"\n")
    process.stdin.flush()
    return seen
