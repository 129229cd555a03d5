#!/usr/bin/env python3
"""Compares executables of this project, say before and after a change, in one run: processor time and requests a second of the API.

    python3 bench/serve.py --only P9                      # makes the rows, if they are not in the cache yet
    python3 bench/executables.py before=DIR/datalake after=target/release/datalake

Each executable serves the rows of `serve.py`. They take turns under `wrk -t1 -c16`, one question after the other; medians are printed as Markdown. Processor
time is comparable on a busy machine too, requests a second are not.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent / "serving"))

import place

QUESTIONS = ["/data?limit=100", "/data?limit=100&min_age=30&max_age=40", "/stats?min_age=30", "/healthz"]
FIRST_PORT = 18100


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def started(executable, lake, port):
    command = [executable, "serve", "--lake", lake, "--launcher", "none", "--listen", f"127.0.0.1:{port}", "--log", "warn"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz")
            return process
        except OSError:
            time.sleep(0.1)
    process.kill()
    sys.exit(f"{executable} is not ready after 10 seconds")


def load(process, port, question, seconds):
    """Microseconds of processor time a request, and requests a second."""
    before = processor_seconds(process)
    command = ["wrk", "-t1", "-c16", f"-d{seconds}", f"http://127.0.0.1:{port}{question}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        sys.exit(f"{question}: not every response was a 200\n{output}")
    requests = int(re.search(r"(\d+) requests in", output)[1])
    return (processor_seconds(process) - before) * 1e6 / requests, requests / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executables", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cache", type=pathlib.Path, default=place.default_cache())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    arguments = parser.parse_args()
    lake = arguments.cache / f"rows-{arguments.rows}" / "lake"
    if not lake.is_dir():
        parser.error(f"{lake} does not exist; run bench/serve.py first")
    servers = {}
    try:
        for port, text in enumerate(arguments.executables, FIRST_PORT):
            name, _, executable = text.partition("=")
            servers[name] = (started(executable, lake, port), port)
        loads = {}
        for _ in range(arguments.rounds):
            for question in QUESTIONS:
                for name, (process, port) in servers.items():
                    loads.setdefault((question, name), []).append(load(process, port, question, arguments.seconds))
    finally:
        for process, _ in servers.values():
            process.kill()
    print("| question | executable | processor µs a request | requests/s |\n|---|---|---|---|")
    for (question, name), taken in loads.items():
        microseconds, rate = (statistics.median(figures) for figures in zip(*taken))
        print(f"| `{question}` | {name} | {microseconds:.1f} | {rate:.0f} |")


if __name__ == "__main__":
    main()
