"""Memory and CPU time of a process, from the kernel."""

import collections
import os
import pathlib

# KiB. Resident pages; those pages shared ones divided by who shares them; and the most that were resident since the last `forget_peak`.
Memory = collections.namedtuple("Memory", "resident proportional peak")


def memory(pid):
    """Memory of one process."""
    status = fields(pathlib.Path(f"/proc/{pid}/status"))
    return Memory(status["VmRSS"], fields(pathlib.Path(f"/proc/{pid}/smaps_rollup"))["Pss"], status["VmHWM"])


def fields(path):
    """The sizes, in KiB, of one of the kernel's lists of `name: value kB`."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) == 3 and words[2] == "kB"}


def forget_peak(pid):
    """Resets the peak to the current resident size."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def processor_seconds(group):
    """CPU time of every process of a group: a server may have workers."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name before the last `)` may hold spaces.
            words = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(words[2]) == group:
            ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")
