"""Runs inside a container, as root, as a unit: installs the package and tries what its units promise. A line a check."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import traceback

sys.path.insert(0, "/opt/test")
import client  # noqa: E402

RESULTS = open("/run/results/lines", "w", buffering=1)
SOCKET, ADMIN = "/run/mains/mains.sock", "/run/mains/admin.sock"
OLD, NEW = sorted(glob.glob("/opt/test/mains_*.deb"))
CONFIG = "/etc/mains/mains.toml"
TEAMS = '[teams.staff]\nusers = ["alice"]\n'
SUM = "What is 17 + 25?"


def run(*command, check=True, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done.stdout.strip()


def show(unit, name):
    return run("systemctl", "show", "-P", name, unit)


def until(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        threading.Event().wait(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def as_user(user, *command, check=True):
    return run("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command, check=check)


def as_client(user, path, method, route, body=None):
    words = ["/usr/bin/python3", "/opt/test/client.py", path, method, route] + ([] if body is None else [json.dumps(body)])
    return json.loads(as_user(user, *words))


def active(unit):
    return show(unit, "ActiveState") == "active"


def main_pid():
    return int(show("mainsd.service", "MainPID"))


def restarts():
    return int(show("mainsd.service", "NRestarts"))


def asked(question=SUM):
    status, answer = as_client("alice", SOCKET, "POST", "/v1/chat/completions", {
        "model": "pilot", "messages": [{"role": "user", "content": question}], "temperature": 0})
    assert status == 200, answer
    return answer["choices"][0]["message"]["content"]


def rows():
    return json.loads(run("mains", "usage", "--requests", "--json"))


def install():
    run("dpkg", "-i", OLD)
    assert active("mainsd.service") and active("mains.socket") and active("mains-admin.socket")
    assert show("mainsd.service", "Type") == "notify" and show("mainsd.service", "StatusText")


def configure():
    for user in ("alice", "bob"):
        run("useradd", "--create-home", user)
    with open(CONFIG, "a") as file:
        file.write(TEAMS)
    before = main_pid()
    run("systemctl", "reload", "mainsd.service")
    assert main_pid() == before, "a reload keeps the process"
    until("alice is answered", lambda: as_client("alice", SOCKET, "GET", "/v1/models")[0] == 200)


def socket_activation():
    run("systemctl", "stop", "mainsd.service")
    assert not active("mainsd.service") and active("mains.socket")
    assert as_client("alice", SOCKET, "GET", "/v1/models")[0] == 200
    assert active("mainsd.service")


def an_answer_through_template_units():
    assert asked() == "17 + 25 = 42"
    units = run("systemctl", "list-units", "--plain", "--no-legend", "mains-worker-run@*")
    assert len(units.splitlines()) == 1, units
    unit = units.split()[0]
    pid = show(unit, "MainPID")
    assert run("stat", "-c", "%U", f"/proc/{pid}") in ("mains-worker",), "a worker has its own user"
    row = rows()[-1]
    assert row["team"] == "staff" and row["settled"] == "exact" and row["pid"] > 0, row


def the_clients_unit_is_recorded():
    run("systemd-run", "--wait", "--quiet", "--unit=client-of-mains", "--uid=alice", "/usr/bin/python3", "-c",
        f"import sys; sys.path.insert(0, '/opt/test'); import client; print(client.chat('{SOCKET}', '{SUM}'))")
    assert rows()[-1].get("unit") == "client-of-mains.service", rows()[-1]


def nobody_is_refused():
    status, answer = as_client("bob", SOCKET, "GET", "/v1/models")
    assert status == 403 and str(os.stat("/home/bob").st_uid) in json.dumps(answer), (status, answer)


def administration_is_for_administrators():
    assert client.ask(ADMIN, "GET", "/v1/status")[0] == 200
    words = ["/usr/bin/python3", "/opt/test/client.py", ADMIN, "GET", "/v1/status"]
    assert "PermissionError" in subprocess.run(["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", *words],
                                               capture_output=True, text=True).stderr
    run("usermod", "-aG", "mains-admin", "bob")
    assert as_client("bob", ADMIN, "GET", "/v1/status")[0] == 200


def a_broken_reload_changes_nothing():
    whole = open(CONFIG).read()
    try:
        with open(CONFIG, "w") as file:
            file.write(whole.replace("[daemon]\n", "[daemon]\nqueue_limit = \"many\"\n", 1))
        before = main_pid()
        run("systemctl", "reload", "mainsd.service", check=False)
        assert asked() == "17 + 25 = 42" and main_pid() == before
        until("the journal tells why", lambda: "queue_limit" in run("journalctl", "-u", "mainsd.service", "--no-pager", "-n", "50"))
        assert subprocess.run(["mains", "check-config", CONFIG], capture_output=True).returncode == 1
    finally:
        open(CONFIG, "w").write(whole)
        run("systemctl", "reload", "mainsd.service")


def a_killed_worker_costs_its_requests_alone():
    unit = run("systemctl", "list-units", "--plain", "--no-legend", "mains-worker-run@*").split()[0]
    pid = int(show(unit, "MainPID"))
    connection = client.Connection(SOCKET)
    os.kill(pid, signal.SIGKILL)
    until("the worker's unit is gone", lambda: not run("systemctl", "list-units", "--plain", "--no-legend", unit, check=False))
    assert asked() == "17 + 25 = 42"
    connection.close()


def an_import_is_read_by_workers_and_written_by_the_daemon():
    """Files of a user whom the daemon cannot see come over the socket; the workers' group may read what is kept of them."""
    home = shutil.copy("/var/lib/mains/models/pilot.gguf", "/home/bob/usb.gguf")
    shutil.chown(home, "bob")
    os.chmod(home, 0o600)
    as_user("bob", "mains", "import", home, "--name", "usb")
    [content] = glob.glob("/var/lib/mains/models/content/*")
    kept = f"{content}/model.gguf"
    assert run("stat", "-c", "%U:%G %a", kept) == "mains:mains-worker 640", run("stat", "-c", "%U:%G %a", kept)
    status, answer = as_client("alice", SOCKET, "POST", "/v1/chat/completions", {
        "model": "usb", "messages": [{"role": "user", "content": SUM}], "temperature": 0})
    assert status == 200 and answer["choices"][0]["message"]["content"] == "17 + 25 = 42", answer
    with tarfile.open("/home/bob/usb.tar", "w") as out:
        out.add(home, "usb.gguf")
    run("mains", "import", "/home/bob/usb.tar", "--name", "packed")
    run("mains", "rm", "packed")
    run("mains", "rm", "usb", "--unload")
    assert not glob.glob("/var/lib/mains/models/content/*") and not glob.glob("/var/lib/mains/models/incoming/*")


