#!/usr/bin/env python3
"""Reads a lake's Delta table, and Parquet files of the API, with other engines, and compares the rows with a CSV.

    python3 -m venv .venv && .venv/bin/pip install -r tests/readers/requirements.txt
    .venv/bin/python tests/readers/check.py LAKE/processed_data/users LAKE/processed_data/output.csv
    .venv/bin/python tests/readers/check.py LAKE/processed_data/users --version 7 --csv OLDER.csv
    .venv/bin/python tests/readers/check.py --parquet EXPORT.parquet --csv LAKE/processed_data/output.csv

Uses every installed engine; `--engines` names required ones. Each engine reads the rows and, if it can, filters by a string, groups and sorts.
Exit status 0 if every result equals that of the CSV, 1 otherwise.
"""

import argparse
import collections
import csv
import importlib.util
import sys
import tempfile

COLUMNS = ["user_id", "first_name", "last_name", "birthts", "img_path"]


def expected_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise SystemExit(f"{path}: columns are {reader.fieldnames}, expected {COLUMNS}")
        return sorted((row["user_id"], row["first_name"], row["last_name"], int(row["birthts"]), row["img_path"] or None) for row in reader)


def rows_of_arrow(table):
    return [tuple(row[name] for name in COLUMNS) for row in table.select(COLUMNS).to_pylist()]


def rows_of_pandas(frame):
    records = frame[COLUMNS].astype(object).where(frame[COLUMNS].notna(), None).itertuples(index=False, name=None)
    return [(user_id, first, last, int(birth), image) for user_id, first, last, birth, image in records]


class Question:
    """The queries for every engine, and the expected results from the CSV."""

    def __init__(self, rows):
        self.rows = rows
        counts = collections.Counter(row[2] for row in rows)
        self.last_name = counts.most_common(1)[0][0] if rows else "Lee"
        self.filtered = [row for row in rows if row[2] == self.last_name]
        self.counts = dict(counts)


def files_of(table, version):
    import deltalake

    return deltalake.DeltaTable(table, version=version).file_uris()


def by_delta_rs(question, table, version):
    """The query engine of delta-rs, which needs no other Parquet reader."""
    import deltalake

    opened = deltalake.DeltaTable(table, version=version)
    select = f"select {', '.join(COLUMNS)} from users"
    run = lambda sql: deltalake.QueryBuilder().register("users", opened).execute(sql).read_all()
    rows = lambda result: list(zip(*[result.column(name).to_pylist() for name in COLUMNS]))
    yield "rows", rows(run(select)), question.rows
    yield "filter", rows(run(f"{select} where last_name = '{quoted(question.last_name)}'")), question.filtered


def by_delta_rs_with_pyarrow(question, table, version):
    import deltalake

    opened = deltalake.DeltaTable(table, version=version)
    yield "to_pyarrow_table", rows_of_arrow(opened.to_pyarrow_table()), question.rows
    filters = [("last_name", "=", question.last_name)]
    yield "to_pyarrow_table(filters)", rows_of_arrow(opened.to_pyarrow_table(filters=filters)), question.filtered
    yield "to_pandas", rows_of_pandas(opened.to_pandas()), question.rows


def by_polars(question, table, version):
    import polars

    frame = polars.scan_delta(table, version=version).select(COLUMNS)
    yield "rows", list(frame.collect().iter_rows()), question.rows
    yield "filter", list(frame.filter(polars.col("last_name") == question.last_name).collect().iter_rows()), question.filtered


