"""What is measured for each target, and the rows of the printed tables."""

import collections
import contextlib
import statistics
import subprocess
import time

import load
import questions
from process import forget_peak, memory

STARTS = 10
EXPORTS = 3
# Allocators return freed pages after a delay, and a server may finish work after its first response.
SETTLING_SECONDS = 5
MIB = 1024
# The difference between two loads of the same server on a machine that is not idle.
FLAT = 0.9
IMAGES = ("datalake-api", "datalake-processor")

# One line of the printed table; `met` is none if there is no target for the measurement.
Result = collections.namedtuple("Result", "target what ours beside ratio wanted met")


def at_least(target, what, ours, beside, ratio, wanted):
    """A ratio with a minimum."""
    return Result(target, what, ours, beside, f"{ratio:.2f} ×", f"at least {wanted} ×", ratio >= wanted)


def at_most(target, what, ours, beside, ratio, wanted):
    """A ratio with a maximum."""
    return Result(target, what, ours, beside, f"{ratio:.2f} ×", f"at most {wanted} ×", ratio <= wanted)


def within(target, what, amount, wanted, unit):
    """A value of datalake with a maximum."""
    return Result(target, what, f"{amount:.1f} {unit}", "", "", f"at most {wanted} {unit}", amount <= wanted)


class Bench:
    """The parameters of all measurements: the servers' programs, the rows, the duration, and a working folder."""

    def __init__(self, programs, table, large, empty, rounds, seconds, work):
        self.programs, self.table, self.large, self.empty = programs, table, large, empty
        self.rounds, self.seconds, self.work = rounds, seconds, work
        # Lines of the second table: (request, server, result).
        self.loads = []

    def compare(self, question, contenders):
        """Loads the contenders and keeps their results for the second table."""
        figures = load.compare(contenders, self.rounds, self.seconds, self.work)
        self.loads += [(question, name, each) for name, each in figures.items()]
        return figures


def pages(bench):
    """P7: the first page only, and then all pages, so that a cache of one response is no advantage."""
    table = bench.table
    first, many = questions.pages(table.rows, table.first_user_number)
    database = table.database()
    with contextlib.ExitStack() as running:
        datalake = running.enter_context(bench.programs.datalake(table.lake))
        files = bench.work / "pages"
        files.mkdir()
        asked = [first, *many]
        for page, content in zip(asked, datalake.answers(page.of_datalake() for page in asked)):
            (files / page.file_name()).write_bytes(content)
        nginx = running.enter_context(bench.programs.nginx(files))
        roapi = running.enter_context(bench.programs.roapi(table.parquet))
        datasette = running.enter_context(bench.programs.datasette(database))
        questions.check_pages(first, many, datalake, roapi, datasette, nginx)
        results = []
        for what, asked in (("the first page", [first]), (f"{len(many)} pages", many)):
            contenders = [
                load.Contender("datalake", datalake, [load.get(page.of_datalake()) for page in asked]),
                load.Contender("ROAPI", roapi, [load.get(page.of_roapi()) for page in asked]),
                load.Contender("ROAPI, sorted", roapi, [load.get(page.of_roapi_sorted()) for page in asked]),
                load.Contender("Datasette", datasette, [load.get(page.of_datasette()) for page in asked]),
                load.Contender("nginx", nginx, [load.get(page.of_nginx()) for page in asked]),
            ]
            results += page_results(what, bench.compare(f"100 rows, {what}", contenders))
    return results


def page_results(what, figures):
    """Ratios of requests per second, and of the slowest responses."""
    ours = figures["datalake"]
    results = []
    for name, wanted in (("ROAPI", 20), ("Datasette", 150), ("nginx", 0.8)):
        rate = figures[name].rate
        results.append(at_least("P7", f"{what}, requests/s", f"{ours.rate:.0f}", f"{name} {rate:.0f}", ours.rate / rate, wanted))
    roapi = figures["ROAPI"].p99_ms
    slowest = at_most("P7", f"{what}, p99", f"{ours.p99_ms:.2f} ms", f"ROAPI {roapi:.2f} ms", ours.p99_ms / roapi, 0.1)
    return [*results, slowest]


def figures(bench):
    """P8: statistics of users by age and image, compared with SQL; and, with a large table, the effect of the number of rows."""
    asked = questions.figures()
    ours = [load.get(question.of_datalake()) for question in asked]
    few = [load.post("/api/sql", question.few_of_roapi()) for question in asked]
    everything = [load.post("/api/sql", question.all_of_roapi()) for question in asked]
    with contextlib.ExitStack() as running:
        datalake = running.enter_context(bench.programs.datalake(bench.table.lake))
        roapi = running.enter_context(bench.programs.roapi(bench.table.parquet))
        questions.check_figures(asked, datalake, roapi)
        contenders = [
            load.Contender("datalake", datalake, ours),
            load.Contender("ROAPI, counts", roapi, few),
            load.Contender("ROAPI, all statistics", roapi, everything),
        ]
        rates = {name: each.rate for name, each in bench.compare(f"statistics, {len(asked)} filters", contenders).items()}
    rate = rates["datalake"]
    results = [
        at_least("P8", "`/stats`, requests/s", f"{rate:.0f}", f"{name} {rates[name]:.1f}", rate / rates[name], 300)
        for name in ("ROAPI, counts", "ROAPI, all statistics")
    ]
    return results + (flatness(bench, ours) if bench.large else [])


