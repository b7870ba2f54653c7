"""A daemon to be killed, and a client that counts what it receives. Only the standard library."""
import http.client
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

BIN = pathlib.Path(os.environ.get("MAINS_BIN", pathlib.Path(__file__).resolve().parents[2] / "target" / "release"))
# A loaded machine with 2 cores takes its time; nothing waits longer than it must.
DEADLINE_S = 60
# The text of every token of the null worker.
TOKEN = "null "


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE_S)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Stream:
    """One streamed completion, read until it ends or breaks off."""

    def __init__(self, path, model, tokens):
        self.path, self.model, self.tokens = path, model, tokens
        self.id, self.received, self.ended, self.status, self.error = None, 0, False, None, None

    def __str__(self):
        return f"{self.id or 'a request'} ({self.received} of {self.tokens} received, {self.status}, {self.error})"

    def run(self):
        body = {"model": self.model, "prompt": "on and on", "max_tokens": self.tokens, "stream": True}
        connection = UnixConnection(self.path)
        pending = b""
        try:
            connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            self.status = response.status
            while part := response.read1():
                *events, pending = (pending + part).split(b"\n\n")
                for event in events:
                    self.hear(event.decode())
        except (OSError, http.client.HTTPException) as error:
            self.error = repr(error)
        finally:
            connection.close()

    def hear(self, event):
        """Counts a whole event; half of one was not received."""
        data = event.removeprefix("data: ")
        if data == event:
            return
        if data == "[DONE]":
            self.ended = self.error is None
            return
        said = json.loads(data)
        if "error" in said:
            self.error = said["error"]["message"]
            return
        self.id = said["id"]
        self.received += sum(choice["text"].count(TOKEN) for choice in said["choices"])


class Daemon:
    """`mainsd` in the foreground with a worker, the null one where no other is named, its state in `folder`."""

    def __init__(self, folder, models, worker="mains-null-worker", arguments=()):
        self.socket = folder / "mains.sock"
        self.log = folder / "log"
        self.command = [BIN / "mainsd", "--serve", "--socket", self.socket, "--state-dir", folder / "state"]
        self.command += ["--worker", BIN / worker, *arguments]
        for name, path in models.items():
            self.command += ["--model", f"{name}={path}"]
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log)
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_S)
        line = self.process.stdout.readline().decode() if ready else ""
        assert line.startswith("mains: ready"), f"not ready: {line!r}\n{self.said()}"

    def said(self):
        return self.log.read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def kill_worker(self, *commands):
        """Kills the workers that were started by one of `commands`, those that run models where none is given, if there are any now."""
        commands = commands or (b"run",)
        for pid in self.children():
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if any(command in words for command in commands):
                    os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass

    def children(self):
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for thread in threads for pid in thread.read_text().split()]

    def get(self, path):
        connection = UnixConnection(self.socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = json.load(response)
        finally:
            connection.close()
        assert response.status == 200, body
        return body

    def settled_rows(self):
        """Every row of the ledger, once none is open any more."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            rows = self.get("/v1/requests?limit=100000")
            if all("settled" in row for row in rows):
                return rows
            select.select([], [], [], 0.02)
        raise AssertionError(f"rows stay open: {[row for row in rows if 'settled' not in row]}")
