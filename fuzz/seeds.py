"""Writes the inputs that fuzzing begins with: seeds.py CORPUS_DIR. Small files of every kind that a target reads, made here or taken
from the fixtures, so that the fuzzer does not have to find the formats by chance. Needs nothing but Python."""
import io
import json
import pathlib
import struct
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXT = ROOT / "daemon/text/tests/fixtures"
FAMILIES = ROOT / "tests/fixtures/families"


def gguf_string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


# Value type ids of the format, with a value of each.
VALUES = [(0, b"\x01"), (1, b"\xff"), (2, b"\x01\x02"), (3, b"\xff\xff"), (4, struct.pack("<I", 7)), (5, struct.pack("<i", -7)),
          (6, struct.pack("<f", 1.5)), (7, b"\x01"), (8, gguf_string("text")), (9, struct.pack("<IQ", 4, 2) + bytes(8)),
          (9, struct.pack("<IQ", 8, 1) + gguf_string("a")), (10, struct.pack("<Q", 1 << 40)), (11, struct.pack("<q", -1)), (12, struct.pack("<d", 0.25))]
# Tensor type ids with numbers and bytes of a block.
BLOCKS = [(0, 1, 4), (1, 1, 2), (2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34), (10, 256, 84), (11, 256, 110), (12, 256, 144),
          (13, 256, 176), (14, 256, 210), (20, 32, 18), (23, 256, 136), (30, 1, 2), (39, 32, 17)]


def gguf(version, values, blocks, pairs=()):
    entries = [gguf_string(f"key.{at}") + struct.pack("<I", kind) + value for at, (kind, value) in enumerate(values)]
    entries += [gguf_string(key) + struct.pack("<I", kind) + value for key, kind, value in pairs]
    records, data = [], b""
    for at, (kind, numbers, size) in enumerate(blocks):
        records.append(gguf_string(f"tensor.{at}") + struct.pack("<IQQIQ", 2, numbers, 2, kind, len(data)))
        data += bytes(2 * size)
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", version, len(records), len(entries)) + b"".join(entries + records)
    return head + bytes(-len(head) % 32) + data


def safetensors(tensors, **metadata):
    header, at = {}, 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    if metadata:
        header["__metadata__"] = metadata
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(at)


def seeds():
    for at, version in enumerate([2, 3]):
        yield "gguf_open", f"all-{at}", gguf(version, VALUES, BLOCKS)
    yield "gguf_open", "aligned", gguf(3, [], BLOCKS[:2], [("general.alignment", 4, struct.pack("<I", 32))])
    yield "gguf_open", "split", gguf(3, [], BLOCKS[:2], [("split.count", 2, struct.pack("<H", 2))])
    yield "safetensors_open", "one", safetensors({"a": ("F32", [2, 2], 16), "b": ("BF16", [3], 6)}, format="pt")
    yield "safetensors_open", "others", safetensors({"a.qweight": ("I32", [2], 8), "b": ("F8_E4M3", [2], 2), "c": ("F16", [], 2)})
    for name in ["pilot_tokenizer", "spm", "unigram", "fallback", "wordpiece"]:
        yield "tokenizer_json", name, (TEXT / f"{name}.json").read_bytes()
    rules = json.loads((TEXT / "rules.json").read_text())
    for rule in rules["rules"]:
        small = {**rules["file"], "pre_tokenizer": rule["pre_tokenizer"]}
        yield "tokenizer_json", rule["name"], json.dumps(small).encode()
    for model in range(5):
        # The letters and options of the target's own format: see its source.
        yield "tokenizer_gguf", str(model), bytes([60 + model]) + b"000000\n2<unk>\n3<s>\n3</s>\n1a\n1b\n1a b\n4ab\n6<0x0A>"
    for path in sorted((TEXT / "templates").glob("*.jinja")):
        yield "chat_template", path.stem, path.read_bytes()
    for at, row in enumerate(json.loads((TEXT / "conversations.json").read_text())):
        if row["template"] == "pilot":
            tools = json.dumps(row["tools"]) if row["tools"] else ""
            lines = [json.dumps(row["messages"]), tools, json.dumps(row["variables"]), "10" if row["add_generation_prompt"] else "01"]
            yield "chat_input", str(at), "\n".join(lines).encode()
            body = {"model": "pilot", "messages": row["messages"], "chat_template_kwargs": row["variables"], "tools": row["tools"]}
            yield "http_body", str(at), json.dumps(body).encode()
    options = {"model": "pilot", "prompt": ["a", "b"], "stop": ["x"], "logit_bias": {"5": 1}, "stream": True, "stream_options": {"include_usage": True},
               "temperature": 0.5, "top_p": 0.9, "n": 2, "seed": 1, "keep_alive": "5m", "max_tokens": 3, "echo": True, "logprobs": 2}
    yield "http_body", "completion", json.dumps(options).encode()
    for line in (ROOT / "daemon/wire/tests/frames/golden.txt").read_text().splitlines()[1:]:
        name, raw = line.split()
        yield "frames", name, bytes.fromhex(raw)
    for path in sorted(FAMILIES.glob("*/config.json")):
        yield "config_json", path.parent.name, path.read_bytes()
    index = {"metadata": {"total_size": 16}, "weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}
    yield "sharded_index", "two", json.dumps(index).encode()
    yield "sharded_index", "outside", json.dumps({"weight_map": {"a": "../a.safetensors"}}).encode()
    for name, members in {"gguf": ["a.gguf"], "folder": ["m/config.json", "m/model.safetensors"], "outside": ["../a.gguf"]}.items():
        yield "tar_files", name, tar(members)
    digest, sizes = "ab" * 32, {"name": "model.gguf", "bytes": 3}
    manifest = {"version": 1, "kind": "gguf", "origin": "/a.gguf", "imported": 1, "model": digest, "files": [sizes | {"sha256": digest}]}
    yield "store_files", "manifest", json.dumps(manifest).encode()
    request = {"name": "m", "kind": "tar", "origin": "/m.tar", "files": [sizes | {"head": digest}]}
    yield "store_files", "incoming", json.dumps({"version": 1, "request": request, "received": [1]}).encode()


def tar(members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as out:
        for name in members:
            info = tarfile.TarInfo(name)
            info.size = 4
            out.addfile(info, io.BytesIO(b"GGUF"))
    return raw.getvalue()


def main():
    out = pathlib.Path(sys.argv[1])
    for target, name, content in seeds():
        folder = out / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"seed-{name}").write_bytes(content)


if __name__ == "__main__":
    main()
