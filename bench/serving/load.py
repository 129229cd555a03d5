"""Loads servers alternately, and measures their requests per second and latencies."""

import collections
import json
import pathlib
import statistics
import subprocess
import sys

from process import processor_seconds

THREADS, CONNECTIONS = 1, 16
WARM_UP_SECONDS = 1
TIMEOUT_SECONDS = 30
SCRIPT = pathlib.Path(__file__).with_name("questions.lua")

# Medians over the rounds: requests per second, p50 and p99 of the latency, and the server's CPU time per request.
Result = collections.namedtuple("Result", "rate p50_ms p99_ms processor_us")


class Contender:
    """A server and its requests, which are sent in rotation."""

    def __init__(self, name, server, questions):
        self.name, self.server, self.questions = name, server, questions


def get(path):
    """A request in the format of `questions.lua`."""
    return f"GET {path}"


def post(path, body):
    """A request with a body, which has no line break."""
    return f"POST {path}\t{body}"


def compare(contenders, rounds, seconds, work):
    """The results of each contender, by name. Each round measures every contender once, so that other work on the machine affects all of them."""
    taken = {contender.name: [] for contender in contenders}
    for contender in contenders:
        wrk(contender, WARM_UP_SECONDS, work)
    for number in range(rounds):
        for contender in contenders:
            result = ask(contender, seconds, work)
            taken[contender.name].append(result)
            print(f"  round {number + 1}, {contender.name}: {result.rate:.0f}/s", file=sys.stderr, flush=True)
    return {name: Result(*(statistics.median(values) for values in zip(*result))) for name, result in taken.items()}


def ask(contender, seconds, work):
    """The result of one load."""
    before = processor_seconds(contender.server.pid)
    counted = wrk(contender, seconds, work)
    spent = processor_seconds(contender.server.pid) - before
    requests = counted["requests"]
    if not requests:
        raise SystemExit(f"{contender.name} completed no request within {seconds} s; increase --seconds")
    return Result(requests / counted["seconds"], counted["p50_ms"], counted["p99_ms"], spent / requests * 1e6)


def wrk(contender, seconds, work):
    """The counts of wrk. A response that is not successful makes the result invalid."""
    questions = work / "questions"
    questions.write_text("".join(f"{question}\n" for question in contender.questions))
    limits = [f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", f"--timeout={TIMEOUT_SECONDS}s"]
    command = ["wrk", *limits, "-s", SCRIPT, contender.server.url("/"), "--", questions]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"wrk failed: {ended.stderr}")
    counted = json.loads(ended.stdout.splitlines()[-1])
    if counted["refused"] or counted["broken"]:
        raise SystemExit(f"{contender.name} returned errors under load: {counted}")
    return counted
