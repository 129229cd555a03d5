#!/usr/bin/env python3
"""Compares the responses of the API with the results of DuckDB for the same queries and rows.

    python3 tests/oracle/check.py [--executable target/debug/datalake] [--tables 200] [--queries 5] [--seed 1]

A run creates each table from random sources. Each random query is sent to `/data` in every format and layout, with and without pages, and to
`/stats`. Needs `duckdb` and `polars` from PyPI. Prints the seed, with which a difference can be reproduced.
"""

import argparse
import csv
import io
import json
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import duckdb
import polars

COLUMNS = ["user_id", "first_name", "last_name", "birthts", "img_path", "age"]
STORED = COLUMNS[:5]
FIRST_NAMES = ["Ann", "anna", "Bob", "Zoë", "Ögün", "李", "O'Hara", "Lee, Jr", 'the "first"', "=cmd()", "%", "_", "a\\b", "\U0001F600"]
LAST_NAMES = ["Lee", "LEE", "Fox", "van Dyk", "Straße", "STRASSE", "Müller", "ŻÓŁW", "Οδυσσεύς", "ΟΔΥΣΣΕΎΣ", "x" * 300]
PICTURE = next(pathlib.Path(__file__).resolve().parents[2].glob("examples/src-data/*.png"))
DAY_MS = 86_400_000


def random_table(chance):
    """Rows of a table: id -> (first name, last name, birth in ms, has an image)."""
    rows = {}
    for _ in range(chance.choice([0, 1, 5, 40])):
        user_id = chance.choice([str(chance.randrange(2_000)), f"u-{chance.randrange(50):03}", f"A.{chance.randrange(9)}", f"_{chance.randrange(9)}"])
        day = chance.choice([chance.randrange(-43_000, 20_000), chance.randrange(10_900, 11_300)])
        birthts = day * DAY_MS + chance.choice([0, 0, 1, 43_200_000, DAY_MS - 1])
        rows[user_id] = (chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES), birthts, chance.random() < 0.6)
    return rows


