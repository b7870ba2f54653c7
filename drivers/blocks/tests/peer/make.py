"""Measures llama.cpp's quantizers: the errors that `tests/peer.rs` and `examples/errors.rs` hold ours against.

    pip install llama-cpp-python gguf numpy
    python make.py                                     # the committed tensors, cut from the embedded pilot and drawn
    python make.py FILE.gguf IMPORTANCE.npz FOLDER     # every matrix of a model, for `examples/errors.rs FOLDER`

NAME.f32 are a tensor's rows (little-endian), NAME.importance what an error in each column costs. Each line of `errors.txt` is a
tensor, its columns, a format, the squared error that llama.cpp makes without importance, and the squared error weighted by
the importance that it makes when it is given that.
"""
import ctypes
import os
import pathlib
import sys

import gguf
import llama_cpp
import numpy as np

HERE = pathlib.Path(__file__).parent
PILOT = HERE / "../../../../daemon/store/pilot/pilot.gguf"
KIND = gguf.GGMLQuantizationType
FORMATS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]
GGML = ctypes.CDLL(os.path.join(os.path.dirname(llama_cpp.__file__), "lib", "libggml-base.so"))
GGML.ggml_quantize_chunk.restype = ctypes.c_size_t
GGML.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]


def quantized(name, rows, importance):
    kind = KIND[name]
    GGML.ggml_quantize_init(int(kind))
    out = np.zeros(gguf.quants.quant_shape_to_byte_shape(rows.shape, kind), np.uint8)
    weights = importance.ctypes.data if importance is not None else None
    GGML.ggml_quantize_chunk(int(kind), rows.ctypes.data, out.ctypes.data, 0, *rows.shape, weights)
    return gguf.quants.dequantize(out, kind)


def measure(folder, name, rows, importance):
    rows, importance = np.ascontiguousarray(rows, "<f4"), np.ascontiguousarray(importance, "<f4")
    (folder / f"{name}.f32").write_bytes(rows.tobytes())
    (folder / f"{name}.importance").write_bytes(importance.tobytes())
    exact = rows.astype(np.float64)
    for form in FORMATS:
        plain = ((quantized(form, rows, None) - exact) ** 2).sum()
        weighted = ((quantized(form, rows, importance) - exact) ** 2 * importance).sum()
        yield f"{name} {rows.shape[1]} {form} {plain:.9e} {weighted:.9e}\n"


def matrices(path):
    for tensor in gguf.GGUFReader(path).tensors:
        if len(tensor.shape) == 2:
            yield tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type)


def committed():
    pilot = dict(matrices(PILOT))
    random = np.random.default_rng(5)
    columns = {width: random.lognormal(0, 1.5, width) for width in (256, 512, 768)}
    yield "pilot_query", pilot["blk.2.attn_q.weight"][64:96], columns[256]
    yield "pilot_down", pilot["blk.3.ffn_down.weight"][100:112], columns[768]
    yield "gaussian", random.standard_normal((16, 512)) * 0.02, columns[512]
    yield "heavy_tails", random.standard_t(3, (16, 512)) * 0.02, columns[512]


def main():
    if len(sys.argv) == 1:
        folder, tensors = HERE, committed()
    else:
        importance = np.load(sys.argv[2])
        folder = pathlib.Path(sys.argv[3])
        folder.mkdir(exist_ok=True)
        tensors = ((name, rows, importance[name]) for name, rows in matrices(sys.argv[1]))
    lines = [line for tensor in tensors for line in measure(folder, *tensor)]
    (folder / "errors.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
