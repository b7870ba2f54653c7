"""How fast `mains import` takes a file, beside copying and hashing it with the system's own programs.

    python tests/bench/imports.py FILE... [--repeat 3]     # MAINS_BIN: the folder of the programs

In turns, on the same disk, from a source that the system has in its cache: `mains import FILE`, which sends, hashes twice, writes,
syncs and inspects; and `cp FILE COPY`, `sync COPY`, `sha256sum COPY`, one after the other. Medians in MB/s; `ratio` is ours over theirs.
"""
import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from daemon import BIN, Daemon  # noqa: E402: it lies beside the client tests


def timed(*commands):
    began = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def turns(path, repeat):
    """Seconds of both."""
    daemon, ours, theirs = Daemon(), [], []
    folder = pathlib.Path(tempfile.mkdtemp(dir=daemon.folder))
    try:
        path.read_bytes()
        for turn in range(repeat):
            ours.append(timed([BIN / "mains", "--socket", daemon.socket, "import", path, "--name", f"m{turn}"]))
            timed([BIN / "mains", "--socket", daemon.socket, "rm", f"m{turn}"])
            copy = folder / "copy"
            theirs.append(timed(["cp", path, copy], ["sync", copy], ["sha256sum", copy]))
            copy.unlink()
        return statistics.median(ours), statistics.median(theirs)
    finally:
        shutil.rmtree(folder)
        daemon.remove()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="+", type=pathlib.Path)
    arguments.add_argument("--repeat", type=int, default=3)
    asked = arguments.parse_args()
    print(f"{'file':30} {'MB':>8} {'ours MB/s':>10} {'theirs MB/s':>12} {'ratio':>6}")
    for path in asked.files:
        ours, theirs = turns(path.resolve(), asked.repeat)
        megabytes = path.stat().st_size / 1e6
        print(f"{path.name:30} {megabytes:8.0f} {megabytes / ours:10.0f} {megabytes / theirs:12.0f} {theirs / ours:6.2f}", flush=True)


if __name__ == "__main__":
    main()
