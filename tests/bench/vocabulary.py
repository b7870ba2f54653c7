"""A model's GGUF file with a vocabulary of real size in the place of its unused tokens: byte-level BPE, made up.

    python tests/bench/vocabulary.py MODEL.gguf OUT.gguf [--merges 280000] [--seed 0]

Models made to measure speed have the tokens of a small model and thousands of unused ones, and hardly a merge. Here every unused token
becomes the result of a merge, and of every other pair of tokens that makes it, as in files of models with 128,000 tokens; weights stay
what they are.
"""
import argparse
import itertools
import mmap
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from gguf import ARRAY, I32, STRING, Reader, text, up  # noqa: E402: it lies beside the client tests

NORMAL, UNUSED = 1, 5
TOKENS, TYPES, MERGES = b"tokenizer.ggml.tokens", b"tokenizer.ggml.token_type", b"tokenizer.ggml.merges"
# With all words of up to so many of these letters, longer ones can be made in several ways, as in files with twice as many merges as
# tokens; the mean length of the large byte-level vocabularies, 6 to 7 letters, comes out of it.
LETTERS, SHORT = "aeinorst", 5


def entries(reader, pairs):
    """Where the bytes of each key and value are, by key."""
    found = {}
    for _ in range(pairs):
        begin = reader.at
        key = reader.text()
        reader.skip(reader.take("I"))
        found[bytes(key)] = (begin, reader.at)
    return found


def array(data, place):
    """The values of an array of strings or 32-bit numbers."""
    reader = Reader(data)
    reader.at = place[0]
    reader.text()
    assert reader.take("I") == ARRAY
    inner, count = reader.take("I"), reader.take("Q")
    return [bytes(reader.text()) if inner == STRING else reader.take("i") for _ in range(count)]


def written(key, inner, values):
    """An array's key and value as a file has them."""
    head = text(key) + struct.pack("<IIQ", ARRAY, inner, len(values))
    return head + b"".join(text(value) if inner == STRING else struct.pack("<i", value) for value in values)


def grown(tokens, types, merges, wanted, seed):
    """The vocabulary with its unused tokens spoken for, and `wanted` merges, each token's first one among them."""
    chance = random.Random(seed)
    known = {token.decode() for token, kind in zip(tokens, types) if kind == NORMAL}
    free = [number for number, kind in enumerate(types) if kind == UNUSED]
    words = ("".join(word) for length in range(2, SHORT + 1) for word in itertools.product(LETTERS, repeat=length))
    longer = ("".join(chance.choices(LETTERS, k=chance.randint(SHORT + 1, 2 * SHORT - 1))) for _ in itertools.count())
    made = []
    for word in itertools.chain(words, longer):
        if len(made) == len(free):
            break
        if word not in known:
            known.add(word)
            made.append(word)
    tokens, types = list(tokens), list(types)
    for number, token in zip(free, made):
        tokens[number], types[number] = token.encode(), NORMAL
    ways = [[(token[:at], token[at:]) for at in range(1, len(token)) if token[:at] in known and token[at:] in known] for token in made]
    first, others = [way[0] for way in ways], [pair for way in ways for pair in way[1:]]
    new = (f"{left} {right}".encode() for left, right in first + others)
    return tokens, types, [*merges, *itertools.islice(new, max(len(made), wanted - len(merges)))]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", type=pathlib.Path)
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--merges", type=int, default=280_000)
    arguments.add_argument("--seed", type=int, default=0)
    asked = arguments.parse_args()
    with open(asked.model, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = Reader(data)
        magic, version, tensors, pairs = (reader.take(layout) for layout in "IIQQ")
        places = entries(reader, pairs)
        end = reader.at
        for _ in range(tensors):
            reader.text()
            for layout in "Q" * reader.take("I") + "IQ":
                reader.take(layout)
        infos, body = data[end:reader.at], up(reader.at)
        tokens, types, merges = (array(data, places[key]) for key in (TOKENS, TYPES, MERGES))
        tokens, types, merges = grown(tokens, types, merges, asked.merges, asked.seed)
        replaced = {TOKENS: written(TOKENS, STRING, tokens), TYPES: written(TYPES, I32, types), MERGES: written(MERGES, STRING, merges)}
        head = struct.pack("<IIQQ", magic, version, tensors, pairs)
        head += b"".join(replaced.get(key, data[begin:end]) for key, (begin, end) in places.items()) + infos
        with open(asked.out, "wb") as out:
            out.write(head.ljust(up(len(head)), b"\0"))
            for at in range(body, len(data), 1 << 24):
                out.write(data[at:at + (1 << 24)])
    print(f"{len(tokens)} tokens of {sum(map(len, tokens))} bytes, {len(merges)} merges of {sum(map(len, merges))} bytes")


if __name__ == "__main__":
    main()
