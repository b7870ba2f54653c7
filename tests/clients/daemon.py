"""Starts and watches a real daemon for a test, the way a user starts one: `mains serve`."""
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

import httpx
import openai

BIN = pathlib.Path(os.environ.get("MAINS_BIN", pathlib.Path(__file__).resolve().parents[2] / "target" / "release"))
# A loaded CI machine with 2 cores takes its time; nothing here waits longer than it must.
DEADLINE_S = 180
# Bytes of the host's memory that plans leave free (`HOST_RESERVE` of the planner).
HOST_RESERVE = 256 << 20


def until(what, condition, deadline_s=DEADLINE_S):
    """Polls an observable state; the wait between looks is a courtesy, the deadline a failure."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        select.select([], [], [], 0.02)
    raise AssertionError(f"not within {deadline_s} s: {what}")


class Daemon:
    """A daemon of our own, with its sockets and state in a folder that goes away with it."""

    def __init__(self, *arguments, config=None, environment=None, state=None, group=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mains-", dir="/tmp"))
        os.chmod(self.folder, 0o755)
        self.socket = self.folder / "mains.sock"
        self.state = state or self.folder / "state"
        self.log = open(self.folder / "log", "w+b")
        # A measurement in the background would change plans and take processors between two tests.
        config = config or ""
        if "[measure]" not in config:
            config += "\n[measure]\nbackground = false\n"
        (self.folder / "mains.toml").write_text(config)
        arguments = (*arguments, "--config", str(self.folder / "mains.toml"))
        self.arguments = arguments
        self.environment = {**os.environ, **(environment or {})}
        # A control group that it and its workers live in.
        self.group = group
        self.start()

    def start(self):
        command = [BIN / "mains", "serve", "--socket", self.socket, "--state-dir", self.state, *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=self.environment,
                                        preexec_fn=self.group.join if self.group else None)
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_S)
        line = self.process.stdout.readline().decode() if ready else ""
        assert line.startswith("mains: ready"), f"not ready: {line!r}\n{self.said()}"

    def said(self):
        return (self.folder / "log").read_text(errors="replace")

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def remove(self):
        self.stop()
        self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self, room):
        """Limits its control group so that `room` bytes beyond what it uses now are free for plans."""
        self.group.allow(self.group.used() + HOST_RESERVE + room)

    def http(self, **options):
        """A plain HTTP client over the request socket."""
        options.setdefault("timeout", DEADLINE_S)
        return httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://localhost", **options)

    def admin(self):
        transport = httpx.HTTPTransport(uds=str(self.folder / "admin.sock"))
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=DEADLINE_S)

    def openai(self):
        """The client that application developers use, unchanged but for its transport."""
        http_client = httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), timeout=DEADLINE_S)
        return openai.OpenAI(base_url="http://localhost/v1", api_key="unused", http_client=http_client, max_retries=0)

    def mains(self, *arguments, **options):
        """Runs the command line against this daemon."""
        command = [BIN / "mains", "--socket", self.socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, **options)

    def json(self, *arguments):
        done = self.mains(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def row(self, request):
        """The ledger's one row of a request."""
        rows = [row for row in self.json("usage", "--requests") if row["id"] == request]
        assert len(rows) <= 1, rows
        return rows[0] if rows else None

    def worker_pid(self, model="pilot"):
        models = {entry["name"]: entry for entry in self.json("status")["models"]}
        return models[model].get("worker_pid")
