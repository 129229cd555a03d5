#!/usr/bin/env python3
"""Reads a lake's Delta table with the engines of PyPI (delta-rs, polars) and compares the rows with a CSV.

    python3 -m venv .venv && .venv/bin/pip install deltalake polars
    .venv/bin/python tests/readers/check.py LAKE/processed_data/users LAKE/processed_data/output.csv
    .venv/bin/python tests/readers/check.py LAKE/processed_data/users --version 7 --csv OLDER.csv

Exit status 0 where every engine reads exactly the rows of the CSV, in whatever order; 1 where one does not.
"""

import argparse
import csv
import sys

import deltalake
import polars

COLUMNS = ["user_id", "first_name", "last_name", "birthts", "img_path"]


def expected_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise SystemExit(f"{path}: columns are {reader.fieldnames}, expected {COLUMNS}")
        return sorted((row["user_id"], row["first_name"], row["last_name"], int(row["birthts"]), row["img_path"] or None) for row in reader)


def rows_by_delta_rs(table, version):
    opened = deltalake.DeltaTable(table, version=version)
    # The query engine of delta-rs itself: no second Parquet reader is needed.
    result = deltalake.QueryBuilder().register("users", opened).execute(f"select {', '.join(COLUMNS)} from users").read_all()
    columns = [result.column(name).to_pylist() for name in COLUMNS]
    return sorted(zip(*columns)), opened.version()


def rows_by_polars(table, version):
    frame = polars.scan_delta(table, version=version).select(COLUMNS).collect()
    return sorted(frame.iter_rows(), key=lambda row: row[0]), version


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="folder of the Delta table")
    parser.add_argument("output", nargs="?", help="CSV to compare with")
    parser.add_argument("--version", type=int, help="an older version of the table")
    parser.add_argument("--csv", help="CSV to compare with, instead of OUTPUT")
    arguments = parser.parse_args()
    path = arguments.csv or arguments.output
    if path is None:
        parser.error("no CSV to compare with")
    expected = expected_rows(path)
    failed = False
    for name, read in [("delta-rs", rows_by_delta_rs), ("polars", rows_by_polars)]:
        rows, version = read(arguments.table, arguments.version)
        if rows == expected:
            print(f"{name}: {len(rows)} rows, equal, version={version if version is not None else 'latest'}")
            continue
        failed = True
        missing, extra = [row for row in expected if row not in rows], [row for row in rows if row not in expected]
        print(f"{name}: DIFFERENT, {len(rows)} rows, expected {len(expected)}; missing={missing[:3]} extra={extra[:3]}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
