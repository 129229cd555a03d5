"""Creates the rows that every server serves: a lake's Delta table, one Parquet file and optionally a SQLite database.

    VENV/bin/python bench/serving/rows.py table DIR --rows 1000000
    VENV/bin/python bench/serving/rows.py database DIR

    DIR/lake/processed_data/users/   the table, as after a run: data files sorted by user_id that do not overlap, and one log entry
    DIR/users.parquet                the five columns that readers are shown, in the same order: for ROAPI and polars
    DIR/made.json                    the number of rows, the first ID, and the digest of this program; written last
    DIR/users.db                     by `database`: the same five columns, `user_id` being the primary key, for Datasette

The table is written directly, because a run would need one source per user. Needs polars. Equal arguments produce equal rows.
"""

import argparse
import bisect
import hashlib
import json
import pathlib
import random
import sqlite3
import uuid
from datetime import datetime, timezone

import polars

SHOWN = ["user_id", "first_name", "last_name", "birthts", "img_path"]
SEGMENT_ROWS_MAX = 128_000
# A birth at midnight in another time zone has a birthts that is not midnight UTC, as in the sample users.
HOURS_FROM_UTC = (0, 0, 0, -3, 3, 4, 5, 7)
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
FIRST_BIRTH_MS = int(datetime(1950, 1, 1, tzinfo=timezone.utc).timestamp()) * 1000
BIRTH_DAYS = (datetime(2011, 1, 1) - datetime(1950, 1, 1)).days
WITH_PICTURE = 0.94
CREATED = datetime(2026, 11, 24, tzinfo=timezone.utc)
CREATED_MS = int(CREATED.timestamp()) * 1000
OF_PICTURE = {"img_path", "image_etag", "image_size", "image_modified"}
SCHEMA = {
    "user_id": polars.String,
    "first_name": polars.String,
    "last_name": polars.String,
    "birthts": polars.Int64,
    "img_path": polars.String,
    "csv_etag": polars.String,
    "csv_size": polars.Int64,
    "csv_modified": polars.Datetime("us", "UTC"),
    "image_etag": polars.String,
    "image_size": polars.Int64,
    "image_modified": polars.Datetime("us", "UTC"),
    "run_id": polars.String,
}
DELTA_TYPES = {polars.String: "string", polars.Int64: "long", polars.Datetime: "timestamp"}


def first_user_number(rows):
    """The first ID. All IDs have the same number of digits, so that their numeric order is that of their bytes."""
    return 10 ** len(str(max(rows - 1, 1)))


class Names:
    """About a thousand names of which some are frequent and most are rare: the weight of each is 1 / (its rank + 20)."""

    def __init__(self, beginnings, middles, ends):
        self.names = [beginning + middle + end for end in ends for middle in middles for beginning in beginnings]
        random.Random(len(self.names)).shuffle(self.names)
        total, self.reached = 0.0, []
        for rank in range(len(self.names)):
            total += 1 / (rank + 20)
            self.reached.append(total)

    def draw(self, generator):
        return self.names[bisect.bisect(self.reached, generator.random() * self.reached[-1])]


FIRST_NAMES = Names(
    "Al Be Ca Da El Fra Ge Ha In Jo Ka Le Ma No Ol Pe Ro Su To Zo".split(),
    "ri lo na sti mé va".split(),
    "a e o n ne na ck th li ël t us ra s my da in".split(),
)
LAST_NAMES = Names(
    "Ba Bro Cha Da Er Fo Gar Ho Jen Kla Lee Mi Mül Ne Or Pa Ri Sa Tho Wi".split(),
    "ck ller mer ri va ber nde ston".split(),
    "son man ez s er ton y ić sen a field wood berg ard ow ey".split(),
)


