"""Every family exported as GGUF: llama.cpp reads the file and computes the same.

In F32, with keys and values in F32, little but the files' meaning can differ: the bound is tight. Quantized files are compared with what our
own driver makes of the same file, so that what quantizing costs is left out. All distances are the largest difference of log-softmax in
standard deviations of the logits; of an encoder, of hidden states in theirs.
"""
import json
import re
import shutil

import numpy
import pytest
from safetensors.numpy import load_file

from peer import (FAMILIES, PILOT, ROOT, Unloadable, convert, distance, distances, hidden_distance, our_logits, peer_hidden, peer_logits,
                  worker)
from variants import LIMITS, without_limit

# In F32. Families with GELU, as encoders are, get more: llama.cpp 0.3.36 takes it from a table in F16, and Gemma 4's shared states make much of it.
BOUND, GELU, ENCODERS = 0.001, 0.005, 0.01
GELUS = {"gemma2": GELU, "gemma3_text": GELU, "gemma4_text": 0.1, "starcoder2": GELU}
# What comes to it in other formats, by rounding of activations that is not ours: llama.cpp rounds them to BF16 beside weights in BF16, and
# to 8 bits in other blocks than ours. The bound of most positions, and that of all.
FORMS = {"BF16": (0.1, 0.15), "Q8_0": (0.2, 0.4), "Q4_K": (0.2, 0.4)}
# Where a rounding turns the choice of an expert, or is cumulated over 64 tokens in a decay, a few positions are far apart: these families have
# the first bound alone. Gemma 4 makes more of every rounding, as its fixture's own distance between float32 and float64 shows.
FEW_FAR = {"deepseek_v3", "glm4_moe", "gpt_oss", "mixtral", "qwen2_moe", "qwen3_5_text", "qwen3_moe", "qwen3_next"}
GEMMA4 = {"BF16": (0.2, 3), "Q8_0": (0.6, 3), "Q4_K": (0.6, 3)}

# The pilot in formats made with error feedback: the bound of most positions, and that of all, by the same rounding.
FEEDBACK = (0.08, 0.6)


def fixtures(output):
    folders = [path for path in FAMILIES.iterdir() if (path / "reference.safetensors").exists()]
    return sorted(path.name for path in folders if output in load_file(path / "reference.safetensors"))


def holdable(name, folder):
    """A model of the family that llama.cpp can hold: the fixture, or what is like it without what it cannot."""
    if name in LIMITS:
        return without_limit(name, FAMILIES / name, folder)
    # In files that are called phi3 it looks for a token of published models.
    return shutil.copytree(FAMILIES / name, folder, ignore=shutil.ignore_patterns("*.gguf"))


@pytest.mark.parametrize("name", fixtures("logits"))
def test_the_peer_reads_an_export_and_agrees(name, tmp_path):
    reference = load_file(FAMILIES / name / "reference.safetensors")
    model = holdable(name, tmp_path / "small")
    file = convert(model, tmp_path / "model.gguf", "F32")
    published = reference["logits"]
    if name in LIMITS:
        published = our_logits(model, reference["ids"], tmp_path, "reference")[:, reference["positions"]]
    found = distance(peer_logits(file, reference["ids"], reference["positions"], tmp_path), published)
    print(f"{name}: {found:.5f}")
    assert found < GELUS.get(name, BOUND)


@pytest.mark.parametrize("name", LIMITS)
def test_what_the_peer_cannot_hold_it_refuses_or_gets_wrong(name, tmp_path):
    what, words, _ = LIMITS[name]
    reference = load_file(FAMILIES / name / "reference.safetensors")
    file = convert(FAMILIES / name, tmp_path / "model.gguf", "F32")
    asked = (reference["ids"], reference["positions"], tmp_path)
    if words:
        with pytest.raises(Unloadable, match=re.escape(words)):
            peer_logits(file, *asked)
    else:
        assert distance(peer_logits(file, *asked), reference["logits"]) > 10 * BOUND, f"it knows {what} now: LIMITS need it no more"


@pytest.mark.parametrize("name", fixtures("hidden"))
def test_the_peer_reads_an_encoder_and_agrees(name, tmp_path):
    reference = load_file(FAMILIES / name / "reference.safetensors")
    file = convert(FAMILIES / name, tmp_path / "model.gguf", "F32")
    found = hidden_distance(peer_hidden(file, reference["ids"], tmp_path), reference["hidden"])
    print(f"{name}: {found:.5f}")
    assert found < ENCODERS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", fixtures("logits"))
def test_the_peer_reads_other_formats_as_we_do(name, form, tmp_path):
    reference = load_file(FAMILIES / name / "reference.safetensors")
    file = convert(holdable(name, tmp_path / "small"), tmp_path / "model.gguf", form)
    ours = our_logits(file, reference["ids"], tmp_path, "cpu")[:, reference["positions"]]
    found = distances(peer_logits(file, reference["ids"], reference["positions"], tmp_path), ours)
    print(f"{name} in {form}: {numpy.median(found):.3f}, at most {found.max():.3f}")
    most, all_ = GEMMA4[form] if name == "gemma4_text" else FORMS[form]
    assert numpy.median(found) < most and (found.max() < all_ or name in FEW_FAR)


@pytest.fixture(scope="module")
def moments(tmp_path_factory):
    """What flows into the pilot's matrices, with the mean products of columns that error feedback works by."""
    file = tmp_path_factory.mktemp("moments") / "importance.gguf"
    worker("importance", "--model", PILOT, "--out", file)
    return file


@pytest.mark.parametrize("form", ["Q6_K", "Q5_K", "Q4_K", "Q3_K", "Q2_K", "IQ4_XS", "IQ4_NL", "Q5_0", "Q4_0"])
def test_the_peer_reads_what_error_feedback_made(form, moments, tmp_path):
    file = tmp_path / "model.gguf"
    worker("convert", "--from", PILOT, "--to", file, "--format", form, "--importance", moments)
    questions = json.loads((ROOT / "tests/fixtures/exam/exam.json").read_text())
    ids = numpy.concatenate([question["prompt"] + question["answer"] for question in questions])[:8 * 256].reshape(8, 256)
    positions = numpy.arange(256)
    found = distances(peer_logits(file, ids, positions, tmp_path), our_logits(file, ids, tmp_path, "cpu"))
    print(f"{form}: {numpy.median(found):.4f}, at most {found.max():.3f}")
    assert numpy.median(found) < FEEDBACK[0] and found.max() < FEEDBACK[1]
