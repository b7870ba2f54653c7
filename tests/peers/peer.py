"""Our program and llama.cpp, side by side on the same files."""
import json
import os
import pathlib
import subprocess
import sys

import numpy
from safetensors.numpy import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MAINS_BIN", ROOT / "target" / "release"))
FAMILIES = ROOT / "tests/fixtures/families"
PILOT = ROOT / "daemon/store/pilot/pilot.gguf"


def worker(*arguments, **options):
    """Runs `mains-worker`; what it says on standard error is part of a failure."""
    done = subprocess.run([BIN / "mains-worker", *map(str, arguments)], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, arguments))}: {done.stderr}"
    return done.stdout


def convert(model, to, form=None):
    worker("convert", "--from", model, "--to", to, *(["--format", form] if form else []))
    return to


def our_logits(model, ids, folder, driver):
    """What a driver of ours computes: (row, position, vocabulary)."""
    save_file({"ids": ids.astype(numpy.int64)}, folder / "ids.safetensors")
    out = folder / "logits.safetensors"
    worker("logits", "--model", model, "--ids", folder / "ids.safetensors", "--out", out, "--driver", driver)
    return load_file(out)["logits"]


def our_ids(model, texts):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    return [json.loads(line) for line in worker("tokenize", "--model", model, input=lines).splitlines()]


class Unloadable(Exception):
    """llama.cpp does not take the file, or ends while it computes; with its last words."""


def peer(what, path, argument):
    """Runs one of the functions below in a process of its own: llama.cpp aborts where it has a defect."""
    done = subprocess.run([sys.executable, __file__, what, str(path), str(argument)], capture_output=True, text=True)
    if done.returncode:
        why = [line for line in done.stderr.splitlines() if "error loading model:" in line]
        raise Unloadable(why[0] if why else f"ended with {done.returncode}: {done.stderr[-600:]}")
    return done.stdout


def peer_logits(path, ids, positions, folder):
    save_file({"ids": ids, "positions": positions}, folder / "asked.safetensors")
    peer("logits", path, folder)
    return load_file(folder / "answered.safetensors")["logits"]


def peer_hidden(path, ids, folder):
    save_file({"ids": ids}, folder / "asked.safetensors")
    peer("hidden", path, folder)
    return load_file(folder / "answered.safetensors")["hidden"]


def peer_ids(path, texts, folder):
    (folder / "texts.json").write_text(json.dumps(texts))
    return json.loads(peer("tokenize", path, folder / "texts.json"))


def without_repacking():
    """Weights as the file has them: llama.cpp 0.3.36 ends with a fault when it repacks matrices as small as these for AMX."""
    from llama_cpp import llama_cpp

    usual = llama_cpp.llama_model_default_params

    def plain():
        parameters = usual()
        parameters.use_extra_bufts = False
        return parameters

    llama_cpp.llama_model_default_params = plain


def _logits(path, folder):
    import llama_cpp

    without_repacking()
    folder = pathlib.Path(folder)
    asked = load_file(folder / "asked.safetensors")
    exact = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32}
    model = llama_cpp.Llama(path, n_ctx=512, n_batch=512, n_threads=2, verbose=True, logits_all=True, **exact)
    rows = []
    for row in asked["ids"]:
        model.reset()
        model.eval([int(token) for token in row])
        rows.append(numpy.array(model.scores[asked["positions"]], dtype=numpy.float32))
    save_file({"logits": numpy.stack(rows)}, folder / "answered.safetensors")


def _hidden(path, folder):
    import llama_cpp

    without_repacking()
    folder = pathlib.Path(folder)
    asked = load_file(folder / "asked.safetensors")
    sizes = {"n_ctx": 512, "n_batch": 512, "n_ubatch": 512}
    model = llama_cpp.Llama(path, n_threads=2, verbose=True, embedding=True, pooling_type=llama_cpp.LLAMA_POOLING_TYPE_NONE, **sizes)
    rows = []
    for row in asked["ids"]:
        # The package makes embeddings of texts alone; these are ids.
        model._batch.reset()
        model._batch.add_sequence([int(token) for token in row], 0, True)
        model._ctx.decode(model._batch)
        found = llama_cpp.llama_get_embeddings(model._ctx.ctx)
        rows.append(numpy.ctypeslib.as_array(found, (len(row), model.n_embd())).copy())
    save_file({"hidden": numpy.stack(rows)}, folder / "answered.safetensors")


def _tokenize(path, texts):
    import llama_cpp

    model = llama_cpp.Llama(path, vocab_only=True, verbose=True)
    texts = json.loads(pathlib.Path(texts).read_text())
    print(json.dumps([model.tokenize(text.encode(), add_bos=False, special=False) for text in texts]))


def log_softmax(logits):
    logits = logits.astype(numpy.float64)
    top = logits.max(-1, keepdims=True)
    return logits - top - numpy.log(numpy.exp(logits - top).sum(-1, keepdims=True))


def distances(found, expected):
    """At each position the largest difference of log-softmax, in standard deviations of the expected logits there."""
    deviations = expected.astype(numpy.float64).std(-1)
    return numpy.abs(log_softmax(found) - log_softmax(expected)).max(-1) / deviations


def distance(found, expected):
    """The largest of all positions."""
    return float(distances(found, expected).max())


def hidden_distance(found, expected):
    """The largest difference of hidden states, in their standard deviations."""
    return float(numpy.abs(found - expected).max() / expected.std())


if __name__ == "__main__":
    {"logits": _logits, "hidden": _hidden, "tokenize": _tokenize}[sys.argv[1]](*sys.argv[2:])
