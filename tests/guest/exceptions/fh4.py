#!/usr/bin/env python3
"""Turns the exception tables in clang's assembly into the compressed ones of MSVC 2019 and later (__CxxFrameHandler4),
which no compiler here writes. The code stays as it is: both kinds ask the same of it.

  fh4.py CLANG.s FH4.s

The format: unsigned numbers are 1 to 4 bytes long, the count of low 1 bits in the first says how long; a table begins
with its count; states in the IP map are 1 higher; distances of IPs are from the entry before; an unwind entry says how
many bytes back the next one is. A catch funclet has a FuncInfo of its own, with an IP map that begins at it and the
place where it keeps the frame of its function; its unwinding ends with the states that are its own.
"""

import re
import sys
from pathlib import Path

IS_CATCH, UNWIND_MAP, TRY_MAP, SYNCHRONOUS, NO_EXCEPT = 0x01, 0x08, 0x10, 0x20, 0x40  # FuncInfo4's header
ADJECTIVES, TYPE, CATCH_OBJECT = 0x01, 0x02, 0x04  # HandlerType4's header
BY_ADDRESS = 3  # an unwind entry's kind: a funclet is called with the frame


def number(value):
    """The bytes of a number, as short as it can be."""
    for length in range(1, 5):
        if value < 1 << 7 * length:
            return (value << length | (1 << length - 1) - 1).to_bytes(length, "little")
    raise ValueError(value)


def symbol(text):
    """The bare name of a symbol or of an address in the image; clang quotes most."""
    return text.removesuffix("@IMGREL").strip('"')


class Tables:
    """Of one function, as clang wrote them; `longs` by label."""

    def __init__(self, name, longs):
        (_, self.states, _, self.tries, _, _, _, self.unwind_help, _, self.flags) = longs[f"$cppxdata${name}"]
        self.name, self.longs = name, longs
        self.out = []

    def rows(self, label, width):
        longs = self.longs.get(label, [])
        return [longs[at:at + width] for at in range(0, len(longs), width)]

    def emit(self, *parts):
        """Numbers are compressed, bytes stand as they are, text is an address in the image."""
        for part in parts:
            if isinstance(part, str):
                self.out.append(f"\t.long\t{part}")
            else:
                data = number(part) if isinstance(part, int) else part
                self.out.append("\t.byte\t" + ", ".join(map(str, data)))

    def label(self, label):
        self.out.append(f'"{label}":')

    def convert(self):
        tries = self.rows(f"$tryMap${self.name}", 5)
        frame_offset = None
        for *_, handlers in tries:
            rows = self.rows(symbol(handlers), 5)
            self.label(symbol(handlers))
            self.emit(len(rows))
            for adjectives, kind, catch_object, handler, frame_offset in rows:
                header = (ADJECTIVES if adjectives else 0) | (TYPE if kind else 0) | (CATCH_OBJECT if catch_object else 0)
                self.emit(bytes([header]), *[field for field in (adjectives, kind, catch_object) if field], handler)
        for function, entries in self.by_function():
            is_catch = function.startswith("?catch$")
            lowest = entries[0][1] if is_catch else 0
            own_tries = [row for row in tries if row[0] >= lowest]
            header = ((IS_CATCH if is_catch else 0) | UNWIND_MAP | (TRY_MAP if own_tries else 0) |
                      (SYNCHRONOUS if self.flags & 1 else 0) | (NO_EXCEPT if self.flags & 4 else 0))
            self.label(f"$cppxdata${function}")
            self.emit(bytes([header]), f'"$stateUnwindMap${function}"@IMGREL')
            if own_tries:
                self.emit(f'"$tryMap${function}"@IMGREL')
            self.emit(f'"$ip2state${function}"@IMGREL', *([frame_offset] if is_catch else []))
            self.unwind_map(function, lowest)
            if own_tries:
                self.label(f"$tryMap${function}")
                self.emit(len(own_tries))
                for low, high, catch_high, _, handlers in own_tries:
                    self.emit(low, high, catch_high, handlers)
            self.label(f"$ip2state${function}")
            self.emit(len(entries))
            before = entries[0][0]
            for at, state in entries:
                # Known to the assembler only: in 4 bytes.
                self.emit(0 if at == before else f'("{at}" - "{before}") * 16 + 7', state + 1)
                before = at
        return self.out

    def unwind_map(self, function, lowest):
        """A catch funclet's ends where it began: what is below its `lowest` state is its function's to undo."""
        rows = self.rows(f"$stateUnwindMap${self.name}", 2)
        self.label(f"$stateUnwindMap${function}")
        self.emit(len(rows))
        starts, at = [], 0
        for to, action in rows:
            starts.append(at)
            back = at + 1 if to < lowest else at - starts[to]  # to before the first: that was all
            head = number(back << 2 | (BY_ADDRESS if action else 0))
            self.emit(head, *([action] if action else []))
            at += len(head) + (4 if action else 0)

    def by_function(self):
        """The IP map's entries of the function and of each of its catch funclets, which follow it."""
        groups = []
        for at, state in self.rows(f"$ip2state${self.name}", 2):
            at = symbol(at)
            if not groups or at.startswith("?catch$"):
                groups.append((at if groups else self.name, []))
            groups[-1][1].append((at, state))
        return groups


def convert(text):
    out, longs, table, function, functions = [], {}, None, None, []
    for line in text.splitlines():
        line = line.split("#")[0].rstrip() if "\t.long" in line else line
        begun = re.match(r'"?(\$(cppxdata|stateUnwindMap|tryMap|handlerMap\$\d+|ip2state)\$(.*?))"?:', line)
        if begun:
            table = longs[begun[1]] = []
            if begun[2] == "cppxdata":
                functions.append(begun[3])
        elif table is not None and line.startswith("\t.long\t"):
            value = line.split("\t")[2]
            table.append(int(value) if re.fullmatch(r"-?\d+", value) else value)
        elif table is None or line.strip():
            if table is not None:
                out += [row for name in functions for row in Tables(name, longs).convert()]
                table, longs, functions = None, {}, []
            if proc := re.match(r"\s*\.seh_proc\s+\"?(.*?)\"?$", line):
                function = proc[1]
            line = line.replace("__CxxFrameHandler3", "__CxxFrameHandler4")
            if re.match(r'\t\.long\t"?\$cppxdata\$', line):
                line = f'\t.long\t"$cppxdata${function}"@IMGREL'
            out.append(line)
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(convert(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
