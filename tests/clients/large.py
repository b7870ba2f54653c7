"""Models of a terabyte in as many as 20,000 tensors, without the terabyte: true headers before holes.

Only what describes a model is written; a disk keeps nothing of the rest. Reading all of it for the model's digest would
take a quarter of an hour, so `keep_digest` writes down one as if the daemon had done that before.
"""
import hashlib
import json
import pathlib
import struct

from gguf import I32, STRING, U16, Reader, text, up

ARRAY, U32, BF16, F32 = 9, 4, 30, 0
# qwen3: 11 tensors a layer, of 490 million weights together, in the most layers that a model may have.
LAYERS, WIDTH, INNER, HEADS, KV_HEADS, HEAD = 1024, 5120, 27648, 40, 8, 128
# qwen3_moe: 3 tensors an expert, of 25 million weights each.
MOE_LAYERS, EXPERTS, MOE_WIDTH, MOE_INNER = 52, 128, 4096, 6144
# Types that a table has, and their bits a weight above two.
TYPES = {"Q2_K": 0.6, "Q3_K": 1.4, "IQ4_XS": 2.25, "Q4_K": 2.5, "Q5_K": 3.5, "Q6_K": 4.6, "Q8_0": 6.5}
# Bytes of weights after which a shard ends, about as published models have it.
SHARD = 5 << 30


def matrices(width, inner):
    """Tensors of one dense layer of `qwen3`: name, dimensions as GGUF has them (columns first)."""
    attention, keys = HEADS * HEAD, KV_HEADS * HEAD
    return [("attn_norm", [width]), ("attn_q", [width, attention]), ("attn_k", [width, keys]), ("attn_v", [width, keys]),
            ("attn_q_norm", [HEAD]), ("attn_k_norm", [HEAD]), ("attn_output", [attention, width]), ("ffn_norm", [width]),
            ("ffn_gate", [width, inner]), ("ffn_up", [width, inner]), ("ffn_down", [inner, width])]


def metadata(pilot):
    """The pilot's metadata: key to bytes, type included."""
    reader = Reader(pilot)
    assert (reader.take("I"), reader.take("I")) == (0x46554747, 3)
    _tensors, pairs = reader.take("Q"), reader.take("Q")
    found = {}
    for _ in range(pairs):
        key, begin = reader.text(), reader.at
        reader.skip(reader.take("I"))
        found[key] = pilot[begin:reader.at]
    return found


def strings(raw):
    """The values of an array of strings."""
    reader = Reader(raw)
    assert (reader.take("I"), reader.take("I")) == (ARRAY, STRING)
    return [reader.text() for _ in range(reader.take("Q"))]


def array(kind, values):
    return struct.pack("<IIQ", ARRAY, kind, len(values)) + b"".join(values)


def vocabulary(pairs, size):
    """Grows the pilot's vocabulary to `size` tokens, each new one a merge of two old ones."""
    names = {part: b"tokenizer.ggml." + part for part in (b"tokens", b"token_type", b"merges")}
    tokens, merges = strings(pairs[names[b"tokens"]]), strings(pairs[names[b"merges"]])
    kinds = pairs[names[b"token_type"]]
    # Kind 1 is plain text; the others are control tokens and places that nothing uses.
    plain = [struct.unpack_from("<i", kinds, 16 + 4 * number)[0] == 1 for number in range(len(tokens))]
    old, known = [token for token, is_plain in zip(tokens, plain) if is_plain], set(tokens)
    for first in old:
        for second in old:
            if len(tokens) < size and first + second not in known:
                known.add(first + second)
                tokens.append(first + second)
                merges.append(first + b" " + second)
    new = struct.pack("<i", 1) * (len(tokens) - len(plain))
    pairs[names[b"tokens"]] = array(STRING, [text(token) for token in tokens])
    pairs[names[b"merges"]] = array(STRING, [text(merge) for merge in merges])
    pairs[names[b"token_type"]] = struct.pack("<IIQ", ARRAY, I32, len(tokens)) + kinds[16:] + new
    return len(tokens)


def write_gguf(path, pilot, layers=LAYERS, tokens=0):
    """A `qwen3` in BF16 with the tokenizer of `pilot` (a GGUF file's bytes), grown to `tokens` tokens. Returns its tensors."""
    pairs = metadata(pilot)
    size = vocabulary(pairs, tokens) if tokens else len(strings(pairs[b"tokenizer.ggml.tokens"]))
    sizes = {"block_count": layers, "embedding_length": WIDTH, "feed_forward_length": INNER, "context_length": 32768,
             "attention.head_count": HEADS, "attention.head_count_kv": KV_HEADS, "attention.key_length": HEAD,
             "attention.value_length": HEAD}
    pairs |= {b"qwen3." + key.encode(): struct.pack("<II", U32, value) for key, value in sizes.items()}
    pairs[b"general.name"] = struct.pack("<I", STRING) + text(b"large")
    tensors = [("token_embd.weight", [WIDTH, size]), ("output_norm.weight", [WIDTH])]
    tensors += [(f"blk.{layer}.{name}.weight", dims) for layer in range(layers) for name, dims in matrices(WIDTH, INNER)]
    head = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(pairs))
    head += b"".join(text(key) + value for key, value in pairs.items())
    infos, offset = [], 0
    for name, dims in tensors:
        kind = F32 if len(dims) == 1 else BF16
        infos.append(text(name.encode()) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset))
        numbers = dims[0] * (dims[1] if len(dims) > 1 else 1)
        offset += up(numbers * (4 if kind == F32 else 2))
    head += b"".join(infos)
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(up(len(head)) + offset)
    return [name for name, _ in tensors]


