#!/usr/bin/env python3
"""Runs one of the programs that fetch.py brought under bobbin, on real input, and compares what it does with its own
native Linux build: standard output, exit code and every file that it writes.

  run.py --bobbin COMMAND --real FOLDER [--keep FOLDER] NAME

Exit code 77 if the programs are not there (fetch.py could not get them).
"""

import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from programs import BUNDLE, PROGRAMS, as_on_linux, entry_of, in_any_order, modules_to_bundle

MISSING = 77


class Failed(Exception):
    pass


class Bench:
    """A folder to work in, with one subfolder for each side: `ours`, the Windows program, and `native`."""

    def __init__(self, arguments, scratch):
        self.bobbin = arguments.bobbin
        self.real = arguments.real.resolve()
        self.scratch = Path(scratch)

    def program(self, *path):
        file = self.real.joinpath(*path)
        if not file.exists():
            print(f"real: {file} is not there: run tests/real/fetch.py {self.real}", file=sys.stderr)
            raise SystemExit(MISSING)
        return file

    def sides(self, name):
        """(side, command) of both builds; the Windows program's is bobbin's, and has nothing that --lint finds."""
        windows, native = (str(self.program(file)) for file in PROGRAMS[name])
        return [("ours", [self.bobbin, "run", "--lint", windows]), ("native", [native])]

    def run(self, side, command, *arguments, codes=(0,)):
        done = subprocess.run([*command, *map(str, arguments)], cwd=self.scratch / side, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120)
        if done.returncode not in codes:
            raise Failed(f"{side}: exit code {done.returncode} of {' '.join(map(str, arguments))[:200]}\n"
                         f"{done.stdout.decode(errors='replace')[-2000:]}{done.stderr.decode(errors='replace')[-2000:]}")
        if b"bobbin: lint:" in done.stderr:
            raise Failed(f"--lint finds fault with it:\n{done.stderr.decode(errors='replace')[-2000:]}")
        return done

    def tree(self, side, *folders):
        """Copies of folders of the input, for one side to work on."""
        for folder in folders:
            shutil.copytree(self.program("three", folder), self.scratch / side / folder)

    def same(self, what, ours, native):
        if ours != native:
            kept = self.scratch / "differs"
            kept.mkdir(exist_ok=True)
            (kept / "ours").write_bytes(ours)
            (kept / "native").write_bytes(native)
            at = next((i for i, (a, b) in enumerate(zip(ours, native)) if a != b), min(len(ours), len(native)))
            raise Failed(f"{what} differs at byte {at} of {len(ours)} and {len(native)}:\n"
                         f"  ours   {ours[max(0, at - 60):at + 60]!r}\n  native {native[max(0, at - 60):at + 60]!r}")

    def same_files(self, ours, native, least=1):
        """Both folders hold the same files, and at least so many."""
        names = [{str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()} for root in (ours, native)]
        if names[0] != names[1]:
            raise Failed(f"files of one side alone: {sorted(names[0] ^ names[1])[:10]}")
        if len(names[0]) < least:
            raise Failed(f"{len(names[0])} files, and at least {least} were expected")
        _, different, broken = filecmp.cmpfiles(ours, native, names[0], shallow=False)
        if different or broken:
            first = (different + broken)[0]
            self.same(first, (ours / first).read_bytes(), (native / first).read_bytes())
            raise Failed(f"{first} cannot be compared")
        return len(names[0])


def esbuild(bench):
    """Bundles and minifies eight megabytes of modules, with a source map."""
    three = bench.program("three")
    modules = modules_to_bundle(three)
    out = {}
    for side, command in bench.sides("esbuild"):
        bench.tree(side, "src", "examples")
        (bench.scratch / side / "entry.js").write_text(entry_of(modules))
        version = bench.run(side, command, "--version").stdout
        done = bench.run(side, command, *BUNDLE)
        out[side] = version, (bench.scratch / side / "out.js").read_bytes(), \
            (bench.scratch / side / "out.js.map").read_bytes(), in_any_order(done.stderr)
    for what, ours, native in zip(("version", "bundle", "source map", "messages"), out["ours"], out["native"]):
        bench.same(what, ours, native)
    size = sum((three / name).stat().st_size for name in modules)
    if size < 5_000_000 or len(out["ours"][1]) < 1_000_000:
        raise Failed(f"{size} bytes of input and {len(out['ours'][1])} of output are too few")
    return f"{len(modules)} modules, {size} bytes, bundle of {len(out['ours'][1])}"


