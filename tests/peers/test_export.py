"""Every family exported as GGUF: llama.cpp reads the file and its logits are as near as it comes to that family at all.

The distances are llama.cpp's own from what `transformers` computes in float32 on the fixtures, in standard deviations of the logits:
its BF16 and int8 arithmetic, or a setting that it does not honour. A fifth more is allowed, for instruction sets round in other ways.
"""
import re

import pytest
from safetensors.numpy import load_file

from peer import FAMILIES, Unloadable, convert, distance, our_logits, peer_logits

BF16 = {
    "ernie4_5": 0.063, "gemma3_text": 0.05, "glm4": 0.037, "gpt_oss": 0.068, "granite": 0.017, "hunyuan_v1_dense": 0.051, "llama": 0.046,
    "llama_older": 0.046, "mixtral": 0.142, "olmo2": 0.026, "qwen2": 0.087, "qwen3": 0.056, "qwen3_moe": 0.122, "smollm3": 0.057,
    "starcoder2": 0.024,
}
# Settings of the fixture that llama.cpp reads and does not honour.
WRONG = {
    "deepseek_v3": "the mscale of YaRN", "exaone4": "the window of 16", "gemma2": "the window of 16", "glm4_moe": "settings of the router",
    "mistral": "the window of 16",
}
# Files that llama.cpp 0.3.36 does not take, by what it says.
UNLOADABLE = {
    "cohere2": "blk.0.attn_q.weight' has wrong shape",  # heads wider than their share
    "gemma4_text": "embedding_length_per_layer_input",  # it wants the key where there is no such input
    "phi3": "unordered_map::at",  # the pilot's tokenizer under this architecture
    "qwen2_moe": "blk.0.ffn_gate_inp.weight' not found",  # dense layers between sparse ones
    "qwen3_5_text": "rope.dimension_sections",  # positions of pictures, which the text model does not have
    "qwen3_next": "blk.0.post_attention_norm.weight' not found",  # its own name for a norm that other families call ffn_norm
}
# Experts are chosen: where int8 activations turn a choice, logits are far apart.
CHOOSING = {"gpt_oss", "mixtral", "qwen3_moe"}
ENCODERS = {name for name in FAMILIES.iterdir() if (name / "config.json").exists() and "logits" not in load_file(name / "reference.safetensors")}
NAMES = sorted(path.name for path in FAMILIES.iterdir() if (path / "config.json").exists() and path not in ENCODERS)


@pytest.mark.parametrize("name", NAMES)
def test_the_peer_reads_an_export_and_agrees(name, tmp_path):
    reference = load_file(FAMILIES / name / "reference.safetensors")
    file = convert(FAMILIES / name, tmp_path / "model.gguf", "BF16")
    asked = (reference["ids"], reference["positions"])
    if name in UNLOADABLE:
        with pytest.raises(Unloadable, match=re.escape(UNLOADABLE[name])):
            peer_logits(file, *asked, tmp_path)
        return
    found = distance(peer_logits(file, *asked, tmp_path), reference["logits"])
    print(f"{name}: {found:.3f}")
    assert found < 1.2 * BF16[name] if name in BF16 else name in WRONG and found > 1


@pytest.mark.parametrize("form, bound", [("F16", 0.1), ("Q8_0", 0.4), ("Q4_K", 0.4)])
@pytest.mark.parametrize("name", sorted(BF16))
def test_the_peer_reads_other_formats_as_we_do(name, form, bound, tmp_path):
    # What quantizing costs is left out: both have the same file.
    reference = load_file(FAMILIES / name / "reference.safetensors")
    file = convert(FAMILIES / name, tmp_path / "model.gguf", form)
    ours = our_logits(file, reference["ids"], tmp_path)[:, reference["positions"]]
    found = distance(peer_logits(file, reference["ids"], reference["positions"], tmp_path), ours)
    print(f"{name} in {form}: {found:.3f}")
    assert found < bound or (name in CHOOSING and form != "F16")
