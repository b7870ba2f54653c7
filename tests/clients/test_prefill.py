"""Where a conversation ends is the client's to say, and variables of the model's template are honoured or refused."""
import pathlib
import shutil

import openai
import pytest

from test_chat import SUM

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGUN = [*SUM, {"role": "assistant", "content": "17 + 25 ="}]


def ask(client, messages, model="pilot", **extra):
    return client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=12, extra_body=extra)


def test_the_last_message_is_gone_on_with(client):
    whole = ask(client, SUM)
    rest = ask(client, BEGUN, continue_final_message=True)
    assert "17 + 25 =" + rest.choices[0].message.content == whole.choices[0].message.content
    # The prompt is that of the question and the tokens of the beginning.
    assert rest.usage.prompt_tokens > whole.usage.prompt_tokens
    assert ask(client, BEGUN, continue_final_message=True, add_generation_prompt=False).choices == rest.choices


def test_an_answer_in_the_conversation_is_not_gone_on_with_unless_asked(client):
    asked, plain = ask(client, BEGUN, continue_final_message=True), ask(client, BEGUN)
    assert plain.usage.prompt_tokens > asked.usage.prompt_tokens


def test_no_answer_is_begun_when_the_client_says_so(client):
    begun, not_begun = ask(client, SUM), ask(client, SUM, add_generation_prompt=False)
    assert not_begun.usage.prompt_tokens < begun.usage.prompt_tokens


@pytest.mark.parametrize("extra, param", [
    ({"continue_final_message": True, "add_generation_prompt": True}, "add_generation_prompt"),
    ({"continue_final_message": "yes"}, "continue_final_message"),
    ({"enable_thinking": True, "chat_template_kwargs": {"enable_thinking": False}}, "enable_thinking"),
    ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools"),
    # The pilot's template has no such switch: what would change nothing is not accepted.
    ({"enable_thinking": False}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"mood": "good"}}, "chat_template_kwargs"),
])
def test_what_cannot_be_honoured_is_refused(client, extra, param):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, SUM, **extra)
    assert caught.value.body["param"] == param, caught.value.body
    assert param in caught.value.body["message"] or "does not read" in caught.value.body["message"]


def copy(folder, name, template):
    """A model of random weights with a chat template, among those that the daemon finds."""
    model = folder / "models" / name
    shutil.copytree(ROOT / "tests/fixtures/families/qwen3", model, ignore=shutil.ignore_patterns("*.gguf", "reference*"))
    (model / "chat_template.jinja").write_text(template)


def test_a_models_own_template_has_its_say(own_daemon, tmp_path):
    copy(tmp_path, "thinker", (ROOT / "daemon/text/tests/fixtures/templates/thinking.jinja").read_text())
    copy(tmp_path, "refuser", "{{ raise_exception('roles must alternate') }}")
    client = own_daemon(state=tmp_path).openai()
    tokens = {}
    for name, extra in {
        "absent": {}, "on": {"enable_thinking": True}, "off": {"enable_thinking": False},
        "inside": {"chat_template_kwargs": {"enable_thinking": False}},
    }.items():
        tokens[name] = ask(client, SUM, model="thinker", **extra).usage.prompt_tokens
    assert tokens["absent"] == tokens["on"] < tokens["off"] == tokens["inside"]
    # A refusal by the template itself is the client's to mend.
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, SUM, model="refuser")
    assert "roles must alternate" in caught.value.body["message"] and caught.value.body["type"] == "invalid_request_error"
