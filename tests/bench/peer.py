"""Compares mains with llama.cpp on the same file: ratios first, then shares of what the machine can do.

    cargo bench -p mains-conformance --bench model --no-run     # says where the executable is
    python tests/bench/peer.py EXECUTABLE FILE.gguf... [--threads 2] [--prefill 512] [--decode 32] [--batch 4] [--repeat 5]
        [--without-amx]

Needs llama-cpp-python from PyPI, which compiles llama.cpp for this machine. Ours and the peer take turns in one run, on
the same file, threads and lengths; each figure is the median of so many turns. A ratio above 1 is ours being faster.
Where other work runs on the machine, wall time says little: then the ratio of processor time is the one to read, on one
thread, because both programs' threads turn while they wait for each other.
"""
import argparse
import ctypes
import os
import statistics
import struct
import subprocess
import time

import llama_cpp as L

# Tokens that are not fed twice in a row; as tests/conformance/benches/model/steps.rs feeds them.
TOKENS = [8 + at * 37 % 1500 for at in range(4096)]


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def silent(level, text, data):
    pass


def refuse_amx():
    """Has the kernel refuse tile registers to this process: llama.cpp then computes without them.

    Linux gives them on arch_prctl(ARCH_REQ_XCOMP_PERM) (Documentation/arch/x86/xstate.rst); a filter (seccomp(2)) answers that
    call with EPERM. Some builds of llama.cpp end with a segmentation fault in ldtilecfg where this is not done.
    """
    arch_prctl, request, allow, eperm = 158, 0x1023, 0x7FFF0000, 0x00050001
    load, equal, answer = 0x20, 0x15, 0x06
    number, first_argument = 0, 16  # offsets in struct seccomp_data
    program = [(load, 0, 0, number), (equal, 0, 3, arch_prctl), (load, 0, 0, first_argument), (equal, 0, 1, request),
               (answer, 0, 0, eperm), (answer, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(set_seccomp, filter_mode, filter_, 0, 0):
        raise SystemExit(f"the kernel takes no filter: {os.strerror(ctypes.get_errno())}")


class Ours:
    def __init__(self, executable, file, threads):
        self.process = subprocess.Popen([executable, file, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.kernels = self.answer()[1]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("ours ended; its message is above")
        return line.split()

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return [float(word) for word in self.answer()]

    def prefill(self, tokens):
        return self.ask(f"prefill {tokens}")

    def decode(self, tokens, sequences):
        return self.ask(f"decode {tokens} {sequences}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peer:
    def __init__(self, file, threads, tokens, sequences):
        params = L.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = L.llama_model_load_from_file(file.encode(), params)
        params = L.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = tokens, 2048, 512, sequences
        params.n_threads = params.n_threads_batch = threads
        params.no_perf, params.kv_unified = True, True
        self.context = L.llama_init_from_model(self.model, params) if self.model else None
        if not self.context:
            raise SystemExit(f"{file}: the peer can not load it")

    def step(self, rows):
        """Rows of (position, sequence, whether logits are wanted)."""
        batch = L.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for at, (position, sequence, wanted) in enumerate(rows):
            batch.token[at], batch.pos[at], batch.logits[at] = TOKENS[position], position, wanted
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, sequence
        start = time.perf_counter(), time.process_time()
        status = L.llama_decode(self.context, batch)
        end = time.perf_counter(), time.process_time()
        L.llama_batch_free(batch)
        if status:
            raise SystemExit(f"the peer's decode failed: {status}")
        return [b - a for a, b in zip(start, end)]

    def total(self, steps):
        L.llama_memory_clear(L.llama_get_memory(self.context), True)
        return [sum(part) for part in zip(*[self.step(rows) for rows in steps])]

    def prefill(self, tokens):
        return self.total([[(at, 0, at == tokens - 1) for at in range(tokens)]])

    def decode(self, tokens, sequences):
        return self.total([[(at, sequence, True) for sequence in range(sequences)] for at in range(tokens)])

    def close(self):
        L.llama_free(self.context)
        L.llama_model_free(self.model)


def compare(ours, peer, what, repeat):
    """Medians of [wall, processor] seconds, ours and the peer's, taken in turns after one that is not counted."""
    turns = [[what(program) for program in (ours, peer)] for _ in range(repeat + 1)][1:]
    return [[statistics.median(turn[program][part] for turn in turns) for part in (0, 1)] for program in (0, 1)]


def measure(file, a):
    sequences = [1] + ([a.batch] if a.batch > 1 else [])
    ours = Ours(a.executable, file, a.threads)
    peer = Peer(file, a.threads, a.prefill + max(sequences) * (a.decode + 64), max(sequences))
    work = [(f"prefill {a.prefill}", a.prefill, lambda program: program.prefill(a.prefill))]
    for count in sequences:
        name = "decode" if count == 1 else f"decode x {count}"
        work.append((name, a.decode * count, lambda program, count=count: program.decode(a.decode, count)))
    size = os.path.getsize(file)
    for name, tokens, what in work:
        mine, theirs = compare(ours, peer, what, a.repeat)
        read = ours.ask("limits")[0]
        share = size * a.decode / mine[0] / read if name == "decode" else None
        print(f"| {os.path.basename(file)} | {name} | {theirs[0] / mine[0]:.2f} | {theirs[1] / mine[1]:.2f} | "
              f"{tokens / mine[0]:.1f} | {tokens / theirs[0]:.1f} | {'' if share is None else f'{share:.2f}'} |", flush=True)
    limits = ours.ask("limits")
    ours.close()
    peer.close()
    return ours.kernels, limits


def main():
    p = argparse.ArgumentParser()
    p.add_argument("executable")
    p.add_argument("files", nargs="+")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--prefill", type=int, default=512)
    p.add_argument("--decode", type=int, default=32)
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--repeat", type=int, default=5)
    p.add_argument("--without-amx", action="store_true", help="where the peer's build faults with tile registers")
    a = p.parse_args()
    if a.without_amx:
        refuse_amx()
    L.llama_log_set(silent, ctypes.c_void_p(0))
    L.llama_backend_init()
    print("| file | work | ratio, wall | ratio, processor | ours tokens/s | peer tokens/s | share of read bandwidth |")
    print("|---|---|---|---|---|---|---|")
    for file in a.files:
        kernels, (read, int8, bf16, f32) = measure(file, a)
    print(f"\n{kernels}, {a.threads} threads, load {os.getloadavg()[0]:.1f}; the machine reads {read / 1e9:.1f} GB/s and computes "
          f"{int8 / 1e9:.0f} GOP/s in int8, {bf16 / 1e9:.0f} in bfloat16, {f32 / 1e9:.0f} in float32 vectors")


if __name__ == "__main__":
    main()
