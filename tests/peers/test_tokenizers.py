"""Token ids of random text are those of the Python package `tokenizers`, from JSON and from GGUF, and llama.cpp's where it knows the rule.

MAINS_PEERS_SEED, a number, chooses other texts; a failure tells the seed.
"""
import itertools
import json
import os
import random
import shutil
import unicodedata

import pytest
from tokenizers import Tokenizer

from peer import FAMILIES, ROOT, convert, our_ids, peer_ids

FIXTURES = ROOT / "daemon/text/tests/fixtures"
SEED = int(os.environ.get("MAINS_PEERS_SEED", "1"))
RULES = json.loads((FIXTURES / "rules.json").read_text())
PIECES = [*RULES["texts"], "<|im_end|>", "<|end|>", "<s>", "[CLS]", "\u200d", "\u0301", "\ufe0f", " " * 40, "\n" * 20, "\t\t", "😀", "🇨🇭", "火", "́́"]

# Rules that llama.cpp 0.3.36 writes in another way than the models' own files.
UNLIKE = {
    "gpt-4o": "combining marks belong to no word there", "tiny_aya": "combining marks belong to no word there", "tekken": "combining marks belong to no word there",
    "fallback": "its Unigram knows no byte fallback", "wordpiece": "it takes accents from fewer scripts",
}


def assigned(text):
    """The text without characters that are not assigned yet: each one's tables are of another version of Unicode."""
    return "".join(character for character in text if unicodedata.category(character) != "Cn")


def plain(text):
    """Whether llama.cpp and the package can agree on it: where a mark or joiner comes after a compatibility character, compiled normalizers
    of the package leave it out."""
    pairs = itertools.pairwise(text)
    marked = any(unicodedata.normalize("NFKC", before) != before and (mark in "\u200d\ufe0f" or unicodedata.combining(mark)) for before, mark in pairs)
    return "\0" not in text and not marked


def texts(r, count=300):
    def one():
        kind = r.random()
        if kind < 0.5:
            return "".join(r.choice(PIECES) for _ in range(r.randint(1, 6)))
        alphabet = [(32, 126), (0xA0, 0x24F), (0x300, 0x36F), (0x400, 0x52F), (0x600, 0x6FF), (0x900, 0x97F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0x1F300, 0x1FAFF)]
        ranges = r.sample(alphabet, r.randint(1, 4))
        characters = (chr(r.randint(*r.choice(ranges))) for _ in range(r.randint(1, 40)))
        return "".join(" " * r.randint(0, 3) + character if r.random() < 0.2 else character for character in characters)

    return [one() for _ in range(count)]


def cases():
    """Name and content of each tokenizer."""
    for rule in RULES["rules"]:
        model = {**RULES["file"]["model"], "ignore_merges": rule["ignore_merges"]}
        yield rule["name"], {**RULES["file"], "pre_tokenizer": rule["pre_tokenizer"], "model": model}
    for name in ["pilot_tokenizer", "spm", "unigram", "fallback", "wordpiece"]:
        yield name, json.loads((FIXTURES / f"{name}.json").read_text())


def reference(file):
    """The package's ids of user text. It would take a user's `<s>` for a piece of Unigram: that piece gets a text that nobody writes."""
    plain = {**file, "added_tokens": [token for token in file["added_tokens"] if file["model"]["type"] == "WordPiece"], "post_processor": None}
    if file["model"]["type"] == "Unigram":
        controls = {token["content"] for token in file["added_tokens"]}
        vocab = [[f"\ufdef{index}" if entry[0] in controls else entry[0], entry[1]] for index, entry in enumerate(file["model"]["vocab"])]
        plain["model"] = {**file["model"], "vocab": vocab}
    tokenizer = Tokenizer.from_str(json.dumps({**plain, "added_tokens": file["added_tokens"] if file["model"]["type"] != "Unigram" else []}))
    tokenizer.encode_special_tokens = True
    return lambda texts: [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


@pytest.fixture(params=list(cases()), ids=lambda case: case[0])
def case(request, tmp_path):
    """Name, JSON, and a model in both forms of files that has the tokenizer."""
    name, file = request.param
    folder = tmp_path / "folder"
    shutil.copytree(FAMILIES / "llama", folder, ignore=shutil.ignore_patterns("*.gguf", "reference*", "generation*"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "bos_token_id": None}))
    (folder / "tokenizer.json").write_text(json.dumps(file))
    return name, file, folder, convert(folder, tmp_path / "model.gguf")


def bare(ids, around):
    """Ids without what is put around every text, which is what an empty one has."""
    before = 1 if len(around) == 2 or (around and ids[0] == around[0] and ids[-1] != around[-1]) else 0
    return ids[before : len(ids) - (len(around) - before)]


def test_ids_are_those_of_the_reference(case):
    name, file, folder, gguf = case
    some = texts(random.Random(f"{SEED} {name}"))
    expected = reference(file)(some)
    for model in (folder, gguf):
        around = our_ids(model, [""])[0]
        for text, ours, theirs in zip(some, our_ids(model, some), expected):
            assert bare(ours, around) == theirs, (SEED, name, model.name, text)


def test_the_peer_agrees_where_it_knows_the_rule(case, tmp_path):
    name, file, _, gguf = case
    if name in UNLIKE:
        pytest.skip(f"llama.cpp differs: {UNLIKE[name]}")
    some = [text for text in map(assigned, texts(random.Random(f"{SEED} {name} peer"), 120)) if plain(text)]
    differing = [(text, theirs, ours) for text, theirs, ours in zip(some, peer_ids(gguf, some, tmp_path), reference(file)(some)) if theirs != ours]
    assert not differing, (SEED, name, len(differing), len(some), differing[0])
