#!/usr/bin/env python3
"""Measures what slow clients and overload do to everybody else.

    cargo build --release && python3 bench/overload.py [--users 100000] [--seconds 20] [--executable target/release/datalake] [--lake DIR]

Makes a lake in a folder, serves it on the loopback by an executable that it starts and ends itself, and asks a steady stream of small
questions: alone, beside 1,000 slow clients (half of them never end a request's head, half read all rows slowly: by id, by name, and as Parquet), and beside ten times as
many readers of all rows as the server has places for. Clients and server share the machine here, so each load is measured twice: as a load
of a second server of the same rows, which tells what the machine alone makes of it, and as a load of the server that is asked. Clients of
the load have the lowest priority. Prints a Markdown table: latency of the small questions, and resident memory of the server that is asked,
each also as a ratio. Status 1 where the load makes p99 more than twice that of the same load elsewhere, or memory over 1.3 times.

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

# The server sends so many large answers at once (LARGE_ANSWERS_MAX in crates/datalake-api/src/limits.rs).
PLACES = 64
SLOW_CLIENTS = 1_000
# What slow clients read, by turns.
READ = ["/data", "/data?order=last_name", "/data.parquet"]
QUESTIONS_A_SECOND = 100
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
        # A server that has answered each kind of question once holds what that takes.
        for path in READ:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                answer.read()

    def memory(self):
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("the server has ended")

    def stop(self):
        self.child.terminate()
        self.child.wait()


async def answer(reader):
    """Reads one answer with a length, and gives its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    if length is None:
        raise ConnectionError("an answer without a length")
    await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split(b" ", 2)[1])


async def question(port, path, kept):
    """Asks one question, over the connection that is kept or a new one; gives milliseconds and whether it was answered."""
    begun = time.perf_counter()
    try:
        reader, writer = kept.pop() if kept else await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        status = await asyncio.wait_for(answer(reader), 30)
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
        return (time.perf_counter() - begun) * 1000, False
    elapsed = (time.perf_counter() - begun) * 1000
    # Every question in ten comes from somebody new.
    if len(kept) < 8 and hash(begun) % 10:
        kept.append((reader, writer))
    else:
        writer.close()
    return elapsed, status == 200


async def questions(port, seconds):
    """Small questions at a steady rate, whether or not the last ones were answered."""
    kept, asked = [], []
    begun = time.perf_counter()
    paths = ["/stats", "/data/0000001", "/stats?min_age=30", "/healthz"]
    for number in range(seconds * QUESTIONS_A_SECOND):
        await asyncio.sleep(begun + number / QUESTIONS_A_SECOND - time.perf_counter())
        asked.append(asyncio.create_task(question(port, paths[number % len(paths)], kept)))
    return await asyncio.gather(*asked)


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
                refused = part[9:12] != b"200"
                while part and not refused and time.monotonic() < until:
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
        # Whoever is refused asks again long before Retry-After.
        await asyncio.sleep(0.2)


async def load(kind, port, seconds):
    until, statuses = time.monotonic() + seconds, {}
    match kind:
        case "slow":
            heads = [slow_head(port, until) for _ in range(SLOW_CLIENTS // 2)]
            clients = heads + [slow_reader(port, READ[number % len(READ)], until, statuses) for number in range(SLOW_CLIENTS // 2)]
        case "many":
            clients = [fast_reader(port, until, statuses) for _ in range(10 * PLACES)]
    await asyncio.wait_for(asyncio.gather(*clients), seconds + 30)
    return statuses


def run_load(kind, port, seconds, results):
    # Clients are on machines of their own elsewhere: here they take what is left.
    os.nice(19)
    results.put(asyncio.run(load(kind, port, seconds)))


def phase(server, kind, loaded, seconds):
    """Latencies, failures and peak memory of a server while the load of this kind goes on at the one that is loaded."""
    results = multiprocessing.Queue()
    # A process of its own: the questions' own times must not wait for the load's work.
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
    asked = asyncio.run(questions(server.port, seconds))
    over.set()
    watching.join()
    statuses = {}
    if beside:
        statuses = results.get(timeout=seconds + 60)
        beside.join()
    times = statistics.quantiles([elapsed for elapsed, _ in asked], n=100)
    failed = sum(not answered for _, answered in asked)
    return {"p50": times[49], "p99": times[98], "memory": peak[0], "failed": failed, "asked": len(asked), "statuses": statuses}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=20, help="of each of the three measurements")
    parser.add_argument("--executable", default="target/release/datalake")
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
        held = compare(server, other, arguments.seconds)
    finally:
        server.stop()
        other.stop()
        if not arguments.lake:
            shutil.rmtree(lake)
    print(f"\np99 at most {LATENCY_RATIO_MAX} times, memory at most {MEMORY_RATIO_MAX} times, no failure: {'held' if held else 'NOT held'}")
    raise SystemExit(0 if held else 1)


def compare(server, other, seconds):
    """Prints the table, and gives whether everything was within bounds."""
    print("| load | of | p50 ms | p99 ms | × elsewhere | memory MiB | × alone | failed | answers to the load |")
    print("|---|---|---|---|---|---|---|---|---|")
    alone, held = phase(server, None, None, seconds), True
    line("nothing", "", alone, "", "")
    for kind, name in (("slow", f"{SLOW_CLIENTS} slow clients"), ("many", f"{10 * PLACES} readers of all rows")):
        elsewhere = phase(server, kind, other, seconds)
        line(name, "another server", elsewhere, "", "")
        got = phase(server, kind, server, seconds)
        latency, memory = got["p99"] / elsewhere["p99"], got["memory"] / alone["memory"]
        held = held and latency <= LATENCY_RATIO_MAX and memory <= MEMORY_RATIO_MAX and not got["failed"]
        line(name, "this one", got, f"{latency:.2f}", f"{memory:.2f}")
    return held


def line(load, of, got, latency, memory):
    """Prints one line of the table."""
    statuses = ", ".join(f"{count} × {status.decode() or 'cut'}" for status, count in sorted(got["statuses"].items()))
    figures = [f"{got['p50']:.2f}", f"{got['p99']:.2f}", latency, f"{got['memory']:.0f}", memory, f"{got['failed']} of {got['asked']}"]
    print("| " + " | ".join([load, of, *figures, statuses]) + " |", flush=True)


if __name__ == "__main__":
    main()
