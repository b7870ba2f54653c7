"""A disk that is full while answers stream: what runs is recorded, what is new is refused, and it mends itself."""
import contextlib
import errno
import os
import sqlite3
import subprocess

import openai
import pytest

from daemon import until

STORY = [{"role": "user", "content": "Tell me a story about a fox."}]
SUM = [{"role": "user", "content": "What is 17 + 25?"}]
# Longer than sockets and daemon hold for a client that does not read, so that the answer is still on its way when the disk is full.
TOKENS = 1500
LONG = {"temperature": 1, "max_tokens": TOKENS, "logit_bias": {"2": -100, "0": -100}, "stream_options": {"include_usage": True}}
# The pilot, the ledger's reserve of 8 MiB and the 40 MiB that must be free before requests are taken again.
DISK_MIB = 80


@pytest.fixture
def small_disk(tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0755", "mains-test", tmp_path], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def fill(disk):
    """Takes every byte that is left."""
    with open(disk / "ballast", "ab", buffering=0) as ballast:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    ballast.write(b"x" * size)
    with pytest.raises(OSError) as caught:
        (disk / "more").write_bytes(b"x")
    assert caught.value.errno == errno.ENOSPC
    (disk / "more").unlink()


def readiness(daemon):
    with daemon.http() as http:
        assert http.get("/healthz").status_code == 200
        answer = http.get("/readyz")
        return answer.status_code, answer.json()


def begin(daemon, count):
    """Running answers of which the first chunk was read."""
    streams = [daemon.openai().chat.completions.create(model="pilot", messages=STORY, stream=True, **LONG) for _ in range(count)]
    return [(stream, next(iter(stream)).id) for stream in streams]


def assert_refused(daemon):
    with pytest.raises(openai.InternalServerError, match="(?i)disk.*full") as caught:
        daemon.openai().chat.completions.create(model="pilot", messages=SUM)
    assert caught.value.status_code == 503 and caught.value.response.headers["retry-after"]
    status, body = readiness(daemon)
    assert status == 503 and "disk is full" in body["reasons"][0]


def assert_mends_itself(daemon, disk):
    (disk / "ballast").unlink()
    until("requests are taken again", lambda: readiness(daemon)[0] == 200)
    answer = daemon.openai().chat.completions.create(model="pilot", messages=SUM, temperature=0)
    assert answer.choices[0].message.content == "17 + 25 = 42"
    return answer.id


def assert_sound(daemon, requests):
    """The ledger is whole, and has just these requests, each once and settled."""
    assert daemon.stop() == 0
    with contextlib.closing(sqlite3.connect(daemon.state / "ledger" / "ledger.sqlite")) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    daemon.start()
    rows = daemon.json("usage", "--requests")
    assert sorted(row["id"] for row in rows) == sorted(requests)
    assert {row["settled"] for row in rows} == {"exact"}


def test_running_requests_end_on_a_full_disk(small_disk, own_daemon):
    """The reserve carries them to their end; new ones are told why not."""
    daemon = own_daemon(state=small_disk / "state")
    running = begin(daemon, 4)
    fill(small_disk)
    assert_refused(daemon)
    for stream, request in running:
        assert list(stream)[-1].usage.completion_tokens == TOKENS
        row = daemon.row(request)
        assert (row["completion_tokens"], row["settled"], row["finish_reason"]) == (TOKENS, "exact", "length")
    assert_refused(daemon)
    later = assert_mends_itself(daemon, small_disk)
    assert_sound(daemon, [request for _, request in running] + [later])


def test_a_disk_without_even_the_reserve(small_disk, own_daemon):
    """Somebody else takes the reserve too: answers end with the reason, and are recorded when there is room."""
    daemon = own_daemon(state=small_disk / "state")
    running = begin(daemon, 4)
    fill(small_disk)
    assert_refused(daemon)
    fill(small_disk)
    received = {}
    for stream, request in running:
        received[request] = 0
        with pytest.raises(openai.APIError, match="(?i)full") as caught:
            for chunk in stream:
                received[request] += bool(chunk.choices and chunk.choices[0].delta.content)
        assert caught.value.code == "ledger_unavailable"
    assert_refused(daemon)
    later = assert_mends_itself(daemon, small_disk)
    for request, tokens in received.items():
        row = until("the row is settled", lambda: (row := daemon.row(request)) and row.get("settled") and row)
        # A chunk has the text of one token or more, for some characters are several tokens.
        assert 0 < tokens <= row["completion_tokens"] < TOKENS, (tokens, row)
    assert_sound(daemon, [*received, later])
