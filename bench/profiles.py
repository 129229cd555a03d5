#!/usr/bin/env python3
"""Compares the profiles of Cargo.toml and some of their settings: a clean build and the speed of its executable for each.

    apt-get update && apt-get install --no-install-recommends wrk curl
    python3 bench/profiles.py [--only NAME …] [--sources 100000] [--users 100000] [--rounds 3] [--builds DIR]

A build takes about 25 minutes of CPU time and 1 GB in `--builds` (target/profiles), where it is cached; all of them take more than an
hour on two cores. Other work on the machine has little effect on CPU time, but affects the speed. Prints Markdown: CPU
minutes of the build, the executable's size, and medians of a first run over a folder, of pages per second that are not cached, and of an export.
Needs wrk, curl and Python's standard library.
"""

import argparse
import json
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(__file__).parent
sys.path.insert(0, str(BENCH / "serving"))

import load
import place
import run_folder
import servers
import targets

# A profile of Cargo.toml, settings that replace those of the profile, and features.
PROFILES = {
    "release": ("release", [], []),
    "dist": ("dist", [], []),
    "dist, lto = thin": ("dist", ['lto = "thin"'], []),
    "dist, codegen-units = 16": ("dist", ["codegen-units = 16"], []),
    "dist, opt-level = s": ("dist", ['opt-level = "s"'], []),
    "dist, polars with lazy": ("dist", [], ["polars/lazy"]),
}
LOAD_SECONDS = 4
EXPORTS = 5
PAGE_ROWS = 100


def build(name, builds):
    """Makes a clean build unless there is a cached one; returns the executable and the CPU minutes of the build."""
    profile, settings, features = PROFILES[name]
    folder = builds / "".join(letter if letter.isalnum() else "-" for letter in name)
    built, spent = folder / "datalake", folder / "built.json"
    if spent.exists():
        return built, json.loads(spent.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    print(f"building {name}", file=sys.stderr, flush=True)
    configuration = [part for setting in settings for part in ("--config", f"profile.{profile}.{setting}")]
    command = ["cargo", "build", "--profile", profile, "--locked", "--target-dir", folder / "target", "--package", "datalake", *configuration]
    if features:
        # A feature of a dependency is known only to the package that has it.
        command += ["--package", "datalake-table", "--features", ",".join(features)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, cwd=BENCH.parent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.copy(folder / "target" / profile / "datalake", built)
    shutil.rmtree(folder / "target")
    minutes = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60
    spent.write_text(json.dumps({"minutes": minutes}))
    return built, {"minutes": minutes}


def first_run(executable, users, lake):
    """Creates a lake with this number of users and processes it; returns the seconds of the run."""
    sources = lake / "src-data"
    sources.mkdir(parents=True)
    for number in range(users):
        run_folder.write_user(sources, number)
    return run_folder.run(executable, lake)[0]


def serve(name, executable, lake, users, work):
    """Pages per second, where each page is requested once before any is repeated, and seconds of an export."""
    pages = [load.get(f"/data?limit={PAGE_ROWS}&user_id__gte={first:07}") for first in range(0, users - PAGE_ROWS, 10)]
    with servers.Programs(executable, None, work).datalake(lake) as server:
        rate = load.ask(load.Contender(name, server, pages), LOAD_SECONDS, work).rate
        export = statistics.median(targets.seconds_of_curl(server.url("/data"), "/dev/null") for _ in range(EXPORTS))
    return rate, export


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PROFILES, default=list(PROFILES), metavar="NAME")
    parser.add_argument("--sources", type=int, default=100_000, help="of each first run")
    parser.add_argument("--users", type=int, default=100_000, help="number of users that are served")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--builds", type=pathlib.Path, default=BENCH.parent / "target" / "profiles")
    parser.add_argument("--build-only", action="store_true", help="measure the work later, when the machine is idle")
    return parser.parse_args()


def main():
    arguments = parsed()
    place.check_programs(pathlib.Path(__file__))
    built = {name: build(name, arguments.builds.absolute()) for name in arguments.only}
    if arguments.build_only:
        return
    work = pathlib.Path(tempfile.mkdtemp(prefix="datalake-bench-"))
    taken = {name: [] for name in built}
    try:
        lake = work / "lake"
        first_run(next(iter(built.values()))[0], arguments.users, lake)
        for number in range(arguments.rounds):
            for name, (executable, _) in built.items():
                run = first_run(executable, arguments.sources, work / "first")
                shutil.rmtree(work / "first")
                taken[name].append((run, *serve(name, executable, lake, arguments.users, work)))
                print(f"  round {number + 1}, {name}: {taken[name][-1]}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(work)
    print("| profile | CPU minutes of the build | executable MB | first run, s | pages/s | export, ms |\n|---|---|---|---|---|---|")
    for name, (executable, spent) in built.items():
        run, rate, export = (statistics.median(values) for values in zip(*taken[name]))
        size = executable.stat().st_size / 1e6
        print(f"| {name} | {spent['minutes']:.1f} | {size:.1f} | {run:.2f} | {rate:.0f} | {export * 1000:.0f} |")


if __name__ == "__main__":
    main()