def segment(first, count):
    """The rows of one file of the table. The random values depend only on the number of its first user."""
    generator = random.Random(first)
    ids = [str(number) for number in range(first, first + count)]
    births = [
        FIRST_BIRTH_MS + generator.randrange(BIRTH_DAYS) * DAY_MS + generator.choice(HOURS_FROM_UTC) * HOUR_MS
        for _ in range(count)
    ]
    pictures = [generator.random() < WITH_PICTURE for _ in range(count)]

    def of_picture(make):
        return [make(user_id) if there else None for user_id, there in zip(ids, pictures)]

    columns = {
        "user_id": ids,
        "first_name": [FIRST_NAMES.draw(generator) for _ in range(count)],
        "last_name": [LAST_NAMES.draw(generator) for _ in range(count)],
        "birthts": births,
        "img_path": of_picture(lambda user_id: f"processed_data/images/{user_id}.png"),
        # Real ETags are digests: random ones make the files as large as real files.
        "csv_etag": [f"{generator.getrandbits(128):032x}" for _ in range(count)],
        "csv_size": [generator.randrange(50, 70) for _ in range(count)],
        "csv_modified": [CREATED] * count,
        "image_etag": of_picture(lambda _: f"{generator.getrandbits(128):032x}"),
        "image_size": of_picture(lambda _: generator.randrange(200, 300)),
        "image_modified": of_picture(lambda _: CREATED),
        "run_id": ["bench"] * count,
    }
    return polars.DataFrame(columns, schema=SCHEMA)


def added(path, frame):
    """The log's action that adds a file. Its bounds show readers that data files do not overlap, so that they do not merge them."""
    bounds = [{"user_id": getattr(frame["user_id"], end)(), "birthts": getattr(frame["birthts"], end)()} for end in ("min", "max")]
    nulls = {name: frame[name].null_count() for name in SCHEMA}
    stats = {"numRecords": frame.height, "minValues": bounds[0], "maxValues": bounds[1], "nullCount": nulls}
    return {
        "add": {
            "path": path.name,
            "partitionValues": {},
            "size": path.stat().st_size,
            "modificationTime": CREATED_MS,
            "dataChange": True,
            "stats": json.dumps(stats),
        }
    }


def described():
    """The log's actions with the protocol and the metadata of the table."""
    fields = [
        {"name": name, "type": DELTA_TYPES[kind if kind in DELTA_TYPES else type(kind)], "nullable": name != "user_id", "metadata": {}}
        for name, kind in SCHEMA.items()
    ]
    metadata = {
        "id": str(uuid.UUID(int=1)),
        "name": "users",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": CREATED_MS,
    }
    return [
        {"commitInfo": {"timestamp": CREATED_MS, "operation": "WRITE", "engineInfo": "datalake-bench"}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": metadata},
    ]


def write_table(folder, rows):
    """Writes the table's files and its log; returns the paths of the files in the order of the IDs."""
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    actions, paths = described(), []
    first = first_user_number(rows)
    for start in range(0, rows, SEGMENT_ROWS_MAX):
        frame = segment(first + start, min(SEGMENT_ROWS_MAX, rows - start))
        path = folder / f"part-{uuid.UUID(int=start)}.parquet"
        frame.write_parquet(path, compression="zstd")
        actions.append(added(path, frame))
        paths.append(path)
    (log / f"{0:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
    return paths


def write_parquet(path, segments):
    """Writes one file with the columns that readers see."""
    frame = polars.scan_parquet(segments) if segments else polars.LazyFrame(schema=SCHEMA)
    frame.select(SHOWN).sink_parquet(path, compression="zstd")


def make_table(folder, rows):
    """Writes everything except the database."""
    folder.mkdir(parents=True)
    segments = write_table(folder / "lake" / "processed_data" / "users", rows)
    write_parquet(folder / "users.parquet", segments)
    digest = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
    made = {"rows": rows, "first_user_number": first_user_number(rows), "by": digest}
    (folder / "made.json").write_text(json.dumps(made))


def make_database(folder):
    """A table that is clustered by its primary key, so that a page needs one lookup."""
    path = folder / "users.db"
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    database = sqlite3.connect(unfinished)
    database.execute("pragma journal_mode = off")
    database.execute(
        "create table users (user_id text primary key, first_name text, last_name text, birthts integer, img_path text) without rowid"
    )
    database.executemany("insert into users values (?, ?, ?, ?, ?)", polars.read_parquet(folder / "users.parquet").iter_rows())
    database.commit()
    database.close()
    unfinished.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    table = tasks.add_parser("table", help="creates a folder with the rows")
    table.add_argument("folder", type=pathlib.Path, help="must not exist yet")
    table.add_argument("--rows", type=int, required=True)
    database = tasks.add_parser("database", help="adds the database")
    database.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.task == "table":
        make_table(arguments.folder, arguments.rows)
    else:
        make_database(arguments.folder)


if __name__ == "__main__":
    main()
