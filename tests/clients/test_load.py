"""Many clients at once, and clients that behave badly."""
import concurrent.futures
import json
import socket

from daemon import until

STORY = [{"role": "user", "content": "Tell me a story about a fox."}]
COUNT = [{"role": "user", "content": "Count from 1 to 26."}]


def metric(daemon, name):
    with daemon.http() as http:
        text = http.get("/metrics").text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name) and not line.startswith("#"))


def test_64_streams(daemon):
    """Each of 64 streams gets the very answer that it gets alone, and the ledger has each once."""
    questions = [f"What is {a} + {b}?" for a in range(8) for b in range(8)]

    def run(question):
        client = daemon.openai()
        chunks = list(client.chat.completions.create(
            model="pilot", messages=[{"role": "user", "content": question}], temperature=0, stream=True,
            stream_options={"include_usage": True}))
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        return chunks[-1].id, text, chunks[-1].usage.completion_tokens

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        together = list(pool.map(run, questions))
    assert len({request for request, _, _ in together}) == 64
    rows = {row["id"]: row for row in daemon.json("usage", "--requests")}
    for request, _, tokens in together:
        assert rows[request]["completion_tokens"] == tokens and rows[request]["settled"] == "exact"
    alone = [run(question)[1] for question in questions[::16]]
    assert [text for _, text, _ in together][::16] == alone
    assert together[63][1] == "7 + 7 = 14"


def raw_stream(daemon, messages, **options):
    """A stream over a bare socket, to misbehave with."""
    body = json.dumps({"model": "pilot", "messages": messages, "stream": True, **options}).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(str(daemon.socket))
    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                       b"content-length: %d\r\n\r\n" % len(body) + body)
    return connection


def first_event(connection):
    got = b""
    while b"data: " not in got or b"\n\n" not in got.split(b"data: ", 1)[1]:
        got += connection.recv(1)
    return json.loads(got.split(b"data: ", 1)[1].split(b"\n\n", 1)[0])


def test_a_client_that_hangs_up(daemon):
    """Generation stops: the row is settled as the client's going, with fewer tokens than were asked for."""
    connection = raw_stream(daemon, STORY, temperature=2, max_tokens=1900, logit_bias={"2": -100, "0": -100})
    request = first_event(connection)["id"]
    connection.close()
    row = until("the row is settled", lambda: (row := daemon.row(request)) and row.get("settled") and row)
    assert row["error"] == "client_gone" and row["completion_tokens"] < 1900
    models = {model["name"]: model for model in daemon.json("status")["models"]}
    assert models["pilot"]["running"] == 0


def test_a_client_that_reads_slowly_stalls_nobody(daemon):
    """One client does not read at all while another gets its whole answer; then the first gets all of its own."""
    connection = raw_stream(daemon, STORY, temperature=0, max_tokens=400, logit_bias={"2": -100, "0": -100})
    first_event(connection)
    answer = daemon.openai().chat.completions.create(model="pilot", messages=COUNT, temperature=0)
    assert answer.choices[0].message.content.endswith("25, 26")
    got = b""
    while not got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") and b"[DONE]" not in got:
        piece = connection.recv(7)
        assert piece, got[-300:]
        got += piece
    assert b'"finish_reason":"length"' in got
    connection.close()


def test_many_connections_that_say_nothing(daemon):
    idle = []
    for _ in range(20):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(daemon.socket))
        idle.append(connection)
    assert daemon.openai().models.list().data
    for connection in idle:
        connection.close()


def test_metrics_are_prometheus_text(daemon):
    with daemon.http() as http:
        answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith(("text/plain", "application/openmetrics-text"))
    assert "# TYPE mains_" in answer.text
    assert metric(daemon, "mains_") > 0


def test_health(daemon):
    with daemon.http() as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == 200
