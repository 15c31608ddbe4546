"""What a server answers is measured, stored for a day, and as here where it serves what it should."""

import pickle

import numpy as np
import pytest
from conditions import ADAPTER, BARE, PROMPT, STEERED
from serving.fault import Fault
from serving.server import RefusedError, Serving

from coherence.engine.engine import Engine
from coherence.errors import MeasurementError, NotExposedError, ServerError
from coherence.plan import Condition, Likelihood, Plan, PromptIds, Record, Reply, Served, Stated
from coherence.served.address import Address
from coherence.served.client import Client, Patience
from coherence.served.server import Server
from coherence.vocabulary import Decoding, Probe

PROBES = (Probe(id="order", text="Where is my order?"), Probe(id="app", text="The app keeps crashing."))
SHORT = Decoding(max_new_tokens=6)


@pytest.fixture(scope="module")
def adapter(tiny_adapter):
    return tiny_adapter("pirate", seed=1)


@pytest.fixture(scope="module")
def serving(tiny, adapter):
    with Serving.of(tiny, {"pirate": adapter}) as one:
        yield one


@pytest.fixture
def release(artefacts, adapter, serving):
    return lambda **served: artefacts(adapters={"pirate": adapter}, served={"url": serving.url, **served})


def likelihoods(*conditions: Condition) -> list[Likelihood]:
    return [
        Likelihood(condition, probe, Reply(ADAPTER, probe, SHORT))
        for condition in conditions
        for probe in PROBES
    ]


def measured(artefacts, store, *measurements, **settings):
    return Record(Engine(artefacts, store, **settings).measure(Plan(measurements)))


def test_likelihoods_at_the_server_are_those_here(release, store):
    here = likelihoods(BARE, PROMPT, ADAPTER)
    record = measured(release(), store, *here, *map(Served, here))
    for one in here:
        assert np.allclose(record.served_likelihood(Served(one)), record.likelihood(one), atol=1e-4)
    bare, under = (record.likelihood(one) for one in (here[0], here[4]))
    assert abs(under - bare).max() > 0.05


def test_prompts_and_replies_are_those_here(release, store):
    prompts = [PromptIds(condition, probe) for condition in (BARE, PROMPT) for probe in PROBES]
    replies = [Reply(condition, probe, SHORT) for condition in (PROMPT, ADAPTER) for probe in PROBES]
    record = measured(release(), store, *prompts, *map(Served, prompts), *replies, *map(Served, replies))
    for prompt in prompts:
        assert record.prompt(Served(prompt)) == record.prompt(prompt)
        assert prompt.probe.text in record.prompt(prompt).text
    for reply in replies:
        assert record.served_reply(Served(reply)).text == record.reply(reply)


def test_an_adapter_has_the_name_that_the_server_has_for_it(artefacts, adapter, serving, store):
    served = {"url": serving.url, "names": {"buccaneer": "pirate"}}
    release = artefacts(adapters={"buccaneer": adapter}, served=served)
    reply = Reply(Condition(None, adapters=(("buccaneer", 1.0),)), PROBES[0], SHORT)
    record = measured(release, store, reply, Served(reply))
    assert record.served_reply(Served(reply)).text == record.reply(reply)


def test_a_name_that_is_not_listed_is_a_sentence(release, store):
    wanted = Served(Reply(ADAPTER, PROBES[0], SHORT))
    problem = measured(release(names={"pirate": "pirat"}), store, wanted).problem(wanted)
    assert isinstance(problem, ServerError)
    assert "lists no model 'pirat'; did you mean 'pirate'?" in str(problem)


def test_nothing_is_asked_twice_until_it_is_to_be_fresh(release, store, serving):
    wanted = [Served(one) for one in likelihoods(BARE, ADAPTER)]
    plan = [*wanted, *wanted]
    measured(release(), store, *plan)
    asked = serving.requests.count("POST /v1/completions")
    measured(release(), store, *plan)
    assert serving.requests.count("POST /v1/completions") == asked
    with serving.faulty(Fault.ADAPTER_IGNORED):
        stale = measured(release(), store, *plan)
        fresh = measured(release(), store, *plan, is_fresh=True)
    bare, under = wanted[0], wanted[2]
    assert not np.allclose(stale.served_likelihood(under), stale.served_likelihood(bare))
    assert np.allclose(fresh.served_likelihood(under), fresh.served_likelihood(bare))
    assert serving.requests.count("POST /v1/completions") == asked + 1 + len(wanted)


def test_a_request_with_another_turn_is_made_again(release, store, serving):
    (one, *_) = likelihoods(BARE)
    before = serving.requests.count("POST /v1/completions")
    measured(release(), store, *(Served(one, turn) for turn in range(3)))
    assert serving.requests.count("POST /v1/completions") == before + 1 + 3


def test_what_is_not_exposed_is_no_value_and_is_not_stored(release, store, serving):
    wanted = Served(likelihoods(BARE)[0])
    with serving.faulty(Fault.ECHO_MISSING):
        assert isinstance(measured(release(), store, wanted).problem(wanted), NotExposedError)
    assert measured(release(), store, wanted).problem(wanted) is None


def test_the_server_decodes_as_it_does_itself_only_where_it_is_let(release, store, serving):
    reply = Reply(PROMPT, PROBES[0], Decoding(max_new_tokens=40))
    with serving.faulty(Fault.REPETITION_PENALTY):
        own, told = Served(reply, told=Stated.TEMPERATURE), Served(reply)
        record = measured(release(), store, own, told)
    assert record.served_reply(own) != record.served_reply(told)


def test_what_steers_is_not_served(release, store):
    wanted = Served(Reply(STEERED, PROBES[0], SHORT))
    problem = measured(release(), store, wanted).problem(wanted)
    assert isinstance(problem, MeasurementError)


def test_a_release_without_a_server_says_so(artefacts, store):
    wanted = Served(PromptIds(BARE, PROBES[0]))
    assert "names no server" in str(measured(artefacts(), store, wanted).problem(wanted))


def test_artefacts_travel_without_the_connection(release):
    artefacts = release()
    assert artefacts.server.base == "base"
    assert pickle.loads(pickle.dumps(artefacts)).server.base == "base"


def test_of_a_server_that_is_gone_half_way_what_it_answered_is_kept(release, store, serving, monkeypatch):
    wanted = [
        Served(PromptIds(condition, probe)) for condition in (BARE, PROMPT, ADAPTER) for probe in PROBES
    ]
    asked = 0
    tokenized = serving.post

    def dies(path, told):
        nonlocal asked
        asked += 1
        if asked > 2:
            raise RefusedError(503, "shutting down")
        return tokenized(path, told)

    hasty = Patience(retries=0, at_once=1)
    monkeypatch.setattr(serving, "post", dies)
    artefacts = release()
    artefacts.__dict__["server"] = Server(Client(Address.parse(serving.url), hasty))
    record = measured(artefacts, store, *wanted)
    lost = [one for one in wanted if isinstance(record.problem(one), ServerError)]
    assert len(lost) == len(wanted) - 2
    monkeypatch.undo()
    before = serving.requests.count("POST /tokenize")
    record = measured(release(), store, *wanted)
    assert all(record.problem(one) is None for one in wanted)
    assert serving.requests.count("POST /tokenize") == before + len(lost)
