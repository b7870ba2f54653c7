"""Kills the daemon or its workers at random moments of an import, a preparation and a measurement in the background, and checks after
each restart:

    a model is whole or absent; the store has nothing that no model leads to; a second import succeeds; what was made is whole.

The workers are the real ones and the model is the pilot, with another last byte in every round so that each is a model of its own.
"""
import hashlib
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile
import threading

from daemon import BIN, Daemon

# A round takes two to three seconds on 2 cores that do nothing else.
ROUNDS = int(os.environ.get("MAINS_CRASH_ROUNDS", "12"))
SEED = int(os.environ.get("MAINS_CRASH_SEED", "1"))
PILOT = pathlib.Path(__file__).resolve().parents[2] / "daemon" / "store" / "pilot" / "pilot.gguf"
CONFIG = """[measure]
after = "1s"
groups = 4
texts = 1
"""
# From the command to the cut: an import of the pilot, its preparation and, after an idle second, a measurement take about this long.
WAIT_S = {"import": (0, 0.6), "prepare": (0, 0.4), "measure": (1, 4)}


class Store:
    """A daemon with real workers, and what is in its state folder."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "mains.toml").write_text(CONFIG)
        self.daemon = Daemon(folder, {}, worker="mains-worker", arguments=["--config", folder / "mains.toml"])
        self.models = folder / "state" / "models"

    def command(self, *arguments):
        return [BIN / "mains", "--socket", self.daemon.socket, *map(str, arguments)]

    def mains(self, *arguments):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=120)

    def names(self):
        return {path.stem for path in (self.models / "names").glob("*.json")}

    def problems(self):
        """What a daemon that has just started must not find in its store."""
        found = []
        contents = {path.name for path in (self.models / "content").iterdir()}
        told = {json.loads(self.mains("show", name, "--json").stdout)["path"].split("/content/")[1].split("/")[0] for name in self.names()}
        found += [f"content {name} has no model" for name in contents ^ told]
        for part in ("variants", "packed"):
            for path in self.models.glob(f"{part}/*"):
                if path.name.startswith(".making") or ".tmp" in path.name or path.suffix == ".partial":
                    found.append(f"{part} has {path.name}, which was never finished")
        for part in ("variants", "packed"):
            files = {path.name for path in (self.models / part).iterdir()}
            found += [f"{part} has the record of {name} alone" for name in files if name.endswith(".json") and name.removesuffix(".json") not in files]
        for name in self.names():
            for path in self.content(name):
                if hashlib.sha256(path.read_bytes()).hexdigest() not in self.digests(name):
                    found.append(f"{path} is not what was imported")
        found += [f"variant {path.name} is not what its record says" for path in self.models.glob("variants/*.gguf") if not recorded(path)]
        return found

    def content(self, name):
        path = pathlib.Path(json.loads(self.mains("show", name, "--json").stdout)["path"])
        return [path] if path.is_file() else sorted(path.iterdir())

    def digests(self, name):
        shown = json.loads(self.mains("show", name, "--json").stdout)
        return {file["sha256"] for file in shown["import"]["files"]}


def recorded(path):
    record = json.loads(path.with_name(path.name + ".json").read_text())
    return record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def source(folder, number):
    """A model of its own, as a GGUF file or as a tar of one."""
    data = PILOT.read_bytes()
    data = data[:-4] + number.to_bytes(4, "little")
    path = folder / f"m{number}.gguf"
    path.write_bytes(data)
    if number % 2 == 0:
        return path
    packed = folder / f"m{number}.tar"
    with tarfile.open(packed, "w") as out:
        info = tarfile.TarInfo("model.gguf")
        info.size = len(data)
        out.addfile(info, io.BytesIO(data))
    path.unlink()
    return packed


def table(store, name):
    """What types cost the model, so that a plan puts it into others."""
    shown = json.loads(store.mains("show", name, "--json").stdout)
    planned = json.loads(store.mains("plan", name, "--json").stdout)
    tensors = [tensor["name"] for tensor in planned["tensors"] if tensor["type"] == "BF16"]
    groups = [{"name": tensor, "tensors": [tensor], "damages": [["Q4_K", 0.001], ["BF16", 0.0]]} for tensor in tensors]
    whole = {"version": 1, "model": shown["digest"], "groups": groups, "kv": [["F16", 0.0]], "whole": []}
    path = store.models / "measured" / f"{shown['digest']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole))


def play(store, what, path, name, chance):
    """Begins `what`, kills somebody in the middle of it, and starts again. Who was killed, and whether it was over before."""
    if what != "import":
        done = store.mains("import", path, "--name", name)
        assert done.returncode == 0, done.stderr
    if what == "prepare":
        table(store, name)
    asking = {"import": ("import", path, "--name", name), "prepare": ("prepare", name, "--policy", "speed")}.get(what)
    process = asking and subprocess.Popen(store.command(*asking), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    threading.Event().wait(chance.uniform(*WAIT_S[what]))
    over = process is not None and process.poll() is not None
    victim = chance.choice(["daemon", "daemon", "workers"])
    if victim == "workers":
        store.daemon.kill_worker(b"convert-for-daemon", b"inspect")
        if process:
            process.wait(120)
    store.daemon.kill()
    if process:
        process.wait(120)
    store.daemon.start()
    return victim, over


def main():
    chance = random.Random(SEED)
    failed, cut = 0, 0
    with tempfile.TemporaryDirectory(prefix="mains-crash-") as folder:
        folder = pathlib.Path(folder)
        store = Store(folder)
        try:
            for number in range(ROUNDS):
                what, name = chance.choice(list(WAIT_S)), f"m{number}"
                path = source(folder, number)
                victim, over = play(store, what, path, name, chance)
                cut += not over
                problems = store.problems()
                if name not in store.names():
                    if what != "import":
                        problems.append(f"{name} is lost")
                    again = store.mains("import", path, "--name", name)
                    if again.returncode != 0:
                        problems.append(f"a second import fails: {again.stderr}")
                if what == "prepare":
                    again = store.mains("prepare", name, "--policy", "speed")
                    if again.returncode != 0 or not list(store.models.glob("variants/*.gguf")):
                        problems.append(f"a second preparation fails: {again.stderr}")
                problems += store.problems()
                digest = json.loads(store.mains("show", name, "--json").stdout)["digest"]
                gone = store.mains("rm", name)
                if gone.returncode != 0:
                    problems.append(f"it can not be removed: {gone.stderr}")
                left = {part: found for part in ("content", "incoming", "names", "variants", "packed") if (found := os.listdir(store.models / part))}
                left |= {"measured": found for found in [sorted(path.name for path in store.models.glob(f"measured/{digest}*"))] if found}
                if left:
                    problems.append(f"after its removal there are {left}")
                failed += bool(problems)
                for problem in problems:
                    print(f"round {number} ({what}, {victim} killed): {problem}")
                path.unlink()
        finally:
            store.daemon.kill()
        if failed:
            print(store.daemon.said()[-4000:])
    print(f"seed {SEED}: {cut} of {ROUNDS} rounds were cut in the middle")
    # A run in which hardly anything was cut proves nothing.
    if cut < ROUNDS // 3:
        print("too little was cut: the test did not do its work")
        failed += 1
    print(f"{ROUNDS - min(failed, ROUNDS)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
