#!/usr/bin/env python3
"""Holds every #include to the table of rooms in DESIGN.md.

A room (a folder of src/) may include itself, what its row names, and what those may include in turn. The rooms
in OPEN are open to every room of a higher level. `all below` in a row means every room of a lower level.
Beside the rooms:

  include/   the public interface: the standard library and itself
  tools/, examples/   the public interface and their own headers, found next to them

The same table is held against the USES of bobbin_room() in CMakeLists.txt, so that the two cannot part.
Prints one line per violation, as compilers do; exit code 1 if there is one.

  check_rooms.py [ROOT]        check a source tree (default: the one that this file is in)
  check_rooms.py --self-test   check this checker
"""

import re
import sys
import tempfile
from pathlib import Path

OPEN = ("base", "abi", "trace")
# The public Error is also the internal one (DESIGN.md, departures), and runtime/ implements the interface.
IMPLEMENTS_PUBLIC = ("base", "runtime")
SOURCES = (".cpp", ".hpp", ".h", ".c", ".S")

ROW = re.compile(r"^\|\s*(\d+)\s*\|\s*`(\w+)/`\s*\|.*\|\s*([^|]*?)\s*\|\s*$", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
CMAKE_ROOM = re.compile(r"^bobbin_room\((\w+)([^)]*)\)", re.MULTILINE)


class Table:
    """The rooms, their levels, and for each the set of rooms that it may include."""

    def __init__(self, markdown):
        rows = {name: (int(level), allowed) for level, name, allowed in ROW.findall(markdown)}
        if not rows:
            raise SystemExit("check_rooms: DESIGN.md has no table of rooms: | level | `room/` | ... | may include |")
        self.level = {name: level for name, (level, _) in rows.items()}
        named = {name: self._named(name, allowed) for name, (_, allowed) in rows.items()}
        self.allowed = {name: self._closure(name, named) for name in rows}

    def _named(self, room, text):
        below = {other for other in self.level if self.level[other] < self.level[room]}
        named = {word for word in re.findall(r"\w+", text) if word in self.level}
        if "below" in text:
            named |= below
        return named | {other for other in OPEN if other in below}

    def _closure(self, room, named):
        reached, to_visit = set(), [room]
        while to_visit:
            for other in named[to_visit.pop()] - reached:
                if other == room:
                    raise SystemExit(f"check_rooms: DESIGN.md: {room}/ may include itself through other rooms")
                reached.add(other)
                to_visit.append(other)
        return reached | {room}


def includes(path):
    """Yields (line, quoted, included path) for each #include of a file."""
    text = path.read_text(encoding="utf-8", errors="replace")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start(2)) + 1, match[1] == '"', match[2]


def sources(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCES)


def check_room_file(path, room, table):
    for line, quoted, included in includes(path):
        first = included.split("/")[0]
        if first == "bobbin":
            if room not in IMPLEMENTS_PUBLIC:
                yield line, f"{room}/ must not include the public interface (<{included}>); use base/error.hpp"
        elif first in table.level and "/" in included:
            if first not in table.allowed[room]:
                may = ", ".join(sorted(table.allowed[room] - {room})) or "no other room"
                yield line, f"{room}/ must not include {included}; it may include {may} (table in DESIGN.md)"
        elif quoted:
            yield line, f'"{included}" names no room; write "<room>/<file>", or <...> for a library'


def check_public_file(path, root):
    """A file that sees the public interface only: include/, tools/, examples/."""
    rooms_of = root / "src"
    for line, quoted, included in includes(path):
        if included.startswith("bobbin/"):
            if not (root / "include" / included).exists():
                yield line, f"{included} is not in include/"
        elif quoted and not (path.parent / included).exists():
            yield line, f'"{included}" is neither public (bobbin/...) nor next to this file'
        elif (rooms_of / included).is_file():
            yield line, f"{included} is internal; include bobbin/... instead"


