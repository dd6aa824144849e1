#!/usr/bin/env python3
"""Compares `bobbin inspect --json` with llvm-readobj, field by field, on real files and on seeds of the fuzzer.

  inspect_test.py --bobbin COMMAND --readobj COMMAND FILE...

A FILE that is missing is a failure. Prints each difference and how much was compared; exit code 1 if they differ.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE, SECTOR = 0x1000, 512
SEEDS = re.compile(r"full|no_sections|imports_True|delay_False|exports_(sorted|unsorted|gaps)_1|tls_(0|1|14)_1_True|zero_fill")


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, encoding="utf-8",
                          errors="replace", check=True, timeout=120).stdout


def number(text):
    return int(text, 0)


def blocks(text, name, depth=None):
    """The bodies of `Name { ... }` in llvm-readobj's output, as lists of lines; at any depth unless one is given."""
    lines, found = text.splitlines(), []
    indent = " *" if depth is None else "  " * depth
    for i, line in enumerate(lines):
        opening = re.fullmatch(rf"({indent}){name} {{", line)
        if opening:
            closing = next(j for j in range(i + 1, len(lines)) if lines[j] == opening[1] + "}")
            found.append(lines[i + 1:closing])
    return found


def fields(lines):
    """`Key: value` lines as a dict; the first of each key."""
    result = {}
    for line in lines:
        key, colon, value = line.strip().partition(": ")
        if colon:
            result.setdefault(key, value)
        else:
            flags = re.match(r"(\w+) \[ \((0x[0-9A-F]+)\)", line.strip())
            if flags:
                result.setdefault(flags[1], flags[2])
    return result


class Oracle:
    """What llvm-readobj says of a file, in the shape of our JSON."""

    def __init__(self, readobj, path):
        self.readobj, self.path = readobj, path
        headers = self.ask("--file-headers")
        self.file = fields(blocks(headers, "ImageFileHeader")[0])
        self.optional = fields(blocks(headers, "ImageOptionalHeader")[0])
        self.base = number(self.optional["ImageBase"])

    def ask(self, option):
        return run(self.readobj, option, self.path)

    def header(self):
        o = self.optional
        return {"image_base": self.base, "image_size": (number(o["SizeOfImage"]) + PAGE - 1) & -PAGE,
                "entry_point": number(o["AddressOfEntryPoint"]), "section_alignment": number(o["SectionAlignment"]),
                "file_alignment": number(o["FileAlignment"]), "stack_reserve": number(o["SizeOfStackReserve"]),
                "subsystem_version": f'{o["MajorSubsystemVersion"]}.{o["MinorSubsystemVersion"]}',
                "subsystem": number(re.search(r"\((0x\w+)\)", o["Subsystem"])[1]),
                "characteristics": number(self.file["Characteristics"]),
                "dll_characteristics": number(o["Characteristics"]),
                "timestamp": number(re.search(r"\((0x\w+)\)", self.file["TimeDateStamp"])[1]),
                "is_dll": bool(number(self.file["Characteristics"]) & 0x2000)}

    def sections(self):
        for section in map(fields, blocks(self.ask("--sections"), "Section")):
            raw, offset = number(section["RawDataSize"]), number(section["PointerToRawData"])
            virtual = number(section["VirtualSize"]) or raw
            none = raw == 0 or offset == 0
            yield {"name": section["Name"].split(" (")[0], "rva": number(section["VirtualAddress"]),
                   "virtual_size": virtual, "characteristics": number(section["Characteristics"]),
                   "raw_size": 0 if none else min(raw, (virtual + PAGE - 1) & -PAGE),
                   "file_offset": 0 if none else offset & -SECTOR}

    def imports(self):
        text = self.ask("--coff-imports")
        for delayed, name in ((False, "Import"), (True, "DelayImport")):
            for block in blocks(text, name, depth=0):
                symbols = [re.fullmatch(r" *Symbol: (.*) \((\d+)\)", line) for line in block]
                yield {"name": fields(block)["Name"], "delayed": delayed,
                       "functions": [(match[1], int(match[2])) for match in symbols if match]}

    def exports(self):
        """{ordinal: (a name of it or None, RVA or forwarder)}"""
        result = {}
        for export in map(fields, blocks(self.ask("--coff-exports"), "Export")):
            target = export.get("ForwardedTo") or number(export.get("RVA", "0"))
            if target != 0 and (isinstance(target, str) or target < number(self.optional["SizeOfImage"])):
                result[number(export["Ordinal"])] = (export.get("Name") or None, target)
        return result

    def symbols(self):
        """{RVA: names} of the COFF symbols that lie in sections."""
        starts = [number(fields(section)["VirtualAddress"]) for section in blocks(self.ask("--sections"), "Section")]
        result = {}
        for symbol in map(fields, blocks(self.ask("--symbols"), "Symbol")):
            section = int(re.search(r"\((-?\d+)\)$", symbol["Section"])[1])
            if section > 0 and not symbol["Name"].startswith("."):
                result.setdefault(starts[section - 1] + number(symbol["Value"]), set()).add(symbol["Name"])
        return result

    def relocations(self):
        types = [fields(entry)["Type"] for entry in blocks(self.ask("--coff-basereloc"), "Entry")]
        return sum(kind != "ABSOLUTE" for kind in types)

    def tls(self):
        found = blocks(self.ask("--coff-tls-directory"), "TLSDirectory")
        if not found or "StartAddressOfRawData" not in fields(found[0]):
            return None
        raw = fields(found[0])
        start, end = number(raw["StartAddressOfRawData"]), number(raw["EndAddressOfRawData"])
        code = number(raw["Characteristics"]) >> 20 & 15
        return {"template": start - self.base if end != start else None, "template_size": end - start,
                "zero_fill": number(raw["SizeOfZeroFill"]), "alignment": 1 << (code - 1) if code else 0,
                "index": number(raw["AddressOfIndex"]) - self.base,
                "has_callbacks": number(raw["AddressOfCallBacks"]) != 0}


