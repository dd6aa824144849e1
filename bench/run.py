#!/usr/bin/env python3
"""Measures Bobbin beside Wine and beside native Linux, in one run.

Each guest program of bench/guest is run by Bobbin and by Wine, its twin of bench/native as it is; they take turns,
so that a machine that warms up or slows down does so for all. Everything is measured twice: free, and pinned to
one CPU (Wine's server too), because waking an idle CPU is dear on some machines and makes everything that switches
between threads or processes look worse than it is.

A cell is the median over the rounds, with half the interquartile range as the spread. Nothing here is a test:
times depend on the machine. The targets beside the ratios are what the project wants to reach.

Prints a table, and writes it to build/bench/ as JSON and Markdown.
"""

import argparse
import os

import general
import real
import tls
from harness import MODES, run_suite

SUITES = {"general": general.General, "real": real.Real, "tls": tls.Tls}


def parse_options():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="?", choices=list(SUITES), default="general",
                        help="general: everything that programs do all day (default); tls: the TLS engine, at its "
                             "limits; real: whole programs that nobody here wrote")
    parser.add_argument("--rounds", type=int, help="how often each program is run (default: the suite's)")
    parser.add_argument("--spawns", type=int, default=10, help="starts of a process per round (default 10)")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU to pin to (default: the last)")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--only", nargs="+", metavar="PROGRAM", help="only these programs (a wrong one lists them)")
    options = parser.parse_args()
    suite = SUITES[options.suite]()
    for name in options.only or []:
        if name not in suite.programs:
            parser.error(f"the suite {options.suite} has no program {name}: {', '.join(suite.programs)}")
    options.rounds = options.rounds or suite.rounds
    return suite, options


if __name__ == "__main__":
    chosen, wanted = parse_options()
    run_suite(wanted.suite, chosen, wanted)
