"""The prerequisites of measurements: programs, packages and rows. They are cached in one folder."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent
PACKAGES = ("roapi", "datasette", "polars", "deltalake")
DEBIAN_PACKAGES = {"wrk": "wrk", "nginx": "nginx-light", "curl": "curl"}


def default_cache():
    """The folder of caches by the XDG rules."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "datalake-bench"


def check_programs(executable):
    """Reports missing programs before any measurement."""
    if not executable.is_file():
        raise SystemExit(f"there is no {executable}: cargo build --profile dist, or --executable")
    # Debian keeps servers where only root's PATH leads.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [package for program, package in DEBIAN_PACKAGES.items() if not shutil.which(program)]
    if missing:
        raise SystemExit(f"programs are missing: apt-get update && apt-get install --no-install-recommends {' '.join(missing)}")


def environment(cache):
    """A virtual environment with the packages, created if it does not exist; returns its folder."""
    folder = cache / "venv"
    complete = folder / "complete"
    if not complete.exists():
        print(f"installing {', '.join(PACKAGES)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)
        complete.touch()
    return folder


class Table:
    """A number of rows, in every format that the servers and polars need."""

    def __init__(self, folder, python, rows, first_user_number):
        self.folder, self.python, self.rows, self.first_user_number = folder, python, rows, first_user_number
        self.lake, self.parquet = folder / "lake", folder / "users.parquet"

    def database(self):
        """The SQLite database, created on first use: it is the largest file, and only one target needs it."""
        path = self.folder / "users.db"
        if not path.exists():
            print(f"making {path}", file=sys.stderr)
            subprocess.run([self.python, FOLDER / "rows.py", "database", self.folder], check=True)
        return path

    def by_polars(self, task, *arguments):
        """The output of `frame.py` for the rows."""
        command = [self.python, FOLDER / "frame.py", task, self.parquet, *arguments]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def table(cache, python, rows):
    """The rows, created if they do not exist or another version of the program created them."""
    program = FOLDER / "rows.py"
    folder = cache / f"rows-{rows}"
    made_file = folder / "made.json"
    by = hashlib.sha256(program.read_bytes()).hexdigest()
    if not made_file.exists() or json.loads(made_file.read_text())["by"] != by:
        print(f"making {rows} rows in {folder}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, program, "table", folder, "--rows", str(rows)], check=True)
    found = Table(folder, python, rows, json.loads(made_file.read_text())["first_user_number"])
    if not found.by_polars("check-table", found.lake / "processed_data" / "users")["equal"]:
        raise SystemExit(f"polars does not read the same rows in the table as in {found.parquet}; remove {folder}")
    return found
