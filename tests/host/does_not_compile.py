#!/usr/bin/env python3
"""Types that differ in Windows must not compile, and the message must say what to do instead."""
import subprocess
import sys

COMPILER, INCLUDE = sys.argv[1:3]

# expression, words that the message must hold (None: it must compile)
CASES = [
    ("bobbin::Function<int(int, const void*, bobbin::UInt64)>", None),
    ("bobbin::Function<double(float, char16_t, bool, std::uint8_t)>", None),
    ("bobbin::Variadic<int(const char*)>", None),
    ("bobbin::Function<long(int)>", "long, wchar_t and long double have other sizes"),
    ("bobbin::Function<int(unsigned long)>", "bobbin::Int64/UInt64/Size"),
    ("bobbin::Function<int(wchar_t)>", "char16_t"),
    ("bobbin::Function<long double(int)>", "long, wchar_t and long double have other sizes"),
    ("bobbin::Function<int(int&)>", "references do not cross"),
    ("bobbin::Function<void(std::string)>", "no C++ classes"),
    ("bobbin::Function<void(void (*)(int))>", "runtime.callback"),
]


def compile_case(expression):
    source = f"#include <bobbin/bobbin.hpp>\nauto f(void* p) {{ return {expression}(p); }}\n"
    return subprocess.run([COMPILER, "-std=c++23", "-fsyntax-only", f"-I{INCLUDE}", "-x", "c++", "-"],
                          input=source, text=True, capture_output=True, check=False)


failed = 0
for expression, words in CASES:
    result = compile_case(expression)
    good = result.returncode == 0 if words is None else result.returncode != 0 and words in result.stderr
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {expression}")
    if not good:
        print(result.stderr[:2000])
sys.exit(failed != 0)
