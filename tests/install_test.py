#!/usr/bin/env python3
"""Installs a build into a fresh prefix and builds a program against it, with CMake and with pkg-config.

The program is built outside of the source tree and sees only what was installed. The example in README.md is
compiled and linked the same way.
"""

import argparse
import os
import re
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONSUMER = HERE / "install" / "consumer.cpp"
CMAKELISTS = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(bobbin 0.1 REQUIRED)
add_executable(consumer consumer.cpp)
if(NOT EXISTS ${bobbin_GUEST_INCLUDE_DIR}/bobbin/thread_exit.hpp)
  message(FATAL_ERROR "no headers for guests in ${bobbin_GUEST_INCLUDE_DIR}")
endif()
target_link_libraries(consumer PRIVATE bobbin::bobbin)
"""


def run(*command, **options):
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"install_test: {' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def installed(prefix, pattern):
    found = sorted(prefix.glob(pattern))
    if not found:
        raise SystemExit(f"install_test: nothing installed as {pattern}")
    return found[0]


def readme_example():
    found = re.search(r"```cpp\n(.*?)```", (HERE.parent / "README.md").read_text(), re.DOTALL)
    if not found:
        raise SystemExit("install_test: README.md has no example")
    return found[1]


def check(executable, how, **options):
    said = run(executable, **options)
    if said != "consumer: ok\n":
        raise SystemExit(f"install_test: the program built with {how} said {said!r}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", type=Path, required=True)
    arguments.add_argument("--cxx", required=True)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prefix, work = Path(folder) / "prefix", Path(folder) / "work"
        work.mkdir()
        run("cmake", "--install", options.build, "--prefix", prefix)
        installed(prefix, "include/bobbin/error.hpp")
        library = installed(prefix, "lib*/**/libbobbin.*").parent
        environment = dict(os.environ, LD_LIBRARY_PATH=str(library))

        (work / "CMakeLists.txt").write_text(CMAKELISTS)
        (work / "consumer.cpp").write_text(CONSUMER.read_text())
        run("cmake", "-S", work, "-B", work / "build", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={options.cxx}")
        run("cmake", "--build", work / "build")
        check(work / "build" / "consumer", "CMake", env=environment)

        pkg_config = dict(os.environ, PKG_CONFIG_PATH=str(installed(prefix, "lib*/**/pkgconfig")))
        for_guests = Path(run("pkg-config", "--variable=guest_includedir", "bobbin", env=pkg_config).strip())
        installed(for_guests, "bobbin/thread_exit.hpp")
        flags = run("pkg-config", "--cflags", "--libs", "bobbin", env=pkg_config).split()
        run(options.cxx, "-std=c++23", CONSUMER, *flags, "-o", work / "by-pkg-config")
        check(work / "by-pkg-config", "pkg-config", env=environment)

        if (prefix / "include/bobbin/bobbin.hpp").exists():
            (work / "readme.cpp").write_text(readme_example())
            run(options.cxx, "-std=c++23", "-Wall", "-Wextra", work / "readme.cpp", *flags, "-o", work / "readme")

        if (options.build / "bin" / "bobbin").exists():
            run(installed(prefix, "bin/bobbin"), "--version", env=environment)
    print("install_test: CMake and pkg-config find and link an installed Bobbin")


if __name__ == "__main__":
    main()