def write_sources(lake, rows):
    """The sources of a table's rows."""
    folder = lake / "src-data"
    folder.mkdir(parents=True)
    for user_id, (first_name, last_name, birthts, has_image) in rows.items():
        with open(folder / f"{user_id}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["first_name", "last_name", "birthts"])
            writer.writerow([first_name, last_name, birthts])
        if has_image:
            shutil.copy(PICTURE, folder / f"{user_id}.png")


def random_condition(chance, rows):
    """A condition: its parameter, its value, and the equivalent SQL with parameters."""
    folded = lambda text: f"translate({text}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"
    column = chance.choice(COLUMNS)
    if chance.random() < 0.15:
        operator = chance.choice(["isnull", "notnull"])
        return f"{column}__{operator}", chance.choice(["", "1"]), f"{column} IS {'' if operator == 'isnull' else 'NOT '}NULL", []
    if column in ("birthts", "age"):
        known = [row[2] for row in rows.values()] or [0]
        number = lambda: chance.choice(known) if column == "birthts" else chance.randrange(0, 130)
        cast = int
    else:
        values = {"user_id": list(rows), "first_name": FIRST_NAMES, "last_name": LAST_NAMES}
        paths = [f"processed_data/images/{user_id}.png" for user_id in rows]
        number = lambda: chance.choice((values.get(column) or paths) or ["x"])
        cast = str
    operators = {"": "=", "exact": "=", "not": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
    names = [*operators, "in"] + ([] if cast is int else ["contains", "startswith", "endswith"])
    operator = chance.choice(names)
    name = f"{column}__{operator}" if operator else column
    if operator == "in":
        values = [number() for _ in range(chance.randrange(1, 4))]
        plain = cast is int or not any("," in value or value.startswith("[") for value in values)
        text = ",".join(map(str, values)) if plain and chance.random() < 0.5 else json.dumps(values)
        return name, text, f"{column} IN ({','.join('?' * len(values))})", values
    value = number()
    if operator in ("contains", "startswith", "endswith"):
        start = chance.randrange(len(value) + 1)
        part = {"contains": value[start : start + 2], "startswith": value[:start], "endswith": value[start:]}[operator]
        part = chance.choice([part, part.upper() if part.isascii() else part])
        function = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}[operator]
        return name, part, f"{function}({folded(column)}, {folded('?')})", [part]
    return name, str(value), f"{column} {operators[operator]} ?", [value]


def random_search(chance, rows):
    """The text of a search: parts of IDs and names in any case."""
    words = [word for user_id, row in rows.items() for text in (user_id, *row[:2]) for word in text.split()] or ["x"]
    parts = []
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        word = chance.choice(words)
        start = chance.choice([0, 0, chance.randrange(len(word))])
        part = word[start : start + chance.randrange(1, 6)]
        parts.append(chance.choice([part, part.upper(), part.lower(), part.casefold()]))
    return chance.choice([" ", "  ", "\t"]).join(parts)


def random_query(chance, rows):
    """Filters as pairs of a query string, and as SQL with parameters; and the format of the rows."""
    pairs, where, values = [], [], []
    if chance.random() < 0.4:
        wanted = chance.random() < 0.5
        pairs.append(("is_image_exists", chance.choice([str(wanted), str(wanted).lower(), str(wanted).upper()])))
        where.append(f"img_path IS {'NOT ' if wanted else ''}NULL")
    extremes = []
    for name, comparison, extreme in (("min_age", ">=", "min"), ("max_age", "<=", "max")):
        if chance.random() < 0.35:
            if chance.random() < 0.5:
                pairs.append((name, ""))
                extremes.append(extreme)
            else:
                years = chance.randrange(0, 120)
                pairs.append((name, str(years)))
                where.append(f"age {comparison} {years}")
    search = None
    if chance.random() < 0.3:
        search = random_search(chance, rows)
        pairs.append(("q", search))
    for _ in range(chance.choice([0, 0, 1, 2])):
        name, text, sql, parameters = random_condition(chance, rows)
        if name in [pair[0] for pair in pairs]:
            continue
        pairs.append((name, text))
        where.append(sql)
        values += parameters
    order, keys = "", []
    if chance.random() < 0.6:
        columns = chance.sample(COLUMNS, chance.randrange(1, 4))
        keys = [(column, chance.choice(["", ".asc", ".desc"])) for column in columns]
        order = ",".join(column + direction for column, direction in keys)
    chance.shuffle(pairs)
    return pairs, where, values, extremes, order, keys, search


class Oracle:
    """The rows in DuckDB."""

    def __init__(self, rows):
        self.database = duckdb.connect()
        self.database.execute("CREATE TABLE stored (user_id VARCHAR, first_name VARCHAR, last_name VARCHAR, birthts BIGINT, img_path VARCHAR)")
        for user_id, (first_name, last_name, birthts, has_image) in rows.items():
            path = f"processed_data/images/{user_id}.png" if has_image else None
            self.database.execute("INSERT INTO stored VALUES (?, ?, ?, ?, ?)", [user_id, first_name, last_name, birthts, path])
        # The texts that a search compares. Python folds the case, because DuckDB has only lower and upper case.
        self.database.execute("CREATE TABLE searched (user_id VARCHAR, text VARCHAR)")
        for user_id, row in rows.items():
            for text in (user_id, *row[:2]):
                self.database.execute("INSERT INTO searched VALUES (?, ?)", [user_id, text.casefold()])

    def rows(self, on, where, values, extremes, keys, search):
        """The rows that a query matches, as tuples of all columns."""
        words = search.casefold().split() if search is not None else []
        all_words = lambda function: " AND ".join(f"user_id IN (SELECT user_id FROM searched WHERE {function}(text, ?))" for _ in words)
        where, values = [*where, all_words("contains")] if words else where, [*values, *words]
        born = "make_date(1970, 1, 1) + CAST(floor(birthts / 86400000.0) AS INTEGER)"
        age = f"""CASE WHEN {born} > DATE '{on}' THEN NULL ELSE year(DATE '{on}') - year({born})
            - CASE WHEN (month(DATE '{on}'), day(DATE '{on}')) < (month({born}), day({born})) THEN 1 ELSE 0 END END"""
        taken = f"SELECT *, {age} AS age FROM stored"
        taken = f"SELECT * FROM ({taken}) WHERE {' AND '.join(where) or 'true'}"
        if extremes:
            sought = " UNION ALL ".join(f"SELECT {extreme}(age) FROM taken" for extreme in extremes)
            sql = f"WITH taken AS ({taken}) SELECT * FROM taken WHERE age IN ({sought})"
        else:
            sql = taken
        order = [f"{column} {'DESC' if direction == '.desc' else 'ASC'} NULLS LAST" for column, direction in keys]
        if words and not keys:
            order, values = [f"({all_words('starts_with')}) DESC"], [*values, *words]
        return self.database.execute(f"SELECT * FROM ({sql}) ORDER BY {', '.join([*order, 'user_id'])}", values).fetchall()

    def statistics(self, rows):
        """The expected `/stats` of some rows."""
        ages = [row[5] for row in rows if row[5] is not None]
        self.database.execute("CREATE OR REPLACE TEMP TABLE ages (age INTEGER)")
        if ages:
            self.database.executemany("INSERT INTO ages VALUES (?)", [[age] for age in ages])
        average, least, most, median = self.database.execute("SELECT avg(age), min(age), max(age), median(age) FROM ages").fetchone()
        by_age = self.database.execute("SELECT age, count(*) FROM ages GROUP BY age ORDER BY age").fetchall()
        with_image = sum(row[4] is not None for row in rows)
        return {
            "count": len(rows),
            "average_age": average,
            "min_age": least,
            "max_age": most,
            "median_age": median,
            "with_image": with_image,
            "without_image": len(rows) - with_image,
            "by_age": [{"age": age, "count": count} for age, count in by_age],
        }


class Server:
    """A server for a lake, on a free port."""

    def __init__(self, executable, lake):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [executable, "serve", "--lake", str(lake), "--listen", f"127.0.0.1:{port}", "--launcher", "none", "--log", "error"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url}/stats", timeout=5).close()
                return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)
        raise SystemExit("the server does not come up")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def get(self, path, pairs):
        """The body, and the headers."""
        address = f"{self.url}{path}?{urllib.parse.urlencode(pairs)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as response:
                return response.read(), response.headers
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{address}: {error.code} {error.read().decode()}") from None

    def pages(self, pairs, limit):
        """The rows of all pages."""
        rows, address = [], f"{self.url}/data?{urllib.parse.urlencode([*pairs, ('limit', limit)])}"
        while address:
            with urllib.request.urlopen(address, timeout=30) as response:
                rows += json.load(response)
                link = re.fullmatch(r'<(.*)>; rel="next"', response.headers.get("Link", ""))
                address = self.url + link[1] if link else None
        return rows


