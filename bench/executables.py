#!/usr/bin/env python3
"""Compares executables of this project, for example before and after a change: CPU time and requests per second of the API.

    python3 bench/serve.py --only P9                      # creates the rows, if they are not in the cache
    python3 bench/executables.py before=DIR/datalake after=target/dist/datalake

Each executable serves the rows of `serve.py`. They are loaded alternately; medians are printed as Markdown, progress goes to the standard error. CPU
time is comparable on a busy machine, too, requests per second are not.
"""

import argparse
import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "serving"))

import load
import place
import servers

QUESTIONS = ["/data?limit=100", "/data?limit=100&min_age=30&max_age=40", "/stats?min_age=30", "/healthz"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executables", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cache", type=pathlib.Path, default=place.default_cache(), help="default: datalake-bench in $XDG_CACHE_HOME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    arguments = parser.parse_args()
    executables = dict(text.split("=", 1) for text in arguments.executables if "=" in text)
    if len(executables) != len(arguments.executables):
        parser.error("each executable is NAME=PATH, with a unique name")
    for executable in executables.values():
        place.check_programs(pathlib.Path(executable))
    lake = arguments.cache / f"rows-{arguments.rows}" / "lake"
    if not lake.is_dir():
        parser.error(f"{lake} does not exist; run bench/serve.py first")
    print("| request | executable | CPU µs per request | requests/s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as stack:
        work = pathlib.Path(work)
        started = {}
        for name, executable in executables.items():
            (work / name).mkdir()
            programs = servers.Programs(pathlib.Path(executable), None, work / name)
            started[name] = stack.enter_context(programs.datalake(lake))
        for question in QUESTIONS:
            contenders = [load.Contender(name, server, [load.get(question)]) for name, server in started.items()]
            for name, figures in load.compare(contenders, arguments.rounds, arguments.seconds, work).items():
                print(f"| `{question}` | {name} | {figures.processor_us:.1f} | {figures.rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
