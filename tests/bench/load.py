"""How long a load takes that maps packed weights, beside one that packs them itself.

    python tests/bench/load.py FILE.gguf... [--repeat 5]     # MAINS_BIN: the folder of the programs

The two take turns on the same file, which the system has in its cache: the packed file is removed, the model loaded and unloaded,
and once the daemon has made the packed file again, loaded and unloaded anew. Seconds are those of the request that loads, plan and
worker's start included; medians. `map/pack` below 1 is mapping being faster. Exits with 1 when it is not.
"""
import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from daemon import Daemon, until  # noqa: E402: it lies beside the client tests

NAME = "m"
CONTEXT = 512


def packed(daemon):
    """The file of packed weights and its record."""
    folder = daemon.state / "models" / "packed"
    return list(folder.iterdir()) if folder.exists() else []


def is_packed(daemon):
    return daemon.json("plan", NAME)["prepared"]["packed"]


def loaded(daemon):
    """Seconds of a load."""
    with daemon.admin() as admin:
        began = time.perf_counter()
        admin.post(f"/admin/models/{NAME}/load", timeout=600).raise_for_status()
        return time.perf_counter() - began


def unload(daemon):
    with daemon.admin() as admin:
        admin.post(f"/admin/models/{NAME}/unload", timeout=600).raise_for_status()


def turns(path, repeat):
    """Seconds with packing and with mapping."""
    daemon = Daemon(config=f'[models.{NAME}]\npath = "{path}"\ncontext = {CONTEXT}\nparallel = 1\n')
    try:
        path.read_bytes()
        loaded(daemon)  # Inspects the file, which neither is to count.
        until("the weights are packed", lambda: is_packed(daemon), 600)
        unload(daemon)
        packing, mapping = [], []
        for _ in range(repeat):
            for file in packed(daemon):
                file.unlink()
            packing.append(loaded(daemon))
            until("the weights are packed", lambda: is_packed(daemon), 600)
            unload(daemon)
            for file in packed(daemon):
                file.read_bytes()
            mapping.append(loaded(daemon))
            unload(daemon)
        return statistics.median(packing), statistics.median(mapping)
    finally:
        daemon.remove()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="+", type=pathlib.Path)
    arguments.add_argument("--repeat", type=int, default=5)
    asked = arguments.parse_args()
    print(f"{'file':30} {'MiB':>8} {'pack s':>8} {'map s':>8} {'map/pack':>9}")
    slower = False
    for path in asked.files:
        packing, mapping = turns(path.resolve(), asked.repeat)
        slower |= mapping >= packing
        print(f"{path.name:30} {path.stat().st_size / 2**20:8.0f} {packing:8.2f} {mapping:8.2f} {mapping / packing:9.2f}", flush=True)
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
