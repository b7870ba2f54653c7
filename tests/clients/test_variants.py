"""Models in the types of a plan: made once, found again, mapped at load, and gone when the disk is wanted for others."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from daemon import BIN, until

PILOT = pathlib.Path(__file__).resolve().parents[2] / "daemon" / "store" / "pilot" / "pilot.gguf"
DIGEST = hashlib.sha256(PILOT.read_bytes()).hexdigest()
# By its table the pilot is loaded in other types than its file has.
SPEED = '[models.pilot]\npolicy = "speed"\n'
SUM = [{"role": "user", "content": "What is 17 + 25?"}]


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """The pilot's importance and a sensitivity table of a few texts, in the daemon's form."""
    folder = tmp_path_factory.mktemp("measured")
    importance, working = folder / f"{DIGEST}.gguf", folder / "working.json"
    few = ["--model", PILOT, "--rows", "4"]
    subprocess.run([BIN / "mains-worker", "importance", *few, "--out", importance], check=True, capture_output=True)
    command = [BIN / "mains-worker", "measure", *few, "--groups", "2", "--importance", importance, "--table", working]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads(working.read_text())
    table = {"version": 1, "model": DIGEST, "groups": found["groups"], "kv": [["F16", 0.0]], "whole": [row[:2] for row in found["whole"]]}
    (folder / f"{DIGEST}.json").write_text(json.dumps(table))
    working.unlink()
    return folder


@pytest.fixture
def speedy(own_daemon, measured):
    """Makes daemons that load the pilot in fewer bytes."""

    def make(config="", **options):
        daemon = own_daemon(config=SPEED + config, **options)
        shutil.copytree(measured, daemon.state / "models" / "measured", dirs_exist_ok=True)
        return daemon

    return make


def files(daemon, folder):
    """Names and contents of what is in a folder of the store, without records."""
    found = (daemon.state / "models" / folder).iterdir()
    return {path.name: path.read_bytes() for path in found if path.suffix != ".json"}


def asked(daemon):
    answer = daemon.openai().chat.completions.create(model="pilot", messages=SUM, temperature=0)
    return answer.id, answer.choices[0].message.content


def maps(daemon):
    return pathlib.Path(f"/proc/{daemon.worker_pid()}/maps").read_text()


def test_a_plan_is_prepared_and_a_load_maps_it(speedy):
    daemon = speedy()
    before = daemon.json("plan", "pilot")
    assert before["prepared"]["variant"] == "missing" and before["prepared"]["packed"] is False
    assert "BF16" not in {tensor["type"] for tensor in before["tensors"]}
    said = daemon.mains("prepare", "pilot")
    assert said.returncode == 0 and said.stdout == before["variant"] + "\n", said.stderr
    after = daemon.json("plan", "pilot")
    assert after["prepared"] == {"weights": before["prepared"]["weights"], "variant": "ready", "packed": True}
    assert all(after[key] == before[key] for key in ("variant", "tensors", "gap"))
    variants, packed = files(daemon, "variants"), files(daemon, "packed")
    assert list(variants) == [after["prepared"]["weights"] + ".gguf"] and list(packed) == [after["prepared"]["weights"] + ".cpu"]
    drawn = daemon.mains("plan", "pilot").stdout
    assert "files     the file of its types is there; its weights are packed for the driver\n" in drawn
    request, text = asked(daemon)
    assert text == "17 + 25 = 42"
    assert daemon.row(request)["variant"] == before["variant"]
    assert list(packed)[0] in maps(daemon)
    # Its digest, as it was printed, and that of its file are both names of what is exported.
    out = pathlib.Path(daemon.folder) / "variant.gguf"
    for digest in (said.stdout.strip(), after["prepared"]["weights"]):
        assert daemon.mains("export", digest, str(out), "--force").returncode == 0
        assert out.read_bytes() == (pathlib.Path(daemon.state) / "models/variants" / list(variants)[0]).read_bytes()
    # Another demand of the same types, and the same again: nothing is made anew.
    assert daemon.json("prepare", "pilot", "--context", "512")["prepared"] == after["prepared"]
    assert files(daemon, "variants") == variants and files(daemon, "packed") == packed


def test_a_load_makes_what_is_missing_and_packs_it_for_the_next(speedy):
    daemon = speedy()
    plan = daemon.json("plan", "pilot")
    request, text = asked(daemon)
    assert text == "17 + 25 = 42" and daemon.row(request)["variant"] == plan["variant"]
    assert daemon.json("plan", "pilot")["prepared"]["variant"] == "ready"
    until("the weights are packed", lambda: files(daemon, "packed") and not any(
        name.startswith(".making") for name in files(daemon, "packed")))
    assert daemon.mains("unload", "pilot").returncode == 0
    assert asked(daemon)[1] == text and plan["prepared"]["weights"] + ".cpu" in maps(daemon)


def test_two_who_want_the_same_get_one(speedy):
    daemon = speedy()
    command = [BIN / "mains", "--socket", daemon.socket, "prepare", "pilot", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    first, second = (json.loads(process.communicate(timeout=60)[0]) for process in both)
    assert first == second and len(files(daemon, "variants")) == 1


def test_a_damaged_file_is_made_again(speedy):
    daemon = speedy()
    daemon.json("prepare", "pilot")
    [(name, whole)] = files(daemon, "variants").items()
    path = daemon.state / "models" / "variants" / name
    for damage in (whole[: len(whole) // 2], b"", bytes(100) + whole[100:]):
        path.write_bytes(damage)
        packed = next((daemon.state / "models" / "packed").glob("*.cpu"))
        packed.write_bytes(packed.read_bytes()[:5000])
        assert daemon.json("prepare", "pilot")["prepared"]["packed"] is True
        assert path.read_bytes() == whole
        assert asked(daemon)[1] == "17 + 25 = 42"
        assert daemon.mains("unload", "pilot").returncode == 0
    assert "is damaged, and is removed" in daemon.said()


def test_a_file_that_is_damaged_beyond_its_head_is_made_again(speedy):
    daemon = speedy()
    larger = ("prepare", "pilot", "--weights", "6MiB")
    name = daemon.json(*larger)["prepared"]["weights"] + ".gguf"
    path = daemon.state / "models" / "variants" / name
    whole = path.read_bytes()
    assert len(whole) > 5 << 20
    damaged = whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:]
    for packed in (daemon.state / "models" / "packed").glob("*"):
        packed.unlink()
    daemon.stop()
    path.write_bytes(damaged)
    daemon.start()
    assert daemon.json(*larger)["prepared"]["packed"] is True
    assert path.read_bytes() == whole and "damaged beyond its head" in daemon.said()


def making(daemon):
    """The worker that makes a file, if there is one now."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"\nPPid:\t{daemon.process.pid}\n" in (folder / "status").read_text() and b"convert-for-daemon" in (folder / "cmdline").read_bytes().split(b"\0"):
                return int(folder.name)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return None


