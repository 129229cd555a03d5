"""Attacks of a hostile client: each is a number of connections that repeat one behavior until the attack ends."""

import asyncio
import collections
import contextlib
import functools
import gc
import itertools
import os
import re
import socket
import time

HOST = "127.0.0.1"
# Without it, the TCP segments of the loopback interface let the kernel buffer 2.6 MB per connection, where those of Ethernet allow less than 100 KB.
SEGMENT_BYTES = 1460
SMALL_RECEIVE_BUFFER_BYTES = 4096
RECEIVE_BYTES = 256 * 1024
# The pause of a connection before it opens again. Only floods and readers have none.
PAUSE_SECONDS = 1.0
PIPELINED_REQUESTS = 64
FLOOD_REQUESTS = 16
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
STATUS_BYTES = len(b"HTTP/1.1 200")


def get(path, *headers):
    """The bytes of a GET request."""
    return "".join([f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n", *(f"{header}\r\n" for header in headers), "\r\n"]).encode()


def post(body, *headers):
    """The bytes of a request that starts a run."""
    lines = [f"POST /data HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n", *(f"{header}\r\n" for header in headers), "\r\n"]
    return "".join(lines).encode() + body


class Attacker:
    """One of the connections of an attack, which is reopened until the attack ends. All share the counts of outcomes and the numbers of requests."""

    def __init__(self, port, rows, until, outcomes, numbers):
        self.port, self.rows, self.until, self.outcomes, self.numbers = port, rows, until, outcomes, numbers
        self.is_counted = False

    def count(self, outcome):
        """Counts an outcome of this connection."""
        self.outcomes[outcome] += 1
        self.is_counted = True

    def seconds_left(self):
        """The time until the attack ends."""
        return self.until - time.monotonic()

    @contextlib.asynccontextmanager
    async def connection(self, receive_buffer_bytes=None):
        """A connection to the server."""
        with socket.socket() as connection:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
            if receive_buffer_bytes:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            await asyncio.get_running_loop().sock_connect(connection, (HOST, self.port))
            yield connection

    async def repeat(self, behavior, pause):
        """Repeats a behavior until the attack ends."""
        while (left := self.seconds_left()) > 0:
            self.is_counted = False
            try:
                await asyncio.wait_for(behavior(self), left)
            except asyncio.TimeoutError:
                if not self.is_counted:
                    self.count("open at the end")
            except OSError:
                self.count("cut" if self.is_counted else "closed")
            await asyncio.sleep(min(pause, max(0.0, self.seconds_left())))


def status(part):
    """The status of the response that begins with these bytes, or `closed`."""
    found = STATUS.match(part)
    return found[1].decode() if found else "closed"


async def hold(attacker, sent=b"", each_second=b""):
    """Sends the beginning of a request, then a byte per second or nothing, and reads the response if there is one."""
    loop = asyncio.get_running_loop()
    async with attacker.connection() as connection:
        await loop.sock_sendall(connection, sent)
        while True:
            try:
                part = await asyncio.wait_for(loop.sock_recv(connection, 4096), 1 if each_second else None)
                break
            except asyncio.TimeoutError:
                await loop.sock_sendall(connection, each_second)
        attacker.count(status(part))


async def stop_reading(attacker, requests):
    """Sends requests and reads no more than the first status, unless the server rejects the request."""
    loop = asyncio.get_running_loop()
    number = next(attacker.numbers)
    async with attacker.connection(SMALL_RECEIVE_BUFFER_BYTES) as connection:
        await loop.sock_sendall(connection, requests(attacker, number))
        part = await loop.sock_recv(connection, STATUS_BYTES)
        attacker.count(status(part))
        if status(part) == "200":
            await asyncio.sleep(attacker.seconds_left())


def large_requests(_, number):
    """A request for all rows in one of the formats that are generated while they are sent."""
    compressed = "Accept-Encoding: " + ("gzip", "br", "zstd")[number % 3]
    forms = [("/data",), ("/data?order=last_name",), ("/data.parquet",), ("/data.csv",), ("/data", compressed)]
    return get(*forms[number % len(forms)])


def small_requests(attacker, number):
    """Pipelined requests for pages of 15 KB which differ between connections."""
    first = number * 37 % attacker.rows
    return get(f"/data?limit=125&user_id__gte={first:07}") * PIPELINED_REQUESTS


async def read_all(attacker, requests):
    """Reads one response to its end at full speed."""
    loop = asyncio.get_running_loop()
    request = requests[next(attacker.numbers) % len(requests)]
    async with attacker.connection() as connection:
        await loop.sock_sendall(connection, request)
        part = await loop.sock_recv(connection, RECEIVE_BYTES)
        attacker.count(status(part))
        while part:
            part = await loop.sock_recv(connection, RECEIVE_BYTES)


def scans(attacker):
    """A request that scans all rows and that is never repeated."""
    return get(f"/data?limit=1&first_name__contains=q{next(attacker.numbers)}&order=last_name")


async def flood(attacker, request, count):
    """Sends this number of pipelined requests over one connection, and repeats when all have a status."""
    loop = asyncio.get_running_loop()
    async with attacker.connection() as connection:
        while True:
            batch = request * count if isinstance(request, bytes) else b"".join(request(attacker) for _ in range(count))
            await loop.sock_sendall(connection, batch)
            missing, tail = count, b""
            while missing > 0:
                part = await loop.sock_recv(connection, RECEIVE_BYTES)
                if not part:
                    attacker.count("closed")
                    return
                statuses = STATUS.findall(tail + part)
                # Too short for a whole status, which would be counted twice.
                tail = (tail + part)[1 - STATUS_BYTES :]
                missing -= len(statuses)
                for found in statuses:
                    attacker.count(found.decode())


# The preface of HTTP/2 with an empty SETTINGS frame, and the offer to change to HTTP/2.
HTTP2 = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
    get("/", "Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
]


def closing(*paths):
    """GET requests after which the server closes the connection."""
    return [get(path, "Connection: close") for path in paths]


LISTINGS = closing("/rejects", "/versions", "/runs", "/data?limit=10000", "/changes?since=0", "/data.parquet")
PAST_VERSIONS = closing(*(f"/data?version={version}&limit=1000&order=last_name" for version in range(20)))

# The lake that is served, how many connections, their behavior, the pause before each repeats it, and how the server starts runs.
Attack = collections.namedtuple("Attack", "what connections behavior pause lake launcher", defaults=(PAUSE_SECONDS, "rows", "none"))

ATTACKS = {
    "idle": Attack("connections without a request", 4_200, hold),
    "heads": Attack(
        "heads sent at one byte per second", 1_030, functools.partial(hold, sent=b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", each_second=b"x")
    ),
    "large-heads": Attack(
        "heads of 31 KiB without an end", 1_030, functools.partial(hold, sent=b"GET / HTTP/1.1\r\nX-Large: " + b"x" * 31_000, each_second=b"x")
    ),
    "bodies": Attack("`POST /data` without the announced body", 1_030, functools.partial(hold, sent=post(b"{", "Content-Length: 1000"))),
    "slow-large": Attack("all rows, not read", 1_000, functools.partial(stop_reading, requests=large_requests)),
    "slow-small": Attack(f"{PIPELINED_REQUESTS} pages of 15 KB, not read", 1_030, functools.partial(stop_reading, requests=small_requests)),
    "waits-515": Attack("`/data?min_version=99999&wait=60s`", 515, functools.partial(hold, sent=get("/data?min_version=99999&wait=60s"))),
    "waits-1030": Attack("`/data?min_version=99999&wait=60s`", 1_030, functools.partial(hold, sent=get("/data?min_version=99999&wait=60s"))),
    "get-flood": Attack(
        f"`/data?limit=100`, {FLOOD_REQUESTS} pipelined", 256, functools.partial(flood, request=get("/data?limit=100"), count=FLOOD_REQUESTS)
    ),
    "scan-flood": Attack(
        f"`first_name__contains=` of all rows, {FLOOD_REQUESTS} pipelined", 256, functools.partial(flood, request=scans, count=FLOOD_REQUESTS)
    ),
    "post-flood": Attack("`POST /data`", 256, functools.partial(flood, request=post(b"{}", "Content-Length: 2"), count=1)),
    "run-flood": Attack(
        "`POST /data` that starts child processes",
        256,
        functools.partial(flood, request=post(b"{}", "Content-Length: 2"), count=1),
        lake="small",
        launcher="process",
    ),
    "listings": Attack("long listings", 64, functools.partial(read_all, requests=LISTINGS), pause=0),
    "versions": Attack("pages of 20 past versions", 64, functools.partial(read_all, requests=PAST_VERSIONS), pause=0),
    "http2": Attack("preface of HTTP/2, offer of h2c", 64, functools.partial(read_all, requests=HTTP2), pause=0),
    "rejects": Attack("`/rejects`", 64, functools.partial(read_all, requests=closing("/rejects")), pause=0),
    "examples": Attack("`/page/examples`", 64, functools.partial(read_all, requests=closing("/page/examples")), pause=0),
    "stray": Attack(
        "`/rejects` beside 400,000 stray objects", 16, functools.partial(read_all, requests=closing("/rejects")), pause=0, lake="stray"
    ),
}


def attack(name, port, rows, seconds, outcomes):
    """Runs an attack as a separate process, on the last CPU, and puts its outcomes into a queue."""
    # Clients are on other machines elsewhere. A lower priority leaves no attack on a machine that also does something else.
    os.nice(5)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    gc.disable()
    chosen = ATTACKS[name]

    until, counts, numbers = time.monotonic() + seconds, collections.Counter(), itertools.count()
    attackers = [Attacker(port, rows, until, counts, numbers) for _ in range(chosen.connections)]

    async def all_connections():
        await asyncio.gather(*(attacker.repeat(chosen.behavior, chosen.pause) for attacker in attackers))

    asyncio.run(all_connections())
    outcomes.put(counts)
