#!/usr/bin/env python3
"""Compares the API with ROAPI, Datasette, nginx and polars on the same rows: targets P7 to P12, in one run on one machine.

    apt-get update && apt-get install --no-install-recommends python3-venv wrk nginx-light curl
    cargo build --profile dist && python3 bench/serve.py                      # 1,000,000 rows; about six minutes
    python3 bench/serve.py --large-rows 10000000                         # also memory and statistics of 10,000,000
    python3 bench/serve.py --only P8 P9 --rows 10000000

First checks that all servers return equal rows for the same request, and exits with status 1 if they do not. Prints Markdown on the standard
output: the ratios, and the results of each server under load; progress goes to the standard error. Servers listen on 127.0.0.1 only and
are stopped at the end. Packages from PyPI (roapi, datasette, polars, deltalake) and the rows are cached in the cache folder. The program itself
needs only Python's standard library.
"""

import argparse
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date

sys.path.insert(0, str(pathlib.Path(__file__).parent / "serving"))

import load
import place
import servers
import targets


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--large-rows", type=int, help="a second table, for P8 and P9 only; default: none")
    parser.add_argument("--only", nargs="+", choices=targets.MEASUREMENTS, default=list(targets.MEASUREMENTS), metavar="P7 … P12")
    parser.add_argument("--executable", type=pathlib.Path, default=pathlib.Path("target/dist/datalake"))
    parser.add_argument("--cache", type=pathlib.Path, default=place.default_cache(), help="default: datalake-bench in $XDG_CACHE_HOME")
    parser.add_argument("--rounds", type=int, default=3, help="loads of each server for each request; medians are printed")
    parser.add_argument("--seconds", type=int, default=5, help="of each load")
    arguments = parser.parse_args()
    if arguments.rows < 100:
        parser.error("--rows must be at least a page of 100")
    return arguments


def machine(arguments, environment, load_average):
    """The machine and the versions of the measurements."""
    models = [line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    listed = subprocess.run([environment / "bin" / "pip", "list", "--format", "freeze"], check=True, capture_output=True, text=True).stdout
    versions = [line.replace("==", " ") for line in listed.splitlines() if line.partition("==")[0] in place.PACKAGES]
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.partition("/")[2].strip()
    return (
        f"{date.today()}: {os.cpu_count()} cores of {models[0] if models else platform.machine()}, Linux {platform.release()}, "
        f"load average {load_average:.1f} before. {arguments.rows} rows; {', '.join(versions)}, nginx {nginx}; "
        f"wrk -t{load.THREADS} -c{load.CONNECTIONS}, medians of {arguments.rounds} rounds of {arguments.seconds} s, alternating."
    )


def print_results(results):
    print("| target | what | datalake | compared with | ratio | wanted | met |\n|---|---|---|---|---|---|---|")
    for result in results:
        met = {True: "yes", False: "**no**", None: ""}[result.met]
        print(f"| {result.target} | {result.what} | {result.ours} | {result.beside} | {result.ratio} | {result.wanted} | {met} |")


def print_loads(loads):
    print("| request | server | requests/s | p50 ms | p99 ms | CPU µs per request |\n|---|---|---|---|---|---|")
    for request, name, result in loads:
        print(f"| {request} | {name} | {result.rate:.1f} | {result.p50_ms:.2f} | {result.p99_ms:.2f} | {result.processor_us:.0f} |")


def main():
    # Raises an exception, so that servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    arguments = parsed()
    place.check_programs(arguments.executable)
    load_average = os.getloadavg()[0]
    if load_average > 0.5:
        print(f"the machine is busy (load average {load_average:.1f}): the ratios will be less exact", file=sys.stderr)
    environment = place.environment(arguments.cache)
    python = environment / "bin" / "python"
    wanted = {arguments.rows, arguments.large_rows or 0, 0}
    tables = {rows: place.table(arguments.cache, python, rows) for rows in wanted}
    work = pathlib.Path(tempfile.mkdtemp(prefix="datalake-bench-"))
    programs = servers.Programs(arguments.executable.absolute(), environment, work)
    table, large, empty = tables[arguments.rows], tables.get(arguments.large_rows), tables[0]
    bench = targets.Bench(programs, table, large, empty, arguments.rounds, arguments.seconds, work)
    results = []
    try:
        for target in arguments.only:
            started = time.monotonic()
            print(target, file=sys.stderr, flush=True)
            results += targets.MEASUREMENTS[target](bench)
            print(f"  {time.monotonic() - started:.0f} s", file=sys.stderr)
    finally:
        shutil.rmtree(work)
    print(machine(arguments, environment, load_average) + "\n")
    print_results(results)
    if bench.loads:
        print()
        print_loads(bench.loads)


if __name__ == "__main__":
    main()
