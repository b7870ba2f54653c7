"""Configurations that llama.cpp can hold, made of fixtures with settings that it cannot.

A setting is changed in `config.json`, and weights are dropped or copied so that they suit it. What such a model computes is what our
oracle says: that follows `transformers` on every configuration that the conformance tests prove.
"""
import json
import re
import shutil
import struct

import numpy


def read(path):
    """Numbers in 16 bits by name: what they mean does not matter here."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    heads = json.loads(data[8 : 8 + size])
    heads.pop("__metadata__", None)
    assert all(head["dtype"] == "BF16" for head in heads.values())
    data = data[8 + size :]
    numbers = {name: numpy.frombuffer(data[slice(*head["data_offsets"])], numpy.uint16) for name, head in heads.items()}
    return {name: numbers[name].reshape(head["shape"]) for name, head in heads.items()}


def write(path, tensors):
    heads, start = {}, 0
    for name, tensor in tensors.items():
        heads[name] = {"dtype": "BF16", "shape": tensor.shape, "data_offsets": (start, start + tensor.nbytes)}
        start += tensor.nbytes
    head = json.dumps(heads).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(tensor.tobytes() for tensor in tensors.values()))


def narrow_heads(config, tensors):
    """Heads that together are as wide as the model."""
    wide, narrow = config["head_dim"], config["hidden_size"] // config["num_attention_heads"]
    config["head_dim"] = narrow
    for name, tensor in tensors.items():
        if re.search(r"self_attn\.[qkv]_proj", name):
            tensors[name] = tensor.reshape(-1, wide, tensor.shape[1])[:, :narrow].reshape(-1, tensor.shape[1])
        elif "self_attn.o_proj" in name:
            tensors[name] = tensor.reshape(len(tensor), -1, wide)[:, :, :narrow].reshape(len(tensor), -1)


def sparse_layers(config, tensors):
    """Experts on every layer: the first gets those of the second."""
    config["mlp_only_layers"] = []
    for name in [name for name in tensors if name.startswith("model.layers.0.mlp.")]:
        del tensors[name]
    for name in [name for name in tensors if name.startswith("model.layers.1.mlp.")]:
        tensors[name.replace("layers.1.", "layers.0.")] = tensors[name]


def setting(**settings):
    return lambda config, tensors: config.update(settings)


def no_windows(config, tensors):
    config.update(sliding_window=None, layer_types=["full_attention"] * config["num_hidden_layers"])


def rotation(**parameters):
    return lambda config, tensors: config["rope_parameters"].update(parameters)


# What the fixture has that llama.cpp 0.3.36 does not honour or refuses, with how that shows: in the words in which it refuses the file, or
# in logits that are far off. And the same family without it.
LIMITS = {
    "cohere2": ("heads wider than their share", "blk.0.attn_q.weight' has wrong shape", narrow_heads),
    "deepseek_v3": ("an mscale for all that differs from mscale", None, rotation(mscale=1.0, mscale_all_dim=1.0)),
    "exaone4": ("windows in models of other than 64 layers", None, no_windows),
    "gemma2": ("a scale of queries that is not by the width of heads", None, setting(query_pre_attn_scalar=32)),
    "gpt_oss": ("the ends of YaRN's ramp as they are", None, rotation(truncate=True)),
    "mistral": ("windows", None, setting(sliding_window=None)),
    "qwen2_moe": ("dense layers between sparse ones", "blk.0.ffn_gate_inp.weight' not found", sparse_layers),
}


def without_limit(name, source, folder):
    """The model in `source`, the same family as `name`, in `folder` as llama.cpp can hold it."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.gguf", "*.safetensors"))
    config = json.loads((source / "config.json").read_text())
    tensors = read(source / "model.safetensors")
    LIMITS[name][2](config, tensors)
    (folder / "config.json").write_text(json.dumps(config))
    write(folder / "model.safetensors", tensors)
    return folder