def by_pyarrow(question, files):
    """The operations that fail in a pyarrow that does not know an Arrow type."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.csv
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(files)
    yield "rows", rows_of_arrow(table), question.rows
    filters = [("last_name", "=", question.last_name)]
    yield "filters", rows_of_arrow(pyarrow.parquet.read_table(files, filters=filters)), question.filtered
    masked = table.filter(pyarrow.compute.equal(table["last_name"], question.last_name))
    yield "filter", rows_of_arrow(masked), question.filtered
    grouped = table.group_by("last_name").aggregate([("user_id", "count")]).to_pydict()
    yield "group_by", list(zip(grouped["last_name"], grouped["user_id_count"])), list(question.counts.items())
    ordered = table.sort_by([("last_name", "descending"), ("user_id", "ascending")])
    # A second, stable sort in Python keeps the order of equal names.
    in_order = sorted(sorted(question.rows), key=lambda row: row[2].encode(), reverse=True)
    assert rows_of_arrow(ordered) == in_order, "sort_by gives another order"
    joined = table.select(["user_id", "first_name"]).join(table.drop(["first_name"]), keys="user_id")
    yield "join", rows_of_arrow(joined), question.rows
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        pyarrow.csv.write_csv(table.select(COLUMNS), file.name)
        yield "write_csv", [row[0] for row in list(csv.reader(open(file.name, newline="", encoding="utf-8")))[1:]], [row[0] for row in question.rows]


def by_pandas(question, files):
    import pandas

    yield "rows", rows_of_pandas(pandas.concat(pandas.read_parquet(file) for file in files)), question.rows
    filters = [("last_name", "==", question.last_name)]
    filtered = pandas.concat(pandas.read_parquet(file, filters=filters) for file in files)
    yield "filters", rows_of_pandas(filtered), question.filtered


def by_fastparquet(question, files):
    import fastparquet
    import pandas

    yield "rows", rows_of_pandas(pandas.concat(fastparquet.ParquetFile(file).to_pandas() for file in files)), question.rows


def by_daft(question, files):
    import daft

    frame = daft.read_parquet(files)
    yield "rows", rows_of_arrow(frame.to_arrow()), question.rows
    yield "filter", rows_of_arrow(frame.where(daft.col("last_name") == question.last_name).to_arrow()), question.filtered


def by_dask(question, files):
    import dask.dataframe

    frame = dask.dataframe.read_parquet(files)
    yield "rows", rows_of_pandas(frame.compute()), question.rows
    filters = [("last_name", "==", question.last_name)]
    yield "filters", rows_of_pandas(dask.dataframe.read_parquet(files, filters=filters).compute()), question.filtered


def by_duckdb(question, files):
    import duckdb

    select = f"select {', '.join(COLUMNS)} from read_parquet({files!r})"
    yield "rows", duckdb.sql(select).fetchall(), question.rows
    yield "filter", duckdb.sql(f"{select} where last_name = '{quoted(question.last_name)}'").fetchall(), question.filtered


def by_chdb(question, files):
    import chdb

    count = 0
    for file in files:
        count += int(str(chdb.query(f"select count() from file('{file}', Parquet) where length(last_name) > 0", "CSV")))
    yield "count", [count], [len(question.rows)]


def quoted(text):
    return text.replace("'", "''")


BY_TABLE = {"deltalake": by_delta_rs, "polars": by_polars}
BY_FILES = {
    "pyarrow": by_pyarrow,
    "pandas": by_pandas,
    "fastparquet": by_fastparquet,
    "daft": by_daft,
    "dask": by_dask,
    "duckdb": by_duckdb,
    "chdb": by_chdb,
}


def is_installed(module):
    return importlib.util.find_spec(module) is not None


def check(name, answers):
    """Whether every result of an engine is the expected one."""
    count = 0
    key = lambda row: tuple("" if value is None else str(value) for value in row) if isinstance(row, tuple) else (str(row),)
    for what, found, expected in answers:
        count += 1
        if sorted(found, key=key) != sorted(expected, key=key):
            missing, extra = [row for row in expected if row not in found], [row for row in found if row not in expected]
            print(f"{name}: {what} DIFFERENT, {len(found)} rows, expected {len(expected)}; missing={missing[:3]} extra={extra[:3]}", file=sys.stderr)
            return False
    print(f"{name}: {count} results, equal")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", help="folder of the Delta table")
    parser.add_argument("output", nargs="?", help="CSV to compare with")
    parser.add_argument("--version", type=int, help="an older version of the table")
    parser.add_argument("--csv", help="CSV to compare with, instead of OUTPUT")
    parser.add_argument("--parquet", help="read this file instead of a table")
    parser.add_argument("--files", nargs="*", help="the data files of the table, where delta-rs is not installed")
    parser.add_argument("--engines", default="", help="engines that have to be installed, separated by commas")
    arguments = parser.parse_args()
    path = arguments.csv or arguments.output
    if path is None or not (arguments.table or arguments.parquet or arguments.files):
        parser.error("no table or file to read, or no CSV to compare with")
    missing = [name for name in arguments.engines.split(",") if name and not is_installed(name)]
    if missing:
        parser.error(f"these engines are not installed: {', '.join(missing)}")
    question = Question(expected_rows(path))
    failed = False
    files = [arguments.parquet] if arguments.parquet else arguments.files
    if arguments.table:
        for name, ask in BY_TABLE.items():
            if is_installed(name):
                failed |= not check(name, ask(question, arguments.table, arguments.version))
        if is_installed("deltalake") and is_installed("pyarrow"):
            failed |= not check("deltalake with pyarrow", by_delta_rs_with_pyarrow(question, arguments.table, arguments.version))
        files = files or files_of(arguments.table, arguments.version)
    for name, ask in BY_FILES.items():
        if is_installed(name) and (name not in ("pandas", "dask") or is_installed("pyarrow")):
            failed |= not check(name, ask(question, files))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
