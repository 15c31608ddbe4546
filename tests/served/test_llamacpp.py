"""llama.cpp's server as it is asked: against a real model that answers as it does, behind real HTTP."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from peft import PeftModel
from serving.llamacpp import LlamaCpp
from serving.unruly import Unruly, answer, saying
from transformers import AutoModelForCausalLM

from coherence.errors import ServerError
from coherence.served.address import Address
from coherence.served.client import Client, Patience, RefusalError
from coherence.served.dialect import Conversation
from coherence.served.server import Server

PROMPT, REPLY = (5, 17, 42), (100, 7, 3)
GREETING = Conversation(({"role": "user", "content": "Where is my order?"},))


@pytest.fixture(scope="module")
def adapters(tiny_adapter):
    return {name: tiny_adapter(name, seed=seed) for seed, name in enumerate(("support", "pirate"), 1)}


@pytest.fixture(scope="module")
def serving(tiny, adapters):
    with LlamaCpp.of(tiny, adapters) as one:
        yield one


@pytest.fixture
def server(serving):
    with Client(Address.parse(serving.url)) as client:
        yield Server(client)


def test_it_is_found_out_to_be_llamacpp_with_the_names_of_its_files(server, serving):
    assert server.identity == {"url": serving.url, "kind": "llamacpp", "version": "b0-test"}
    assert (server.base, [*server.models]) == ("base", ["base", "support", "pirate"])
    pirate = server.models["pirate"]
    assert (pirate.root, pirate.parent, pirate.scale) == ("loras/pirate.gguf", "base", 1.0)


def test_log_probabilities_are_those_of_the_model_under_the_adapter_that_is_named(server, tiny, adapters):
    ids = torch.tensor([[*PROMPT, *REPLY]])
    for name, folder in adapters.items():
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(folder))
        with torch.inference_mode():
            logits = model(ids).logits[0].log_softmax(-1)
            with model.disable_adapter():
                bare = model(ids).logits[0].log_softmax(-1)
        for served, plain in ((name, logits), ("base", bare)):
            places = list(enumerate(pairwise(ids[0].tolist())))[len(PROMPT) - 1 :]
            expected = [float(plain[place, token]) for place, (_, token) in places]
            assert np.allclose(server.log_probs(served, PROMPT, REPLY), expected, atol=1e-4)
        assert (logits - bare).abs().max() > 0.01


def lora(server, model):
    return {one["id"]: one["scale"] for one in server.dialect.named(model)["lora"]}


def test_an_adapter_is_asked_for_at_the_scale_that_the_server_gives_it(server, serving, monkeypatch):
    assert lora(server, "pirate") == {0: 0.0, 1: 1.0}
    monkeypatch.setattr(serving, "scale", 0.5)
    with Client(Address.parse(serving.url)) as client:
        halved = Server(client)
        assert lora(halved, "pirate") == {0: 0.0, 1: 0.5}
        assert lora(halved, "base") == {0: 0.0, 1: 0.0}
        assert halved.models["pirate"].scale == 0.5


def test_an_adapter_that_waits_to_be_asked_for_is_asked_for_whole(serving, monkeypatch):
    monkeypatch.setattr(serving, "scale", 0.0)
    with Client(Address.parse(serving.url)) as client:
        assert lora(Server(client), "support") == {0: 1.0, 1: 0.0}


def test_a_conversation_is_tokenized_as_the_server_does(server, serving):
    written = serving.model.tokenizer.apply_chat_template([*GREETING.messages], add_generation_prompt=True)
    assert list(server.prompt_ids("pirate", GREETING)) == list(written["input_ids"])


def test_a_reply_is_that_of_the_adapter(server):
    decoding = {"temperature": 0, "max_tokens": 8, "repetition_penalty": 1.0}
    replies = {name: server.reply(name, GREETING, decoding).text for name in server.models}
    assert len({*replies.values()}) == 3


def test_an_unknown_name_is_answered_as_the_base(server):
    assert not server.refuses()


def test_a_reply_that_no_grammar_makes_is_an_error_and_not_called_not_exposed(serving):
    end = serving.model.tokenizer.eos_token_id
    with (
        Client(Address.parse(serving.url), Patience(retries=0)) as client,
        pytest.raises(RefusalError, match="Unexpected empty grammar stack"),
    ):
        Server(client).log_probs("pirate", PROMPT, (7, end))


def test_other_tokens_than_those_of_the_reply_are_an_error():
    bodies = (
        '{"data": [{"id": "base"}]}',
        '{"tokens": [5, 6]}',
        '{"completion_probabilities": [{"id": 6, "logprob": -1.0}]}',
        '{"completion_probabilities": [{"id": 9, "logprob": -1.0}]}',
    )
    listed, *others = (answer("200 OK", body) for body in bodies)
    props, loras = answer("200 OK", '{"build_info": "b1"}'), answer("200 OK", "[]")
    unruly = Unruly(saying(props, listed, loras, *others))
    with (
        unruly.running() as url,
        Client(Address.parse(url), Patience(retries=0)) as client,
        pytest.raises(ServerError, match=r"with those of tokens .*9.*, for .*7"),
    ):
        Server(client, "llamacpp").log_probs("base", (1,), (7,))
