#!/usr/bin/env python3
"""Measures the effect of slow clients and overload on other clients.

    cargo build --profile dist && python3 bench/overload.py [--users 100000] [--seconds 20] [--executable target/dist/datalake] [--lake DIR]

Creates a lake in a folder, starts a server for it on the loopback address, and sends small requests at a steady rate: without load, with 1,000
slow clients (half of them never end a request's head, half read all rows slowly: by ID, by name, and as Parquet), and with ten times as many
readers of all rows as the server sends large responses at a time. Clients and server share the machine, so each load is measured twice: as a load
on a second server of the same rows, which shows the effect of the machine alone, and as a load on the measured server. Clients of
the load have the lowest priority. Prints a Markdown table: latency of the small requests, and resident memory of the measured server,
each also as a ratio. Status 1 if the p99 is more than twice that of the same load on the other server, or memory more than 1.3 times.

Needs only Python's standard library, and about 1,500 open files.
"""

import argparse
import asyncio
import multiprocessing
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

# The number of large responses that fit into the budget of a server at a time.
LARGE_RESPONSES_MAX = 64
SLOW_CLIENTS = 1_000
# The paths that slow clients read, in rotation.
READ = ["/data", "/data?order=last_name", "/data.parquet"]
REQUESTS_PER_SECOND = 100
LATENCY_RATIO_MAX = 2.0
MEMORY_RATIO_MAX = 1.3


def write_users(lake, count):
    sources = lake / "src-data"
    sources.mkdir(parents=True)
    for number in range(count):
        row = f"first_name, last_name, birthts\nFirst{number}, Last, {300_000_000_000 + number * 8_640_000}\n"
        (sources / f"{number:07}.csv").write_text(row)


class Server:
    def __init__(self, executable, lake):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        arguments = ["serve", "--lake", str(lake), "--launcher", "none", "--listen", f"127.0.0.1:{self.port}", "--log", "error"]
        # As in the image.
        self.child = subprocess.Popen([executable, *arguments], env={**os.environ, "MIMALLOC_PURGE_DELAY": "2"})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        else:
            self.stop()
            raise SystemExit("the server did not become ready within 60 s")
        # The first response of each kind allocates memory that is kept.
        for path in READ:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as response:
                response.read()

    def memory(self):
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("the server has ended")

    def stop(self):
        self.child.terminate()
        self.child.wait()


