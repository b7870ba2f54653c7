"""Models are brought in, checked and taken out again by `mains import` and `mains rm`."""
import hashlib
import io
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tarfile

import pytest

import gguf
from daemon import BIN, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PILOT = ROOT / "daemon" / "store" / "pilot" / "pilot.gguf"
FOLDER = ROOT / "tests" / "fixtures" / "families" / "qwen3"
SUM = ("What is 17 + 25?", "--temperature", "0")


@pytest.fixture(scope="module")
def store():
    """One daemon for imports, whose models are removed by each test that brought them."""
    from daemon import Daemon
    it = Daemon()
    yield it
    it.remove()


def imported(daemon, path, name):
    return daemon.json("import", str(path), "--name", name)


def refused(daemon, path, *arguments):
    done = daemon.mains("import", str(path), *arguments)
    assert done.returncode == 1, done.stdout
    assert [model["id"] for model in daemon.json("models")["data"]] == ["pilot"]
    assert_no_debris(daemon)
    return done.stderr


def assert_no_debris(daemon):
    models = daemon.state / "models"
    assert [sorted(os.listdir(models / part)) for part in ("content", "incoming", "names")] == [[], [], []]


def tar(path, members):
    """A tar of (TarInfo or name, bytes)."""
    with tarfile.open(path, "w") as out:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def folder_members(prefix):
    return [(prefix + path.name, path.read_bytes()) for path in sorted(FOLDER.iterdir()) if path.suffix in (".json", ".jinja") or path.name == "model.safetensors"]


def test_a_gguf_file_answers_at_once_and_is_told(store):
    done = imported(store, PILOT, "mine")
    assert done["family"] == "qwen3" and done["files"] == 1 and done["bytes"] == PILOT.stat().st_size
    assert store.mains("ask", "mine", *SUM).stdout == "17 + 25 = 42\n"
    with store.http() as http:
        assert "mine" in [model["id"] for model in http.get("/v1/models").json()["data"]]
    shown = store.json("show", "mine")
    sha256 = hashlib.sha256(PILOT.read_bytes()).hexdigest()
    assert shown["import"]["files"] == [{"name": "model.gguf", "bytes": done["bytes"], "sha256": sha256}]
    assert shown["digest"] == sha256 and shown["import"]["from"] == str(PILOT) and shown["drivers"]
    assert "mine" in store.mains("show", "mine").stdout
    row = next(line for line in store.mains("models").stdout.splitlines() if line.startswith("mine"))
    assert "imported" in row and "MiB" in row
    assert "loaded" in store.mains("rm", "mine").stderr
    assert store.mains("rm", "mine", "--unload").returncode == 0
    assert store.mains("ask", "mine", *SUM).returncode == 1
    assert_no_debris(store)


def test_the_same_files_under_two_names_are_stored_once(store, tmp_path):
    other = shutil.copy(PILOT, tmp_path / "another name.gguf")
    assert not imported(store, PILOT, "a")["shared"]
    assert imported(store, other, "b")["shared"]
    assert len(os.listdir(store.state / "models" / "content")) == 1
    assert "b has them too" in store.mains("rm", "a").stdout
    assert store.mains("ask", "b", *SUM).stdout == "17 + 25 = 42\n"
    assert store.mains("rm", "b", "--unload").returncode == 0
    assert_no_debris(store)


def test_all_parts_of_a_split_model_are_taken(store, tmp_path):
    for number, data in enumerate(gguf.parts(PILOT.read_bytes()), 1):
        (tmp_path / f"m-0000{number}-of-00002.gguf").write_bytes(data)
    assert imported(store, tmp_path / "m-00001-of-00002.gguf", "split")["files"] == 2
    assert store.mains("ask", "split", *SUM).stdout == "17 + 25 = 42\n"
    assert store.mains("rm", "split", "--unload").returncode == 0
    assert "give the first" in refused(store, tmp_path / "m-00002-of-00002.gguf")
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    assert "m-00002-of-00002.gguf" in refused(store, tmp_path / "m-00001-of-00002.gguf")


def test_exports_are_one_gguf_file(store, tmp_path):
    whole = tmp_path / "pilot.gguf"
    done = store.mains("export", "pilot", str(whole))
    assert done.returncode == 0 and whole.read_bytes() == PILOT.read_bytes(), done.stderr
    assert "--force" in store.mains("export", "pilot", str(whole)).stderr
    assert store.mains("export", "pilot", str(whole), "--force").returncode == 0
    assert "no variant" in store.mains("export", "ab" * 32, str(tmp_path / "x.gguf")).stderr
    imported(store, FOLDER, "folder")
    made = tmp_path / "folder.gguf"
    assert store.mains("export", "folder", str(made)).returncode == 0
    assert made.read_bytes()[:4] == b"GGUF" and imported(store, made, "back")["family"] == "qwen3"
    assert sorted(os.listdir(tmp_path)) == ["folder.gguf", "pilot.gguf"]
    for name in ("folder", "back"):
        assert store.mains("rm", name).returncode == 0
    assert_no_debris(store)


