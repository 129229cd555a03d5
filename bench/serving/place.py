"""What has to be there before anything is measured: programs, packages and rows. All of it lies in one folder, and is kept there."""

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
    """Where caches lie by the XDG rules."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "datalake-bench"


def check_programs(executable):
    """Says at once what is missing, before minutes are spent."""
    if not executable.is_file():
        raise SystemExit(f"there is no {executable}: cargo build --release, or --executable")
    # Debian keeps servers where only root's PATH leads.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [package for program, package in DEBIAN_PACKAGES.items() if not shutil.which(program)]
    if missing:
        raise SystemExit(f"programs are missing: apt-get update && apt-get install --no-install-recommends {' '.join(missing)}")


def environment(cache):
    """A virtual environment with the peers, made when it is not there; gives its folder."""
    folder = cache / "venv"
    complete = folder / "complete"
    if not complete.exists():
        print(f"installing {', '.join(PACKAGES)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)
        complete.touch()
    return folder


class Table:
    """One number of rows, in every form that a server or polars wants."""

    def __init__(self, folder, python, rows, first_user_number):
        self.folder, self.python, self.rows, self.first_user_number = folder, python, rows, first_user_number
        self.lake, self.parquet = folder / "lake", folder / "users.parquet"

    def database(self):
        """The SQLite database, made when it is asked for first: it is the largest of all and only one question needs it."""
        path = self.folder / "users.db"
        if not path.exists():
            print(f"making {path}", file=sys.stderr)
            subprocess.run([self.python, FOLDER / "rows.py", "database", self.folder], check=True)
        return path

    def by_polars(self, task, *arguments):
        """What `frame.py` answers of the rows."""
        command = [self.python, FOLDER / "frame.py", task, self.parquet, *arguments]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def table(cache, python, rows):
    """The rows, made when they are not there or another edition of the program made them."""
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