def test_a_model_in_preparation_is_not_removed(own_daemon, measured):
    daemon = own_daemon()
    data = PILOT.read_bytes()
    path = daemon.folder / "other.gguf"
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert daemon.mains("import", path, "--name", "m").returncode == 0
    digest = daemon.json("show", "m")["digest"]
    kept = daemon.state / "models" / "measured"
    kept.mkdir(exist_ok=True)
    (kept / f"{digest}.json").write_text((measured / f"{DIGEST}.json").read_text().replace(DIGEST, digest))
    command = [BIN / "mains", "--socket", daemon.socket, "prepare", "m", "--policy", "speed"]
    preparing = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    worker = until("a worker makes the variant", lambda: making(daemon) or preparing.poll() is not None)
    assert preparing.poll() is None, preparing.stderr.read()
    os.kill(worker, signal.SIGSTOP)
    try:
        refused = daemon.mains("rm", "m", "--unload")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert refused.returncode == 1 and "m is being prepared" in refused.stderr, refused.stderr
    assert preparing.wait(60) == 0, preparing.stderr.read()
    assert files(daemon, "variants") and files(daemon, "packed")
    assert daemon.mains("rm", "m").returncode == 0
    folders = ("content", "incoming", "names", "variants", "packed", "measured")
    assert {name: os.listdir(daemon.state / "models" / name) for name in folders} == dict.fromkeys(folders, [])


