"""Devices measured, watched, and planned for elsewhere: as an administrator does it at a terminal."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from daemon import BIN, DEADLINE_S


def devices_of(daemon):
    return daemon.json("devices")["devices"]


def lines_of(response):
    return [json.loads(line) for line in response.iter_lines()]


@pytest.fixture(scope="module")
def measured():
    """A daemon whose CPU is measured, once for all tests here."""
    from daemon import Daemon
    it = Daemon()
    done = it.mains("devices", "--measure")
    assert done.returncode == 0, done.stderr
    yield it, done.stdout
    it.remove()


def test_measured_figures_are_shown_and_predict(measured):
    daemon, said = measured
    cpu = devices_of(daemon)[0]
    figures = cpu["measured"]
    assert figures["driver"] in cpu["drivers"] and figures["at"].startswith("20")
    assert figures["read_bytes_per_s"] > 1e8 and figures["spread"] >= 0
    assert set(figures["operations_per_s"]) == {"int8", "f16", "bf16", "f32"}
    assert min(figures["operations_per_s"].values()) > 1e8
    assert re.search(r"^cpu: reads [0-9.]+ GB/s; computes int8 [0-9.]+ [GT]OP/s, f16 .*bf16 .*f32 ", said, re.M), said
    plan = daemon.json("plan", "pilot")
    # The pilot has 6 M weights in BF16: a token reads some 12 MB of them, and half of the state of 2,048 positions.
    decode = plan["predicted"]["decode_tokens_per_s"]
    assert 0.5 < decode * (12e6 + 1024 * 3072) / figures["read_bytes_per_s"] < 2, (plan["predicted"], figures)
    assert plan["predicted"]["prefill_tokens_per_s"] > 0
    assert "tokens/s of an answer" in daemon.mains("plan", "pilot").stdout


def test_an_inventory_is_all_that_a_plan_needs(measured, daemon, tmp_path):
    there, _ = measured
    inventory = json.loads(there.mains("devices", "--json").stdout)
    file = tmp_path / "there.json"
    file.write_text(json.dumps(inventory))
    elsewhere = daemon.json("plan", "pilot", "--inventory", str(file))
    here = there.json("plan", "pilot")
    # Which files lie on this disk says nothing of another box.
    del here["prepared"]
    assert elsewhere == here, "the other box plans as the box itself"
    # A box with another processor: many threads, little memory, no measurement.
    cpu = inventory["devices"][0]
    cpu.update(id="far", name="Another CPU")
    cpu["drivers"][0]["threads"] = 100
    cpu["memory"].update(total_bytes=1 << 30, free_bytes=400 << 20)
    del cpu["measured"]
    done = daemon.mains("plan", "pilot", "--inventory", "-", "--json", input=json.dumps(inventory))
    plan = json.loads(done.stdout)
    assert plan["segments"][0]["device"] == "far"
    assert plan["bytes"]["scratch"] > elsewhere["bytes"]["scratch"]
    assert plan["predicted"]["decode_tokens_per_s"] is None
    cpu["memory"].update(free_bytes=1 << 20)
    none = daemon.mains("plan", "pilot", "--inventory", "-", input=json.dumps(inventory))
    assert none.returncode == 3 and "far" in none.stdout
    wrong = daemon.mains("plan", "pilot", "--inventory", "-", input="{\"devices\": 7}")
    assert wrong.returncode == 1 and "mains devices --json" in wrong.stderr


def test_a_plan_for_its_threads_is_what_that_box_loads(own_daemon, daemon):
    """The bytes are planned here, where the device is not, and loaded there: the worker refuses a plan that is off by one."""
    there = own_daemon(config="[daemon]\nthreads = 3\n")
    inventory = there.mains("devices", "--json").stdout
    planned = json.loads(daemon.mains("plan", "pilot", "--inventory", "-", "--json", input=inventory).stdout)
    assert there.mains("load", "pilot").returncode == 0
    assert there.json("plan", "pilot")["bytes"] == planned["bytes"]
    assert planned["bytes"] != daemon.json("plan", "pilot")["bytes"] or os.cpu_count() == 3


def test_figures_survive_a_restart_and_not_another_number_of_threads(measured, own_daemon):
    daemon, _ = measured
    before = devices_of(daemon)[0]["measured"]
    assert daemon.stop() == 0
    daemon.start()
    assert devices_of(daemon)[0]["measured"] == before
    daemon.stop()
    other = own_daemon(config="[daemon]\nthreads = 7\n", state=daemon.state)
    assert "measured" not in devices_of(other)[0], "they are of a driver with other threads"
    other.stop()
    daemon.start()
    assert devices_of(daemon)[0]["measured"] == before


def test_a_model_that_answers_is_not_disturbed(own_daemon):
    daemon = own_daemon()
    # One token again and again, so that no answer ends by itself.
    body = {"model": "pilot", "prompt": "Once", "max_tokens": 1900, "n": 8, "logit_bias": {"100": 100}, "stream": True}
    with daemon.http().stream("POST", "/v1/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        refused = daemon.mains("devices", "--measure")
        assert refused.returncode == 3 and "model pilot works on it" in refused.stderr, refused.stderr
        assert "measured" not in devices_of(daemon)[0]


def test_a_request_ends_a_measurement(own_daemon):
    daemon = own_daemon()
    with daemon.admin().stream("POST", "/admin/devices/measure") as steps:
        lines = (json.loads(line) for line in steps.iter_lines())
        assert next(lines)["progress"]["device"] == "cpu"
        assert daemon.mains("ask", "pilot", "What is 17 + 25?", "--temperature", "0").stdout == "17 + 25 = 42\n"
        last = list(lines)[-1]
    assert "a model is wanted" in last["failed"]["error"], last
    assert "measured" not in devices_of(daemon)[0]


def test_only_administrators_measure(daemon):
    assert daemon.http().post("/admin/devices/measure").status_code == 404
    answer = daemon.admin().post("/admin/devices/measure?device=nowhere")
    assert answer.status_code == 409 and "no such device" in answer.json()["error"]["message"]


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, arguments, lines, columns):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            # The child waits for its size, so that its first look at it is the right one.
            os.read(0, 1)
            os.execv(arguments[0], arguments)
        attributes = termios.tcgetattr(self.master)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = attributes
        os.write(self.master, b"\n")
        self.shown = b""

    def until(self, what, times=1):
        end = time.monotonic() + DEADLINE_S
        while self.shown.count(what) < times:
            assert time.monotonic() < end, self.shown
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 65536)

    def end(self):
        """Ctrl-C, as a person presses it."""
        os.write(self.master, b"\x03")
        self.until(b"\x1b[?1049l")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("columns, heading", [(200, "DEVICE +NAME +MEMORY IN USE +USED "), (72, "DEVICE +USED "), (20, "DEVICE")])
def test_watch_on_a_terminal(daemon, columns, heading):
    command = [str(BIN / "mains"), "--socket", str(daemon.socket), "devices", "--watch", "--interval", "1"]
    terminal = Terminal(command, 24, columns)
    # Two pictures: the second is drawn over the first.
    terminal.until(b"\x1b[J", times=2)
    assert terminal.end() == 0
    text = terminal.shown.decode()
    start, end = text.index("\x1b[?1049h"), text.rindex("\x1b[?1049l")
    assert "\x1b[?25l" in text and text.rindex("\x1b[?25h") < end, "the cursor comes back"
    picture = text[start:end].split("\x1b[H")[1]
    # The terminal puts a carriage return before each line feed, whether there is one or not.
    rows = re.split("\r+\n", re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", picture))
    assert re.match(heading, rows[2]) and rows[3].startswith("cpu"), rows
    assert all(len(row) <= columns for row in rows), rows


def test_watch_in_a_pipe(daemon):
    command = [BIN / "mains", "--socket", daemon.socket, "devices", "--watch", "--interval", "1"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = iter(watching.stdout.readline, "")
    # A line a device, again and again: the CPU's comes twice.
    cpu = [line for line in (next(lines) for _ in range(2 * len(devices_of(daemon)))) if " cpu memory " in line]
    assert len(cpu) == 2
    for line in cpu:
        assert re.match(r"20\S+Z cpu memory [0-9.]+ \S+ of [0-9.]+ \S+, busy ", line), line
        assert "\x1b" not in line
    watching.send_signal(signal.SIGINT)
    assert watching.wait(DEADLINE_S) == 0
    # A reader that has seen enough is no error.
    done = subprocess.run(["sh", "-c", f"'{command[0]}' --socket '{daemon.socket}' devices --watch --interval 1 | head -n 1"],
                          capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0 and done.stderr == "", done.stderr
