#!/usr/bin/env python3
"""Compares the responses for lakes with random declarations with the results of DuckDB for the same queries and rows.

    python3 tests/oracle/datasets.py [--executable target/debug/datalake] [--tables 100] [--queries 10] [--seed 1]

Each lake has a random declaration: IDs of one or two values, columns of every type, with and without values, up to two files, and derived columns. A run creates its table. Each
random query is sent to `/data` as JSON, CSV, Parquet and page by page, and to `/stats`. Needs `duckdb` and `polars` from PyPI.
"""

import csv
import datetime
import io
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import duckdb
import polars

from check import PICTURE, Server, arguments, compare

UTC = datetime.timezone.utc
TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "epoch_ms": "BIGINT",
    "epoch_s": "BIGINT",
}
DAYS = {
    "date": "{}",
    "datetime": "CAST({} AS DATE)",
    "epoch_ms": "(DATE '1970-01-01' + CAST(floor({} / 86400000.0) AS INTEGER))",
    "epoch_s": "(DATE '1970-01-01' + CAST(floor({} / 86400.0) AS INTEGER))",
}
TEXTS = ["Ann", "anna", "Zoë", "李", "O'Hara", "Lee, Jr", 'the "first"', "=cmd()", "%", "_", "a\\b", "\U0001F600", "true", "1"]
ENUM = ["new", "paid", "sent"]
ON = ["2026-11-24", "2024-02-29", "2025-03-01", "1990-06-15"]


class Column:
    """A column of a declaration: its type, and for a derived one its function and argument."""

    def __init__(self, name, kind, declared="", sql=None, is_required=False):
        self.name, self.kind, self.declared, self.sql, self.is_required = name, kind, declared, sql, is_required

    @property
    def is_ordered(self):
        return self.kind not in ("string", "boolean")


class Declaration:
    """A random declaration. `derived` is by SQL over the stored columns, with `{on}` for the day of the query."""

    def __init__(self, chance):
        self.ids = [Column("id", chance.choice(["string", "string", "integer", "date"]), is_required=True)]
        if chance.random() < 0.5:
            self.ids.insert(0, Column("batch", chance.choice(["string", "string", "integer"]), is_required=True))
        for column in self.ids:
            column.declared = "" if column.kind == "string" else f"'{column.kind}'"
        self.columns = list(self.ids)
        for number in range(chance.randrange(1, 6)):
            kind, required = chance.choice(list(TYPES)), chance.random() < 0.4
            has_enum = kind == "string" and chance.random() < 0.3
            declared = f"{{ type = '{kind}', required = {str(required).lower()}{f', enum = {ENUM}' if has_enum else ''} }}"
            self.columns.append(Column(f"c{number}", kind, declared, "enum" if has_enum else None, required))
        # The folder of each file, and whether the file is copied.
        self.files = {name: (chance.choice(["src-data", "files"]), chance.random() < 0.5) for name in ["scan", "photo"] if chance.random() < 0.5}
        self.derived = [column for column in self.random_derived(chance) if column]

    def random_derived(self, chance):
        for column in self.columns:
            if column.kind in DAYS and chance.random() < 0.5:
                day, on = DAYS[column.kind].format(column.name), "DATE '{on}'"
                years = (
                    f"CASE WHEN {day} > {on} THEN NULL ELSE year({on}) - year({day})"
                    f" - CASE WHEN (month({on}), day({on})) < (month({day}), day({day})) THEN 1 ELSE 0 END END"
                )
                yield chance.choice(
                    [
                        Column(f"years_{column.name}", "integer", f"years({column.name})", years),
                        Column(f"year_{column.name}", "integer", f"year({column.name})", f"year({day})"),
                    ]
                )
            if column.kind == "string" and column not in self.ids and chance.random() < 0.3:
                yield Column(f"length_{column.name}", "integer", f"length({column.name})", f"length({column.name})")
        for name in self.files:
            if chance.random() < 0.5:
                yield Column(f"has_{name}", "boolean", f"has({name})", f"{name}_path IS NOT NULL")

    @property
    def stored(self):
        return [*self.columns, *(Column(f"{name}_path", "string") for name in self.files)]

    @property
    def all(self):
        return [*self.stored, *self.derived]

    @property
    def stats(self):
        return [column for column in [*self.columns, *self.derived] if column.kind in ("integer", "number")]

    def text(self):
        key = "/".join(f"{{{column.name}}}" for column in self.ids)
        lines = [f"source.key = 'src-data/{key}.csv'", "[columns]"]
        lines += [f"{column.name} = {column.declared}" for column in self.columns if column.declared]
        for name, (folder, is_copied) in self.files.items():
            lines += [f"[files.{name}]", f"key = '{folder}/{key}.{name}'", "types = ['image/png']"]
            lines += [f"copy_to = 'processed_data/{name}/{key}.png'"] if is_copied else []
        if self.derived:
            lines += ["[derived]", *(f"{column.name} = '{column.declared}'" for column in self.derived)]
        return "\n".join(lines) + "\n"

    def path(self, name, row_id):
        folder, is_copied = self.files[name]
        return f"processed_data/{name}/{row_id}.png" if is_copied else f"{folder}/{row_id}.{name}"