def test_a_removal_takes_what_was_measured_along(own_daemon):
    daemon = own_daemon()
    digest = imported(daemon, PILOT, "a") and daemon.json("show", "a")["digest"]
    changed = daemon.folder / "changed.gguf"
    data = PILOT.read_bytes()
    changed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    imported(daemon, changed, "b")
    measured = daemon.state / "models" / "measured"
    measured.mkdir(exist_ok=True)
    for model in (digest, daemon.json("show", "b")["digest"]):
        (measured / f"{model}.measuring").write_text("{}")
    # The pilot is the same model as the first: what is known of it stays.
    assert daemon.mains("rm", "a").returncode == daemon.mains("rm", "b").returncode == 0
    assert [path.name for path in measured.glob("*.measuring")] == [f"{digest}.measuring"]


def other(path):
    """The pilot with another last byte: the same model in all but its digest, of which the store has no other name."""
    data = PILOT.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    return path


def made_of(daemon):
    folders = ("content", "incoming", "names", "variants", "packed", "measured")
    return {name: found for name in folders if (found := sorted(os.listdir(daemon.state / "models" / name)))}


def test_a_model_in_measurement_goes_with_all_that_was_measured(own_daemon):
    # The pilot that comes with mains is measured first; without idle time for both, this one is.
    daemon = own_daemon(config='[measure]\nafter = "1s"\ngroups = 2\ntexts = 1\n')
    until("the pilot is measured", lambda: daemon.json("show", "pilot")["measured"])
    before = made_of(daemon)
    imported(daemon, other(daemon.folder / "other.gguf"), "m")
    until("it is measured", lambda: daemon.json("show", "m")["sensitivity"]["state"] == "measuring")
    assert daemon.mains("rm", "m").returncode == 0
    assert made_of(daemon) == before
    assert daemon.json("status")["reservations"] == []


