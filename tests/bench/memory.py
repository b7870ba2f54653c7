"""What workers take beside what was planned: a table over models, contexts and sequences at once, and limits of memory.

    python tests/bench/memory.py [MODEL.gguf ...] [--shapes 512x1,2048x8] [--limits] [--measure]     # MAINS_BIN: the folder of the programs

With `--limits` each shape is loaded under five limits, from less than the least shape takes to more than the largest does: the daemon and its
workers then live in a control group (as root), so that the limit is the kernel's. With `--measure` a daemon first measures what types cost
each model, on a sample of it, and types are then chosen by that; without, they stay what the files have. What was planned is what is reserved while the model is
loaded. The metric is the larger of two: `RssAnon` while the model is loaded, read as often as can be (pages of the model's file are the
system's cache then, which it takes back when it needs them), and `VmHWM` from the load's end on, all pages that the process has, those of
its program included, while every sequence is computed up to its full context at once. Exits with 1 when a worker took more than its
plan, or more than 16 MiB and 2 % less.
"""
import argparse
import collections
import json
import pathlib
import shutil
import sys
import tempfile
import threading
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from cgroup import Group  # noqa: E402: they lie beside the client tests
from daemon import Daemon, until  # noqa: E402

SHAPES = "16x1,512x1,512x8,2048x1,2048x8,1024x32"
MIB = 1 << 20
ANSWER = 8
# The exit code of `mains plan` when nothing fits.
NO_PLAN = 3
# A measurement of a sample, and how long it may take.
MEASURE, MEASURE_S = '[measure]\nafter = "1s"\ngroups = 3\ntexts = 1\n', 1800
# What a load is answered when it has no place.
UNAVAILABLE = 503


def pages(process, name):
    """A line of /proc/PID/status in bytes; 0 when the process is gone."""
    try:
        lines = (pathlib.Path("/proc") / str(process) / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name)), 0)


class Loading:
    """The most that a worker has of its own while a load goes on."""

    def __init__(self, parent):
        self.peak, self.ends = 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, args=(parent,))
        self.thread.start()

    def watch(self, parent):
        while not self.ends.is_set():
            for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
                try:
                    children = (task / "children").read_text().split()
                except OSError:
                    continue  # A thread that has just ended.
                self.peak = max([self.peak, *(pages(child, "RssAnon:") for child in children)])

    def end(self):
        self.ends.set()
        self.thread.join()
        return self.peak


def configured(name, path, context, parallel):
    """The configuration of one model."""
    file = f'path = "{path}"\n' if path else ""
    return f"[models.{name}]\n{file}context = {context}\nparallel = {parallel}\n"


def types_of(plan):
    """The type of keys and values, and the types of the tensors, the most bytes first."""
    by_type = collections.Counter()
    for tensor in plan["tensors"]:
        by_type[tensor["type"]] += tensor["bytes"]
    return f"{plan['kv_type']}; {' '.join(kind for kind, _ in by_type.most_common())}"


def table_of(name, path):
    """A folder with what a daemon measured of types of the model: see `[measure]` in the manual."""
    daemon = Daemon(config=configured(name, path, 16, 1) + MEASURE)
    state = pathlib.Path(tempfile.mkdtemp(prefix="mains-measured-"))
    try:
        def done():
            return next(entry for entry in daemon.json("status")["models"] if entry["name"] == name)["sensitivity"]["state"] == "measured"
        until("what types cost is measured", done, MEASURE_S)
        shutil.copytree(daemon.state / "models" / "measured", state / "models" / "measured")
    finally:
        daemon.remove()
    return state


def planned_bytes(name, path, context, parallel):
    """Bytes that are planned for a shape with all memory there is."""
    daemon = Daemon(config=configured(name, path, context, parallel))
    try:
        return daemon.json("plan", name)["bytes"]["total"]
    finally:
        daemon.remove()


