"""Measurements of polars with the rows, each in a separate process, so that memory is not shared. Prints one JSON object.

    VENV/bin/python bench/serving/frame.py hold users.parquet                   memory of the frame
    VENV/bin/python bench/serving/frame.py export users.parquet --on DAY        seconds of write_json
    VENV/bin/python bench/serving/frame.py check-table users.parquet TABLE      whether a Delta table has the same rows
    VENV/bin/python bench/serving/frame.py check-export users.parquet FILE --on DAY   whether the API's export has
"""

import argparse
import gc
import json
import os
import statistics
import time
from datetime import date

import polars

from process import memory

EXPORTS = 3
# Allocators return freed pages after a delay.
SETTLING_SECONDS = 3


def with_age(frame, on):
    """The frame with completed years as the API counts them: calendar years, 29 February ending with 1 March of a common year."""
    birth = polars.from_epoch("birthts", time_unit="ms")
    day = birth.dt.year().cast(polars.Int64) * 10_000 + birth.dt.month().cast(polars.Int64) * 100 + birth.dt.day().cast(polars.Int64)
    today = on.year * 10_000 + on.month * 100 + on.day
    return frame.with_columns(((today - day) // 10_000).alias("age"))


def hold(arguments):
    """Memory before and after the frame is read; the difference is that of the frame, the first that of the interpreter with polars imported."""
    empty = memory(os.getpid())
    frame = polars.read_parquet(arguments.parquet)
    gc.collect()
    time.sleep(SETTLING_SECONDS)
    return {"empty": empty._asdict(), "held": memory(os.getpid())._asdict(), "rows": frame.height, "estimated": frame.estimated_size()}


def export(arguments):
    """Seconds of writing every row as JSON to `/dev/null`. Age is computed in advance: only the writing counts."""
    frame = with_age(polars.read_parquet(arguments.parquet), arguments.on)
    seconds = []
    for _ in range(EXPORTS):
        started = time.monotonic()
        frame.write_json("/dev/null")
        seconds.append(time.monotonic() - started)
    return {"seconds": statistics.median(seconds)}


def check_table(arguments):
    """Reads the table with another engine, which proves that it is a valid Delta table."""
    frame = polars.read_parquet(arguments.parquet)
    table = polars.scan_delta(arguments.other).select(frame.columns).collect().sort("user_id")
    return {"equal": table.equals(frame), "rows": table.height}


def check_export(arguments):
    """Compares every value of an export, and the order of the rows."""
    frame = with_age(polars.read_parquet(arguments.parquet), arguments.on)
    exported = polars.read_json(arguments.other, schema=frame.schema)
    return {"equal": exported.equals(frame), "rows": exported.height}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = {"hold": hold, "export": export, "check-table": check_table, "check-export": check_export}
    parser.add_argument("task", choices=tasks)
    parser.add_argument("parquet")
    parser.add_argument("other", nargs="?")
    parser.add_argument("--on", type=date.fromisoformat, help="the day on which ages are counted")
    arguments = parser.parse_args()
    print(json.dumps(tasks[arguments.task](arguments)))


if __name__ == "__main__":
    main()
