"""`mains` as a person and a program use it."""
import csv
import io
import json
import subprocess

import pytest

from daemon import BIN


def test_ask(daemon):
    done = daemon.mains("ask", "pilot", "What is 17 + 25?", "--temperature", "0")
    assert (done.returncode, done.stdout) == (0, "17 + 25 = 42\n"), done.stderr
    done = daemon.mains("ask", "pilot", "-", "--temperature", "0", input="What is 17 + 25?")
    assert done.stdout == "17 + 25 = 42\n"
    whole = json.loads(daemon.mains("ask", "pilot", "What is 17 + 25?", "--temperature", "0", "--json").stdout)
    assert whole["choices"][0]["message"]["content"] == "17 + 25 = 42"


def test_a_receipt_is_the_row_of_that_request(daemon):
    done = daemon.mains("ask", "pilot", "What is 17 + 25?", "--temperature", "0", "--receipt")
    assert done.returncode == 0, done.stderr
    last = daemon.json("usage", "--requests")[-1]
    assert last["id"] in done.stdout and str(last["prompt_tokens"]) in done.stdout


def test_chat_from_a_pipe(daemon):
    talk = "My name is Anna.\nWhat is 17 + 25?\n/reset\n/quit\nnot asked\n"
    done = daemon.mains("chat", "pilot", "--temperature", "0", input=talk)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Nice to meet you, Anna.", "17 + 25 = 42"]


def test_devices(daemon):
    devices = daemon.json("devices")
    cpu = devices["devices"][0]
    assert cpu["id"] == "cpu" and cpu["kind"] == "cpu" and cpu["usable_by"] == ["cpu"]
    assert cpu["memory"]["total_bytes"] > cpu["memory"]["free_bytes"] > 0
    assert cpu["health"]["state"] == "ok" and devices["probed_at"]
    assert "cpu" in daemon.mains("devices").stdout


def test_models_and_plan(daemon):
    assert [model["id"] for model in daemon.json("models")["data"]] == ["pilot"]
    plan = daemon.json("plan", "pilot")
    assert plan["model"] == "pilot" and plan["context"] == 2048 and len(plan["variant"]) == 64
    [segment] = plan["segments"]
    assert segment == {"device": "cpu", "driver": "cpu", "first_layer": 0, "last_layer": 5}
    parts = plan["bytes"]
    assert parts["total"] == sum(parts[part] for part in ("weights", "state", "activations", "scratch", "runtime"))
    assert "weights" in daemon.mains("plan", "pilot").stdout
    small = daemon.json("plan", "pilot", "--context", "512", "--parallel", "1")
    assert small["context"] == 512 and small["parallel"] == 1 and small["bytes"]["total"] < parts["total"]


def test_no_plan_has_its_exit_code(daemon):
    done = daemon.mains("plan", "pilot", "--memory", "1MiB", "--json")
    assert done.returncode == 3
    no_plan = json.loads(done.stdout)["no_plan"]
    assert no_plan["reason"] and isinstance(no_plan["nearest"], list)


def test_usage(daemon):
    daemon.mains("ask", "pilot", "Hello", "--max-tokens", "1")
    for by in ("team", "model", "day"):
        assert daemon.mains("usage", "--by", by).returncode == 0
    rows = list(csv.DictReader(io.StringIO(daemon.mains("usage", "--by", "model", "--csv").stdout)))
    assert rows[0]["model"] == "pilot" and int(rows[0]["completion_tokens"]) > 0
    row = daemon.json("usage", "--requests")[-1]
    assert {"id", "time", "team", "uid", "pid", "model", "variant", "device", "prompt_tokens", "cached_tokens",
            "completion_tokens", "queue_ms", "first_token_ms", "total_ms", "finish_reason", "settled"} <= set(row)
    assert daemon.json("usage", "--requests", "--since", "2999-01-01") == []
    assert daemon.mains("usage", "--since", "yesterday").returncode != 0