def shown(rows, columns):
    """Tuples of all columns as tuples of some."""
    places = [COLUMNS.index(column) for column in columns]
    return [tuple(row[place] for place in places) for row in rows]


def compare(what, found, expected):
    """Exits if there is a difference."""
    if found != expected:
        raise SystemExit(f"DIFFERENT: {what}\n  found:    {str(found)[:2000]}\n  expected: {str(expected)[:2000]}")


def check(server, chance, oracle, rows):
    """Sends one random query in every form."""
    pairs, where, values, extremes, order, keys, search = random_query(chance, rows)
    on = chance.choice(["2026-11-24", "2024-02-29", "2025-02-28", "2025-03-01", "1990-06-15"])
    pairs.append(("on", on))
    expected = oracle.rows(on, where, values, extremes, keys, search)
    columns = chance.sample(COLUMNS, chance.randrange(1, 7)) if chance.random() < 0.5 else None
    showing = ([("order", order)] if order else []) + ([("select", ",".join(columns))] if columns else [])
    asked = [*pairs, *showing]
    wanted, stored = columns or COLUMNS, columns or STORED

    body, headers = server.get("/data", asked)
    compare(f"json {asked}", [tuple(row[column] for column in wanted) for row in json.loads(body)], shown(expected, wanted))
    compare(f"names {asked}", [list(row) for row in json.loads(body)][:1], [list(wanted)] if expected else [])
    compare(f"total {asked}", headers["X-Total-Count"], str(len(expected)))
    body, _ = server.get("/data.ndjson", asked)
    compare(f"ndjson {asked}", [tuple(json.loads(line).values()) for line in body.decode().split("\n") if line], shown(expected, wanted))
    body, _ = server.get("/data.csv", asked)
    lines = list(csv.reader(io.StringIO(body.decode(), newline="")))
    texts = [tuple("" if value is None else str(value) for value in row) for row in shown(expected, stored)]
    compare(f"csv {asked}", (tuple(lines[0]), [tuple(line) for line in lines[1:]]), (tuple(stored), texts))
    body, _ = server.get("/data", [*asked, ("shape", "columns")])
    by_column = {column: {str(at): row[0] for at, row in enumerate(shown(expected, [column]))} for column in wanted}
    compare(f"columns {asked}", json.loads(body), by_column)
    body, _ = server.get("/data.parquet", asked)
    frame = polars.read_parquet(io.BytesIO(body))
    compare(f"parquet {asked}", (frame.columns, frame.rows()), (list(wanted), shown(expected, wanted)))
    body, _ = server.get("/data.arrow", asked)
    frame = polars.read_ipc_stream(io.BytesIO(body))
    compare(f"arrow {asked}", (frame.columns, frame.rows()), (list(wanted), shown(expected, wanted)))
    limit = chance.randrange(1, 12)
    pages = server.pages(asked, limit)
    compare(f"pages of {limit} {asked}", [tuple(row[column] for column in wanted) for row in pages], shown(expected, wanted))

    body, _ = server.get("/stats", pairs)
    statistics = json.loads(body)
    expected_statistics = oracle.statistics(expected)
    average, expected_average = statistics.pop("average_age"), expected_statistics.pop("average_age")
    statistics.pop("version"), statistics.pop("on")
    compare(f"stats {pairs}", statistics, expected_statistics)
    near = average == expected_average or abs(average - expected_average) < 1e-9
    compare(f"average {pairs}", near, True)