def check_cmake(root, table):
    listfile = root / "CMakeLists.txt"
    if not listfile.exists():
        return
    text = listfile.read_text()
    for match in CMAKE_ROOM.finditer(text):
        room, line = match[1], text.count("\n", 0, match.start()) + 1
        uses = re.search(r"USES((?:\s+[a-z]\w*)*)", match[2])
        if room not in table.level:
            yield listfile, line, f"room {room} has no row in DESIGN.md"
            continue
        for other in uses[1].split() if uses else []:
            if other not in table.allowed[room]:
                yield listfile, line, f"{room} USES {other}, which the table in DESIGN.md does not allow"


def check(root):
    """Yields (path, line, message) for every violation in a source tree."""
    table = Table((root / "DESIGN.md").read_text())
    for folder in sorted(path for path in (root / "src").iterdir() if path.is_dir()):
        if folder.name not in table.level:
            yield folder, 0, "this room has no row in the table in DESIGN.md"
            continue
        for path in sources(folder):
            for line, message in check_room_file(path, folder.name, table):
                yield path, line, message
    for name in ("include", "tools", "examples"):
        for path in sources(root / name):
            for line, message in check_public_file(path, root):
                yield path, line, message
    yield from check_cmake(root, table)


# ---- self test -------------------------------------------------------------------------------------------

SELF_TEST_TREE = {
    "DESIGN.md": """
| level | room | responsibility | may include |
|---|---|---|---|
| 0 | `base/` | words, even `pe/` | std |
| 1 | `os/` | host | base |
| 1 | `trace/` | events | base |
| 2 | `pe/` | parser | base |
| 3 | `image/` | map | pe, os |
| 5 | `loader/` | modules | image |
| 6 | `win32/` | natives | loader and below |
""",
    "CMakeLists.txt": "bobbin_room(base)\nbobbin_room(pe USES base os)\nbobbin_room(image USES pe LINKS os::x)\n",
    "include/bobbin/a.hpp": "#include <vector>\n",
    "src/base/a.hpp": "#include <bobbin/a.hpp>\n",
    "src/os/a.hpp": '#include "base/a.hpp"\n',
    "src/trace/a.hpp": '#include "os/a.hpp"\n',
    "src/pe/a.hpp": '#include "trace/a.hpp"\n#include "os/a.hpp"\n',
    "src/image/a.cpp": '#include "pe/a.hpp"\n#include <gtest/gtest.h>\n#include "a.hpp"\n',
    "src/loader/a.cpp": '#include "pe/a.hpp"\n  #  include "win32/a.hpp"\n#include "bobbin/a.hpp"\n',
    "src/win32/a.hpp": '#include "image/a.hpp"\n// #include "runtime/a.hpp"\n',
    "src/attic/a.hpp": "",
    "tools/a.cpp": '#include "b.hpp"\n#include "bobbin/a.hpp"\n#include "pe/a.hpp"\n#include <os/a.hpp>\n',
    "tools/b.hpp": "#include <bobbin/none.hpp>\n#include <os>\n",  # <thread> and <memory> are not our rooms
}
SELF_TEST_FOUND = [
    "CMakeLists.txt:2",  # pe USES os
    "src/attic:0",
    "src/image/a.cpp:3",
    "src/loader/a.cpp:2",
    "src/loader/a.cpp:3",
    "src/pe/a.hpp:2",
    "src/trace/a.hpp:1",
    "tools/a.cpp:3",
    "tools/a.cpp:4",
    "tools/b.hpp:1",
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in SELF_TEST_TREE.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = sorted(f"{path.relative_to(root)}:{line}" for path, line, _ in check(root))
    if found != SELF_TEST_FOUND:
        raise SystemExit(f"check_rooms: self test failed\n  found    {found}\n  expected {SELF_TEST_FOUND}")
    print("check_rooms: self test passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    violations = list(check(root))
    for path, line, message in violations:
        print(f"{path.relative_to(root)}:{line}: {message}", file=sys.stderr)
    if violations:
        raise SystemExit(f"check_rooms: {len(violations)} violations")
    print("check_rooms: every include is as the table in DESIGN.md says")


if __name__ == "__main__":
    main()
