"""Times our quantizer against llama.cpp's in turns, on the same F16 file, with the same threads.

    pip install llama-cpp-python
    python quantize.py FILE.gguf [--worker target/release/mains-worker] [--format Q4_K] [--threads 2] [--rounds 3] [--scratch /tmp]

Prints the seconds of the wall and of the processor and the peak memory of each run, and the ratios of the medians. On a
machine that is shared with other work the processor's seconds are the fairer measure.
"""
import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import time

# llama.h, enum llama_ftype: those that mix in no larger types.
FILE_TYPES = {"Q8_0": 7, "Q2_K": 10, "Q3_K": 11, "Q4_K": 14, "Q5_K": 16, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30}


def peer(source, out, form, threads):
    import ctypes

    import llama_cpp as llama
    params = llama.llama_model_quantize_default_params()
    # `pure`: every matrix in the one format, as ours.
    params.nthread, params.ftype, params.pure = threads, FILE_TYPES[form], True
    if llama.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(params)):
        raise SystemExit("the peer could not quantize it")


def ours(worker, source, out, form, threads):
    subprocess.run([worker, "convert", "--from", source, "--to", out, "--format", form, "--threads", str(threads)], check=True)


def in_process(run, sender, arguments):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    start = time.perf_counter()
    run(*arguments)
    wall = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    sender.send((wall, sum(one.ru_utime + one.ru_stime for one in used), max(one.ru_maxrss for one in used) / 1024))


def measured(run, *arguments):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=in_process, args=(run, sender, arguments))
    process.start()
    sender.close()
    found = receiver.recv()
    process.join()
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--worker", default="target/release/mains-worker")
    parser.add_argument("--format", default="Q4_K", choices=FILE_TYPES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", default="/tmp")
    asked = parser.parse_args()
    out = os.path.join(asked.scratch, f"quantized-{os.getpid()}.gguf")
    found = {"ours": [], "peer": []}
    for _ in range(asked.rounds):
        for name, run, first in (("ours", ours, [asked.worker]), ("peer", peer, [])):
            times = measured(run, *first, asked.file, out, asked.format, asked.threads)
            found[name].append(times)
            os.remove(out)
            print(f"{name}: {times[0]:.1f} s, {times[1]:.1f} s of the processor, {times[2]:.0f} MiB", flush=True)
    for index, what in ((0, "wall"), (1, "processor")):
        middle = {name: statistics.median(run[index] for run in runs) for name, runs in found.items()}
        print(f"{what}: ours is {middle['peer'] / middle['ours']:.2f} x as fast")


if __name__ == "__main__":
    main()