def watchdog():
    """A daemon that stands still is killed and started again."""
    os.makedirs("/run/systemd/system/mainsd.service.d", exist_ok=True)
    with open("/run/systemd/system/mainsd.service.d/watchdog.conf", "w") as file:
        file.write("[Service]\nWatchdogSec=2\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "mainsd.service")
    before = restarts()
    os.kill(main_pid(), signal.SIGSTOP)
    until("the watchdog restarts the daemon", lambda: restarts() > before and active("mainsd.service"))
    assert show("mainsd.service", "Result") in ("success", "watchdog")
    os.remove("/run/systemd/system/mainsd.service.d/watchdog.conf")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "mainsd.service")
    assert asked() == "17 + 25 = 42"


def a_worker_that_lives_is_left_alone():
    """Its unit's watchdog is fed: by work, and by the daemon's pings while there is none."""
    folder = "/run/systemd/system/mains-worker-run@.service.d"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/watchdog.conf", "w") as file:
        file.write("[Service]\nWatchdogSec=8\n")
    run("systemctl", "daemon-reload")
    run("mains", "unload", "pilot")
    assert asked() == "17 + 25 = 42"
    before = client.ask(ADMIN, "GET", "/v1/status")[1]["models"][0]["worker_pid"]
    threading.Event().wait(10)
    assert client.ask(ADMIN, "GET", "/v1/status")[1]["models"][0].get("worker_pid") == before
    os.remove(f"{folder}/watchdog.conf")
    run("systemctl", "daemon-reload")


def a_crash_restarts():
    before = restarts()
    # Not SIGSEGV: the runtime takes the first one for a fault of its own and waits for it to come again.
    os.kill(main_pid(), signal.SIGABRT)
    until("the daemon is back", lambda: restarts() > before and active("mainsd.service"))
    assert asked() == "17 + 25 = 42"


def a_stop_drains():
    answer = {}

    def long():
        answer["got"] = as_client("alice", SOCKET, "POST", "/v1/chat/completions", {
            "model": "pilot", "messages": [{"role": "user", "content": "Tell me a story about a fox."}], "max_tokens": 300,
            "logit_bias": {"2": -100, "0": -100}})

    thread = threading.Thread(target=long)
    thread.start()
    until("the request runs", lambda: client.ask(ADMIN, "GET", "/v1/status")[1]["models"][0]["running"] == 1)
    run("systemctl", "stop", "mainsd.service")
    thread.join(60)
    assert answer["got"][0] == 200 and answer["got"][1]["usage"]["completion_tokens"] == 300, answer
    run("systemctl", "start", "mainsd.service")


