"""What is not honoured is refused, and the refusal names it."""
import json

import pytest

HELLO = [{"role": "user", "content": "Hello"}]
CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"


def image(kind):
    return [{"role": "user", "content": [{"type": kind, kind: {"url": "data:,"}}]}]


CHAT_CASES = [
    ({"temperature": 2.1}, "temperature"), ({"temperature": -1}, "temperature"), ({"temperature": "hot"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": 0}, "top_p"), ({"top_p": 1.5}, "top_p"), ({"top_k": -1}, "top_k"), ({"min_p": 2}, "min_p"),
    ({"n": 0}, "n"), ({"n": 1000}, "n"), ({"n": 1.5}, "n"),
    ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": -5}, "max_tokens"), ({"max_completion_tokens": "all"}, "max_completion_tokens"),
    ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop"), ({"stop": [""]}, "stop"), ({"stop": 5}, "stop"),
    ({"seed": 1.5}, "seed"), ({"seed": "x"}, "seed"),
    ({"frequency_penalty": 3}, "frequency_penalty"), ({"presence_penalty": -3}, "presence_penalty"),
    ({"logit_bias": {"x": 1}}, "logit_bias"), ({"logit_bias": {"5": 101}}, "logit_bias"), ({"logit_bias": {"999999": 1}}, "logit_bias"),
    ({"logprobs": 3}, "logprobs"), ({"top_logprobs": 2}, "top_logprobs"), ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"stream": "yes"}, "stream"), ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": {"foo": 1}}, "stream_options"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"), ({"tool_choice": "required"}, "tool_choice"),
    ({"functions": [{"name": "f"}]}, "functions"), ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, "response_format"),
    ({"modalities": ["audio"]}, "modalities"), ({"audio": {"voice": "x", "format": "wav"}}, "audio"),
    ({"prediction": {"type": "content", "content": "x"}}, "prediction"), ({"reasoning_effort": "high"}, "reasoning_effort"),
    ({"service_tier": "flex"}, "service_tier"), ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
    ({"store": True}, "store"), ({"parallel_tool_calls": False}, "parallel_tool_calls"),
    ({"foo": 1}, "foo"), ({"Temperature": 1}, "Temperature"),
    ({"model": 5}, "model"), ({"model": ""}, "model"),
    ({"messages": []}, "messages"), ({"messages": "Hello"}, "messages"), ({"messages": [5]}, "messages[0]"),
    ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"), ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"), ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": image("image_url")}, "messages[0].content[0].type"), ({"messages": image("input_audio")}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, "messages[0].mood"),
]
COMPLETION_CASES = [
    ({"prompt": 5}, "prompt"), ({"prompt": []}, "prompt"), ({"prompt": [[]]}, "prompt"), ({"prompt": [1, "a"]}, "prompt"),
    ({"prompt": [-1]}, "prompt"), ({"prompt": [2048]}, "prompt"), ({"prompt": [1.5]}, "prompt"),
    ({"suffix": "x"}, "suffix"), ({"best_of": 3}, "best_of"), ({"logprobs": 6}, "logprobs"), ({"logprobs": True}, "logprobs"),
    ({"echo": "yes"}, "echo"), ({"foo": None}, "foo"), ({"max_tokens": -1}, "max_tokens"),
]


def refused(daemon, path, body, status=400):
    with daemon.http() as http:
        answer = http.post(path, content=body) if isinstance(body, bytes) else http.post(path, json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"], error
    return error


@pytest.mark.parametrize("change, param", CHAT_CASES, ids=lambda value: json.dumps(value)[:60])
def test_chat(daemon, change, param):
    error = refused(daemon, CHAT, {"model": "pilot", "messages": HELLO, "max_tokens": 1, **change} if "max_tokens" not in change
                    and "max_completion_tokens" not in change else {"model": "pilot", "messages": HELLO, **change})
    assert error["param"] and error["param"].startswith(param), error
    assert param.split("[")[0] in error["message"], error


@pytest.mark.parametrize("change, param", COMPLETION_CASES, ids=lambda value: json.dumps(value)[:60])
def test_completion(daemon, change, param):
    error = refused(daemon, COMPLETION, {"model": "pilot", "prompt": "Once", **change})
    assert error["param"] and error["param"].startswith(param), error


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_what_is_needed(daemon, missing):
    body = {"model": "pilot", "messages": HELLO}
    del body[missing]
    assert refused(daemon, CHAT, body)["param"] == missing


@pytest.mark.parametrize("change", [
    {"n": None}, {"store": False}, {"response_format": {"type": "text"}}, {"logit_bias": {}}, {"modalities": ["text"]},
    {"stop": None}, {"tools": None}, {"frequency_penalty": 0}, {"stream": False}])
def test_what_asks_for_nothing_is_taken(daemon, change):
    with daemon.http() as http:
        answer = http.post(CHAT, json={"model": "pilot", "messages": HELLO, "max_tokens": 1, **change})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"model": "pilot"', b'{"model": NaN}', b"\xff\xfe{}",
                                  b'{"model": "pilot", "messages": [{"role": "user", "content": "\xc3\x28"}]}',
                                  b'{"model": "pilot", "messages": [{"role": "user", "content": "\\ud800"}]}'])
def test_bodies_that_are_no_json(daemon, body):
    refused(daemon, CHAT, body)


def test_a_prompt_beyond_the_context_names_the_limit(daemon):
    body = {"model": "pilot", "messages": [{"role": "user", "content": "word " * 200_000}]}
    error = refused(daemon, CHAT, body)
    assert error["code"] == "context_length_exceeded" and "2048" in error["message"]


def test_a_prompt_of_one_megabyte_of_spaces(daemon):
    refused(daemon, CHAT, {"model": "pilot", "messages": [{"role": "user", "content": " " * 1_000_000}]})


def test_prompt_and_answer_beyond_the_context(daemon):
    error = refused(daemon, CHAT, {"model": "pilot", "messages": HELLO, "max_tokens": 5000})
    assert error["code"] == "context_length_exceeded" and "5000" in error["message"] and "2048" in error["message"]


def test_a_body_over_the_limit(daemon):
    error = refused(daemon, CHAT, b'{"model": "pilot", "messages": "' + b"x" * (9 << 20) + b'"}', 413)
    assert "8" in error["message"]


def test_routes_and_methods(daemon):
    with daemon.http() as http:
        for method, path, status in [("GET", "/v1/chat/completions", 405), ("GET", "/v1/nothing", 404), ("POST", "/v1/models", 405),
                                     ("POST", "/admin/reload", 404), ("GET", "/", 404)]:
            answer = http.request(method, path)
            assert answer.status_code == status, (method, path, answer.text)
            assert answer.json()["error"]["message"]


def test_headers_over_the_limit(daemon):
    with daemon.http() as http:
        assert http.get("/v1/models", headers={"x-long": "x" * (1 << 20)}).status_code in (400, 431)


def test_there_is_no_tcp_port(daemon):
    children = (daemon.process.pid,)
    listening = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/net/{name}").readlines()[1:]]
    inodes = {fields[9] for fields in listening if fields[3] == "0A"}
    import os
    for pid in children:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            assert not (target.startswith("socket:[") and target[8:-1] in inodes), target
