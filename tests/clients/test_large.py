"""A model of 20,000 tensors and a terabyte of weights, of holes: planned from its headers alone."""
import json
import pathlib

import large

EXAMPLE = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "families" / "qwen3_moe"
TERABYTE = 10**12


def planned(daemon, cards, *arguments):
    """The plan for a box with so many cards, and the exit code."""
    boxes = json.dumps(large.box(daemon.json("devices"), cards))
    done = daemon.mains("plan", "mixture", "--inventory", "-", "--json", *arguments, input=boxes)
    return json.loads(done.stdout), done.returncode


def bytes_of(plan):
    return sum(tensor["bytes"] for tensor in plan["tensors"])


def test_a_terabyte_is_planned_from_its_headers(own_daemon, tmp_path):
    state, mixture = tmp_path / "state", tmp_path / "mixture"
    assert large.write_folder(mixture, EXAMPLE) >= 20_000
    assert sum(shard.stat().st_size for shard in mixture.glob("*.safetensors")) >= TERABYTE
    large.keep_digest(state, mixture)
    daemon = own_daemon(f"--model=mixture={mixture}", state=state)
    plan, code = planned(daemon, 8)
    assert code == 0 and plan["bytes"]["weights"] >= TERABYTE
    assert plan["predicted"]["kl"] is None and plan["gap"] == 0
    segments = plan["segments"]
    assert [part["device"] for part in segments] == [f"gpu-{number}" for number in range(8)]
    ends = [part["last_layer"] + 1 for part in segments]
    assert [part["first_layer"] for part in segments] == [0, *ends[:-1]] and ends[-1] == large.MOE_LAYERS
    refused, code = planned(daemon, 1)
    reason = refused["no_plan"]["reason"]
    # Equal cards are told once.
    assert code == 3 and "are missing" in reason and reason.count("gpu-0 it needs") == 1, refused
    assert refused["no_plan"]["nearest"], refused

    large.write_table(state, mixture, [tensor["name"] for tensor in plan["tensors"]])
    # No more cards are taken than are needed.
    few, code = planned(daemon, 8, "--policy", "quality")
    assert code == 0 and 0 <= few["gap"] <= 1e-3 and len(few["segments"]) < 8 and few["predicted"]["kl"] > 0
    small, code = planned(daemon, 8, "--weights", "200GiB")
    assert code == 0 and 0 <= small["gap"] <= 1e-3 and small["predicted"]["kl"] > few["predicted"]["kl"]
    assert bytes_of(small) <= 200 << 30
    # What the table lets be smaller is not small enough for one card, and the refusal says what would be.
    refused, code = planned(daemon, 1)
    assert code == 3 and refused["no_plan"]["nearest"], refused
    for nearest in refused["no_plan"]["nearest"]:
        if nearest["memory"]:
            assert planned(daemon, 1, "--device", nearest["device"], "--memory", str(nearest["memory"]))[1] == 0


def test_a_digest_is_taken_once(own_daemon, tmp_path):
    state = tmp_path / "state"
    first = own_daemon(state=state)
    digest = first.json("show", "pilot")["digest"]
    first.stop()
    known = state / "models" / "digests.json"
    body = json.loads(known.read_text())
    entry = next(entry for entry in body["models"] if entry["path"].endswith("pilot.gguf"))
    assert entry["model"] == digest
    # What is written there is believed while the file is the one that was read, and no longer.
    entry["model"] = "ab" * 32
    known.write_text(json.dumps(body))
    second = own_daemon(state=state)
    assert second.json("show", "pilot")["digest"] == "ab" * 32
    second.stop()
    pilot = state / "models" / "pilot.gguf"
    pilot.write_bytes(pilot.read_bytes())
    assert own_daemon(state=state).json("show", "pilot")["digest"] == digest
