#!/usr/bin/env python3
"""The natives, as the tables in src/win32/ list them: NATIVE, NT_NATIVE, SYSTEM_CALL, FAST, HOT and PARTIAL entries.

  natives.py            one line for each: name, kind, file, and for a partial one what it leaves out
  natives.py --readme   check that README.md lists exactly the partial ones, and that they are few enough
  natives.py --write    write that list into README.md
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MOST_PARTIAL = 10
BEGIN, END = "<!-- partial natives: written by scripts/natives.py --write -->", "<!-- end of partial natives -->"

ENTRY = re.compile(r'\b(NATIVE_AT|NATIVE|NT_NATIVE|SYSTEM_CALL|FAST|HOT|HOT_FAST|PARTIAL)\(\s*(k\w+(?:\s*\|\s*k\w+)*|[^,()]*\([^()]*\))\s*,\s*(\w+)\s*'
                   r'(?:,\s*((?:"(?:[^"\\]|\\.)*"\s*)+|\d+))?\)')
ENTRY_AS = re.compile(r'\b(FAST|HOT)_AS\([^"]*"(\w+)"\s*,\s*([\w:]+)')  # exported under another name than its C++ one
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class Native(NamedTuple):
    name: str
    kind: str     # NATIVE, NT_NATIVE, SYSTEM_CALL, FAST, HOT or PARTIAL (the _AS forms count as theirs)
    file: str     # its file in src/win32/, without the folder
    void: bool    # returns nothing
    missing: str  # what a partial one leaves out


def natives_of(path):
    text = COMMENT.sub(" ", path.read_text())
    assembly = ROOT / "src" / "arch" / "x86_64"
    declared = text + (assembly / "context.hpp").read_text() + (assembly / "exception.hpp").read_text()

    def returns_nothing(function):
        return re.search(rf"\bvoid\s+(?:WINAPI\s+)?{function}\s*\(", declared) is not None

    for kind, _, name, reason in ENTRY.findall(text):
        missing = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', reason)).replace('\\"', '"')
        yield Native(name, kind, path.name, returns_nothing(name), missing)
    for kind, name, function in ENTRY_AS.findall(text):
        yield Native(name, kind, path.name, returns_nothing(function.split("::")[-1]), "")


def all_natives():
    """Sorted by name; a name in two files would be exported twice."""
    found = {}
    for path in sorted((ROOT / "src" / "win32").glob("*.cpp")):
        if path.name.endswith("_test.cpp"):
            continue
        for native in natives_of(path):
            if native.name in found and found[native.name].file != native.file:
                raise SystemExit(f"natives: {native.name} is in {found[native.name].file} and in {native.file}")
            found[native.name] = native
    return [found[name] for name in sorted(found)]


def partial_section(natives):
    partial = [native for native in natives if native.kind == "PARTIAL"]
    if len(partial) > MOST_PARTIAL:
        raise SystemExit(f"natives: {len(partial)} partial natives; more than {MOST_PARTIAL} is too many")
    if not partial:
        return "None."
    return "\n".join(f"- `{native.name}`: {native.missing}" for native in partial)


def readme(write):
    path = ROOT / "README.md"
    before, begin, rest = path.read_text().partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"natives: README.md lacks the lines {BEGIN} and {END}")
    new = f"\n{partial_section(all_natives())}\n"
    if write:
        path.write_text(before + BEGIN + new + END + after)
    elif old != new:
        raise SystemExit(f"natives: README.md does not list the partial natives; run scripts/natives.py --write:{new}")
    else:
        print("natives: README.md lists every partial native")


def main():
    if sys.argv[1:] in (["--readme"], ["--write"]):
        return readme(write=sys.argv[1] == "--write")
    if sys.argv[1:]:
        raise SystemExit(__doc__)
    for native in all_natives():
        print(f"{native.name:40} {native.kind:10} {native.file:28} {native.missing}".rstrip())


if __name__ == "__main__":
    main()
