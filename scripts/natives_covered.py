#!/usr/bin/env python3
"""Proves that a guest test calls every native and checks its result.

Reads the natives from the tables in src/win32/ and the guest programs in tests/guest/. A native is proven when a
program calls it by its name, or through a pointer that it got by that name, and something becomes of the result:

  CHECK(SetEvent(event));                  inside a check, a condition, a return, or the arguments of a print
  DWORD slot = TlsAlloc(); ... slot ...    kept, and looked at later
  InitializeSListHead(&list);              a function that returns nothing: programs here check or print what it did

A call whose result is dropped proves nothing. Partial natives are exempt: README.md lists those.

  natives_covered.py               exit code 1 and a list, by file, if something is not proven
  natives_covered.py --self-test   check this checker
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

from natives import COMMENT, ROOT, Native, all_natives

STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
CALL = r"\b{name}\s*\("
# Words that may stand before a call without using its result.
DROPPED = re.compile(r"^(?:\(\s*void\s*\)|else|do|\w+\s*:(?!:)|(?:if|for|while)\s*\((?:[^()]|\([^()]*\))*\))?\s*$")
ASSIGNED = re.compile(r"(?:^|[\s*(,])([A-Za-z_][\w.\->]*(?:\[[^\]]*\])?)\s*(?:[-+|&^]?=)\s*[^=]*$")


class Program:
    """One guest source: `code` without comments and with string contents blanked, and its strings."""

    def __init__(self, text):
        without_comments = COMMENT.sub(" ", text)
        self.strings = {literal[1:-1] for literal in STRING.findall(without_comments)}
        self.with_strings = without_comments
        self.code = re.sub(r"^\s*#.*(?:\\\n.*)*", "", STRING.sub('""', without_comments), flags=re.MULTILINE)
        self.words = set(re.findall(r"\w+", without_comments))

    def _uses_result(self, start, end):
        """Whether something becomes of the result of the call that stands at [start, end) in the code."""
        statement = max(self.code.rfind(mark, 0, start) for mark in ";{}")
        before = self.code[statement + 1:start].strip()
        if DROPPED.match(before):
            return False
        kept = ASSIGNED.search(before)
        if kept is None:
            return True
        variable = re.split(r"\W", kept[1])[0]
        return re.search(rf"\b{variable}\b", self.code[end:]) is not None

    def proves(self, function, returns_nothing):
        for call in re.finditer(CALL.format(name=re.escape(function)), self.code):
            if self._declares(call.start()):
                continue
            if returns_nothing or self._uses_result(call.start(), call.end()):
                return True
        return False

    def _declares(self, start):
        """`DWORD WINAPI name(` is a prototype, not a call."""
        line = self.code[self.code.rfind("\n", 0, start) + 1:start]
        return re.match(r"^\s*(?:static\s+|extern\s+|__declspec\(\w+\)\s*)*[A-Za-z_]\w*[\s*]+(?:WINAPI|NTAPI|CALLBACK)?\s*$",
                        line) is not None and not re.match(r"^\s*(?:return|else)\b", line)

    def pointers_to(self, name):
        """Identifiers that hold the function's address, found by its name: `p = GetProcAddress(dll, "name")`."""
        for match in re.finditer(rf'([^;{{}}]*)"{re.escape(name)}"', self.with_strings):
            declared = re.search(r"\(\s*(?:\w+\s*)?\*\s*(\w+)\s*\)\s*\(", match[1])
            assigned = re.search(r"(\w+)\s*=(?!=)", match[1])
            if declared or assigned:
                yield (declared or assigned)[1]
        if name in self.words:  # macros that make a pointer out of a name: FIND(name) -> pname, p_name, name_
            yield from (f"p{name}", f"p_{name}", f"{name}_", f"nt_{name}", f"k_{name}")


def covered(native, programs):
    # ntdll's strlen and its like: a call by the plain name reaches the C runtime's own, or is compiled away.
    names = [] if native.file.startswith("ntcrt") else [native.name]
    if names and native.name.endswith("A") and not native.name.endswith("AA"):
        names.append(native.name[:-1])  # the SDK's macro for it, in a program without UNICODE
    for program in programs:
        if program.words.isdisjoint([native.name, *names]):
            continue
        for name in names + list(program.pointers_to(native.name)):
            if program.proves(name, native.void):
                return True
    return False


def guest_programs(folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".c", ".cpp", ".h"):
            yield Program(path.read_text(errors="replace"))


def self_test():
    program = Program("""
        // CHECK(Commented());
        #define LOUD(x) CHECK(Macro(x))
        extern BOOL WINAPI Declared(int);
        int main() {
          CHECK(Checked(1) == 2);
          Dropped(); (void)DroppedToo();
          if (x) DroppedInBranch();
          DWORD kept = Kept();
          DWORD lost = Lost();
          if (Condition()) return 1;
          Nothing(&kept);
          printf("Mentioned() %d", Printed());
          BOOL (*pointer)(int) = (void*)GetProcAddress(ntdll, "ByName");
          CHECK(pointer(1));
          never = GetProcAddress(ntdll, "NeverCalled");
          HANDLE h = CreateThing(0);
          CHECK(h != 0);
        }""")
    expected = dict(Commented=False, Macro=False, Declared=False, Checked=True, Dropped=False, DroppedToo=False,
                    DroppedInBranch=False, Kept=True, Lost=False, Condition=True, Nothing=True, Mentioned=False,
                    Printed=True, ByName=True, NeverCalled=False, CreateThingA=True, CreateThingW=False)
    found = {name: covered(Native(name, "NATIVE", "x.cpp", name == "Nothing", ""), [program]) for name in expected}
    wrong = {name: result for name, result in found.items() if result != expected[name]}
    if wrong:
        raise SystemExit(f"natives_covered: self test failed: {wrong}")
    print("natives_covered: self test passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    programs = list(guest_programs(ROOT / "tests" / "guest"))
    natives = [native for native in all_natives() if native.kind != "PARTIAL"]
    missing = defaultdict(list)
    for native in natives:
        if not covered(native, programs):
            missing[native.file].append(native.name)
    for file, names in missing.items():
        print(f"src/win32/{file}: no guest test checks {', '.join(names)}", file=sys.stderr)
    total = sum(map(len, missing.values()))
    print(f"natives_covered: guest tests call and check {len(natives) - total} of {len(natives)} natives")
    raise SystemExit(1 if total else 0)


if __name__ == "__main__":
    main()