def flatness(bench, asked):
    """The same requests to both tables, alternating."""
    with bench.programs.datalake(bench.table.lake) as small, bench.programs.datalake(bench.large.lake) as large:
        names = [f"datalake, {table.rows} rows" for table in (bench.table, bench.large)]
        contenders = [load.Contender(name, server, asked) for name, server in zip(names, (small, large))]
        few, many = (each.rate for each in bench.compare("statistics, flatness", contenders).values())
    what = f"`/stats` of {bench.large.rows} rows, requests/s"
    return [at_least("P8", what, f"{many:.0f}", f"{names[0]} {few:.0f}", many / few, FLAT)]


def memory_of_rows(bench):
    """P9: memory of a server after loading the rows, compared with polars with the same five columns."""
    results = []
    for table in filter(None, (bench.table, bench.large)):
        with bench.programs.datalake(table.lake) as datalake:
            time.sleep(SETTLING_SECONDS)
            ours = memory(datalake.pid)
        held = table.by_polars("hold")
        whole, frame = held["held"]["resident"] / MIB, (held["held"]["resident"] - held["empty"]["resident"]) / MIB
        resident = ours.resident / MIB
        what = f"memory with {table.rows} rows"
        said = f"{resident:.0f} MiB (PSS {ours.proportional / MIB:.0f}, peak of loading {ours.peak / MIB:.0f})"
        results += [
            at_most("P9", what, said, f"polars' frame alone {frame:.0f} MiB", resident / frame, 0.35),
            at_most("P9", what, said, f"polars' process {whole:.0f} MiB", resident / whole, 0.35),
        ]
    return results


def starts(bench):
    """P10: from the start of the process to the first successful response; the files are in the page cache."""
    results = []
    for table, wanted in ((bench.empty, 20), (bench.table, 100)):
        roapi = median_start(lambda: bench.programs.roapi(table.parquet))
        for path in ("/stats", "/healthz"):
            ours = median_start(lambda: bench.programs.datalake(table.lake, ready=path))
            what = f"to the first 200 of `{path}`, {table.rows} rows"
            target = f"at most {wanted} ms"
            results.append(Result("P10", what, f"{ours:.1f} ms", f"ROAPI {roapi:.0f} ms", f"{ours / roapi:.2f} ×", target, ours <= wanted))
    return results


def median_start(start):
    """Milliseconds until a server is ready."""
    taken = []
    for _ in range(STARTS):
        began = time.monotonic()
        with start():
            taken.append((time.monotonic() - began) * 1000)
    return statistics.median(taken)


def exports(bench):
    """P11: every row as JSON, over the loopback interface, compared with polars writing the same columns to `/dev/null`."""
    path = f"/data?on={questions.ON}"
    with bench.programs.datalake(bench.table.lake) as datalake:
        exported = bench.work / "export.json"
        time.sleep(SETTLING_SECONDS)
        before = memory(datalake.pid).resident
        forget_peak(datalake.pid)
        taken = [seconds_of_curl(datalake.url(path), "/dev/null") for _ in range(EXPORTS)]
        grown = (memory(datalake.pid).peak - before) / MIB
        seconds_of_curl(datalake.url(path), exported)
    if not bench.table.by_polars("check-export", exported, "--on", str(questions.ON))["equal"]:
        raise SystemExit(f"the export of {path} differs from the table")
    size = exported.stat().st_size
    exported.unlink()
    ours, theirs = statistics.median(taken), bench.table.by_polars("export", "--on", str(questions.ON))["seconds"]
    what = f"export of {bench.table.rows} rows, {size / MIB / MIB:.0f} MiB of JSON"
    return [
        at_least("P11", what, f"{ours:.3f} s", f"polars {theirs:.3f} s", theirs / ours, 2),
        within("P11", "growth of memory during it", grown, 8, "MiB"),
    ]


def seconds_of_curl(url, output):
    """Seconds of one download, measured by curl."""
    command = ["curl", "--silent", "--show-error", "--fail", "--output", output, "--write-out", "%{time_total}", url]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def sizes(bench):
    """P12: the size on disk, and the memory of an idle server with the sample users."""
    lake = bench.work / "samples"
    for command in (["init", "--samples"], ["process", "--log", "warn"]):
        subprocess.run([bench.programs.executable, *command, "--lake", lake], check=True, stdout=subprocess.DEVNULL)
    with bench.programs.datalake(lake) as datalake:
        time.sleep(SETTLING_SECONDS)
        idle = memory(datalake.pid)
    roapi = bench.programs.environment / "bin" / "roapi"
    executable = bench.programs.executable.stat().st_size / 1e6
    ratio = executable / (roapi.stat().st_size / 1e6)
    results = [
        Result("P12", "executable", f"{executable:.1f} MB", f"ROAPI {roapi.stat().st_size / 1e6:.1f} MB", f"{ratio:.2f} ×", "", None),
        within("P12", f"idle API, PSS {idle.proportional / MIB:.1f} MiB", idle.resident / MIB, 20, "MiB"),
    ]
    for name in IMAGES:
        size = image_megabytes(name)
        missing = Result("P12", f"image {name}", "not measured: no such image here", "", "", "at most 80 MB", None)
        results.append(within("P12", f"image {name}", size, 80, "MB") if size else missing)
    return results


def image_megabytes(name):
    """The size of the newest image of a name; none if Docker has none or is not installed."""
    with contextlib.suppress(FileNotFoundError, subprocess.CalledProcessError):
        listed = docker("image", "ls", "--format", "{{.ID}}", name).split()
        return int(docker("image", "inspect", "--format", "{{.Size}}", listed[0])) / 1e6 if listed else None
    return None


def docker(*arguments):
    """The output of a docker command."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


MEASUREMENTS = {"P7": pages, "P8": figures, "P9": memory_of_rows, "P10": starts, "P11": exports, "P12": sizes}
