"""What quantizing costs a model at the bytes of llama.cpp's presets: our types and codes against theirs.

    pip install llama-cpp-python gguf numpy safetensors
    python damage.py MODEL --importance-ids A.safetensors --ids B.safetensors --heldout C.safetensors --exam EXAM.json
        [--larger D.safetensors] [--worker target/release/mains-worker] [--evaluations 1] [--presets Q5_K_M,Q4_K_M,Q3_K_M,Q2_K]
        [--folder DIR]

MODEL is a GGUF file in BF16 or F16. A, B, C and D hold `ids`, int64 (row, n), and `mask`, uint8 (row, n), of different texts: the
moments of inputs are measured on A, types are chosen on the first 64 rows of B and what they cost is predicted on its last 1,024,
and nothing is made with C and D. Both programs are given the importance of columns of A. D tells how much of what a prediction is off
is the sample C. Three tables, a line a preset:

1. the weights alone, in float32 on `cpu`: KL divergence of both on C, the ratio, the interval of ours and the prediction;
2. each file by its own engine, ours on `cpu` and theirs by llama.cpp, with 8-bit activations: KL divergence on C, exact answers;
3. our file read by llama.cpp: its KL divergence from the base and between both programs, and equal top tokens.
"""
import argparse
import ctypes
import json
import os
import pathlib
import re
import subprocess

import numpy as np
from gguf import GGUFReader
from safetensors.numpy import load_file

# llama.h, enum llama_ftype.
FILE_TYPES = {"Q2_K": 10, "Q3_K_M": 12, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18}

# Rows of B that choose and that predict.
SPLIT = ("--rows", 64, "--held-back", 1024)


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def silent(level, text, data):
    pass


def peer():
    """llama.cpp, silent and ready."""
    import llama_cpp as llama
    llama.llama_log_set(silent, ctypes.c_void_p(0))
    llama.llama_backend_init()
    return llama


def columns(importance):
    """The importance of columns in our file: float32 (columns,) by matrix."""
    tensors = {tensor.name: np.array(tensor.data, dtype=np.float32).ravel() for tensor in GGUFReader(importance).tensors}
    return {name.removesuffix(".in_sum2"): values for name, values in tensors.items() if name.endswith(".in_sum2")}


def preset(source, out, name, importance):
    llama = peer()
    table = columns(importance)
    entries = (llama.llama_model_imatrix_data * (len(table) + 1))()
    for entry, (tensor, values) in zip(entries, table.items()):
        entry.name, entry.size = tensor.encode(), values.size
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    params = llama.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[name]
    params.imatrix = ctypes.cast(entries, ctypes.POINTER(llama.llama_model_imatrix_data))
    if llama.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)):
        raise SystemExit("llama.cpp could not quantize it")


def peer_logits(path, rows):
    """What llama.cpp computes of each row of token ids: float32 (position, vocabulary), row after row."""
    llama = peer()
    params = llama.llama_model_default_params()
    params.n_gpu_layers = 0
    # 0.3.36 ends with a fault when it repacks matrices as small as the pilot's; that changes speed, not what is rounded.
    params.use_extra_bufts = False
    model = llama.llama_model_load_from_file(str(path).encode(), params)
    params = llama.llama_context_default_params()
    longest = max(len(tokens) for tokens in rows)
    params.n_ctx = params.n_batch = params.n_ubatch = longest
    params.n_threads = params.n_threads_batch = os.cpu_count()
    context = llama.llama_init_from_model(model, params)
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    batch = llama.llama_batch_init(longest, 0, 1)
    for tokens in rows:
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        batch.n_tokens = len(tokens)
        for at, token in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.n_seq_id[at] = int(token), at, 1
            batch.seq_id[at][0], batch.logits[at] = 0, 1
        if llama.llama_decode(context, batch):
            raise SystemExit("llama.cpp could not compute it")
        each = [np.ctypeslib.as_array(llama.llama_get_logits_ith(context, at), (vocabulary,)).copy() for at in range(len(tokens))]
        yield np.stack(each)
    llama.llama_batch_free(batch)
    llama.llama_free(context)
    llama.llama_model_free(model)