def write_folder(folder, example, layers=MOE_LAYERS):
    """A `qwen3_moe` in BF16 with a tensor an expert and the tokenizer of the folder `example`. Returns the number of tensors."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (example / name).exists():
            (folder / name).write_bytes((example / name).read_bytes())
    config = json.loads((example / "config.json").read_text())
    config |= {"num_hidden_layers": layers, "hidden_size": MOE_WIDTH, "moe_intermediate_size": MOE_INNER, "num_local_experts": EXPERTS,
               "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": HEAD, "dtype": "bfloat16",
               "max_position_embeddings": 32768, "layer_types": None}
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    attention, keys = 32 * HEAD, 8 * HEAD
    tensors = [("model.embed_tokens.weight", [config["vocab_size"], MOE_WIDTH]), ("model.norm.weight", [MOE_WIDTH])]
    if not config["tie_word_embeddings"]:
        tensors.append(("lm_head.weight", [config["vocab_size"], MOE_WIDTH]))
    for layer in range(layers):
        own = [("input_layernorm", [MOE_WIDTH]), ("self_attn.q_proj", [attention, MOE_WIDTH]),
               ("self_attn.k_proj", [keys, MOE_WIDTH]), ("self_attn.v_proj", [keys, MOE_WIDTH]),
               ("self_attn.q_norm", [HEAD]), ("self_attn.k_norm", [HEAD]), ("self_attn.o_proj", [MOE_WIDTH, attention]),
               ("post_attention_layernorm", [MOE_WIDTH]), ("mlp.gate", [EXPERTS, MOE_WIDTH])]
        for expert in range(EXPERTS):
            own += [(f"mlp.experts.{expert}.gate_proj", [MOE_INNER, MOE_WIDTH]),
                    (f"mlp.experts.{expert}.up_proj", [MOE_INNER, MOE_WIDTH]),
                    (f"mlp.experts.{expert}.down_proj", [MOE_WIDTH, MOE_INNER])]
        tensors += [(f"model.layers.{layer}.{name}.weight", dims) for name, dims in own]
    shards, size = [[]], 0
    for name, dims in tensors:
        if size >= SHARD:
            shards.append([])
            size = 0
        bytes_ = 2 * dims[0] * (dims[1] if len(dims) > 1 else 1)
        shards[-1].append((name, dims, size, size + bytes_))
        size += bytes_
    places = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        head = json.dumps({tensor: {"dtype": "BF16", "shape": dims, "data_offsets": [begin, end]}
                           for tensor, dims, begin, end in shard}).encode()
        with open(folder / name, "wb") as file:
            file.write(struct.pack("<Q", len(head)) + head)
            file.truncate(8 + len(head) + shard[-1][3])
        places |= {tensor: name for tensor, *_ in shard}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return len(tensors)


def line(path):
    """A file's state, as the daemon keeps it."""
    found = path.stat()
    return f'{found.st_dev} {found.st_ino} {found.st_size} {found.st_ctime_ns // 10**9}.{found.st_ctime_ns % 10**9} "{path.name}"'


def keep_digest(state, *models):
    """Writes down the digests of `models` below the state folder of a daemon. Returns the first."""
    known = []
    for path in models:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        digest = hashlib.sha256(str(path).encode()).hexdigest()
        known.append({"path": str(path), "files": [line(file) for file in files], "model": digest})
    folder = pathlib.Path(state) / "models"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digests.json").write_text(json.dumps({"version": 1, "models": known}))
    return known[0]["model"]


def box(here, count):
    """The inventory `here` with so many cards of 141 GB beside its processors, which have 2 TiB."""
    cpu = here["devices"][0]
    card = {**cpu, "kind": "gpu", "name": "A card", "measured": None,
            "memory": {**cpu["memory"], "total_bytes": 141 * 10**9, "free_bytes": 141 * 10**9, "shared": False}}
    host = {**cpu, "memory": {**cpu["memory"], "total_bytes": 2 << 40, "free_bytes": 2 << 40}}
    return {**here, "devices": [*({**card, "id": f"gpu-{number}"} for number in range(count)), host]}


def write_table(state, model, tensors):
    """A sensitivity table of `model` with each matrix of `tensors` by itself, as a measurement leaves it."""
    known = json.loads((pathlib.Path(state) / "models" / "digests.json").read_text())["models"]
    digest = next(entry["model"] for entry in known if entry["path"] == str(model))
    matrices = [name for name in tensors if "norm" not in name and "gate_inp" not in name]
    # Damages as they are found: they fall about fourfold a bit, and differ a thousandfold from matrix to matrix.
    groups = [{"name": name, "tensors": [name],
               "damages": [[kind, 1e-6 * 1000 ** ((index * 7919 % 1000) / 1000) * 4**-bits * (1 + index * 104729 % 89 / 1000)]
                           for kind, bits in TYPES.items()]}
              for index, name in enumerate(matrices)]
    folder = pathlib.Path(state) / "models" / "measured"
    folder.mkdir(parents=True, exist_ok=True)
    body = {"version": 1, "model": digest, "groups": groups, "kv": [["F16", 0.0], ["Q8_0", 1e-6], ["Q4_0", 1e-4]], "whole": []}
    (folder / f"{digest}.json").write_text(json.dumps(body))
    return matrices
