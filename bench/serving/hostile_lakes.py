"""The lakes that `hostile.py` serves: one with rows, rejected sources and versions, and one with objects that are not sources."""

import json
import os
import shutil
import subprocess
import sys
import time

# Sources that are rejected, all of which `/rejects` may list.
REJECTED_SOURCES = 10_000
# Runs that change some rows, so that there are versions, reports and changes to list.
RUNS, CHANGED_ROWS = 20, 100
STRAY_OBJECTS, ROWS_BESIDE = 400_000, 1_000


def process(executable, lake):
    """Runs the processor; returns its seconds and its peak memory in MiB."""
    started = time.monotonic()
    child = subprocess.Popen([executable, "process", "--lake", str(lake), "--output", "json", "--log", "error"], stdout=subprocess.PIPE)
    report = json.loads(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise SystemExit(f"the run over {lake} failed: {report.get('error')}; remove the folder to create it again")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def write_user(sources, number, edition):
    row = f"first_name, last_name, birthts\nFirst{number}, Last{edition}, {300_000_000_000 + number * 8_640_000}\n"
    (sources / f"{number:07}.csv").write_text(row)


def made(folder, make):
    """A lake in the cache, created if it does not exist."""
    lake, complete = folder / "lake", folder / "complete"
    if not complete.exists():
        print(f"making {lake}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        (lake / "src-data").mkdir(parents=True)
        make(lake)
        complete.touch()
    return lake


def with_rows(cache, executable, rows):
    """A lake with this number of rows."""

    def make(lake):
        sources = lake / "src-data"
        for number in range(rows):
            write_user(sources, number, 0)
        for number in range(min(REJECTED_SOURCES, rows // 10)):
            (sources / f"rejected-{number:07}.csv").write_text("first_name, last_name, birthts\nFirst, Last, never\n")
        process(executable, lake)
        for edition in range(1, RUNS + 1):
            for number in range(edition, rows, max(1, rows // CHANGED_ROWS)):
                write_user(sources, number, edition)
            process(executable, lake)

    return made(cache / f"hostile-{rows}", make)


def with_stray_objects(cache, executable):
    """A lake with few rows and many empty objects that are not sources."""

    def make(lake):
        sources = lake / "src-data"
        (sources / "junk").mkdir()
        for number in range(STRAY_OBJECTS):
            os.close(os.open(sources / "junk" / f"{number}.bin", os.O_CREAT | os.O_WRONLY, 0o644))
        for number in range(ROWS_BESIDE):
            write_user(sources, number, 0)
        process(executable, lake)

    return made(cache / "hostile-stray", make)
