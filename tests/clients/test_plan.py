"""Plans through the command line and over HTTP: what is chosen, how it is told, what is refused."""
import hashlib
import json

import pytest

TYPES = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0"]


def table(daemon):
    """A sensitivity table of the pilot as a measurement writes it, with damages that fall fourfold with each type."""
    digest = hashlib.sha256((daemon.state / "models" / "pilot.gguf").read_bytes()).hexdigest()
    tensors = daemon.json("plan", "pilot")["tensors"]
    groups = [
        {"name": tensor["name"], "tensors": [tensor["name"]],
         "damages": [[name, 1e-4 * (index % 7 + 1) * 0.25**step] for step, name in enumerate(TYPES)]}
        for index, tensor in enumerate(tensors) if tensor["type"] == "BF16"
    ]
    folder = daemon.state / "models" / "measured"
    folder.mkdir(exist_ok=True)
    body = {"version": 1, "model": digest, "groups": groups, "kv": [["F16", 0.0]], "whole": []}
    (folder / f"{digest}.json").write_text(json.dumps(body))


@pytest.fixture
def measured(own_daemon):
    daemon = own_daemon()
    table(daemon)
    return daemon


def bytes_of(plan):
    return sum(tensor["bytes"] for tensor in plan["tensors"])


def test_a_plan_has_the_published_shape(daemon):
    plan = daemon.json("plan", "pilot")
    assert list(plan) == ["model", "variant", "policy", "segments", "context", "parallel", "kv_type", "bytes", "predicted",
                          "gap", "tensors", "prepared"]
    assert list(plan["segments"][0]) == ["device", "driver", "first_layer", "last_layer"]
    assert list(plan["predicted"]) == ["kl", "prefill_tokens_per_s", "decode_tokens_per_s"]
    assert plan["policy"] == "balanced" and plan["gap"] == 0 and plan["predicted"]["kl"] is None
    parts = plan["bytes"]
    assert parts["total"] == sum(parts[use] for use in ("weights", "state", "activations", "scratch", "runtime"))


def test_types_stay_without_a_table(daemon):
    for policy in ("quality", "balanced", "speed"):
        plan = daemon.json("plan", "pilot", "--policy", policy)
        assert plan["policy"] == policy and {tensor["type"] for tensor in plan["tensors"]} == {"BF16", "F32"}
    refused = daemon.mains("plan", "pilot", "--weights", "3MiB")
    assert refused.returncode == 3 and "without a sensitivity table" in refused.stdout


def test_types_are_chosen_with_a_table(measured):
    whole = measured.json("plan", "pilot")
    assert {tensor["type"] for tensor in whole["tensors"]} == {"BF16", "F32"} and whole["predicted"]["kl"] == 0
    small = measured.json("plan", "pilot", "--weights", "3.5MiB")
    assert bytes_of(small) <= 3.5 * 2**20 and 0 <= small["gap"] <= 1e-3 and small["predicted"]["kl"] > 0
    assert small["variant"] != whole["variant"] and small["bytes"]["weights"] < whole["bytes"]["weights"]
    smaller = measured.json("plan", "pilot", "--weights", "2.5MiB")
    assert smaller["predicted"]["kl"] > small["predicted"]["kl"]
    fast = measured.json("plan", "pilot", "--policy", "speed")
    assert bytes_of(fast) < bytes_of(small)
    drawn = measured.mains("plan", "pilot", "--weights", "3.5MiB", "--explain").stdout
    assert "KL divergence of" in drawn and "\n->" in drawn and "policy    balanced:" in drawn
    around = measured.json("plan", "pilot", "--weights", "3.5MiB", "--explain")["around"]
    assert [row["weights"] for row in around] == sorted(row["weights"] for row in around)
    assert sum(row["chosen"] for row in around) == 1


def test_less_memory_takes_better_types_only_as_far_as_they_fit(measured):
    whole = measured.json("plan", "pilot", "--context", "2048", "--parallel", "8")
    tight = whole["bytes"]["total"] - 4 * 2**20
    plan = measured.json("plan", "pilot", "--context", "2048", "--parallel", "8", "--memory", str(tight))
    assert plan["bytes"]["total"] <= tight and plan["predicted"]["kl"] > 0
    assert (plan["context"], plan["parallel"]) == (2048, 8)


def test_what_can_not_be_asked_is_refused(daemon):
    with daemon.http() as http:
        for query in ("policy=best", "weights=-1", "weights=many", "context=0", "explain=perhaps", "colour=red"):
            answer = http.get(f"/v1/models/pilot/plan?{query}")
            assert answer.status_code == 400, query
            assert query.split("=")[0] in answer.json()["error"]["message"], query
    assert daemon.mains("plan", "pilot", "--policy", "best").returncode == 2
    assert daemon.mains("plan", "pilot", "--weights", "3 furlongs").returncode == 1


def test_a_broken_table_is_told_and_not_used(own_daemon):
    daemon = own_daemon()
    table(daemon)
    for file in (daemon.state / "models" / "measured").iterdir():
        file.write_text(file.read_text()[:-40])
    assert daemon.json("plan", "pilot")["predicted"]["kl"] is None
    assert "measure the model again" in daemon.said()