class Comparison:
    def __init__(self, arguments):
        self.arguments, self.differences, self.facts = arguments, 0, 0

    def same(self, path, what, ours, theirs):
        self.facts += 1
        if ours != theirs:
            self.differences += 1
            print(f"{path}: {what}: bobbin says {ours}, llvm-readobj {theirs}")

    def file(self, path):
        ours = json.loads(run(self.arguments.bobbin, "inspect", path, "--json"))
        oracle = Oracle(self.arguments.readobj, path)
        for key, value in oracle.header().items():
            self.same(path, key, ours["header"][key], value)
        self.same(path, "number of sections", len(ours["sections"]), int(oracle.file["SectionCount"]))
        for mine, theirs in zip(ours["sections"], oracle.sections()):
            self.same(path, "section", mine, {key: theirs[key] for key in mine})
        self.imports(path, ours["imports"], list(oracle.imports()))
        self.exports(path, ours["exports"], oracle.exports())
        self.same(path, "relocations", ours["relocation_count"], oracle.relocations())
        self.tls(path, ours["tls"], oracle)

    def imports(self, path, ours, theirs):
        mine = [{"name": dll["name"], "delayed": dll["delayed"],
                 "functions": [(f.get("name", ""), f.get("hint", f.get("ordinal"))) for f in dll["functions"]]}
                for dll in ours]
        self.same(path, "imported DLLs", [dll["name"] for dll in mine], [dll["name"] for dll in theirs])
        for one, other in zip(mine, theirs):
            self.same(path, f"imports from {one['name']}", one, other)

    def exports(self, path, ours, theirs):
        """llvm-readobj tells one name of each ordinal; we tell all."""
        mine = {}
        for export in ours:
            names, _ = mine.setdefault(export["ordinal"], (set(), export.get("forwarder") or export["rva"]))
            names.add(export.get("name"))
        self.same(path, "ordinals", sorted(mine), sorted(theirs))
        for ordinal in mine.keys() & theirs.keys():
            self.same(path, f"export {ordinal}", mine[ordinal][1], theirs[ordinal][1])
            self.same(path, f"name of export {ordinal}", theirs[ordinal][0] in mine[ordinal][0], True)

    def tls(self, path, ours, oracle):
        """Also: a callback's name must be that of a symbol or export at its address; without one, there is none."""
        theirs = oracle.tls()
        self.same(path, "TLS directory", ours is not None, theirs is not None)
        if ours is None or theirs is None:
            return
        mine = {"template": ours["template"] and ours["template"]["rva"], "index": ours["index"]["rva"],
                "has_callbacks": bool(ours["callbacks"]) or theirs["has_callbacks"]}
        self.same(path, "TLS", mine | {key: ours[key] for key in ("template_size", "zero_fill", "alignment")}, theirs)
        symbols = oracle.symbols() if ours["callbacks"] else {}
        for callback in ours["callbacks"]:
            exports = {name for name, target in oracle.exports().values() if target == callback["rva"]}
            named = symbols.get(callback["rva"], set()) | exports or {None}
            self.same(path, f"{callback.get('name')} is a name of {callback['rva']:#x}", callback.get("name") in named, True)


def seeds(folder):
    """The fuzzer's seeds of right structure, written to a folder."""
    source = Path(__file__).parent / "fuzz" / "make_corpus.py"
    spec = importlib.util.spec_from_file_location("make_corpus", source)
    corpus = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(corpus)
    for name, content in corpus.seeds():
        if SEEDS.match(name):
            path = Path(folder) / name
            path.write_bytes(content)
            yield path


def main():
    parser = argparse.ArgumentParser()
    for option in ("--bobbin", "--readobj"):
        parser.add_argument(option, required=True)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    comparison = Comparison(arguments)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(name) for name in arguments.files] + list(seeds(folder))
        for path in paths:
            if not path.is_file():
                sys.exit(f"inspect_test: {path} is missing: see tests/inspect.cmake")
            comparison.file(path)
    print(f"{len(paths)} files, {comparison.facts} facts compared, {comparison.differences} differ")
    sys.exit(comparison.differences != 0 or comparison.facts < 1000)


if __name__ == "__main__":
    main()