def random_value(chance, column):
    """A value of a column, and its text in a source."""
    kind = column.kind
    if not column.is_required and chance.random() < 0.2:
        return None, ""
    if kind == "string":
        text = chance.choice(ENUM if column.sql == "enum" else TEXTS)
        return text, text
    if kind == "number":
        number = chance.choice([0.0, -1.5, round(chance.uniform(-100, 100), 3), 1e21, 2.0])
        return number, repr(number)
    if kind == "boolean":
        value = chance.random() < 0.5
        return value, chance.choice([str(value).lower(), str(int(value))])
    if kind == "date":
        day = datetime.date(1970, 1, 1) + datetime.timedelta(chance.choice([chance.randrange(-30_000, 40_000), chance.randrange(10_900, 10_910)]))
        return day, day.isoformat()
    if kind == "datetime":
        time = datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=chance.randrange(-10**9, 2 * 10**9), microseconds=chance.choice([0, 5 * 10**5, 1]))
        offset = chance.choice([0, 60, -330])
        return time.replace(tzinfo=None), time.astimezone(datetime.timezone(datetime.timedelta(minutes=offset))).isoformat()
    # Times are within the range of years that SQL and the product share.
    number = chance.choice([chance.randrange(-100, 100), chance.randrange(-(10**9), 2 * 10**9)])
    number *= 1000 if kind == "epoch_ms" else 1
    return number, str(number)


def random_id(chance, kind):
    """A value of a placeholder, and its text in a key."""
    if kind == "string":
        text = chance.choice([str(chance.randrange(2_000)), f"u-{chance.randrange(50):03}", f"A.{chance.randrange(9)}", "u"])
        return text, text
    value = chance.randrange(-20, 1_000)
    if kind == "date":
        value = datetime.date(2026, 1, 1) + datetime.timedelta(value)
    return value, str(value)


