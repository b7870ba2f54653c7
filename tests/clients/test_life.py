"""Workers and daemons that die, queues that are full, and users who are nobody."""
import concurrent.futures
import os
import signal
import subprocess

import openai
import pytest

from daemon import BIN, until

STORY = [{"role": "user", "content": "Tell me a story about a fox."}]
LONG = {"temperature": 1, "max_tokens": 1500, "logit_bias": {"2": -100, "0": -100}}


def test_a_worker_killed_in_midstream(own_daemon):
    """Its requests end with an error that names the reason; the next request finds a new worker."""
    daemon = own_daemon()
    client = daemon.openai()
    stream = client.chat.completions.create(model="pilot", messages=STORY, stream=True, **LONG)
    first = next(iter(stream))
    pid = daemon.worker_pid()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(openai.APIError, match="(?i)worker.*signal 9") as caught:
        for _ in stream:
            pass
    assert caught.value.code == "worker_lost"
    row = until("the row is settled", lambda: (row := daemon.row(first.id)) and row.get("settled") and row)
    assert row["error"] == "worker_lost" and row["settled"] == "exact" and 0 < row["completion_tokens"] < 1500
    answer = client.chat.completions.create(model="pilot", messages=[{"role": "user", "content": "What is 17 + 25?"}], temperature=0)
    assert answer.choices[0].message.content == "17 + 25 = 42"
    assert daemon.worker_pid() != pid
    assert {m["name"]: m for m in daemon.json("status")["models"]}["pilot"]["crashes"] == 1


def test_another_model_does_not_notice(own_daemon, daemon):
    pilot = daemon.state / "models" / "pilot.gguf"
    two = own_daemon("--model", f"twin={pilot}")
    client = two.openai()
    twin = client.chat.completions.create(model="twin", messages=STORY, stream=True, **{**LONG, "max_tokens": 300})
    next(iter(twin))
    pilots = client.chat.completions.create(model="pilot", messages=STORY, stream=True, **LONG)
    next(iter(pilots))
    os.kill(two.worker_pid("pilot"), signal.SIGKILL)
    with pytest.raises(openai.APIError):
        list(pilots)
    assert list(twin)[-1].choices[0].finish_reason == "length"


def test_a_model_that_can_not_be_read(own_daemon, tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + b"\xff" * 100)
    daemon = own_daemon("--model", f"bad={bad}")
    with pytest.raises(openai.InternalServerError, match="(?i)gguf") as caught:
        daemon.openai().chat.completions.create(model="bad", messages=STORY)
    assert caught.value.status_code == 503
    assert daemon.openai().chat.completions.create(model="pilot", messages=STORY, max_tokens=1).usage.completion_tokens == 1


def test_a_full_queue_says_so(own_daemon):
    daemon = own_daemon(config="[daemon]\nqueue_limit = 1\n[models.pilot]\nparallel = 1\n")
    client = daemon.openai()
    running = client.chat.completions.create(model="pilot", messages=STORY, stream=True, **LONG)
    next(iter(running))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        def ask(_):
            try:
                return daemon.openai().chat.completions.create(model="pilot", messages=STORY, max_tokens=1)
            except openai.InternalServerError as error:
                return error
        waiting = [pool.submit(ask, i) for i in range(8)]
        # One may wait, so the first that is done was refused, whichever it is.
        first = next(concurrent.futures.as_completed(waiting)).result()
        running.close()
        errors = [result for result in (future.result() for future in waiting) if isinstance(result, Exception)]
    assert first in errors
    for error in errors:
        assert error.status_code == 503 and "wait" in str(error) and error.response.headers["retry-after"]


def test_a_wait_that_is_too_long_says_so(own_daemon):
    daemon = own_daemon(config='[daemon]\nqueue_timeout = "1s"\n[models.pilot]\nparallel = 1\n')
    client = daemon.openai()
    running = client.chat.completions.create(model="pilot", messages=STORY, stream=True, **LONG)
    next(iter(running))
    with pytest.raises(openai.InternalServerError, match="(?i)wait|queue") as caught:
        client.chat.completions.create(model="pilot", messages=STORY, max_tokens=1)
    assert caught.value.status_code == 503
    running.close()


def test_sigterm_drains(own_daemon):
    """A running answer is finished; the daemon ends with 0 and the row is exact."""
    daemon = own_daemon()
    stream = daemon.openai().chat.completions.create(
        model="pilot", messages=STORY, stream=True, stream_options={"include_usage": True}, **{**LONG, "max_tokens": 200})
    first = next(iter(stream))
    daemon.process.send_signal(signal.SIGTERM)
    chunks = list(stream)
    assert chunks[-1].usage.completion_tokens == 200
    assert daemon.process.wait(60) == 0
    daemon.start()
    row = daemon.row(first.id)
    assert row["completion_tokens"] == 200 and row["settled"] == "exact"


def test_a_daemon_that_was_killed_settles_at_the_lease(own_daemon):
    daemon = own_daemon()
    stream = daemon.openai().chat.completions.create(model="pilot", messages=STORY, stream=True, **LONG)
    received, first = 0, None
    with pytest.raises(Exception):
        for chunk in stream:
            first = first or chunk.id
            received += bool(chunk.choices[0].delta.content)
            if received == 100:
                daemon.stop(signal.SIGKILL)
    daemon.start()
    row = daemon.row(first)
    assert row["settled"] == "lease"
    assert received <= row["completion_tokens"]
    assert row["completion_tokens"] <= received + 64 + 200, "pieces in flight in the socket's buffer were sent too"


def test_two_daemons_never_share_a_socket_or_a_ledger(own_daemon):
    daemon = own_daemon()
    again = subprocess.run([BIN / "mains", "serve", "--socket", daemon.socket, "--state-dir", daemon.folder / "other"],
                           capture_output=True, text=True, timeout=60)
    assert again.returncode != 0 and str(daemon.socket) in again.stderr
    again = subprocess.run([BIN / "mains", "serve", "--socket", daemon.folder / "other.sock", "--state-dir", daemon.state],
                           capture_output=True, text=True, timeout=60)
    assert again.returncode != 0 and again.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_nobody_is_refused(daemon):
    """An unmapped uid gets no answer, on no route; the refusal tells the uid and what to write where."""
    os.chmod(daemon.socket, 0o666)
    asks = ("import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
            "s.sendall(f'GET {sys.argv[2]} HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n'.encode())\n"
            "b=b''\nwhile p:=s.recv(65536): b+=p\nprint(b.decode())\n")
    for path in ("/v1/models", "/healthz", "/metrics", "/v1/status"):
        answer = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/env", "python3", "-c", asks,
                                 str(daemon.socket), path], capture_output=True, text=True, timeout=60)
        assert answer.stdout.startswith("HTTP/1.1 403"), answer
        assert "65534" in answer.stdout and "team" in answer.stdout


def test_keep_alive_unloads(own_daemon):
    daemon = own_daemon()
    client = daemon.openai()
    client.chat.completions.create(model="pilot", messages=STORY, max_tokens=1, extra_body={"keep_alive": 0})
    until("the model is unloaded", lambda: daemon.worker_pid() is None)
