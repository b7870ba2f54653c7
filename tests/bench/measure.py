"""`mains devices --measure` beside NumPy and, where it is installed, PyTorch: in turns, the median of each, and the ratio.

    python tests/bench/measure.py [ROUNDS]      # the programs are those of target/release, or of the folder MAINS_BIN

Bandwidth: NumPy sums 1 GiB of 64-bit integers, a thread a processor. Throughput: products of 256 x 4096 with 4096 x 4096, by NumPy's BLAS
in f32 and by PyTorch in bf16 and int8. A multiply-add is two operations.
"""
import concurrent.futures
import json
import os
import pathlib
import statistics
import sys
import time

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from daemon import Daemon  # noqa: E402: it lies beside the client tests

THREADS = len(os.sched_getaffinity(0))
ROWS, WIDTH = 256, 4096
OPERATIONS = 2 * ROWS * WIDTH * WIDTH
# As in the worker: the median of so many runs after one that does not count.
RUNS = 9


def seconds(run):
    run()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def bandwidth(numbers, pool):
    parts = numpy.array_split(numbers, THREADS)
    return numbers.nbytes / seconds(lambda: list(pool.map(numpy.sum, parts)))


def products():
    """By the name of a precision: a product to be timed."""
    left, right = (numpy.ones(shape, numpy.float32) for shape in ((ROWS, WIDTH), (WIDTH, WIDTH)))
    found = {"f32": lambda: left @ right}
    try:
        import torch
    except ImportError:
        return found
    torch.set_num_threads(THREADS)
    halves = [torch.ones(shape, dtype=torch.bfloat16) for shape in ((ROWS, WIDTH), (WIDTH, WIDTH))]
    bytes_ = [torch.ones(shape, dtype=torch.int8) for shape in ((ROWS, WIDTH), (WIDTH, WIDTH))]
    return found | {"bf16": lambda: halves[0] @ halves[1], "int8": lambda: torch._int_mm(*bytes_)}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    numbers, peers = numpy.ones(1 << 27, numpy.uint64), products()
    ours, theirs = {}, {}
    daemon = Daemon()
    try:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for _ in range(rounds):
                done = daemon.mains("devices", "--measure", "--json")
                assert done.returncode == 0, done.stderr
                measured = json.loads(done.stdout)["devices"][0]["measured"]
                found = {"read": measured["read_bytes_per_s"], **measured["operations_per_s"]}
                for name, speed in found.items():
                    ours.setdefault(name, []).append(speed)
                theirs.setdefault("read", []).append(bandwidth(numbers, pool))
                for name, product in peers.items():
                    theirs.setdefault(name, []).append(OPERATIONS / seconds(product))
    finally:
        daemon.remove()
    print(f"{THREADS} threads, medians of {rounds} rounds in turns; GB/s and GOP/s")
    print("figure    ours    peer   ratio")
    for name, speeds in ours.items():
        us = statistics.median(speeds) / 1e9
        them = statistics.median(theirs[name]) / 1e9 if name in theirs else float("nan")
        print(f"{name:6} {us:7.1f} {them:7.1f} {us / them:7.2f}")


if __name__ == "__main__":
    main()
