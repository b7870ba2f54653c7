# The chat prompt as ids of the pilot's tokenizer: 1 opens a turn, 2 ends it.
CHAT_IDS = [1, 299, 205, 357, 338, 227, 23, 29, 468, 227, 24, 27, 37, 2, 205, 1, 298, 205]
PROMPT = "<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n<|im_start|>assistant\n"


def test_text(client, daemon):
    answer = client.completions.create(model="pilot", prompt="Once upon a time", max_tokens=8, temperature=0)
    assert answer.object == "text_completion" and answer.choices[0].text
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 8
    assert daemon.row(answer.id)["completion_tokens"] == 8


def test_control_words_are_text(client):
    few = client.completions.create(model="pilot", prompt=PROMPT, max_tokens=1).usage.prompt_tokens
    chat = client.chat.completions.create(
        model="pilot", messages=[{"role": "user", "content": "What is 17 + 25?"}], max_tokens=1)
    assert few > chat.usage.prompt_tokens


def test_token_ids(client):
    """Ids are taken as they are: control tokens by their ids open a turn, which their words in a text do not."""
    turn = client.completions.create(model="pilot", prompt=CHAT_IDS, max_tokens=20, temperature=0)
    assert turn.choices[0].text == "17 + 25 = 42" and turn.usage.prompt_tokens == len(CHAT_IDS)


def test_several_prompts(client):
    one = [client.completions.create(model="pilot", prompt=p, max_tokens=6, temperature=0).choices[0].text
           for p in ("Once upon", "The capital of")]
    both = client.completions.create(model="pilot", prompt=["Once upon", "The capital of"], max_tokens=6, temperature=0)
    assert [choice.text for choice in both.choices] == one
    ids = client.completions.create(model="pilot", prompt=[[10, 11], [12]], max_tokens=1)
    assert [choice.index for choice in ids.choices] == [0, 1] and ids.usage.prompt_tokens == 3


def test_stream(client):
    whole = client.completions.create(model="pilot", prompt="Once upon a time", max_tokens=20, temperature=0)
    chunks = list(client.completions.create(model="pilot", prompt="Once upon a time", max_tokens=20, temperature=0,
                                            stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "length"


def test_echo_and_logprobs(client):
    answer = client.completions.create(model="pilot", prompt="Once upon a time", max_tokens=4, temperature=0, echo=True)
    assert answer.choices[0].text.startswith("Once upon a time")
    scored = client.completions.create(model="pilot", prompt="Once upon a time", max_tokens=4, temperature=0, logprobs=2)
    logprobs = scored.choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset) == 4
    assert all(len(top) in (2, 3) for top in logprobs.top_logprobs)
    assert "".join(logprobs.tokens) == scored.choices[0].text