def cell(name, path, context, parallel, limit=None, state=None):
    """Bytes planned, taken and taken while loading, and the types; `None` when nothing fits. Files that are made stay in `state`."""
    group = Group(f"mains-{uuid.uuid4()}") if limit else None
    daemon = Daemon(config=configured(name, path, context, parallel), group=group, state=state)
    try:
        if limit:
            # The model is read once before, so that its pages are not taken for the daemon's.
            daemon.json("show", name)
            daemon.leave(limit)
        return measured(daemon, name, context, parallel)
    finally:
        daemon.remove()
        if group:
            until("the workers are gone from the group", group.empty)


def measured(daemon, name, context, parallel):
    """The cell of a daemon that runs."""
    loading = Loading(daemon.process.pid)
    try:
        with daemon.admin() as admin:
            loaded = admin.post(f"/admin/models/{name}/load", timeout=600)
    finally:
        while_loading = loading.end()
    if loaded.status_code == UNAVAILABLE and "does not fit" in loaded.text:
        return None
    assert loaded.status_code == 200, loaded.text
    planned = sum(entry["bytes"] for entry in daemon.json("status")["reservations"])
    worker = daemon.worker_pid(name)
    # proc_pid_clear_refs(5): 5 sets the peak to what is there now.
    pathlib.Path(f"/proc/{worker}/clear_refs").write_text("5")
    # Different from the first token on, so that none shares another's blocks.
    prompts = [[16 + (sequence * 7 + at * 13) % 200 for at in range(context - ANSWER)] for sequence in range(parallel)]
    body = {"model": name, "prompt": prompts, "max_tokens": ANSWER, "temperature": 0}
    with daemon.http(timeout=3600) as http:
        answered = http.post("/v1/completions", json=body)
    assert answered.status_code == 200, f"{answered.text}\n{daemon.said()}"
    return planned, max(while_loading, pages(worker, "VmHWM:")), while_loading, types_of(daemon.json("plan", name))


def row(name, path, shape, limit, state):
    """Prints the row of a cell; whether both bounds are kept."""
    head = f"| {name} | {f'{limit / MIB:.1f}' if limit else 'none'} | {shape[0]} x {shape[1]} |"
    found = cell(name, path, *shape, limit, state)
    if found is None:
        print(head, "nothing fits | | | | | |", flush=True)
        return True
    planned, peak, loading, types = found
    below = planned - peak
    print(head, f"{planned / MIB:.1f} | {peak / MIB:.1f} | {loading / MIB:.1f} | {below / MIB:.1f} | {100 * below / planned:.1f} | {types} |",
          flush=True)
    return 0 <= below <= max(16 * MIB, planned // 50)


def limits_of(name, path, shapes):
    """Five limits: too little for any of the shapes' plans with all memory there is, hardly enough for the least, for each, for all."""
    least, most = (planned_bytes(name, path, *shape) for shape in (min(shapes), max(shapes)))
    return [least * 6 // 10, least * 96 // 100, least * 102 // 100, (least + most) // 2, most * 102 // 100]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="*", type=pathlib.Path)
    arguments.add_argument("--shapes", default=SHAPES)
    arguments.add_argument("--limits", action="store_true")
    arguments.add_argument("--measure", action="store_true")
    asked = arguments.parse_args()
    models = [(path.stem.lower().replace(".", "-").replace("_", "-"), path.resolve()) for path in asked.models] or [("pilot", None)]
    shapes = [tuple(map(int, shape.split("x"))) for shape in asked.shapes.split(",")]
    print("| model | limit MiB | context x sequences | planned MiB | peak MiB | while loading | below MiB | % | keys and values; weights |")
    print("|---|---|---|---|---|---|---|---|---|")
    kept = True
    for name, path in models:
        state = table_of(name, path) if asked.measure else None
        for limit in limits_of(name, path, shapes) if asked.limits else [None]:
            for shape in shapes:
                kept &= row(name, path, shape, limit, state)
        if state:
            shutil.rmtree(state)
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
