"""The servers: how each is started with its copy of the rows, used, and stopped. All listen on 127.0.0.1 only."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse

HOST = "127.0.0.1"
START_SECONDS_MAX = 300
STOP_SECONDS_MAX = 15
ANSWER_SECONDS_MAX = 120
# Short enough to measure a start of a few milliseconds, long enough that polling does not slow it down.
ASKING_EVERY_SECONDS = 0.001


class Server:
    """A started server."""

    def __init__(self, name, process, port):
        self.name, self.process, self.port = name, process, port

    @property
    def pid(self):
        """The process that was started, and its group."""
        return self.process.pid

    def url(self, path):
        """The address of a path."""
        return f"http://{HOST}:{self.port}{path}"

    def answers(self, paths):
        """The bodies of successful responses to many requests, over one connection."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS_MAX)
        with contextlib.closing(connection):
            for path in paths:
                connection.request("GET", path)
                yield self.body(connection.getresponse(), path)

    def post(self, path, content):
        """The body of a successful response to a POST."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS_MAX)
        with contextlib.closing(connection):
            connection.request("POST", path, content)
            return self.body(connection.getresponse(), f"{path} {content}")

    def next_page(self, path):
        """The body of a page, and the path of the next page in its `Link` header."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS_MAX)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            content = self.body(response, path)
            link = re.search(r'<([^>]+)>;\s*rel="?next"?', response.headers.get("link", ""))
            if link is None:
                raise SystemExit(f"{self.name} names no next page of {path}")
            target = urllib.parse.urlsplit(urllib.parse.urljoin(self.url(path), link[1]))
            return content, f"{target.path}?{target.query}"

    def body(self, response, question):
        """The body of a response, which has to be successful."""
        content = response.read()
        if response.status != 200:
            raise SystemExit(f"{self.name} returns {response.status} for {question}: {content[:500].decode(errors='replace')}")
        return content


def free_port():
    """A free port."""
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def started(name, command, port, ready, log, **environment):
    """Runs a server until the end of the block, which starts when `ready` returns 200; `environment` is added to that of this process."""
    with begun(name, command, port, log, environment) as server:
        wait(server, ready, log)
        yield server


@contextlib.contextmanager
def begun(name, command, port, log, environment):
    """Runs a server in a separate process group, which ends with the block, also if the block raises an exception."""
    with open(log, "ab") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, start_new_session=True, env=os.environ | environment)
    try:
        yield Server(name, process, port)
    finally:
        stop(process)


def stop(process):
    """Ends the process group: with SIGTERM, then with SIGKILL."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS_MAX)
            return


def wait(server, ready, log):
    """Polls until the response is 200: the server has loaded its rows."""
    request = f"GET {ready} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, server.port), timeout=START_SECONDS_MAX) as connection:
            connection.sendall(request)
            if connection.makefile("rb").readline().split()[1:2] == [b"200"]:
                return
        time.sleep(ASKING_EVERY_SECONDS)
    with open(log, errors="replace") as output:
        raise SystemExit(f"{server.name} does not return 200 for {ready}; its output:\n{output.read()[-2000:]}")


class Programs:
    """The servers' programs and their arguments."""

    def __init__(self, executable, environment, work):
        self.executable, self.environment, self.work = executable, environment, work

    def datalake(self, lake, ready="/stats"):
        """datalake, without runs, in the environment of its image. It logs only warnings, because nginx logs no requests."""
        port = free_port()
        command = [self.executable, "serve", "--lake", lake, "--listen", f"{HOST}:{port}", "--launcher", "none", "--log", "warn"]
        return started("datalake", command, port, ready, self.log("datalake"), MIMALLOC_PURGE_DELAY="2")

    def roapi(self, parquet):
        """ROAPI loads the table into memory, which is its default."""
        port, others = free_port(), [free_port(), free_port()]
        addresses = ["--addr-http", f"{HOST}:{port}", "--addr-postgres", f"{HOST}:{others[0]}", "--addr-flight-sql", f"{HOST}:{others[1]}"]
        command = [self.environment / "bin" / "roapi", *addresses, "--table", f"users={parquet}"]
        return started("ROAPI", command, port, "/api/tables/users?limit=1", self.log("roapi"))

    def datasette(self, database):
        """Datasette with an immutable file, which it does not check for changes."""
        port = free_port()
        command = [self.environment / "bin" / "datasette", "serve", "--immutable", database, "--host", HOST, "--port", port]
        return started("Datasette", command, port, "/users/users.json?_size=1&_nocount=1&_shape=array", self.log("datasette"))

    def nginx(self, pages):
        """nginx serves the files of a folder, with the settings that its manual recommends for many small ones."""
        port = free_port()
        folder = self.work / "nginx"
        folder.mkdir(exist_ok=True)
        # Its workers otherwise change to a user who cannot read the folder.
        user = "user root;" if os.getuid() == 0 else ""
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"{user} daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/error.log;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; {temporary}\n"
            "  open_file_cache max=20000 inactive=10m; open_file_cache_valid 10m;\n"
            f"  server {{ listen {HOST}:{port} reuseport; root {pages}; default_type application/json; }} }}\n"
        )
        command = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", configuration]
        return started("nginx", command, port, f"/{urllib.parse.quote(min(os.listdir(pages)))}", self.log("nginx"))

    def log(self, name):
        """Where a server's output goes."""
        return self.work / f"{name}.log"
