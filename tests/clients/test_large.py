"""Models of 20,000 tensors and a terabyte of weights, of holes: planned from their headers alone."""
import json
import pathlib

import pytest

import large

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "families" / "qwen3_moe"
TERABYTE = 10**12
CARD = 141 * 10**9


@pytest.fixture
def terabytes(own_daemon, tmp_path):
    """A daemon with a dense model in one file and a mixture in many, and the dense model's tensors."""
    state = tmp_path / "state"
    pilot = own_daemon(state=state).state / "models" / "pilot.gguf"
    dense, mixture = tmp_path / "dense.gguf", tmp_path / "mixture"
    tensors = large.write_gguf(dense, pilot.read_bytes())
    assert len(tensors) >= 20_000 and large.write_folder(mixture, FOLDER) >= 20_000
    assert dense.stat().st_size >= TERABYTE
    assert sum(shard.stat().st_size for shard in mixture.glob("*.safetensors")) >= TERABYTE
    large.keep_digest(state, dense, mixture)
    daemon = own_daemon(f"--model=dense={dense}", f"--model=mixture={mixture}", state=state)
    return daemon, dense, tensors


def planned(daemon, model, cards, *arguments):
    """The plan for a box with so many cards, and the exit code."""
    boxes = json.dumps(large.box(daemon.json("devices"), cards))
    done = daemon.mains("plan", model, "--inventory", "-", "--json", *arguments, input=boxes)
    return json.loads(done.stdout), done.returncode


def test_a_terabyte_is_planned_from_its_headers(terabytes):
    daemon, dense, tensors = terabytes
    for model in ("dense", "mixture"):
        plan, code = planned(daemon, model, 8)
        assert code == 0 and plan["bytes"]["weights"] >= TERABYTE - CARD
        segments = plan["segments"]
        assert [part["device"] for part in segments] == [f"gpu-{number}" for number in range(8)]
        ends = [part["last_layer"] + 1 for part in segments]
        assert [part["first_layer"] for part in segments] == [0, *ends[:-1]]
        refused, code = planned(daemon, model, 1)
        assert code == 3 and "are missing" in refused["no_plan"]["reason"], refused
    assert len(planned(daemon, "dense", 8)[0]["tensors"]) == len(tensors)

    large.write_table(daemon.state, dense, tensors)
    plan, code = planned(daemon, "dense", 8, "--policy", "quality")
    assert code == 0 and 0 <= plan["gap"] <= 1e-3 and plan["predicted"]["kl"] is not None
    small, code = planned(daemon, "dense", 8, "--weights", "500GiB")
    assert code == 0 and small["gap"] <= 1e-3 and small["predicted"]["kl"] > plan["predicted"]["kl"]
    assert sum(tensor["bytes"] for tensor in small["tensors"]) <= 500 << 30
    refused, code = planned(daemon, "dense", 1)
    assert code == 3
    assert refused["no_plan"]["nearest"], refused
