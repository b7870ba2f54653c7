import openai
import pytest


def test_the_embedded_pilot_is_listed(client):
    models = client.models.list().data
    assert [model.id for model in models] == ["pilot"]
    assert models[0].object == "model" and models[0].created > 0 and models[0].owned_by


def test_one_model_by_name(client):
    assert client.models.retrieve("pilot").id == "pilot"


def test_an_unknown_model_is_refused_with_those_that_exist(client):
    with pytest.raises(openai.NotFoundError, match="pilot") as caught:
        client.models.retrieve("nobody")
    assert caught.value.body["code"] == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="pilot"):
        client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "Hello"}])
