"""Writes the vectors that `tests/vectors.rs` reads, with the `gguf` package as the reference.

    python make.py

NAME.blocks are bytes in a format, NAME.f32 what `gguf.quants.dequantize` makes of them (little-endian). The blocks have
random bytes with finite scales, so that every bit of the layout counts. `numbers.f32` are inputs to quantize, and
`numbers.NAME` what `gguf.quants.quantize` makes of them.
"""
import pathlib

import gguf
import numpy as np

HERE = pathlib.Path(__file__).parent
KIND = gguf.GGMLQuantizationType
# The bytes in a block where its f16 scales begin, and how many blocks make a vector.
BLOCKS = {
    "Q8_0": ([0], 12),
    "Q4_K": ([0, 2], 6),
    "Q4_0": ([0], 12),
    "Q4_1": ([0, 2], 12),
    "Q5_0": ([0], 12),
    "Q5_1": ([0, 2], 12),
    "Q2_K": ([80, 82], 4),
    "Q3_K": ([108], 4),
    "Q5_K": ([0, 2], 4),
    "Q6_K": ([208], 4),
    "IQ4_NL": ([0], 12),
    "IQ4_XS": ([0], 4),
    "MXFP4": ([], 12),
}


def blocks(random, name):
    scales, count = BLOCKS[name]
    data = random.integers(0, 256, (count, gguf.GGML_QUANT_SIZES[KIND[name]][1]), np.uint8)
    for at in scales:
        # One exponent bit cleared: no infinity, no NaN.
        data[:, at + 1] &= 0xBF
    if name == "MXFP4":
        # Both ends of the exponent too; above 252 the largest levels overflow to infinity in the reference as well.
        data[:4, 0] = [0, 1, 2, 252]
    return data


def main():
    random = np.random.default_rng(7)
    vectors = {name: blocks(random, name) for name in ("Q8_0", "Q4_K")}
    halves = random.integers(0, 1 << 16, 512, np.uint16)
    vectors["F16"] = halves[(halves & 0x7C00) != 0x7C00]
    vectors["BF16"] = halves[(halves & 0x7F80) != 0x7F80]
    numbers = (random.standard_t(4, 512) * 0.05).astype(np.float32)
    numbers[32:64] = 0
    numbers[64:96] = np.float32(2.0) ** random.integers(-24, 3, 32)
    # Ties of the 16-bit formats: halfway between neighbours, even below and even above.
    numbers[96:100] = np.array([0x3F808000, 0x3F818000, 0x3F801000, 0x3F803000], np.uint32).view(np.float32)

    vectors |= {name: blocks(random, name) for name in BLOCKS if name not in vectors}
    for name, data in vectors.items():
        data = np.ascontiguousarray(data)
        (HERE / f"{name}.blocks").write_bytes(data.tobytes())
        numbers_of = gguf.quants.dequantize(data.view(np.uint8) if name != "F16" else data, KIND[name])
        (HERE / f"{name}.f32").write_bytes(numbers_of.astype("<f4").tobytes())
    (HERE / "numbers.f32").write_bytes(numbers.tobytes())
    for name in ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4"]:
        (HERE / f"numbers.{name}").write_bytes(gguf.quants.quantize(numbers, KIND[name]).tobytes())


if __name__ == "__main__":
    main()
