"""Puts servers under load by turns, and says how many requests each answered how fast."""

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

# Medians over the rounds: requests a second, milliseconds of half and of 99 % of the answers, and the server's processor time for one.
Figures = collections.namedtuple("Figures", "rate p50_ms p99_ms processor_us")


class Contender:
    """A server and what it is asked, in its own words; several questions are asked in turn."""

    def __init__(self, name, server, questions):
        self.name, self.server, self.questions = name, server, questions


def get(path):
    """A question as `questions.lua` reads it."""
    return f"GET {path}"


def post(path, body):
    """A question with a body, which has no line end."""
    return f"POST {path}\t{body}"


def compare(contenders, rounds, seconds, work):
    """The figures of each contender, by name. Each round has every one once: what else the machine does then meets all of them."""
    taken = {contender.name: [] for contender in contenders}
    for contender in contenders:
        wrk(contender, WARM_UP_SECONDS, work)
    for number in range(rounds):
        for contender in contenders:
            figures = ask(contender, seconds, work)
            taken[contender.name].append(figures)
            print(f"  round {number + 1}, {contender.name}: {figures.rate:.0f}/s", file=sys.stderr, flush=True)
    return {name: Figures(*(statistics.median(values) for values in zip(*figures))) for name, figures in taken.items()}


def ask(contender, seconds, work):
    """The figures of one load."""
    before = processor_seconds(contender.server.pid)
    counted = wrk(contender, seconds, work)
    spent = processor_seconds(contender.server.pid) - before
    requests = counted["requests"]
    if not requests:
        raise SystemExit(f"{contender.name} answered nothing within {seconds} s; give it more by --seconds")
    return Figures(requests / counted["seconds"], counted["p50_ms"], counted["p99_ms"], spent / requests * 1e6)


def wrk(contender, seconds, work):
    """What wrk counts; an answer that is no good one makes all figures worthless."""
    questions = work / "questions"
    questions.write_text("".join(f"{question}\n" for question in contender.questions))
    limits = [f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", f"--timeout={TIMEOUT_SECONDS}s"]
    command = ["wrk", *limits, "-s", SCRIPT, contender.server.url("/"), "--", questions]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"wrk failed: {ended.stderr}")
    counted = json.loads(ended.stdout.splitlines()[-1])
    if counted["refused"] or counted["broken"]:
        raise SystemExit(f"{contender.name} did not answer well under load: {counted}")
    return counted
