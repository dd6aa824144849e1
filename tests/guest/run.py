#!/usr/bin/env python3
"""Runs one guest program, under bobbin or under Wine, and compares what it prints with its transcript.

A transcript is compared verbatim (a CR before LF is dropped: the C runtimes write text that way). It states what
Windows does. Wine is run as a second opinion; where it is known to do something else, wine_differences.json names
the program with the reason, and expected.wine.txt beside the transcript may say what Wine prints instead. Only a
difference that Wine shows three times running counts: on a busy machine Wine's server kills a program that takes
half a second to end, and its exit code is lost.

A program that hangs is shown with what it printed so far and, under bobbin, with what each of its threads waits
for in the kernel; then it is killed. Exit code 0 is a pass, 1 a failure, 77 "not run" (CTest shows it as skipped).
"""
import argparse
import difflib
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading

SKIPPED = 77
WINE_ATTEMPTS = 3
HERE = pathlib.Path(__file__).resolve().parent


# ---- Wine ----------------------------------------------------------------------------------------------------

def find_tool(*names):
    for name in names:
        found = shutil.which(name) or shutil.which(name, path="/usr/lib/wine")
        if found:
            return found
    return None


def wine_environment(prefix):
    environment = dict(os.environ, WINEPREFIX=str(prefix), WINEDEBUG="-all",
                       WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe,winedbg.exe=")
    environment.pop("DISPLAY", None)
    return environment


def call_wine(command, prefix):
    """Without our output: the server and the services outlive the call, and would hold CTest's pipe open."""
    return subprocess.run(command, env=wine_environment(prefix), check=False, timeout=300,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode


def start_wine(prefix):
    """A prefix of this test run's own, and a server that outlives its programs: starting one costs seconds."""
    wine = find_tool("wine64", "wine")
    if not wine:
        print("not run: Wine is not installed")
        return SKIPPED
    prefix.mkdir(parents=True, exist_ok=True)
    server = find_tool("wineserver64", "wineserver")
    if server:
        call_wine([server, "-p"], prefix)
    return call_wine([wine, "cmd", "/c", "exit 0"], prefix)


def stop_wine(prefix):
    server = find_tool("wineserver64", "wineserver")
    if server and prefix.exists():
        call_wine([server, "-k"], prefix)
    return 0


# ---- one run -------------------------------------------------------------------------------------------------

def read_proc(path):
    try:
        return path.read_text(errors="replace").strip() or "-"
    except OSError as error:
        return error.strerror


def show_threads(pid):
    """Who waits for what: each thread's kernel wait, system call and (if allowed) kernel stack."""
    for process in [pid, *children_of(pid)]:
        for task in sorted(pathlib.Path(f"/proc/{process}/task").glob("*")):
            print(f"  thread {task.name} of {process} ({read_proc(task / 'comm')}): "
                  f"wchan {read_proc(task / 'wchan')}, syscall {read_proc(task / 'syscall')}")
            for frame in read_proc(task / "stack").splitlines():
                print(f"    {frame}")


def children_of(pid):
    found = []
    for listing in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in read_proc(listing).split():
            if child.isdigit():
                found += [int(child), *children_of(int(child))]
    return found


def open_terminal(typed):
    """A terminal of 80 columns and 25 rows on which `typed` has been typed; what it shows is thrown away."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 25, 80, 0, 0))
    os.write(master, typed.encode())

    def drain():
        try:
            while os.read(master, 4096):
                pass
        except OSError:  # the last one has hung up
            pass
    threading.Thread(target=drain, daemon=True).start()
    return slave


def run_with_watchdog(command, environment, folder, seconds, typed=None):
    """(stdout, stderr, exit code), with None for the exit code of a program that had to be killed. With `typed`,
    standard input is the controlling terminal."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        terminal = subprocess.DEVNULL if typed is None else open_terminal(typed)
        # A folder of its own, for what two programs name alike; but by this name Wine's find their server.
        temporary = {} if "WINEPREFIX" in environment else {"TMPDIR": folder}
        process = subprocess.Popen(command, stdin=terminal, stdout=out, stderr=err, env=environment | temporary,
                                   cwd=folder, start_new_session=True,
                                   preexec_fn=None if typed is None
                                   else lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
            print(f"TIMEOUT after {seconds} s: {' '.join(map(str, command))}")
            show_threads(process.pid)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        err.seek(0)
        return out.read(), err.read(), code


def as_text(raw):
    return raw.decode("utf-8", errors="backslashreplace").replace("\r\n", "\n")


def same_or_diff(expected, got, expected_name):
    if expected == got:
        return True
    sys.stdout.writelines(line if line.endswith("\n") else line + "\n" for line in difflib.unified_diff(
        expected.splitlines(True), got.splitlines(True), str(expected_name), "what it printed"))
    return False


def judge_text(options, got):
    """The transcript if there is one; a program without one says ok in its last line."""
    difference = wine_difference(options)
    if not options.expected:
        if got.splitlines()[-1:] == ["ok"]:
            return True
        print(f"known difference: {difference}" if difference else "its last line is not 'ok'")
        print(f"it printed:\n{got}")
        return bool(difference)
    expected = options.expected.read_text()
    if not difference:
        return same_or_diff(expected, got, options.expected)
    if got == expected:
        print(f"NOTE: Wine no longer differs here; take {options.name} off wine_differences.json "
              f"(it says: {difference})")
        return True
    print(f"known difference: {difference}")
    wine_expected = options.expected.with_suffix(".wine.txt")
    return not wine_expected.exists() or same_or_diff(wine_expected.read_text(), got, wine_expected)


def judge_report(options, out, err):
    """On stdout its transcript, or nothing, and on stderr what the report says, but for addresses and distances."""
    expected = options.expected.read_text() if options.expected else ""
    said = re.sub(r"\+0x[0-9a-f]+", "+0x?", re.sub(r"\b0x[0-9a-f]{8,}", "0x?", err))
    return same_or_diff(expected, out, options.expected or "nothing") and same_or_diff(options.report.read_text(), said, options.report)


def wine_difference(options):
    """The reason listed for this program under Wine, be it by its full name or without the compiler's."""
    if options.host != "wine":
        return None
    name = options.name
    listed = json.loads((HERE / "wine_differences.json").read_text())
    return listed.get(name) or listed.get(name.rpartition(".")[0])


def command_for(options):
    """(the words to run the program by, their environment), or None without Wine."""
    if options.host == "bobbin":
        return [options.bobbin, "run", *options.option], dict(os.environ)
    wine = find_tool("wine64", "wine")
    return ([wine], wine_environment(options.prefix)) if wine else None


def run_once(options, command, environment):
    """Whether the program did what it should; prints what it did instead."""
    with tempfile.TemporaryDirectory(prefix="guest-") as scratch:
        out, err, code = run_with_watchdog(command, environment, scratch, options.timeout, options.typed)
    got = as_text(out)
    if code is None:
        print(f"it printed so far:\n{got}\n{as_text(err)}")
        return False
    passed = judge_report(options, got, as_text(err)) if options.report else judge_text(options, got)
    # A program without a transcript counts its failed checks in its exit code.
    if code != options.exit_code and (options.expected or not wine_difference(options)):
        print(f"exit code {code}, expected {options.exit_code}")
        passed = False
    if not passed and err:
        print(f"on stderr:\n{as_text(err)}")
    return passed


def run(options):
    os.environ["TZ"] = "UTC"  # transcripts hold local times
    way = command_for(options)
    if way is None:
        print("not run: Wine is not installed")
        return SKIPPED
    if not options.program.exists():
        print(f"{options.program} has not been built")
        return 1
    command, environment = way
    command += [str(options.program.absolute()), *options.arguments]
    for attempt in range(1, 1 + (WINE_ATTEMPTS if options.host == "wine" else 1)):
        if attempt > 1:
            print(f"NOTE: Wine, once more (attempt {attempt})")
        if run_once(options, command, environment):
            return 0
    return 1


def compare(options):
    """Runs a program under bobbin and under Wine: it must print the same."""
    missing = [path for path in options.needs if not path.exists()]
    if missing:
        print(f"not run: {missing[0]} is not there (tests/real/fetch.py brings it)")
        return SKIPPED
    wine = find_tool("wine64", "wine")
    if not wine:
        print("not run: Wine is not installed")
        return SKIPPED
    printed = []
    for command, environment in (([options.bobbin, "run"], dict(os.environ)),
                                 ([wine], wine_environment(options.prefix))):
        with tempfile.TemporaryDirectory(prefix="guest-") as scratch:
            out, err, code = run_with_watchdog([*command, str(options.program.absolute()), *options.arguments],
                                               environment, scratch, options.timeout)
        printed.append(as_text(out))
        if code != 0 or not out:
            print(f"{command[0]}: exit code {code}\n{as_text(out)}{as_text(err)}")
            return 1
    print(printed[0])
    return 0 if same_or_diff(printed[1], printed[0], "under Wine") else 1


def exhaust(options):
    """Runs a program with its first, second, ... allocation made to fail, start-up included, until none is left.
    Each time Bobbin must either say in one line why it cannot start, or run the program to its "ok"."""
    refused = reported = 0
    environment = dict(os.environ)
    for nth in range(1, 100_000):
        environment["BOBBIN_FAIL_ALLOCATION"] = str(nth)
        with tempfile.TemporaryDirectory(prefix="guest-") as scratch:
            out, err, code = run_with_watchdog([options.bobbin, "run", *options.option,
                                                str(options.program.absolute())], environment, scratch,
                                               options.timeout)
        out, err = as_text(out), as_text(err)
        lines = out.splitlines()
        started = lines[-1:] == ["ok"] and code == 0
        if not started and not (code in (125, 126, 127) and err.startswith("bobbin: ") and err.count("\n") == 1):
            print(f"BOBBIN_FAIL_ALLOCATION={nth}: exit code {code}\n{out}{err}")
            return 1
        if started and "fewer allocations" in err:
            break
        refused += not started
        reported += len(lines) > 1
    print(f"{nth - 1} allocations failed, one at a time: {refused} kept the program from starting, "
          f"{reported} were reported to it, it did not notice {nth - 1 - refused - reported}")
    if refused < 10 or reported < 10:
        print("too few: is nothing failing?")
        return 1
    return 0


def quiet(options):
    """Runs programs that are correct with --lint; each must end as it does otherwise, and none be found fault with."""
    faults = 0
    for word in options.programs:
        program, _, code = word.partition("=")
        with tempfile.TemporaryDirectory(prefix="guest-") as scratch:
            _, err, got = run_with_watchdog([options.bobbin, "run", "--lint", str(pathlib.Path(program).absolute())],
                                            dict(os.environ), scratch, options.timeout)
        err = as_text(err)
        if got != int(code or 0) or "bobbin: lint:" in err:
            print(f"{program}: exit code {got}, expected {code or 0}; on stderr:\n{err}")
            faults += 1
    print(f"{len(options.programs) - faults} of {len(options.programs)} programs: nothing to say")
    return 1 if faults else 0


def main():
    sys.stdout.reconfigure(line_buffering=True)  # what was seen survives being killed
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start-wine", "stop-wine"):
        commands.add_parser(name).add_argument("prefix", type=pathlib.Path)
    one = commands.add_parser("run")
    one.add_argument("--host", choices=("bobbin", "wine"), required=True)
    one.add_argument("--bobbin", help="the bobbin command")
    one.add_argument("--option", action="append", default=[], help="of bobbin run (repeatable)")
    one.add_argument("--prefix", type=pathlib.Path, help="Wine's prefix")
    one.add_argument("--name", required=True, help="as in wine_differences.json")
    one.add_argument("--expected", type=pathlib.Path, help="the transcript")
    one.add_argument("--report", type=pathlib.Path, help="what bobbin says on stderr")
    one.add_argument("--exit-code", type=int, default=0)
    one.add_argument("--timeout", type=float, default=30, help="seconds until it counts as hung")
    one.add_argument("--typed", type=lambda text: text.replace("\\r", "\r"),
                     help="run it on a terminal on which this has been typed (\\\\r is Enter)")
    one.add_argument("program", type=pathlib.Path)
    one.add_argument("arguments", nargs="*")
    both = commands.add_parser("compare")
    both.add_argument("--bobbin", required=True)
    both.add_argument("--prefix", type=pathlib.Path, help="Wine's prefix")
    both.add_argument("--timeout", type=float, default=60)
    both.add_argument("--needs", type=pathlib.Path, action="append", default=[],
                      help="a file without which it is not run (repeatable)")
    both.add_argument("program", type=pathlib.Path)
    both.add_argument("arguments", nargs="*")
    failing = commands.add_parser("exhaust")
    failing.add_argument("--bobbin", required=True)
    failing.add_argument("--option", action="append", default=[], help="of bobbin run (repeatable)")
    failing.add_argument("--timeout", type=float, default=30)
    failing.add_argument("program", type=pathlib.Path)
    correct = commands.add_parser("quiet")
    correct.add_argument("--bobbin", required=True)
    correct.add_argument("--timeout", type=float, default=30)
    correct.add_argument("programs", nargs="+", metavar="PROGRAM[=EXIT_CODE]")
    options = parser.parse_args()
    if options.command == "start-wine":
        return start_wine(options.prefix)
    if options.command == "stop-wine":
        return stop_wine(options.prefix)
    if options.command == "compare":
        return compare(options)
    if options.command == "exhaust":
        return exhaust(options)
    if options.command == "quiet":
        return quiet(options)
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