def test_a_folder_and_tars_of_it_are_one_content(store, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    (folder / "README.md").write_text("notes")
    done = store.mains("import", str(folder))
    assert done.returncode == 0 and "README.md" in done.stderr, done.stderr
    content = os.listdir(store.state / "models" / "content")
    packed = tar(tmp_path / "packed.tar", [("./x/README.md", b"notes"), *folder_members("./x/")])
    assert imported(store, packed, "packed")["shared"]
    assert os.listdir(store.state / "models" / "content") == content
    assert "loaded" not in store.mains("rm", "model").stderr and store.mains("rm", "packed").returncode == 0
    single = tar(tmp_path / "single.tar", [("pilot.gguf", PILOT.read_bytes())])
    assert imported(store, single, "single")["family"] == "qwen3"
    assert store.mains("ask", "single", *SUM).stdout == "17 + 25 = 42\n"
    assert store.mains("rm", "single", "--unload").returncode == 0
    assert_no_debris(store)


def linked(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(("member", "word"), [
    ("../x.gguf", "leads elsewhere"),
    ("/etc/x.gguf", "leads elsewhere"),
    (linked("x.gguf", tarfile.SYMTYPE), "symbolic link"),
    (linked("x.gguf", tarfile.LNKTYPE), "hard link"),
    (linked("x.gguf", tarfile.CHRTYPE), "device"),
    ("a.gguf", "twice"),
])
def test_a_hostile_tar_is_refused_by_name(store, tmp_path, member, word):
    name = member if isinstance(member, str) else member.name
    stderr = refused(store, tar(tmp_path / "m.tar", [("a.gguf", b"GGUF"), (member, b"")]))
    assert word in stderr and name in stderr, stderr


def test_tars_that_are_none_or_too_many_are_refused(store, tmp_path):
    many = tmp_path / "many.tar"
    info = tarfile.TarInfo()
    with open(many, "wb") as out:
        for number in range(20_000):
            info.name = str(number)
            out.write(info.tobuf(tarfile.USTAR_FORMAT))
        out.write(bytes(1024))
    assert "more than" in refused(store, many)
    cut = tar(tmp_path / "cut.tar", [("pilot.gguf", PILOT.read_bytes())])
    os.truncate(cut, 100_000)
    assert "cut off" in refused(store, cut)
    subprocess.run(["gzip", "-k", many], check=True)
    assert "gunzip" in refused(store, tmp_path / "many.tar.gz")


def test_broken_models_are_refused_by_name(store, tmp_path):
    whole = PILOT.read_bytes()
    for name, data in [("short", whole[:100_000]), ("absurd", whole[:8] + b"\xff" * 16 + whole[24:]), ("empty", b"GGUF")]:
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(data)
        stderr = refused(store, path)
        assert "model.gguf" in stderr, stderr
    (tmp_path / "notes.txt").write_text("hello")
    assert "no GGUF file" in refused(store, tmp_path / "notes.txt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text('{"model_type": "nobody"}')
    (tmp_path / "folder" / "model.safetensors").write_bytes(b"?")
    refused(store, tmp_path / "folder")


def test_what_was_not_imported_stays(store):
    assert "stays" in store.mains("rm", "pilot").stderr
    assert "nobody" in store.mains("rm", "nobody").stderr
    assert "already" in refused(store, PILOT, "--name", "pilot")


def begin(daemon, name, data):
    head = hashlib.sha256(data[:1 << 20]).hexdigest()
    body = {"name": name, "kind": "gguf", "origin": "/usb", "files": [{"name": f"{name}.gguf", "bytes": len(data), "head": head}]}
    with daemon.admin() as admin:
        answer = admin.post("/admin/imports", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


def send(daemon, state, data):
    with daemon.admin() as admin:
        return admin.put(f"/admin/imports/{state['id']}/files/0?offset={state['received'][0]}", content=data)


def finish(daemon, state, digest):
    with daemon.admin() as admin:
        lines = admin.post(f"/admin/imports/{state['id']}/finish", json={"digests": [digest]}).text.splitlines()
    return lines[-1]


def test_a_flipped_bit_on_the_way_is_found(store):
    whole = PILOT.read_bytes()
    state = begin(store, "flipped", whole)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    assert send(store, state, bytes(flipped)).status_code == 200
    digest = hashlib.sha256(whole).hexdigest()
    assert "did not arrive as it was sent" in finish(store, state, digest)
    # The file starts again, and the command line ends what was begun here.
    assert begin(store, "flipped", whole)["received"] == [0]
    assert store.mains("rm", "flipped").returncode == 0
    assert_no_debris(store)


def test_a_cut_import_sends_only_the_rest(store, tmp_path):
    whole = PILOT.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole)
    state = begin(store, "cut", whole)
    half = len(whole) // 2
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(store.folder / "admin.sock"))
        head = f"PUT /admin/imports/{state['id']}/files/0?offset=0 HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(whole)}\r\n\r\n"
        raw.sendall(head.encode() + whole[:half])
    received = until("what came is safe", lambda: (got := begin(store, "cut", whole)["received"][0]) == half and got)
    assert received == half
    assert imported(store, path, "cut")["bytes"] == len(whole)
    assert store.mains("ask", "cut", *SUM).stdout == "17 + 25 = 42\n"
    assert store.mains("rm", "cut", "--unload").returncode == 0
    assert_no_debris(store)


def test_a_killed_daemon_goes_on_where_it_was(own_daemon, tmp_path):
    daemon = own_daemon()
    whole = PILOT.read_bytes()
    path = tmp_path / "killed.gguf"
    path.write_bytes(whole)
    state = begin(daemon, "killed", whole)
    assert send(daemon, state, whole[:5_000_000]).status_code == 200
    daemon.stop(signal.SIGKILL)
    daemon.start()
    assert begin(daemon, "killed", whole)["received"] == [5_000_000]
    assert imported(daemon, path, "killed")["bytes"] == len(whole)
    digest = hashlib.sha256(whole).hexdigest()
    assert daemon.json("show", "killed")["digest"] == digest
    daemon.stop(signal.SIGKILL)
    daemon.start()
    assert daemon.mains("ask", "killed", *SUM).stdout == "17 + 25 = 42\n"


def test_a_killed_command_line_is_started_again(own_daemon, tmp_path):
    daemon = own_daemon()
    path = tmp_path / "large.gguf"
    with open(path, "wb") as out:
        out.write(PILOT.read_bytes())
        # What follows the tensors is no part of them, but has to arrive.
        out.truncate(96 << 20)
    command = [BIN / "mains", "--socket", daemon.socket, "import", path, "--name", "large"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    incoming = daemon.state / "models" / "incoming"
    until("some of it has come", lambda: any(file.stat().st_size > 1 << 20 for file in incoming.glob("*/files/*")) or running.poll() is not None)
    running.kill()
    running.wait()
    until("no more of it is written", lambda: list(incoming.glob("*/state.json")) or running.poll() is not None)
    assert imported(daemon, path, "large")["bytes"] == 96 << 20
    assert os.listdir(incoming) == []


def test_a_full_disk_says_what_is_missing(own_daemon, tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m,mode=0755", "mains-test", tmp_path], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        daemon = own_daemon(state=tmp_path / "state")
        (tmp_path / "ballast").write_bytes(bytes(26 << 20))
        assert "are missing" in refused(daemon, PILOT, "--name", "m")
        (tmp_path / "ballast").unlink()
        assert imported(daemon, PILOT, "m")["files"] == 1
        # Between two pieces somebody else takes the room.
        whole = PILOT.read_bytes() + b"."
        state = begin(daemon, "n", whole)
        assert send(daemon, state, whole[:1 << 20]).status_code == 200
        (tmp_path / "ballast").write_bytes(bytes(16 << 20))
        state["received"] = [1 << 20]
        answer = send(daemon, state, whole[1 << 20:2 << 20])
        assert answer.status_code == 507 and "missing" in answer.text, answer.text
        assert os.listdir(daemon.state / "models" / "incoming") == []
        daemon.stop()
    finally:
        subprocess.run(["umount", tmp_path], check=True)