def log_probabilities(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def divergence(base, other):
    """The mean of KL(base || other) over positions, in nats, and the share whose top token is the same."""
    base, other = log_probabilities(base), log_probabilities(other)
    return (np.exp(base) * (base - other)).sum() / len(base), (base.argmax(-1) == other.argmax(-1)).mean()


class Bench:
    def __init__(self, arguments):
        self.worker, self.model = arguments.worker, arguments.model
        self.folder = pathlib.Path(arguments.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.arguments = arguments

    def run(self, *command):
        done = subprocess.run([self.worker, *map(str, command)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return done.stdout

    def measured(self):
        """The importance file and the table, made unless they are there and whole."""
        a, importance, table = self.arguments, self.folder / "importance.gguf", self.folder / "table.json"
        if not importance.exists():
            self.run("importance", "--model", self.model, "--ids", a.importance_ids, "--rows", 100000, "--held-back", 0,
                     "--out", importance)
        if not table.exists() or not json.loads(table.read_text())["whole"]:
            self.run("measure", "--model", self.model, "--ids", a.ids, *SPLIT, "--table", table, "--importance", importance)
        return importance, table

    def ours(self, name, budget, importance, table):
        plan, out = self.folder / f"{name}.json", self.folder / f"ours-{name}.gguf"
        self.run("choose", "--model", self.model, "--ids", self.arguments.ids, *SPLIT, "--table", table, "--importance", importance,
                 "--budget", budget, "--evaluations", self.arguments.evaluations, "--plan", plan)
        out.unlink(missing_ok=True)
        self.run("convert", "--from", self.model, "--to", out, "--plan", plan, "--importance", importance)
        return out, json.loads(plan.read_text())["predicted"]["kl"]

    def kl(self, file, ids, *options):
        """The mean divergence and the ends of its interval."""
        said = self.run("eval", file, "--against", self.model, "--ids", ids, "--rows", 100000, *options)
        mean = re.search(r"KL mean\s+(\S+) nats a token \((\S+) to (\S+)\)", said)
        return [float(number) for number in mean.groups()]

    def answers(self, file):
        said = self.run("eval", file, "--against", self.model, "--exam", self.arguments.exam)
        return int(re.search(r"exact answers\s+(\d+)", said)[1])

    def logits(self, file):
        """What our `cpu` computes of the held-out positions: (position, vocabulary)."""
        out = self.folder / "logits.safetensors"
        self.run("logits", "--model", file, "--ids", self.arguments.heldout, "--out", out)
        return load_file(out)["logits"][self.mask()]

    def mask(self):
        return load_file(self.arguments.heldout)["mask"] > 0

    def peers_logits(self, file):
        """What llama.cpp computes of them."""
        found = peer_logits(file, load_file(self.arguments.heldout)["ids"])
        return np.concatenate([row[mask] for row, mask in zip(found, self.mask())])

    def peers_answers(self, file):
        """Questions whose every answer token is llama.cpp's most likely one."""
        exam = json.loads(pathlib.Path(self.arguments.exam).read_text())
        found = peer_logits(file, [question["prompt"] + question["answer"] for question in exam])
        before = [(len(question["prompt"]) - 1, question["answer"]) for question in exam]
        return sum((row[at:-1].argmax(-1) == answer).all() for row, (at, answer) in zip(found, before))


def bytes_of(file):
    return sum(int(tensor.n_bytes) for tensor in GGUFReader(file).tensors)


def table(columns, rows):
    """Prints rows of words under their columns."""
    lines = [columns, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        print("  ".join(word.rjust(width) for word, width in zip(line, widths)))
    print(flush=True)


def alone(bench, files):
    rows = []
    for name, (theirs, ours, predicted) in files.items():
        its, (own, low, high) = bench.kl(theirs, bench.arguments.heldout, "--weights-alone")[0], bench.kl(
            ours, bench.arguments.heldout, "--weights-alone")
        row = [name, f"{bytes_of(theirs):,}", f"{its:.2e}", f"{own:.2e}", f"{own / its:.2f}", f"{low:.2e} to {high:.2e}",
               f"{predicted:.2e}", f"{predicted / own - 1:+.0%}"]
        if bench.arguments.larger:
            larger = bench.kl(ours, bench.arguments.larger, "--weights-alone")[0]
            row += [f"{larger:.2e}", f"{predicted / larger - 1:+.0%}"]
        rows.append(row)
    columns = ["weights alone", "bytes", "its KL", "ours", "ratio", "95 %", "predicted", "off"]
    table(columns + (["on the larger", "off"] if bench.arguments.larger else []), rows)


def own_engines(bench, files):
    base, rows, foreign = bench.logits(bench.model), [], []
    for name, (theirs, ours, _) in files.items():
        its, its_top = divergence(base, bench.peers_logits(theirs))
        own = bench.logits(ours)
        kl, top = divergence(base, own)
        rows.append([name, f"{its:.2e}", f"{kl:.2e}", f"{kl / its:.2f}", f"{its_top:.2%}", f"{top:.2%}",
                     f"{bench.peers_answers(theirs)}", f"{bench.answers(ours)}"])
        read = bench.peers_logits(ours)
        between, same = divergence(own, read)
        foreign.append([name, f"{divergence(base, read)[0]:.2e}", f"{between:.2e}", f"{same:.2%}"])
    table(["own engines", "its KL", "ours", "ratio", "its top", "our top", "its answers", "ours"], rows)
    table(["ours in llama.cpp", "KL", "from ours", "same top"], foreign)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    for name in ("importance-ids", "ids", "heldout", "exam"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--larger")
    parser.add_argument("--worker", default="target/release/mains-worker")
    parser.add_argument("--evaluations", type=int, default=1)
    parser.add_argument("--presets", default="Q5_K_M,Q4_K_M,Q3_K_M,Q2_K")
    parser.add_argument("--folder", default="damage")
    bench = Bench(parser.parse_args())
    importance, measured = bench.measured()
    files = {}
    for name in bench.arguments.presets.split(","):
        theirs = bench.folder / f"peer-{name}.gguf"
        preset(bench.model, theirs, name, importance)
        budget = bytes_of(theirs)
        ours, predicted = bench.ours(name, budget, importance, measured)
        assert bytes_of(ours) <= budget, f"{ours} has {bytes_of(ours)} bytes, more than {budget}"
        files[name] = theirs, ours, predicted
    own_engines(bench, files)
    alone(bench, files)


if __name__ == "__main__":
    main()