def test_status_and_logs(daemon):
    assert daemon.mains("status").returncode == 0
    assert any(model["name"] == "pilot" for model in daemon.json("status")["models"])
    assert daemon.mains("logs", "--lines", "5").returncode == 0


def test_prompts_are_never_logged(daemon):
    secret = "zanzibar-quinquereme"
    daemon.mains("ask", "pilot", f"Repeat: {secret}", "--max-tokens", "5")
    daemon.mains("ask", "nobody", f"Repeat: {secret}")
    assert secret not in daemon.said() and secret not in daemon.mains("logs").stdout


def test_check_config(daemon, tmp_path):
    good = tmp_path / "good.toml"
    good.write_text("[teams.default]\nusers = [0]\n")
    assert daemon.mains("check-config", str(good)).returncode == 0
    bad = tmp_path / "bad.toml"
    bad.write_text("[daemon]\nqueue_limit = 5\nqeue_timeout = 3\n")
    done = daemon.mains("check-config", str(bad))
    assert done.returncode == 1 and "qeue_timeout" in done.stderr and "bad.toml" in done.stderr and "3" in done.stderr


def test_backup_and_restore(own_daemon, tmp_path):
    daemon = own_daemon()
    daemon.mains("ask", "pilot", "Hello", "--max-tokens", "1")
    copy = daemon.folder / "copy.sqlite"
    assert daemon.mains("backup", str(copy)).returncode == 0
    before = daemon.json("usage", "--requests")
    daemon.mains("ask", "pilot", "Hello", "--max-tokens", "1")
    done = daemon.mains("restore", str(copy), "--state-dir", str(daemon.state))
    assert done.returncode != 0, "a running daemon's ledger is not replaced"
    daemon.stop()
    done = daemon.mains("restore", str(copy), "--state-dir", str(daemon.state))
    assert done.returncode == 0, done.stderr
    daemon.start()
    assert daemon.json("usage", "--requests") == before


def test_support_bundle(daemon, tmp_path):
    out = tmp_path / "support.tar"
    listed = daemon.mains("support-bundle", "--list")
    assert listed.returncode == 0 and "status.json" in listed.stdout and not out.exists()
    assert daemon.mains("support-bundle", "--out", str(out)).returncode == 0
    names = subprocess.run(["tar", "-tf", str(out)], capture_output=True, text=True).stdout
    assert "devices.json" in names and "status.json" in names


def test_load_and_unload(own_daemon):
    daemon = own_daemon()
    assert daemon.mains("load", "pilot").returncode == 0 and daemon.worker_pid()
    assert daemon.mains("unload", "pilot").returncode == 0 and daemon.worker_pid() is None


def test_reload_keeps_the_old_when_the_new_is_broken(own_daemon):
    daemon = own_daemon(config="[daemon]\nqueue_limit = 5\n")
    path = daemon.folder / "mains.toml"
    path.write_text("[daemon]\nqueue_limit = \"many\"\n")
    done = daemon.mains("reload")
    assert done.returncode == 1 and "queue_limit" in done.stderr
    path.write_text("[daemon]\nqueue_limit = 6\n")
    assert daemon.mains("reload").returncode == 0


@pytest.mark.parametrize("command", [["status"], ["devices"], ["ask", "pilot", "x"], ["usage"]])
def test_no_daemon_has_its_exit_code(tmp_path, command):
    done = subprocess.run([BIN / "mains", "--socket", tmp_path / "none.sock", *command], capture_output=True, text=True)
    assert done.returncode == 4 and "mains serve" in done.stderr


def test_help_has_examples():
    for command in ("chat", "ask", "devices", "models", "plan", "usage", "status", "logs", "check-config", "serve", "logits"):
        done = subprocess.run([BIN / "mains", command, "--help"], capture_output=True, text=True)
        assert done.returncode == 0 and "Example" in done.stdout, command