def test_a_daemon_that_is_killed_leaves_nothing(speedy):
    daemon = speedy()
    command = [BIN / "mains", "--socket", daemon.socket, "prepare", "pilot"]
    # Again and again, at another point of the work each time: before it begins, while it writes, and after.
    for step in range(4):
        asking = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        folder = daemon.state / "models" / "variants"
        if step:
            until("a file is begun or there", lambda: list(folder.iterdir()) or asking.poll() is not None)
        daemon.stop(signal.SIGKILL)
        assert asking.wait(60) in (0, 1, 4)
        daemon.start()
        left = {path.name for path in folder.iterdir()}
        assert not any(name.startswith(".making") or ".tmp" in name for name in left), left
    said = daemon.json("prepare", "pilot")
    assert said["prepared"]["variant"] == "ready" and asked(daemon)[1] == "17 + 25 = 42"


def test_whoever_leaves_does_not_stop_the_work(speedy):
    daemon = speedy()
    weights = daemon.json("plan", "pilot")["prepared"]["weights"]
    asking = subprocess.Popen([BIN / "mains", "--socket", daemon.socket, "prepare", "pilot"], stdout=subprocess.DEVNULL)
    folder = daemon.state / "models" / "variants"
    until("it is begun", lambda: list(folder.iterdir()))
    asking.kill()
    asking.wait(60)
    until("it is there", lambda: (folder / f"{weights}.gguf").exists())


def test_what_was_used_longest_ago_makes_room(speedy):
    daemon = speedy(config='[store]\ncache = "12MiB"\n')
    first = daemon.json("prepare", "pilot", "--weights", "3MiB")["prepared"]
    assert first["packed"] is True
    second = daemon.json("prepare", "pilot", "--weights", "4MiB")["prepared"]
    assert second["variant"] == "ready" and second["weights"] != first["weights"]
    names = {*files(daemon, "variants"), *files(daemon, "packed")}
    assert second["weights"] + ".gguf" in names and first["weights"] + ".gguf" not in names
    assert sum(len(body) for folder in ("variants", "packed") for body in files(daemon, folder).values()) <= 12 * 2**20
    # What is in use stays: nothing else has room beside it.
    daemon.stop()
    (daemon.folder / "mains.toml").write_text(SPEED + '[store]\ncache = "6MiB"\n')
    shutil.rmtree(daemon.state / "models" / "packed")
    daemon.start()
    asked(daemon)
    refused = daemon.mains("prepare", "pilot", "--weights", "5MiB")
    assert refused.returncode == 1 and "raise `cache` of `[store]`" in refused.stderr, refused.stderr
    assert daemon.json("plan", "pilot")["prepared"]["variant"] == "ready"


def test_without_room_the_model_is_served_as_stored_or_refused(speedy):
    daemon = speedy(config='[store]\ncache = "1MiB"\n')
    request, text = asked(daemon)
    assert text == "17 + 25 = 42" and "loaded in the types of its files" in daemon.said()
    stored = daemon.json("plan", "pilot")
    assert {tensor["type"] for tensor in stored["tensors"]} == {"BF16", "F32"} and daemon.row(request)["variant"] == stored["variant"]
    assert files(daemon, "variants") == {}


def test_importance_is_part_of_what_a_file_is(speedy):
    daemon = speedy()
    weighted = daemon.json("plan", "pilot")
    os.remove(daemon.state / "models" / "measured" / f"{DIGEST}.gguf")
    plain = daemon.json("plan", "pilot")
    assert plain["tensors"] == weighted["tensors"] and plain["prepared"]["weights"] != weighted["prepared"]["weights"]
    assert plain["variant"] != weighted["variant"]