def walls(role):
    """Runs the worker's own attempts under the template's very properties."""
    with open("/dev/fuse"):
        pass  # Without the unit's walls it opens: the attempt shows something.
    folder = f"/run/systemd/system/mains-worker-{role}@walls.service.d"
    os.makedirs(folder, exist_ok=True)
    ledger = glob.glob("/var/lib/mains/**/ledger*.sqlite", recursive=True)[0]
    with open(f"{folder}/walls.conf", "w") as file:
        file.write(f"[Service]\nExecStart=\nExecStart=/usr/bin/mains-worker walls-test {role} --unreadable {ledger} "
                   f"--unwritable /var/lib/mains/models --device /dev/fuse --signal {main_pid()}\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", f"mains-worker-{role}@walls.service", check=False)
    until("the attempts end", lambda: show(f"mains-worker-{role}@walls.service", "ActiveState") in ("inactive", "failed"))
    said = run("journalctl", "-u", f"mains-worker-{role}@walls.service", "--no-pager", "-o", "cat")
    lines = [line for line in said.splitlines() if re.match("wall |denied |ALLOWED ", line)]
    assert sum(line.startswith("denied ") for line in lines) >= 9, said
    assert all(line.startswith("denied ") or line.endswith(": stands") for line in lines), said


def upgrade():
    before = rows()
    os.chmod(SOCKET, 0o666)
    run("dpkg", "-i", NEW)
    assert active("mainsd.service") and run("dpkg-query", "-W", "-f", "${Version}", "mains").endswith("-2")
    assert asked() == "17 + 25 = 42"
    after = rows()
    assert after[:len(before)] == before and len(after) == len(before) + 1
    assert "alice" in open(CONFIG).read(), "the administrator's configuration is kept"


def remove():
    run("dpkg", "-r", "mains")
    assert not active("mains.socket") and not os.path.exists("/usr/bin/mainsd")
    assert glob.glob("/var/lib/mains/**/ledger*.sqlite", recursive=True), "a removal keeps the ledger"


def purge():
    run("dpkg", "-P", "mains")
    assert not os.path.exists("/var/lib/mains") and not os.path.exists("/etc/mains")


def units_are_in_order():
    units = glob.glob("/usr/lib/systemd/system/main*.s*")
    said = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    # The container has no manual reader; everything else that is said of our units counts.
    lines = [line for line in said.stderr.splitlines() if "mains" in line and "'man " not in line]
    assert not lines, lines


def devices_are_found_anew():
    run("systemctl", "start", "mains-probe.service")
    assert show("mains-probe.service", "Result") == "success"
    devices = json.loads(run("mains", "devices", "--json"))
    assert devices["devices"][0]["id"] == "cpu" and devices["devices"][0]["usable_by"] == ["cpu"], devices
    hanging = [problem for problem in devices["problems"] if "process" in problem["error"] or "pending" in problem["error"]]
    assert not hanging, hanging
    # Sources with a device stay; the others are gone when they have answered.
    until("one process for each source with a device", lambda: 1 <= len(probes()) <= 3)
    before = probes()
    run("systemctl", "start", "mains-probe.service")
    until("the same processes stay", lambda: probes() == before)


def probes():
    units = run("systemctl", "list-units", "--plain", "--no-legend", "--state=running", "mains-worker-probe@*")
    return sorted(line.split()[0] for line in units.splitlines())


CHECKS = [install, units_are_in_order, configure, socket_activation, an_answer_through_template_units,
          the_clients_unit_is_recorded, nobody_is_refused, administration_is_for_administrators,
          an_import_is_read_by_workers_and_written_by_the_daemon, devices_are_found_anew, a_broken_reload_changes_nothing, a_killed_worker_costs_its_requests_alone, watchdog,
          a_worker_that_lives_is_left_alone, a_crash_restarts, a_stop_drains,
          ("walls", "probe"), ("walls", "inspect"), ("walls", "run"), ("walls", "convert"), upgrade, remove, purge]


def main():
    print(run("systemctl", "--version").splitlines()[0], file=RESULTS)
    for check in CHECKS:
        function, *arguments = (globals()[check[0]], *check[1:]) if isinstance(check, tuple) else (check,)
        name = " ".join([function.__name__.replace("_", " "), *arguments])
        begin = time.monotonic()
        try:
            function(*arguments)
            print(f"ok {name} ({time.monotonic() - begin:.1f} s)", file=RESULTS)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAIL {name}: line {last.lineno}: {str(error)[:1500]!r}", file=RESULTS)
            if function in (install, configure):
                print(run("journalctl", "-u", "mainsd.service", "--no-pager", "-n", "40", check=False), file=RESULTS)
    print("end", file=RESULTS)


main()
