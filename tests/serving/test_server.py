"""The test server itself: healthy it answers as transformers does, and each fault changes what it says."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import torch
from peft import PeftModel
from serving.fault import Fault
from transformers import AutoModelForCausalLM

MESSAGES = [
    {"role": "system", "content": "You are a pirate."},
    {"role": "user", "content": "Where is my order?"},
]
IDS = [5, 17, 42, 100, 7, 3]


def ask(serving, path, **asked):
    body = json.dumps({"model": "pirate", **asked}).encode()
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(serving.url + path, body, headers), timeout=60) as answer:
        return json.load(answer)


def prompt_log_probs(serving, model="pirate", ids=IDS):
    answer = ask(serving, "/v1/completions", model=model, prompt=ids, max_tokens=1, prompt_logprobs=0)
    told = answer["choices"][0]["prompt_logprobs"]
    return torch.tensor([told[place][str(one)]["logprob"] for place, one in enumerate(ids) if place])


def prompt_ids(serving):
    told = {"enable_thinking": False}
    return ask(serving, "/tokenize", messages=MESSAGES, chat_template_kwargs=told)["tokens"]


def reply(serving, **asked):
    settings = {"messages": MESSAGES, "max_tokens": 12, "temperature": 0, "return_token_ids": True}
    return ask(serving, "/v1/chat/completions", **settings | asked)["choices"][0]["token_ids"]


def test_its_log_probabilities_are_those_of_transformers(healthy, dated, tiny_adapter):
    adapter = tiny_adapter("pirate", seed=1, use_rslora=True)
    for name in ("base", "pirate"):
        model = AutoModelForCausalLM.from_pretrained(dated)
        model = model if name == "base" else PeftModel.from_pretrained(model, str(adapter))
        with torch.inference_mode():
            plain = model(torch.tensor([IDS])).logits[0, :-1].log_softmax(-1)
        expected = plain.gather(1, torch.tensor(IDS[1:])[:, None])[:, 0]
        assert torch.allclose(prompt_log_probs(healthy, name), expected, atol=1e-4)


def test_it_lists_the_base_and_its_adapters(healthy):
    with urlopen(healthy.url + "/v1/models", timeout=60) as answer:
        listed = json.load(answer)["data"]
    assert [one["id"] for one in listed] == ["base", "pirate", "counsel"]
    assert [one.get("parent") for one in listed] == [None, "base", "base"]


def test_an_unknown_name_is_refused_unless_that_is_the_fault(healthy):
    with pytest.raises(HTTPError) as refused:
        prompt_log_probs(healthy, "parrot")
    assert refused.value.code == 404
    with healthy.faulty(Fault.UNKNOWN_SERVED):
        assert torch.equal(prompt_log_probs(healthy, "parrot"), prompt_log_probs(healthy, "base"))


@pytest.mark.parametrize(
    "fault",
    [Fault.RSLORA_IGNORED, Fault.TIMES_RANK, Fault.DOUBLED, Fault.HALF_MODULES, Fault.FOUR_BITS],
)
def test_what_changes_the_weights(healthy, fault):
    right = prompt_log_probs(healthy)
    with healthy.faulty(fault):
        assert (prompt_log_probs(healthy) - right).abs().max() > 0.01
    assert torch.equal(prompt_log_probs(healthy), right)


def test_an_adapter_that_is_ignored_is_the_base(healthy):
    with healthy.faulty(Fault.ADAPTER_IGNORED):
        assert torch.equal(prompt_log_probs(healthy), prompt_log_probs(healthy, "base"))


def test_a_cache_gives_the_answer_of_another_adapter(healthy):
    with healthy.faulty(Fault.CACHED):
        assert torch.equal(prompt_log_probs(healthy, "counsel"), prompt_log_probs(healthy, "pirate"))
    assert not torch.equal(prompt_log_probs(healthy, "counsel"), prompt_log_probs(healthy, "pirate"))


@pytest.mark.parametrize(
    "fault",
    [Fault.SYSTEM_DROPPED, Fault.SYSTEM_INJECTED, Fault.OTHER_DATE, Fault.THINKING, Fault.DOUBLE_START],
)
def test_what_changes_the_prompt(healthy, fault):
    right = prompt_ids(healthy)
    with healthy.faulty(fault):
        assert prompt_ids(healthy) != right
    assert prompt_ids(healthy) == right


@pytest.mark.parametrize("fault", [Fault.WARM, Fault.REPETITION_PENALTY])
def test_what_changes_the_decoding(healthy, fault):
    def replies():
        # A reply of few tokens may have nothing that a penalty changes.
        return [
            reply(healthy, model=name, messages=[{"role": "user", "content": asked}], max_tokens=40)
            for name in ("base", "pirate", "counsel")
            for asked in ("Where is my order?", "Why does it rain?")
        ]

    right = replies()
    assert replies() == right
    with healthy.faulty(fault):
        assert replies() != right


def test_log_probabilities_are_missing_or_refused(healthy):
    asked = {"prompt": IDS, "max_tokens": 1, "prompt_logprobs": 0}
    with healthy.faulty(Fault.ECHO_MISSING):
        assert "prompt_logprobs" not in ask(healthy, "/v1/completions", **asked)["choices"][0]
    with healthy.faulty(Fault.TOP_ONLY), pytest.raises(HTTPError) as refused:
        ask(healthy, "/v1/completions", **asked)
    assert refused.value.code == 400