def parameter(value):
    """A value in a query string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        return value.isoformat() + "Z"
    return value.isoformat() if isinstance(value, datetime.date) else repr(value) if isinstance(value, float) else str(value)


def random_condition(chance, declaration, rows, on):
    """A condition: its parameter, its value, and the equivalent SQL with parameters."""
    column = chance.choice(declaration.all)
    if chance.random() < 0.2:
        operator = chance.choice(["isnull", "notnull"])
        return f"{column.name}__{operator}", "1", f"{column.name} IS {'' if operator == 'isnull' else 'NOT '}NULL", []
    known = [row[column.name] for row in rows if row[column.name] is not None]
    if not known:
        return f"{column.name}__notnull", "", f"{column.name} IS NOT NULL", []
    value = chance.choice(known)
    operators = {"": "=", "exact": "=", "not": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
    if column.kind == "string" and chance.random() < 0.3:
        start = chance.randrange(len(value) + 1)
        folded = lambda text: f"translate({text}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"
        return f"{column.name}__startswith", value[:start], f"starts_with({folded(column.name)}, {folded('?')})", [value[:start]]
    if chance.random() < 0.2 and column.kind not in ("string", "datetime"):
        values = [chance.choice(known) for _ in range(chance.randrange(1, 4))]
        return f"{column.name}__in", ",".join(map(parameter, values)), f"{column.name} IN ({','.join('?' * len(values))})", values
    operator = chance.choice(list(operators))
    name = f"{column.name}__{operator}" if operator else column.name
    return name, parameter(value), f"{column.name} {operators[operator]} ?", [value]


class Oracle:
    """The rows in DuckDB."""

    def __init__(self, declaration, rows):
        self.declaration, self.database = declaration, duckdb.connect()
        columns = [f"{column.name} {TYPES[column.kind]}" for column in declaration.stored]
        # Rows are in the order of the texts in their keys.
        self.order = [f"text_of_{column.name}" for column in declaration.ids]
        self.database.execute(f"CREATE TABLE stored ({', '.join(columns)})")
        self.database.execute(f"CREATE TABLE ids ({', '.join(f'{name} VARCHAR' for name in self.order)})")
        for row in rows:
            self.database.execute(f"INSERT INTO stored VALUES ({','.join('?' * len(declaration.stored))})", [row[column.name] for column in declaration.stored])
            self.database.execute(f"INSERT INTO ids VALUES ({','.join('?' * len(self.order))})", row["key"].split("/"))

    def taken(self, on):
        """All rows with the derived columns on a day, as SQL."""
        derived = [f", {column.sql.replace('{on}', on)} AS {column.name}" for column in self.declaration.derived]
        return f"SELECT stored.*{''.join(derived)}, ids.* FROM stored POSITIONAL JOIN ids"

    def rows(self, on, where, values, extremes, keys):
        """The rows that a query matches, as dictionaries."""
        sql = f"WITH taken AS (SELECT * FROM ({self.taken(on)}) WHERE {' AND '.join(where) or 'true'}) SELECT * FROM taken"
        by_column = {}
        for name, extreme in extremes:
            by_column.setdefault(name, []).append(f"SELECT {extreme}({name}) FROM taken")
        conditions = [f"{name} IN ({' UNION ALL '.join(sought)})" for name, sought in by_column.items()]
        sql += f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = [f"{name} {'DESC' if direction == '.desc' else 'ASC'} NULLS LAST" for name, direction in keys]
        found = self.database.execute(f"{sql} ORDER BY {', '.join([*order, *self.order])}", values).fetchall()
        return [dict(zip([column.name for column in self.declaration.all], row)) for row in found]

    def statistics(self, rows):
        """The expected `/stats` of some rows."""
        expected = {"count": len(rows)}
        for name in self.declaration.files:
            with_file = sum(row[f"{name}_path"] is not None for row in rows)
            expected |= {f"with_{name}": with_file, f"without_{name}": len(rows) - with_file}
        for column in self.declaration.stats:
            name, kind = column.name, TYPES[column.kind]
            self.database.execute(f"CREATE OR REPLACE TEMP TABLE numbers (value {kind})")
            values = [[row[name]] for row in rows if row[name] is not None]
            if values:
                self.database.executemany("INSERT INTO numbers VALUES (?)", values)
            found = self.database.execute("SELECT avg(value), min(value), max(value), median(value) FROM numbers").fetchone()
            expected |= dict(zip([f"average_{name}", f"min_{name}", f"max_{name}", f"median_{name}"], found))
            if column.kind == "integer":
                counts = self.database.execute("SELECT value, count(*) FROM numbers GROUP BY value ORDER BY value").fetchall()
                expected[f"by_{name}"] = [{name: value, "count": count} for value, count in counts]
        return expected


def parsed(column, value):
    """A value of a JSON document."""
    if value is None or column.kind not in ("date", "datetime"):
        return value
    if column.kind == "date":
        return datetime.date.fromisoformat(value)
    return datetime.datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)


def from_text(column, text):
    """A value of a CSV. An empty field is a null."""
    if text == "":
        return None
    if column.kind in ("integer", "epoch_ms", "epoch_s"):
        return int(text)
    if column.kind == "boolean":
        return {"true": True, "false": False}[text]
    return float(text) if column.kind == "number" else parsed(column, text)


def is_near(found, expected):
    """Whether two averages or medians are equal except for rounding."""
    if found is None or expected is None:
        return found is expected
    return found == expected or abs(found - expected) <= 1e-9 * max(abs(found), abs(expected))


def check(server, chance, oracle, all_rows):
    """Sends one random query in every form."""
    declaration, on = oracle.declaration, chance.choice(ON)
    rows_on = oracle.rows(on, [], [], [], [])
    pairs, where, values, extremes = [], [], [], []
    for name in declaration.files:
        if chance.random() < 0.3:
            wanted = chance.random() < 0.5
            pairs.append((f"is_{name}_exists", str(wanted)))
            where.append(f"{name}_path IS {'NOT ' if wanted else ''}NULL")
    for column in declaration.all:
        if column.is_ordered and chance.random() < 0.2:
            word, comparison = chance.choice([("min", ">="), ("max", "<=")])
            known = [row[column.name] for row in rows_on if row[column.name] is not None and row[column.name] != 1e21]
            is_years = column.declared.startswith("years")
            if known and chance.random() < 0.5:
                value = chance.choice(known)
                pairs.append((f"{word}_{column.name}", parameter(value)))
                where.append(f"{column.name} {comparison} ?")
                values.append(value)
            elif not is_years or known:
                pairs.append((f"{word}_{column.name}", ""))
                extremes.append((column.name, word))
    for _ in range(chance.choice([0, 0, 1, 2])):
        name, text, sql, parameters = random_condition(chance, declaration, rows_on, on)
        if name not in [pair[0] for pair in pairs]:
            pairs.append((name, text))
            where.append(sql)
            values += parameters
    keys = []
    if chance.random() < 0.6:
        keys = [(column.name, chance.choice(["", ".asc", ".desc"])) for column in chance.sample(declaration.all, chance.randrange(1, 3))]
    pairs.append(("on", on))
    expected = oracle.rows(on, where, values, extremes, keys)
    asked = [*pairs, ("order", ",".join(name + direction for name, direction in keys))] if keys else pairs

    body, headers = server.get("/data", asked)
    of_json = lambda rows: [{column.name: parsed(column, row[column.name]) for column in declaration.all} for row in rows]
    compare(f"json {asked}", of_json(json.loads(body)), expected)
    compare(f"total {asked}", headers["X-Total-Count"], str(len(expected)))
    body, _ = server.get("/data.csv", asked)
    lines = list(csv.reader(io.StringIO(body.decode(), newline="")))
    compare(f"header {asked}", lines[0], [column.name for column in declaration.stored])
    found = [[from_text(column, text) for column, text in zip(declaration.stored, line)] for line in lines[1:]]
    compare(f"csv {asked}", found, [[row[column.name] for column in declaration.stored] for row in expected])
    body, _ = server.get("/data.parquet", asked)
    naive = lambda value: value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value
    frame = [{name: naive(value) for name, value in row.items()} for row in polars.read_parquet(io.BytesIO(body)).to_dicts()]
    compare(f"parquet {asked}", frame, expected)
    limit = chance.randrange(1, 12)
    compare(f"pages of {limit} {asked}", of_json(server.pages(asked, limit)), expected)
    body, _ = server.get("/stats", pairs)
    statistics, wanted = json.loads(body), oracle.statistics(expected)
    statistics.pop("version"), statistics.pop("on")
    compare(f"names of stats {pairs}", sorted(statistics), sorted(wanted))
    for name, value in wanted.items():
        is_same = is_near(statistics[name], value) if name.startswith(("average_", "median_")) else statistics[name] == value
        compare(f"{name} of {pairs}", (is_same, statistics[name]), (True, statistics[name] if is_same else value))


def create(executable, chance, lake):
    """A lake with a random declaration, after a run; the declaration and the rows."""
    declaration = Declaration(chance)
    sources = lake / "src-data"
    sources.mkdir(parents=True)
    (lake / "dataset.toml").write_text(declaration.text(), encoding="utf-8")
    rows = {}
    for _ in range(chance.choice([1, 5, 40])):
        ids = {column.name: random_id(chance, column.kind) for column in declaration.ids}
        row_id = "/".join(text for _, text in ids.values())
        values = {}
        # A source without any value is rejected as empty.
        while not any(text for _, text in values.values()):
            values = {column.name: random_value(chance, column) for column in declaration.columns[len(ids) :]}
        (sources / row_id).parent.mkdir(parents=True, exist_ok=True)
        with open(sources / f"{row_id}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([list(values), [text for _, text in values.values()]])
        row = {"key": row_id} | {name: value for name, (value, _) in [*ids.items(), *values.items()]}
        for name, (folder, _) in declaration.files.items():
            has_file = chance.random() < 0.6
            row[f"{name}_path"] = declaration.path(name, row_id) if has_file else None
            file = lake / folder / f"{row_id}.{name}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            if has_file:
                shutil.copy(PICTURE, file)
        rows[row_id] = row
    run = [executable, "process", "--lake", str(lake), "--log", "error", "--output", "json"]
    made = subprocess.run(run, capture_output=True, text=True, check=False)
    if made.returncode or json.loads(made.stdout)["counts"]["rejected"]:
        raise SystemExit(f"the run failed or rejected sources: {made.stderr}{made.stdout[:3000]}\n{declaration.text()}")
    return declaration, list(rows.values())


def main():
    options, seed = arguments(__doc__, tables=100, queries=10)
    chance = random.Random(seed)
    for _ in range(options.tables):
        with tempfile.TemporaryDirectory() as folder:
            lake = pathlib.Path(folder) / "lake"
            declaration, rows = create(options.executable, chance, lake)
            oracle = Oracle(declaration, rows)
            try:
                with Server(options.executable, lake) as server:
                    for _ in range(options.queries):
                        check(server, chance, oracle, rows)
            except SystemExit:
                print(declaration.text(), flush=True)
                raise
    print(f"{options.tables * options.queries} queries of {options.tables} random declarations: no difference")


if __name__ == "__main__":
    sys.exit(main())