def biome(bench):
    """Checks and formats seven hundred files."""
    out = {}
    for side, command in bench.sides("biome"):
        bench.tree(side, "src")
        version = bench.run(side, command, "--version").stdout
        check = bench.run(side, command, "check", "--max-diagnostics=0", "--colors=off", "src", codes=(0, 1))
        details = bench.run(side, command, "check", "--max-diagnostics=none", "--colors=off", "src/math", codes=(0, 1))
        format = bench.run(side, command, "format", "--write", "--colors=off", "src")
        out[side] = version, as_on_linux(check.stdout), as_on_linux(check.stderr), \
            in_any_order(details.stderr), as_on_linux(format.stdout)
    for what, ours, native in zip(("version", "check", "summary", "diagnostics", "format"), out["ours"], out["native"]):
        bench.same(what, ours, native)
    count = bench.same_files(bench.scratch / "ours", bench.scratch / "native", least=300)
    if filecmp.cmp(bench.scratch / "ours/src/Three.js", bench.program("three", "src/Three.js"), shallow=False):
        raise Failed("nothing was formatted")
    return f"{count} files checked and formatted"


def ast_grep(bench):
    """Searches and rewrites seven hundred files."""
    out = {}
    for side, command in bench.sides("ast_grep"):
        bench.tree(side, "src")
        version = bench.run(side, command, "--version").stdout
        found = bench.run(side, command, "run", "--pattern", "this.$A = $B", "--lang", "js", "--json", "src").stdout
        bench.run(side, command, "run", "--pattern", "if ( $A ) return $B;", "--rewrite", "return $A && $B;", "--lang",
                  "js", "--update-all", "src")
        matches = json.loads(found.replace(b"\\\\", b"/"))
        matches.sort(key=lambda match: (match["file"], match["range"]["byteOffset"]["start"]))
        out[side] = version, json.dumps(matches, sort_keys=True).encode(), len(matches)
    bench.same("version", out["ours"][0], out["native"][0])
    bench.same("matches", out["ours"][1], out["native"][1])
    if out["ours"][2] < 1000:
        raise Failed(f"only {out['ours'][2]} matches")
    count = bench.same_files(bench.scratch / "ours", bench.scratch / "native", least=300)
    return f"{out['ours'][2]} matches, {count} files rewritten alike"


def seven_zip(bench):
    """Compresses with each build and extracts with the other, as .7z and as .zip."""
    sides = bench.sides("seven_zip")
    bench.tree("ours", "src")
    bench.tree("native", "src")
    other = {"ours": "native", "native": "ours"}
    for side, command in sides:
        for kind in ("7z", "zip"):
            bench.run(side, command, "a", "-bd", f"-t{kind}", f"made.{kind}", "src")
            bench.run(side, command, "t", "-bd", f"made.{kind}")
    count = 0
    for side, command in sides:
        for kind in ("7z", "zip"):
            archive = bench.scratch / other[side] / f"made.{kind}"
            bench.run(side, command, "x", "-bd", "-y", f"-oout-{kind}", archive if side == "native" else f"Z:{archive}")
            count = bench.same_files(bench.scratch / side / f"out-{kind}/src", bench.program("three", "src"), least=300)
        broken = bench.scratch / side / "broken.7z"
        broken.write_bytes((bench.scratch / side / "made.7z").read_bytes()[:-100])
        bench.run(side, command, "t", "-bd", "broken.7z", codes=(2,))
    return f"{count} files to and fro, as .7z and .zip; a broken archive refused"


TESTS = {function.__name__: function for function in (esbuild, biome, ast_grep, seven_zip)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bobbin", required=True, help="the command")
    parser.add_argument("--real", required=True, type=Path, help="where fetch.py put the programs")
    parser.add_argument("--keep", type=Path, help="work in this folder, and leave it")
    parser.add_argument("name", choices=TESTS)
    arguments = parser.parse_args()
    arguments.bobbin = os.path.abspath(arguments.bobbin)
    with tempfile.TemporaryDirectory(prefix="bobbin-real.") as scratch:
        bench = Bench(arguments, arguments.keep or scratch)
        for side in ("ours", "native"):
            (bench.scratch / side).mkdir(parents=True)
        try:
            print(f"{arguments.name}: {TESTS[arguments.name](bench)}")
        except Failed as failure:
            raise SystemExit(f"{arguments.name}: {failure}")


if __name__ == "__main__":
    main()
