"""Memory that a container's limit counts for a server: its pages and its socket buffers."""

import contextlib
import os
import pathlib
import socket
import struct
import threading
import time

from process import forget_peak, memory

MIB = 1024 * 1024
SAMPLE_SECONDS = 0.1
# Linux: <linux/sock_diag.h>, <linux/inet_diag.h>.
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, NLMSG_ERROR, NLMSG_DONE = 4, 20, 0x301, 2, 3
INET_DIAG_SKMEMINFO, HEADER_BYTES, MESSAGE_BYTES = 7, 16, 72
# All states of TCP except SYN_RECV and TIME_WAIT, whose sockets have no buffers.
STATES = 0xFFF & ~(1 << 3) & ~(1 << 6)


def socket_bytes(port):
    """Buffers of all IPv4 sockets with this local port, as cgroup v2 charges them: received, queued to be sent, and reserved."""
    total = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 1 << (INET_DIAG_SKMEMINFO - 1), 0, STATES)
        request += struct.pack("!HH", port, 0) + bytes(36) + struct.pack("=II", 0xFFFFFFFF, 0xFFFFFFFF)
        netlink.send(struct.pack("=IHHII", HEADER_BYTES + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 0, 0) + request)
        while True:
            messages = netlink.recv(MIB)
            while messages:
                length, kind = struct.unpack_from("=IH", messages)
                if kind == NLMSG_DONE:
                    return total
                if kind == NLMSG_ERROR:
                    raise OSError("the kernel does not list sockets")
                total += buffers(messages[HEADER_BYTES + MESSAGE_BYTES : length])
                messages = messages[length + 3 & ~3 :]


def buffers(attributes):
    """The buffers of one socket, from its attributes."""
    while attributes:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == INET_DIAG_SKMEMINFO:
            received, _, _, _, reserved, queued = struct.unpack_from("=6I", attributes, 4)
            return received + reserved + queued
        attributes = attributes[length + 3 & ~3 :]
    return 0


class Limit:
    """A cgroup v2 with `memory.max`, if this system has one; otherwise memory is only measured."""

    def __init__(self, mib):
        self.folder = new_cgroup(mib)

    def command(self, command):
        """The command that runs another one within the limit."""
        if not self.folder:
            return command
        return ["/bin/sh", "-c", f'echo $$ > "{self.folder}/cgroup.procs" && exec "$@"', "sh", *command]

    def kills(self):
        """How many processes the kernel ended because of the limit."""
        if not self.folder:
            return 0
        events = dict(line.split() for line in (self.folder / "memory.events").read_text().splitlines())
        return int(events["oom_kill"])

    def remove(self):
        """Removes the cgroup; its processes have ended."""
        if self.folder:
            self.folder.rmdir()


def new_cgroup(mib, mounted=pathlib.Path("/sys/fs/cgroup")):
    """A new cgroup below the nearest one, from that of this process up, that gives its children a memory controller; None without one."""
    lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    for path in (pathlib.Path(own), *pathlib.Path(own).parents):
        parent = mounted / path
        # A cgroup v1, or one of another user.
        with contextlib.suppress(OSError):
            if "memory" in (parent / "cgroup.subtree_control").read_text().split():
                folder = parent / f"datalake-bench-{os.getpid()}"
                folder.mkdir()
                (folder / "memory.max").write_text(str(mib * MIB))
                return folder
    return None


class Watch:
    """The most memory of a server while a block runs, in MiB: its pages, its socket buffers, and both at the same time."""

    def __init__(self, server):
        self.server, self.over = server, threading.Event()
        self.pages = self.buffers = self.both = 0.0
        self.thread = threading.Thread(target=self.sample)

    def __enter__(self):
        with contextlib.suppress(OSError):
            forget_peak(self.server.pid)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def sample(self):
        while not self.over.is_set():
            begin = time.monotonic()
            # The process may have ended.
            with contextlib.suppress(OSError, KeyError):
                now = memory(self.server.pid)
                buffers_now = socket_bytes(self.server.port) / MIB
                self.pages = max(self.pages, now.peak / 1024)
                self.buffers = max(self.buffers, buffers_now)
                self.both = max(self.both, self.pages, now.resident / 1024 + buffers_now)
            self.over.wait(max(0.0, SAMPLE_SECONDS - (time.monotonic() - begin)))
