"""Observers of a server: a client with a steady load, and probes like those of the kubelet. Each has a separate address."""

import asyncio
import gc
import os
import time

HOST = "127.0.0.1"
KUBELET, CLIENT = "127.0.0.2", "127.0.0.3"
PROBES = ("/healthz", "/readyz")
PROBE_EACH_SECONDS = 1.0
PROBE_TIMEOUT_SECONDS = 1.0
REQUESTS_A_SECOND = 100
REQUEST_TIMEOUT_SECONDS = 10.0
CONNECTIONS_MAX = 8
PATHS = ("/data?limit=100", "/data?limit=100&min_age=30&max_age=40", "/stats?min_age=30", "/data?limit=20&order=age.desc")


async def answer(reader):
    """Reads one response with a length and returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    if length is None:
        raise ConnectionError("the response has no length")
    await reader.readexactly(int(length.split(b":")[1]))
    return head.split(b" ", 2)[1].decode()


async def ask(writer, reader, path):
    """Sends a GET request and returns the status."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    return await answer(reader)


async def probe(port, path):
    """Sends one request over a new connection, as the kubelet does; returns the status."""
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(KUBELET, 0))
    try:
        return await ask(writer, reader, path)
    finally:
        writer.close()


async def timed(asked, seconds):
    """Milliseconds until the response, and the error, or an empty string."""
    begin = time.perf_counter()
    try:
        status = await asyncio.wait_for(asked, seconds)
        failure = "" if status == "200" else status
    except asyncio.TimeoutError:
        failure = "timeout"
    except (OSError, asyncio.IncompleteReadError):
        failure = "closed"
    return (time.perf_counter() - begin) * 1000, failure


async def every(period, seconds, action):
    """The results of an action that begins in each period, whether or not the last one has ended."""
    begin, tasks = time.perf_counter(), []
    for number in range(round(seconds / period)):
        await asyncio.sleep(begin + number * period - time.perf_counter())
        tasks.append(asyncio.create_task(action(number)))
    return await asyncio.gather(*tasks)


class Client:
    """A client that keeps its connections."""

    def __init__(self, port):
        self.port, self.idle = port, []

    async def get(self, number):
        """Sends the next request over an idle connection or a new one."""
        return await timed(self.status(PATHS[number % len(PATHS)]), REQUEST_TIMEOUT_SECONDS)

    async def status(self, path):
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(HOST, self.port, local_addr=(CLIENT, 0))
        status = None
        try:
            status = await ask(writer, reader, path)
        finally:
            if status and len(self.idle) < CONNECTIONS_MAX:
                self.idle.append((reader, writer))
            else:
                writer.close()
        return status


async def look(ports, seconds):
    """Probes each of the ports, and sends the load to the first."""

    def prober(port, path):
        return every(PROBE_EACH_SECONDS, seconds, lambda _: timed(probe(port, path), PROBE_TIMEOUT_SECONDS))

    load = every(1 / REQUESTS_A_SECOND, seconds, Client(ports[0]).get)
    probes = [prober(port, path) for port in ports for path in PROBES]
    requests, *probed = await asyncio.gather(load, *probes)
    by_port = [sum(probed[len(PROBES) * index : len(PROBES) * (index + 1)], []) for index in range(len(ports))]
    return {"requests": requests, "probes": by_port}


def observe(ports, seconds, observed):
    """Observes a server from a separate process, on the first CPU, and puts the results into a queue."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    gc.disable()
    observed.put(asyncio.run(look(ports, seconds)))
