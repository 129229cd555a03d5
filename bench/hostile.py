#!/usr/bin/env python3
"""Attacks a server as one hostile client would, and measures its memory, its probes, and the latency of another client.

    cargo build --profile dist && python3 bench/hostile.py               # about fifteen minutes, and two more to create the lakes
    python3 bench/hostile.py --only slow-small waits-1030 --seconds 30

For each attack, the program starts the executable as the image does (without runs, except for `run-flood`), lets a client send 100 requests
per second from 127.0.0.3, and then attacks from 127.0.0.1 while that client continues and probes come from 127.0.0.2, like those of the
kubelet: over a new connection every second, with a timeout of 1 s. An executable that has `--admin-listen` is started with it and probed there, too.

Prints a Markdown table. Exit status 1 if an attack exceeds a limit:

- Memory is at most 512 MiB (`--memory`, the limit of the chart). Resident pages and socket buffers are measured, because the limit of a
  container includes both. If the program can create a cgroup v2 with a memory controller, the kernel enforces the limit, too.
- Every probe returns 200 within 1 s.
- The p99 of the other client is at most twice its p99 without an attack (below 5 ms, differences are noise). If the same attack on a
  second server of the same rows increases it, at most twice that value: the machine causes that part.
- No request of the other client fails.

Attacker, servers and the other client share the CPUs. The attacker has the last CPU with a lower priority, the other client the
first; the servers use all. `run-flood` starts runs on the same CPUs, unlike Kubernetes: its p99 and failures have no limit.

Needs Linux, Python's standard library, and about 9,000 open files. The lakes are kept in the cache folder.
"""

import argparse
import collections
import contextlib
import multiprocessing
import os
import pathlib
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from datetime import date

sys.path.insert(0, str(pathlib.Path(__file__).parent / "serving"))

import attacks
import hostile_lakes
import memory_limit
import observer
import place
import servers

OPEN_FILES = 9_000
PROBE_MS_MAX = 1_000.0
LATENCY_RATIO_MAX = 2.0
LATENCY_FLOOR_MS = 5.0

# The measurements of one attack. Latencies in ms, memory in MiB.
Measured = collections.namedtuple("Measured", "idle watch kills is_alive calm_p99 beside_p99 p99 failures probes outcomes")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=20, help="of each attack")
    parser.add_argument("--calm", type=int, default=6, help="seconds of the other client alone before each attack")
    parser.add_argument("--memory", type=int, default=512, help="the limit in MiB")
    names = list(attacks.ATTACKS)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="ATTACK", help=", ".join(names))
    parser.add_argument("--executable", type=pathlib.Path, default=pathlib.Path("target/dist/datalake"))
    parser.add_argument("--cache", type=pathlib.Path, default=place.default_cache(), help="default: datalake-bench in $XDG_CACHE_HOME")
    arguments = parser.parse_args()
    if arguments.rows < 1_000:
        parser.error("--rows must be at least 1000")
    if not arguments.executable.is_file():
        parser.error(f"{arguments.executable} does not exist; run cargo build --profile dist, or pass --executable")
    return arguments


def raise_open_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        raise SystemExit(f"the limit of open files is {hard}; raise it to {OPEN_FILES} with ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Bench:
    def __init__(self, arguments, work):
        self.arguments, self.work = arguments, work
        self.executable = arguments.executable.absolute()
        usage = subprocess.run([self.executable, "serve", "--help"], check=True, capture_output=True, text=True).stdout
        self.has_admin = "--admin-listen" in usage
        self.lakes = {}

    def lake(self, name):
        """A lake that the executable has processed."""
        if name not in self.lakes:
            cache = self.arguments.cache
            makes = {
                "rows": lambda: hostile_lakes.with_rows(cache, self.executable, self.arguments.rows),
                # Its runs write reports.
                "small": lambda: hostile_lakes.with_rows(cache, self.executable, 1_000),
                "stray": lambda: hostile_lakes.with_stray_objects(cache, self.executable),
            }
            self.lakes[name] = makes[name]()
            seconds, peak = hostile_lakes.process(self.executable, self.lakes[name])
            print(f"lake {name}: a run without changes took {seconds:.1f} s and {peak:.0f} MiB", file=sys.stderr, flush=True)
        return self.lakes[name]

    def measure(self, name):
        """Starts two servers, and attacks first the other one, then the measured one."""
        limit = memory_limit.Limit(self.arguments.memory)
        try:
            with self.started(name) as other, self.started(name, limit) as server:
                return self.attack(name, server, other, limit)
        finally:
            limit.remove()

    @contextlib.contextmanager
    def started(self, name, limit=None):
        """A server for an attack; `ports` are probed."""
        chosen = attacks.ATTACKS[name]
        ports = [servers.free_port() for _ in range(1 + self.has_admin)]
        command = [self.executable, "serve", "--lake", self.lake(chosen.lake), "--launcher", chosen.launcher, "--log", "error"]
        command += ["--listen", f"{servers.HOST}:{ports[0]}"]
        if self.has_admin:
            command += ["--admin-listen", f"{servers.HOST}:{ports[1]}"]
        command = limit.command(command) if limit else command
        with servers.started("datalake", command, ports[0], "/stats", self.work / "log", MIMALLOC_PURGE_DELAY="2") as server:
            server.ports = ports
            yield server

    def attack(self, name, server, other, limit):
        """Measures a server without an attack, during an attack on the other server, and during the same attack on itself."""

        def on(attacked):
            return attacks.attack, (name, attacked.port, self.arguments.rows, self.arguments.seconds)

        observe = (observer.observe, (server.ports, self.arguments.seconds))
        with memory_limit.Watch(server) as calm_watch:
            (calm,) = in_processes([(observer.observe, (server.ports, self.arguments.calm))])
        _, beside = in_processes([on(other), observe])
        with memory_limit.Watch(server) as watch:
            outcomes, seen = in_processes([on(server), observe])
        return Measured(
            idle=calm_watch.pages,
            watch=watch,
            kills=limit.kills(),
            is_alive=server.process.poll() is None,
            calm_p99=percentile(calm["requests"]),
            beside_p99=percentile(beside["requests"]),
            p99=percentile(seen["requests"]),
            failures=collections.Counter(failure for _, failure in seen["requests"] if failure),
            probes=seen["probes"],
            outcomes=outcomes,
        )


def in_processes(tasks):
    """The results of functions that run at the same time, each in a separate process."""
    queues = [multiprocessing.Queue() for _ in tasks]
    children = [multiprocessing.Process(target=task, args=(*values, queue)) for (task, values), queue in zip(tasks, queues)]
    for child in children:
        child.start()
    try:
        return [queue.get(timeout=600) for queue in queues]
    finally:
        for child in children:
            child.join(10)
            child.kill()


def percentile(requests):
    return statistics.quantiles([elapsed for elapsed, _ in requests], n=100)[98]


def broken_bounds(name, measured, memory_max):
    """The columns that exceed a limit."""
    broken = set()
    if measured.watch.both > memory_max or measured.kills or not measured.is_alive:
        broken.add("memory")
    for index, probes in enumerate(measured.probes):
        if any(failure or elapsed > PROBE_MS_MAX for elapsed, failure in probes):
            broken.add(f"probes {index}")
    # Its runs compete for the CPUs with the server, which they do not in a cluster.
    if name != "run-flood":
        if measured.p99 > max(LATENCY_RATIO_MAX * measured.calm_p99, LATENCY_RATIO_MAX * measured.beside_p99, LATENCY_FLOOR_MS):
            broken.add("p99")
        if measured.failures:
            broken.add("failures")
    return broken


def counted(counts):
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items()))