def arguments(description, tables, queries):
    """The options of a program, and the seed, which is printed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", default="target/debug/datalake")
    parser.add_argument("--tables", type=int, default=tables)
    parser.add_argument("--queries", type=int, default=queries)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}", flush=True)
    return options, seed


def main():
    options, seed = arguments(__doc__, tables=200, queries=5)
    chance = random.Random(seed)
    asked = 0
    for _ in range(options.tables):
        rows = random_table(chance)
        with tempfile.TemporaryDirectory() as folder:
            lake = pathlib.Path(folder) / "lake"
            write_sources(lake, rows)
            run = [options.executable, "process", "--lake", str(lake), "--log", "error", "--allow-mass-delete", "--output", "json"]
            made = subprocess.run(run, capture_output=True, text=True, check=False)
            if made.returncode:
                raise SystemExit(f"the run failed: {made.stderr}")
            oracle = Oracle(rows)
            with Server(options.executable, lake) as server:
                body, _ = server.get("/data.csv", [])
                compare("output.csv", body, (lake / "processed_data/output.csv").read_bytes())
                for _ in range(options.queries):
                    check(server, chance, oracle, rows)
                    asked += 1
    print(f"{asked} queries of {options.tables} tables: no difference")


if __name__ == "__main__":
    sys.exit(main())
