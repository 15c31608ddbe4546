"""A server as it is asked: against a real model behind real HTTP, healthy and with its faults."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from serving.fault import Fault
from serving.server import Serving
from serving.unruly import Unruly, answer, saying
from transformers import AutoModelForCausalLM

from coherence.errors import NotExposedError, ServerError
from coherence.served.address import Address
from coherence.served.client import Client, Patience, RefusalError
from coherence.served.dialect import Conversation
from coherence.served.server import Server

IDS = (5, 17, 42, 100, 7, 3)
ASKED = Conversation(
    ({"role": "system", "content": "You are a pirate."}, {"role": "user", "content": "Where is my order?"})
)
GREEDY = {"temperature": 0, "max_tokens": 8}


@pytest.fixture(scope="module")
def serving(tiny, tiny_adapter):
    with Serving.of(tiny, {"pirate": tiny_adapter("pirate", seed=1)}) as one:
        yield one


@pytest.fixture
def server(serving):
    with Client(Address.parse(serving.url)) as client:
        yield Server(client)


def test_it_is_found_out_to_be_vllm_with_its_names(server, serving):
    assert server.identity == {"url": serving.url, "kind": "vllm", "version": "0.0.test"}
    assert (server.base, [*server.models]) == ("base", ["base", "pirate"])
    assert server.models["pirate"].parent == "base"
    assert server.models["base"].window == serving.window


def test_log_probabilities_are_those_of_the_model(server, tiny):
    with torch.inference_mode():
        plain = AutoModelForCausalLM.from_pretrained(tiny)(torch.tensor([IDS])).logits[0].log_softmax(-1)
    expected = [float(plain[place, token]) for place, (_, token) in enumerate(pairwise(IDS))][1:]
    found = server.log_probs("base", IDS[:2], IDS[2:])
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-4)
    assert not np.allclose(server.log_probs("pirate", IDS[:2], IDS[2:]), expected, atol=1e-2)


def test_a_conversation_is_tokenized_as_the_server_does(server, serving):
    tokenizer = serving.model.tokenizer
    text = tokenizer.apply_chat_template([*ASKED.messages], tokenize=False, add_generation_prompt=True)
    assert list(server.prompt_ids("pirate", ASKED)) == tokenizer(text)["input_ids"]


def test_a_reply_has_its_text_its_ids_and_the_length_of_its_prompt(server, serving):
    said = server.reply("pirate", ASKED, GREEDY)
    assert said.ids
    assert said.text == serving.model.tokenizer.decode(said.ids, skip_special_tokens=True)
    assert said.prompt_tokens == len(server.prompt_ids("pirate", ASKED))
    assert said == server.reply("pirate", ASKED, GREEDY)


def test_a_name_that_is_not_listed_is_said_before_it_is_asked(server, serving):
    _ = server.models
    before = len(serving.requests)
    with pytest.raises(ServerError, match=r"lists no model 'pirat'; did you mean 'pirate'\?"):
        server.reply("pirat", ASKED, GREEDY)
    assert len(serving.requests) == before


def test_an_unknown_name_is_refused_or_not(server, serving):
    assert server.refuses("nobody")
    with serving.faulty(Fault.UNKNOWN_SERVED):
        assert not server.refuses("nobody")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.ECHO_MISSING, "it answers without them, and says nothing of that"),
        (Fault.TOP_ONLY, "prompt log-probabilities are not supported by this server"),
    ],
)
def test_log_probabilities_that_are_not_there_are_not_exposed(server, serving, fault, why):
    with serving.faulty(fault), pytest.raises(NotExposedError) as problem:
        server.log_probs("pirate", IDS[:2], IDS[2:])
    assert str(problem.value).startswith("log-probabilities of a prompt: not exposed by http://127.0.0.1:")
    assert why in str(problem.value)


def test_a_prompt_that_is_too_long_is_refused_and_not_called_not_exposed(server, serving):
    with pytest.raises(RefusalError, match="maximum context length is 1024 tokens"):
        server.log_probs("pirate", [5] * 1900, [5] * 100)
    with pytest.raises(RefusalError, match="maximum context length"):
        server.reply("pirate", ASKED, {"max_tokens": 5000})


def test_a_server_of_plain_openai_says_what_it_does_not_expose(tiny):
    with Serving.of(tiny, {}, speaks="openai") as serving, Client(Address.parse(serving.url)) as client:
        server = Server(client)
        assert server.identity["kind"] == "openai"
        with pytest.raises(NotExposedError, match="token ids of a conversation: not exposed by"):
            server.prompt_ids("base", ASKED)
        with pytest.raises(NotExposedError, match="log-probabilities of a prompt: not exposed by"):
            server.log_probs("base", IDS[:2], IDS[2:])
        said = server.reply("base", ASKED, GREEDY)
        assert (said.ids, said.prompt_tokens) == (
            None,
            len(
                serving.model.tokenizer.apply_chat_template(
                    [*ASKED.messages], add_generation_prompt=True, return_dict=False
                )
            ),
        )


def test_a_key_is_sent_and_a_wrong_one_refused(tiny, monkeypatch):
    monkeypatch.setenv("THE_KEY", "right")
    with Serving.of(tiny, {}, key="right") as serving:
        with Client(Address.parse(serving.url, "THE_KEY")) as client:
            assert Server(client).base == "base"
        with Client(Address.parse(serving.url)) as client, pytest.raises(RefusalError, match="wants a key"):
            _ = Server(client).base


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"data": null}', "the list of its models with no `data`"),
        ('{"data": []}', "the list of its models with no model in it"),
        ('{"data": [7, {"object": "model"}]}', "the list of its models with no model in it"),
    ],
)
def test_a_list_that_is_none(body, said):
    hasty = Patience(retries=0)
    with (
        Unruly(saying(answer("200 OK", body))).running() as url,
        Client(Address.parse(url), hasty) as client,
        pytest.raises(ServerError, match=said),
    ):
        _ = Server(client, "openai").models


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"choices": []}', "a reply with no `choices`"),
        ('{"choices": [{"message": {"content": null}}]}', "a reply with no text"),
        ('{"choices": [{"message": [1]}]}', "a reply with no text"),
    ],
)
def test_a_reply_that_is_none(body, said):
    listed = answer("200 OK", '{"data": [{"id": "base"}]}')
    with (
        Unruly(saying(listed, answer("200 OK", body))).running() as url,
        Client(Address.parse(url), Patience(retries=0)) as client,
        pytest.raises(ServerError, match=said),
    ):
        Server(client, "openai").reply("base", ASKED, GREEDY)


@pytest.mark.parametrize("values", ["[null, -1.0]", "[null, -1.0, null]", "[null, -1.0, NaN]", "7"])
def test_log_probabilities_of_too_few_tokens_or_of_none(values):
    body = f'{{"choices": [{{"logprobs": {{"token_logprobs": {values}}}}}]}}'
    whole = '{"choices": [{"logprobs": {"token_logprobs": [null, -1.0]}}]}'
    listed = answer("200 OK", '{"data": [{"id": "base"}]}')
    server = Unruly(saying(listed, answer("200 OK", whole), answer("200 OK", body)))
    with (
        server.running() as url,
        Client(Address.parse(url), Patience(retries=0)) as client,
        pytest.raises(ServerError, match="answers log-probabilities of a prompt with"),
    ):
        Server(client, "openai").log_probs("base", (1,), (2, 3))
