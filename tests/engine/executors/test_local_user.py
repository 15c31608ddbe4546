"""Users that answer: a model that is run here, the same behind HTTP, and conversations that go on with it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conditions import BARE, PROMPT
from serving.unruly import Unruly, by_path

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executors.local import LocalExecutor
from coherence.errors import CoherenceError
from coherence.plan import Answer, Likelihood, Plan, Reading, Reply, Turn
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Release, User

PROBE = Probe(id="order", text="Where is my order?")
DECODING = Decoding(max_new_tokens=6)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def engine(base: Path, store: Store, **given) -> Engine:
    return Engine(Artefacts(Release(base=str(base)), {}), store, **given)


def talk(user: User, condition=PROMPT, turns=3) -> Reply:
    return Reply(condition, PROBE, DECODING, (Turn("", user=user),) * turns)


def test_a_conversation_with_a_user_is_that_with_its_words_written_down(tiny, store, tmp_path):
    user = User(model=str(tiny), prompt="You want your order.", max_new_tokens=8)
    whole = talk(user)
    asked = [*whole.conversation, Reading(PROMPT, PROBE, Position.RESPONSE_MEAN, whole)]
    asked.append(Likelihood(BARE, PROBE, whole))
    outcomes = engine(tiny, store).measure(Plan(asked))
    said = [outcomes[one].text for one in whole.user_turns]
    assert len(said) == 3
    assert all(said)
    written = replace(whole, turns=tuple(map(Turn, said)))
    plain = [*written.conversation, Reading(PROMPT, PROBE, Position.RESPONSE_MEAN, written)]
    plain.append(Likelihood(BARE, PROBE, written))
    others = engine(tiny, Store(tmp_path / "other")).measure(Plan(plain))
    *replies, reading, likelihood = zip(asked, plain, strict=True)
    assert all(outcomes[one] == others[other] for one, other in replies)
    for one, other in (reading, likelihood):
        assert outcomes[one] == pytest.approx(others[other], abs=1e-4)


def test_every_persona_hears_one_user_which_is_asked_once(tiny, store):
    user = User(model=str(tiny), prompt="You want your order.", max_new_tokens=8)
    first, second = talk(user), talk(user, BARE)
    outcomes = engine(tiny, store).measure(Plan([first]))
    again = engine(tiny, store, executor=_no_model).measure(Plan([*first.user_turns, second.known[-1]]))
    assert all(again[one] == outcomes[one] for one in again)


def test_another_seed_is_another_user(tiny, store):
    users = [User(model=str(tiny), prompt="You want your order.", seed=seed) for seed in (0, 1)]
    outcomes = engine(tiny, store).measure(Plan([talk(user, turns=1) for user in users]))
    said = [outcomes[one].text for user in users for one in talk(user, turns=1).user_turns]
    assert said[0] != said[1]


def test_a_user_behind_http_is_told_the_conversation_and_goes_on(tiny, store):
    unruly = Unruly(_answers("And when does it come?"))
    with unruly.running() as url:
        user = User(model="base", url=url, prompt="You want your order.", seed=5)
        outcomes = engine(tiny, store).measure(Plan([talk(user, turns=2)]))
        sent = [json.loads(one.partition("\r\n\r\n")[2]) for one in unruly.requests if "/v1/chat" in one]
    assert [outcomes[one].text for one in talk(user, turns=2).user_turns] == ["And when does it come?"] * 2
    assert {one["seed"] for one in sent} == {5}
    first, second = (one["messages"][0]["content"] for one in sent)
    heard = outcomes[Reply(BARE, PROBE, DECODING)].text
    assert f"User: {PROBE.text}\nAssistant: {heard}" in first
    assert "User: And when does it come?" in second
    assert isinstance(outcomes[talk(user, turns=2)], Answer)


@pytest.mark.parametrize("said", ["", "User:"])
def test_a_user_that_says_nothing_ends_its_conversations_and_no_others(tiny, store, said):
    unruly = Unruly(_answers(said))
    with unruly.running() as url:
        user = User(model="base", url=url, prompt="You want your order.")
        other = Reply(PROMPT, PROBE, DECODING)
        outcomes = engine(tiny, store).measure(Plan([talk(user), other]))
    assert isinstance(outcomes[other], Answer)
    problem = outcomes[talk(user)]
    assert isinstance(problem, CoherenceError)
    assert "says nothing, with seed 0" in problem.sentence


def test_a_user_that_cannot_be_loaded_is_blamed_by_name(tiny, store, tmp_path):
    user = User(model=str(tmp_path / "nowhere"), prompt="You want your order.")
    problem = engine(tiny, store).measure(Plan([talk(user)]))[talk(user)]
    assert isinstance(problem, CoherenceError)
    assert f"the user {user} cannot be asked" in problem.sentence


def _answers(text):
    return by_path(json.dumps({"choices": [{"message": {"content": text}}]}))


def _no_model(*made_for):
    class Idle(LocalExecutor):
        def run(self, jobs):
            raise AssertionError([job.measurements for job in jobs])

    return Idle(*made_for)