def line(name, measured, broken):
    """One line of the table; values that exceed a limit are bold."""
    chosen, watch = attacks.ATTACKS[name], measured.watch

    def cell(column, text):
        return f"**{text}**" if column in broken else text

    memory = f"{watch.both:.0f}" + ("" if measured.is_alive and not measured.kills else " (ended)")
    cells = [f"{name}: {chosen.connections} × {chosen.what}", f"{measured.idle:.0f}", cell("memory", memory)]
    cells += [f"{watch.pages:.0f}", f"{watch.buffers:.0f}"]
    for index, probes in enumerate(measured.probes):
        failures = collections.Counter(failure for _, failure in probes if failure)
        slowest = f"{max(elapsed for elapsed, _ in probes):.0f}"
        cells.append(cell(f"probes {index}", slowest + (f" ({counted(failures)} of {len(probes)})" if failures else "")))
    p99 = measured.p99
    cells += [f"{measured.calm_p99:.1f}", f"{measured.beside_p99:.1f}", cell("p99", f"{p99:.1f}")]
    cells += [f"{p99 / measured.calm_p99:.1f}", f"{p99 / measured.beside_p99:.1f}"]
    cells.append(cell("failures", counted(measured.failures) or "0"))
    cells.append(counted(measured.outcomes))
    return "| " + " | ".join(cells) + " |"


def machine(bench, enforced):
    """The machine and the versions of the measurements."""
    version = subprocess.run([bench.executable, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    memory = "enforced by a cgroup" if enforced else "measured as resident pages and socket buffers"
    return (
        f"{date.today()}: {version}, {os.cpu_count()} cores, Linux {platform.release()}, load average {os.getloadavg()[0]:.1f} before; "
        f"{bench.arguments.rows} rows, {bench.arguments.seconds} s per attack; limit of {bench.arguments.memory} MiB, {memory}."
    )


def main():
    # Raises an exception, so that the server is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    arguments = parsed()
    raise_open_files()
    probe = memory_limit.Limit(arguments.memory)
    enforced = probe.folder is not None
    probe.remove()
    broken_in = {}
    with tempfile.TemporaryDirectory(prefix="datalake-bench-") as work:
        bench = Bench(arguments, pathlib.Path(work))
        print(machine(bench, enforced) + "\n")
        probes = ["slowest probe ms"] + ["slowest probe of the admin port ms"] * bench.has_admin
        latency = ["p99 ms, calm", "attack elsewhere", "attack", "× calm", "× elsewhere"]
        columns = ["attack", "MiB before", "peak MiB", "pages", "sockets", *probes, *latency, "failed", "outcomes of the attack"]
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
        for name in arguments.only:
            measured = bench.measure(name)
            broken = broken_bounds(name, measured, arguments.memory)
            print(line(name, measured, broken), flush=True)
            if broken:
                broken_in[name] = broken
    broken_text = ", ".join(broken_in)
    print(f"\nLoad average {os.getloadavg()[0]:.1f} after. Limits: {f'exceeded by {broken_text}' if broken_in else 'met by all attacks'}.")
    raise SystemExit(1 if broken_in else 0)


if __name__ == "__main__":
    main()