async def response(reader):
    """Reads one response with a length, and returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    if length is None:
        raise ConnectionError("a response without a length")
    await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split(b" ", 2)[1])


async def send_request(port, path, kept):
    """Sends one request, over a kept connection or a new one; returns milliseconds and whether it succeeded."""
    started = time.perf_counter()
    try:
        reader, writer = kept.pop() if kept else await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        status = await asyncio.wait_for(response(reader), 30)
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
        return (time.perf_counter() - started) * 1000, False
    elapsed = (time.perf_counter() - started) * 1000
    # One request in ten uses a new connection.
    if len(kept) < 8 and hash(started) % 10:
        kept.append((reader, writer))
    else:
        writer.close()
    return elapsed, status == 200


async def send_requests(port, seconds):
    """Small requests at a steady rate, which does not depend on the responses."""
    kept, requests = [], []
    started = time.perf_counter()
    paths = ["/stats", "/data/0000001", "/stats?min_age=30", "/healthz"]
    for number in range(seconds * REQUESTS_PER_SECOND):
        await asyncio.sleep(started + number / REQUESTS_PER_SECOND - time.perf_counter())
        requests.append(asyncio.create_task(send_request(port, paths[number % len(paths)], kept)))
    return await asyncio.gather(*requests)


async def slow_head(port, until):
    while time.monotonic() < until:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            while time.monotonic() < until and not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(1)
            writer.close()
        except OSError:
            await asyncio.sleep(1)


async def slow_reader(port, path, until, statuses):
    loop = asyncio.get_running_loop()
    while time.monotonic() < until:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            try:
                await loop.sock_connect(client, ("127.0.0.1", port))
                await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                part = await loop.sock_recv(client, 1024)
                statuses[part[9:12]] = statuses.get(part[9:12], 0) + 1
                rejected = part[9:12] != b"200"
                while part and not rejected and time.monotonic() < until:
                    await asyncio.sleep(1)
                    part = await loop.sock_recv(client, 1024)
            except OSError:
                pass
        await asyncio.sleep(1)


async def fast_reader(port, until, statuses):
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /data HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            part = await reader.read(65536)
            statuses[part[9:12]] = statuses.get(part[9:12], 0) + 1
            while part and time.monotonic() < until:
                part = await reader.read(65536)
            writer.close()
        except OSError:
            pass
        # A rejected client retries long before Retry-After.
        await asyncio.sleep(0.2)


async def load(kind, port, seconds):
    until, statuses = time.monotonic() + seconds, {}
    match kind:
        case "slow":
            heads = [slow_head(port, until) for _ in range(SLOW_CLIENTS // 2)]
            clients = heads + [slow_reader(port, READ[number % len(READ)], until, statuses) for number in range(SLOW_CLIENTS // 2)]
        case "many":
            clients = [fast_reader(port, until, statuses) for _ in range(10 * LARGE_RESPONSES_MAX)]
    await asyncio.wait_for(asyncio.gather(*clients), seconds + 30)
    return statuses


def run_load(kind, port, seconds, results):
    # In production, clients are on other machines: here they get the lowest priority.
    os.nice(19)
    results.put(asyncio.run(load(kind, port, seconds)))


def phase(server, kind, loaded, seconds):
    """Latencies, failures and peak memory of a server during a load of this kind on the `loaded` server."""
    results = multiprocessing.Queue()
    # A separate process, so that the work of the load does not delay the measurements.
    beside = multiprocessing.Process(target=run_load, args=(kind, loaded.port, seconds + 5, results)) if kind else None
    if beside:
        beside.start()
        time.sleep(3)
    peak, over = [server.memory()], threading.Event()

    def watch():
        while not over.wait(0.1):
            peak[0] = max(peak[0], server.memory())

    watching = threading.Thread(target=watch)
    watching.start()
    requests = asyncio.run(send_requests(server.port, seconds))
    over.set()
    watching.join()
    statuses = {}
    if beside:
        statuses = results.get(timeout=seconds + 60)
        beside.join()
    times = statistics.quantiles([elapsed for elapsed, _ in requests], n=100)
    failed = sum(not answered for _, answered in requests)
    return {"p50": times[49], "p99": times[98], "memory": peak[0], "failed": failed, "requests": len(requests), "statuses": statuses}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=20, help="of each of the three measurements")
    parser.add_argument("--executable", default="target/dist/datalake")
    parser.add_argument("--lake", help="a lake with a table; one is made in a temporary folder by default")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    lake = pathlib.Path(arguments.lake or tempfile.mkdtemp(prefix="datalake-bench-"))
    if not arguments.lake:
        write_users(lake, arguments.users)
        subprocess.run([arguments.executable, "process", "--lake", str(lake), "--log", "error"], check=True, stdout=subprocess.DEVNULL)
    server, other = Server(arguments.executable, lake), Server(arguments.executable, lake)
    try:
        met = compare(server, other, arguments.seconds)
    finally:
        server.stop()
        other.stop()
        if not arguments.lake:
            shutil.rmtree(lake)
    print(f"\np99 at most {LATENCY_RATIO_MAX} times, memory at most {MEMORY_RATIO_MAX} times, no failure: {'met' if met else 'NOT met'}")
    raise SystemExit(0 if met else 1)


def compare(server, other, seconds):
    """Prints the table, and returns whether all targets are met."""
    print("| load | on | p50 ms | p99 ms | × other server | memory MiB | × without load | failed | responses to the load |")
    print("|---|---|---|---|---|---|---|---|---|")
    alone, met = phase(server, None, None, seconds), True
    line("none", "", alone, "", "")
    for kind, name in (("slow", f"{SLOW_CLIENTS} slow clients"), ("many", f"{10 * LARGE_RESPONSES_MAX} readers of all rows")):
        elsewhere = phase(server, kind, other, seconds)
        line(name, "other server", elsewhere, "", "")
        got = phase(server, kind, server, seconds)
        latency, memory = got["p99"] / elsewhere["p99"], got["memory"] / alone["memory"]
        met = met and latency <= LATENCY_RATIO_MAX and memory <= MEMORY_RATIO_MAX and not got["failed"]
        line(name, "measured server", got, f"{latency:.2f}", f"{memory:.2f}")
    return met


def line(load, of, got, latency, memory):
    """Prints one line of the table."""
    statuses = ", ".join(f"{count} × {status.decode() or 'cut'}" for status, count in sorted(got["statuses"].items()))
    values = [f"{got['p50']:.2f}", f"{got['p99']:.2f}", latency, f"{got['memory']:.0f}", memory, f"{got['failed']} of {got['requests']}"]
    print("| " + " | ".join([load, of, *values, statuses]) + " |", flush=True)


if __name__ == "__main__":
    main()
