"""What workers take beside what was planned: a table over models, contexts and sequences at once.

    python tests/bench/memory.py [MODEL.gguf ...] [--shapes 512x1,2048x8]     # MAINS_BIN: the folder of the programs

The metric is the larger of two: `RssAnon` while the model is loaded, read as often as can be (pages of the model's file are the system's
cache then, which it takes back when it needs them), and `VmHWM` from the load's end on, all pages that the process has, those of
its program included, while every sequence is computed up to its full context at once. Exits with 1 when a worker took more than its
plan, or more than 16 MiB and 2 % less.
"""
import argparse
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from daemon import Daemon  # noqa: E402: it lies beside the client tests

SHAPES = "16x1,512x1,512x8,2048x1,2048x8,1024x32"
MIB = 1 << 20
ANSWER = 8
# The exit code of `mains plan` when nothing fits.
NO_PLAN = 3


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


def cell(name, path, context, parallel):
    """Bytes planned, taken and taken while loading, or why there is no plan."""
    file = f'path = "{path}"\n' if path else ""
    daemon = Daemon(config=f"[models.{name}]\n{file}context = {context}\nparallel = {parallel}\n")
    try:
        done = daemon.mains("plan", name, "--json")
        if done.returncode == NO_PLAN:
            return None
        assert done.returncode == 0, done.stderr
        planned = json.loads(done.stdout)["bytes"]["total"]
        loading = Loading(daemon.process.pid)
        with daemon.admin() as admin:
            admin.post(f"/admin/models/{name}/load", timeout=600).raise_for_status()
        while_loading = loading.end()
        worker = daemon.worker_pid(name)
        # proc_pid_clear_refs(5): 5 sets the peak to what is there now.
        pathlib.Path(f"/proc/{worker}/clear_refs").write_text("5")
        # Different from the first token on, so that none shares another's blocks.
        prompts = [[16 + (sequence * 7 + at * 13) % 200 for at in range(context - ANSWER)] for sequence in range(parallel)]
        body = {"model": name, "prompt": prompts, "max_tokens": ANSWER, "temperature": 0}
        with daemon.http(timeout=3600) as http:
            http.post("/v1/completions", json=body).raise_for_status()
        return planned, max(while_loading, pages(worker, "VmHWM:")), while_loading
    finally:
        daemon.remove()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="*", type=pathlib.Path)
    arguments.add_argument("--shapes", default=SHAPES)
    asked = arguments.parse_args()
    models = [(path.stem.lower().replace(".", "-"), path.resolve()) for path in asked.models] or [("pilot", None)]
    print("model                context x sequences   planned MiB   peak MiB   loading MiB   below MiB    %")
    failed = False
    for name, path in models:
        for shape in asked.shapes.split(","):
            context, parallel = map(int, shape.split("x"))
            found = cell(name, path, context, parallel)
            if found is None:
                print(f"{name:20} {context:7} x {parallel:<9}   nothing fits")
                continue
            planned, peak, loading = found
            below = planned - peak
            failed |= below < 0 or below > max(16 * MIB, planned // 50)
            print(f"{name:20} {context:7} x {parallel:<9} {planned / MIB:13.1f} {peak / MIB:10.1f} {loading / MIB:13.1f}"
                  f" {below / MIB:11.1f} {100 * below / planned:4.1f}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
