"""What quantizing costs a model at the bytes of llama.cpp's presets: our types and codes against theirs.

    pip install llama-cpp-python gguf numpy safetensors
    python damage.py MODEL --importance-ids A.safetensors --ids B.safetensors --heldout C.safetensors --exam EXAM.json
        [--worker target/release/mains-worker] [--evaluations 1] [--presets Q5_K_M,Q4_K_M,Q3_K_M,Q2_K] [--folder DIR]

MODEL is a GGUF file in BF16 or F16. A, B and C hold `ids`, int64 (row, n), and `mask`, uint8 (row, n), of different texts: the
moments of inputs are measured on A, types are chosen on the first rows of B and what they cost is predicted on its last
rows, and nothing is made with C. Both programs are given the importance of columns of A. For each preset it prints bytes, the KL
divergence of the weights alone (float32), the ratio and the prediction, the divergence of each file by its own engine (ours on
`cpu`, theirs by llama.cpp; int8 activations), and exact answers.
"""
import argparse
import ctypes
import json
import pathlib
import re
import subprocess

import numpy as np
from gguf import GGUFReader
from safetensors.numpy import load_file

# llama.h, enum llama_ftype.
FILE_TYPES = {"Q2_K": 10, "Q3_K_M": 12, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18}


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def silent(level, text, data):
    pass


def columns(importance):
    """The importance of columns in our file, by matrix."""
    tensors = {tensor.name: np.array(tensor.data, dtype=np.float32).ravel() for tensor in GGUFReader(importance).tensors}
    return {name.removesuffix(".in_sum2"): values for name, values in tensors.items() if name.endswith(".in_sum2")}


def preset(source, out, name, importance):
    import llama_cpp as llama
    llama.llama_log_set(silent, ctypes.c_void_p(0))
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


def peer_logits(path, ids):
    import llama_cpp as llama
    llama.llama_log_set(silent, ctypes.c_void_p(0))
    params = llama.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(str(path).encode(), params)
    params = llama.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = ids.shape[1]
    context = llama.llama_init_from_model(model, params)
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    out = np.zeros((*ids.shape, vocabulary), dtype=np.float32)
    batch = llama.llama_batch_init(ids.shape[1], 0, 1)
    for row, tokens in enumerate(ids):
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        batch.n_tokens = len(tokens)
        for at, token in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.n_seq_id[at] = int(token), at, 1
            batch.seq_id[at][0], batch.logits[at] = 0, 1
        if llama.llama_decode(context, batch):
            raise SystemExit("llama.cpp could not compute it")
        for at in range(len(tokens)):
            out[row, at] = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, at), (vocabulary,))
    return out


def log_probabilities(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def divergence(base, other, mask):
    """The sum of KL(base || other) over the positions of the mask."""
    total = 0.0
    for base, other, mask in zip(base, other, mask):
        base, other = log_probabilities(base[mask]), log_probabilities(other[mask])
        total += (np.exp(base) * (base - other)).sum()
    return total


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
        """The importance file and the table, made unless they are there."""
        a, importance, table = self.arguments, self.folder / "importance.gguf", self.folder / "table.json"
        if not importance.exists():
            self.run("importance", "--model", self.model, "--ids", a.importance_ids, "--rows", 100000, "--held-back", 0,
                     "--out", importance)
        self.run("measure", "--model", self.model, "--ids", a.ids, "--table", table, "--importance", importance)
        return importance, table

    def ours(self, name, budget, importance, table):
        plan, out = self.folder / f"{name}.json", self.folder / f"ours-{name}.gguf"
        self.run("choose", "--model", self.model, "--ids", self.arguments.ids, "--table", table, "--importance", importance,
                 "--budget", budget, "--evaluations", self.arguments.evaluations, "--plan", plan)
        out.unlink(missing_ok=True)
        self.run("convert", "--from", self.model, "--to", out, "--plan", plan, "--importance", importance)
        return out, json.loads(plan.read_text())["predicted"]["kl"]

    def kl(self, file, *options):
        said = self.run("eval", file, "--against", self.model, "--ids", self.arguments.heldout, *options)
        return float(re.search(r"KL mean\s+(\S+)", said)[1])

    def answers(self, file):
        said = self.run("eval", file, "--against", self.model, "--exam", self.arguments.exam)
        return int(re.search(r"exact answers\s+(\d+)", said)[1])

    def peers_own(self, file):
        """The peer's file by the peer's engine, against float32."""
        logits = self.folder / "base.safetensors"
        if not logits.exists():
            self.run("logits", "--model", self.model, "--ids", self.arguments.heldout, "--out", logits)
        rows = load_file(self.arguments.heldout)
        mask = rows["mask"] > 0
        other = peer_logits(file, rows["ids"])
        return divergence(load_file(logits)["logits"], other, mask) / mask.sum()


def bytes_of(file):
    return sum(int(tensor.n_bytes) for tensor in GGUFReader(file).tensors)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    for name in ("importance-ids", "ids", "heldout", "exam"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--worker", default="target/release/mains-worker")
    parser.add_argument("--evaluations", type=int, default=1)
    parser.add_argument("--presets", default="Q5_K_M,Q4_K_M,Q3_K_M,Q2_K")
    parser.add_argument("--folder", default="damage")
    bench = Bench(parser.parse_args())
    importance, table = bench.measured()
    print(f"{'preset':8}{'bytes':>11}{'its KL':>11}{'ours':>11}{'ratio':>7}{'predicted':>11}{'off':>7}"
          f"{'its own':>11}{'our own':>11}{'ratio':>7}{'answers':>10}")
    for name in bench.arguments.presets.split(","):
        theirs = bench.folder / f"peer-{name}.gguf"
        preset(bench.model, theirs, name, importance)
        budget = bytes_of(theirs)
        ours, predicted = bench.ours(name, budget, importance, table)
        assert bytes_of(ours) <= budget, f"{ours} has {bytes_of(ours)} bytes, more than {budget}"
        its, own = bench.kl(theirs, "--weights-alone"), bench.kl(ours, "--weights-alone")
        its_engine, our_engine = bench.peers_own(theirs), bench.kl(ours)
        print(f"{name:8}{budget:11,}{its:11.2e}{own:11.2e}{own / its:7.2f}{predicted:11.2e}{predicted / own - 1:+7.0%}"
              f"{its_engine:11.2e}{our_engine:11.2e}{our_engine / its_engine:7.2f}"
              f"{bench.answers(ours):5} : {bench.answers(theirs)}", flush=True)


if __name__ == "__main__":
    main()
