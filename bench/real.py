"""Real programs, beside Wine and beside their native Linux builds: the whole process, start to exit.

They are tests/real's, on its input; `./dev bench real` fetches them as the tests do.
"""

import shutil
import subprocess
import sys
import tempfile
import threading
import time

from harness import (BOBBIN, ROOT, WINE, WORK, Suite, compile_guest, compile_native, link_guest, run)

sys.path.append(str(ROOT / "tests" / "real"))
from programs import BUNDLE, PROGRAMS, entry_of, modules_to_bundle  # noqa: E402

REAL = ROOT / "build" / "real"
MEGABYTE = ("animation", "core", "extras", "geometries", "math")  # folders of three.js' src
TASKS = {  # program and arguments, run in a folder of the system's own
    "bundle": ("esbuild", BUNDLE),
    "format": ("biome", ("format", "--write", "--colors=off", "tree")),
    "lint": ("biome", ("lint", "--max-diagnostics=0", "--colors=off", "tree")),
    "search": ("ast_grep", ("run", "--pattern", "this.$A = $B", "--lang", "js", "--json", "tree")),
    "compress": ("seven_zip", ("a", "-bd", "-tzip", "made.zip", "tree")),
}


class Real(Suite):
    rounds = 7
    programs = {**{f"version.{name}": ["--version"] for name in PROGRAMS if name != "seven_zip"},
                **{task: [""] for task in TASKS}}
    measured = {
        "version.esbuild": ("esbuild --version", ("native", 0, 3)),
        "version.biome": ("biome --version", ("native", 0, 3)),
        "version.ast_grep": ("ast-grep --version", ("native", 0, 3)),
        "bundle": ("esbuild bundles 7.9 MB", ("native", 0, 1.15)),
        "format": ("biome formats 1 MB", ("native", 0, 1.4)),
        "lint": ("biome lints 1 MB", ("native", 0, 1.4)),
        "search": ("ast-grep searches 1 MB", ("native", 0, 1.4)),
        "compress": ("7za compresses 1 MB", None),
    }

    def build(self):
        run(ROOT / "tests" / "real" / "fetch.py", REAL)
        link_guest("start.exe", compile_guest("start"))
        compile_native("spawn", "spawn", "-pthread", "-ldl")
        three = REAL / "three"
        for system in self.systems:
            folder = WORK / "real" / system
            shutil.rmtree(folder, ignore_errors=True)
            for name in ("src", "examples"):
                shutil.copytree(three / name, folder / name)
            (folder / "entry.js").write_text(entry_of(modules_to_bundle(three)))
            self.renew(folder)
        run("x86_64-w64-mingw32-gcc-posix", "-O2", "-Wall", "-shared", "-nostdlib", "-Wl,-e,start",
            ROOT / "bench" / "guest" / "bcryptprimitives.c", "-ladvapi32", "-o", WORK / "bcryptprimitives.dll")

    def furnish_wine(self, prefix):
        shutil.copy(WORK / "bcryptprimitives.dll", prefix / "drive_c" / "windows" / "system32")

    def renew(self, folder):
        """The tree as it came: programs write to it."""
        shutil.rmtree(folder / "tree", ignore_errors=True)
        for name in MEGABYTE:
            shutil.copytree(REAL / "three" / "src" / name, folder / "tree" / name)
        (folder / "made.zip").unlink(missing_ok=True)

    def repeats(self, program, argument):
        """Two CPUs and more threads than that: which of them meet on one is luck, and a run takes this long or that."""
        return 5 if argument else 3

    def command(self, program, argument, system, options):
        name, arguments = TASKS.get(program, (program.removeprefix("version."), [argument]))
        windows, native = (REAL / file for file in PROGRAMS[name])
        executable = {"bobbin": [BOBBIN, "run", windows], "wine": [WINE, windows], "native": [native]}[system]
        timed = [WORK / "spawn", 1] if argument else []
        return [*timed, *executable, *arguments]

    def measure(self, program, words, environment):
        system = "wine" if environment else "bobbin" if str(BOBBIN) in words else "native"
        folder = WORK / "real" / system
        if program in TASKS:
            self.renew(folder)
        # By files: Wine's background processes inherit the ends of a pipe, and would keep it open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            begin = time.perf_counter_ns()
            process = subprocess.Popen(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            # Not wait(timeout), which looks every 50 ms.
            watchdog = threading.Timer(300, process.kill)
            watchdog.start()
            code = process.wait()
            taken = time.perf_counter_ns() - begin
            watchdog.cancel()
            out.seek(0), err.seek(0)
            if code != 0 and (program, code) != ("lint", 1):  # it has found something
                raise RuntimeError(f"exit code {code}: {err.read().strip()[-300:]}")
            if program not in TASKS:
                taken = float(out.read().split()[-1])
        yield program, taken
