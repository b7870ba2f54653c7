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


def finite_scales(blocks, at):
    """Clears one exponent bit of the f16 at byte `at` of every block: no infinity, no NaN."""
    blocks[:, at + 1] &= 0xBF
    return blocks


def main():
    random = np.random.default_rng(7)
    q8_0 = finite_scales(random.integers(0, 256, (12, 34), np.uint8), 0)
    q4_k = finite_scales(finite_scales(random.integers(0, 256, (6, 144), np.uint8), 0), 2)
    halves = random.integers(0, 1 << 16, 512, np.uint16)
    f16 = halves[(halves & 0x7C00) != 0x7C00]
    bf16 = halves[(halves & 0x7F80) != 0x7F80]
    for name, data in {"Q8_0": q8_0, "Q4_K": q4_k, "F16": f16, "BF16": bf16}.items():
        data = np.ascontiguousarray(data)
        (HERE / f"{name}.blocks").write_bytes(data.tobytes())
        numbers = gguf.quants.dequantize(data.view(np.uint8) if name != "F16" else data, KIND[name])
        (HERE / f"{name}.f32").write_bytes(numbers.astype("<f4").tobytes())

    numbers = (random.standard_t(4, 512) * 0.05).astype(np.float32)
    numbers[32:64] = 0
    numbers[64:96] = np.float32(2.0) ** random.integers(-24, 3, 32)
    # Ties of the 16-bit formats: halfway between neighbours, even below and even above.
    numbers[96:100] = np.array([0x3F808000, 0x3F818000, 0x3F801000, 0x3F803000], np.uint32).view(np.float32)
    (HERE / "numbers.f32").write_bytes(numbers.tobytes())
    for name in ["F16", "BF16", "Q8_0"]:
        (HERE / f"numbers.{name}").write_bytes(gguf.quants.quantize(numbers, KIND[name]).tobytes())


if __name__ == "__main__":
    main()
