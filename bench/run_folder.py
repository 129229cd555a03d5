#!/usr/bin/env python3
"""Measures runs over a local folder: the first run, one without changes, and one with 100 changed sources.

    cargo build --profile dist && python3 bench/run_folder.py [--sources 100000] [--executable target/dist/datalake] [--lake DIR]

Prints a Markdown table: seconds of the whole process, requests by kind from the run's report, and peak resident memory of the
process. Needs only Python's standard library.
"""

import argparse
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time
import zlib


def png(number):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes([(number + row) % 256] * 8) for row in range(8))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def write_user(sources, number, edition=0):
    row = f"first_name, last_name, birthts\nFirst{number}, Last{edition}, {300_000_000_000 + number * 8_640_000}\n"
    (sources / f"{number:07}.csv").write_text(row)


def run(executable, lake):
    command = [executable, "process", "--lake", str(lake), "--output", "json", "--log", "warn"]
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    report = json.loads(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - started
    if status != 0:
        raise SystemExit(f"the run failed: {report['error']}")
    return seconds, report, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=100_000, help="users; each has a CSV, every tenth an image")
    parser.add_argument("--executable", default="target/dist/datalake")
    parser.add_argument("--lake", help="an empty folder; a temporary one by default")
    arguments = parser.parse_args()
    lake = pathlib.Path(arguments.lake or tempfile.mkdtemp(prefix="datalake-bench-"))
    sources = lake / "src-data"
    sources.mkdir(parents=True)
    for number in range(arguments.sources):
        write_user(sources, number)
        if number % 10 == 0:
            (sources / f"{number:07}.png").write_bytes(png(number))

    print(f"{arguments.sources} users, {len(os.listdir(sources))} objects, {os.cpu_count()} cores\n")
    print("| run | seconds | list | get | put | copy | delete | head | peak MiB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in ("first", "nothing to do", "100 changed"):
        if name == "100 changed":
            for number in range(0, arguments.sources, max(1, arguments.sources // 100)):
                write_user(sources, number, edition=1)
        seconds, report, peak = run(arguments.executable, lake)
        requests = report["requests"]
        counts = " | ".join(str(requests[kind]) for kind in ("list", "get", "put", "copy", "delete", "head"))
        print(f"| {name} | {seconds:.2f} | {counts} | {peak:.0f} |", flush=True)
        expected = {"first": arguments.sources, "nothing to do": 0, "100 changed": min(100, arguments.sources)}[name]
        done = report["counts"]["added"] + report["counts"]["changed"]
        if done != expected:
            raise SystemExit(f"{name}: {done} rows changed, expected {expected}")
    if not arguments.lake:
        shutil.rmtree(lake)


if __name__ == "__main__":
    main()
