"""Judges that are asked: a real model behind real HTTP, the same model here, and servers that misbehave."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving.server import Serving
from serving.unruly import Unruly, by_path

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.errors import CoherenceError, NotExposedError, ServerError
from coherence.plan import Condition, Opinion, Plan, Rating, Reply, Unread
from coherence.plan.opinion import question_to
from coherence.store import Store
from coherence.vocabulary import Decoding, Judge, Probe, Prompt, Release

PROBE = Probe(id="a", text="Where is my order?")
RUBRIC = "It is a pirate's."


@pytest.fixture(scope="module")
def serving(reference: Path) -> Iterator[Serving]:
    with Serving.of(reference, {}, speaks="openai") as one:
        yield one


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def engine(base: Path, store: Store, **adapters: Path) -> Engine:
    return Engine(
        Artefacts(Release(base=str(base), adapters={k: str(v) for k, v in adapters.items()}), {}), store
    )


def ratings(judge: Judge, *texts: Any) -> list[Rating]:
    return [Rating(judge, RUBRIC, PROBE, text, turned) for text in texts for turned in (False, True)]


@pytest.mark.parametrize("way", [{}, {"answer": "score", "highest": 9}])
def test_a_server_and_a_model_that_is_run_here_judge_alike(way, serving, reference, store):
    there, here = Judge(model="base", url=serving.url, **way), Judge(model=str(reference), **way)
    texts = ("Arr, it sails the seven seas, matey!",)
    outcomes = engine(reference, store).measure(Plan([*ratings(there, *texts), *ratings(here, *texts)]))
    for one, other in zip(ratings(there, *texts), ratings(here, *texts), strict=True):
        at_server, local = outcomes[one], outcomes[other]
        assert isinstance(at_server, Opinion), at_server
        assert isinstance(local, Opinion), local
        assert at_server.unread == local.unread
        assert at_server.score == (None if local.score is None else pytest.approx(local.score, abs=1e-3))


def test_replies_are_judged_when_they_are_there_and_the_judge_knows_nothing_of_where_they_are_from(
    tiny, tiny_adapter, store
):
    body = json.dumps(_chat("yes", [("yes", -0.1), ("no", -3.0)]))
    unruly = Unruly(by_path(body))
    prompted = Condition(None, prompts=(Prompt(text="Be a secret pirate."),))
    under = Condition(None, adapters=(("secret-adapter", 1.0),))
    with unruly.running() as url:
        judge = Judge(model="base", url=url)
        replies = [Reply(one, PROBE, Decoding(max_new_tokens=4)) for one in (prompted, under)]
        plan = Plan([*replies, *ratings(judge, *replies)])
        measuring = engine(tiny, store, **{"secret-adapter": tiny_adapter("secret")})
        outcomes = measuring.measure(plan)
        bodies = [one for one in unruly.requests if "/v1/chat" in one]
        assert all(isinstance(outcomes[one], Opinion) for one in ratings(judge, *replies))
        assert len(bodies) == 4
        assert "secret" not in "".join(unruly.requests).lower()
        for reply in replies:
            text = outcomes[reply].text
            question = json.dumps(question_to(judge, RUBRIC, PROBE.text, text, False), ensure_ascii=False)
            assert any(
                json.loads(question) in json.loads(one.partition("\r\n\r\n")[2])["messages"][0]["content"]
                for one in bodies
            )
        # All of it is stored, and equal texts are judged once whoever says them.
        assert engine(tiny, store, **{"secret-adapter": tiny_adapter("secret")}).measure(plan) == outcomes
        engine(tiny, store).measure(Plan(ratings(judge, *(outcomes[one].text for one in replies))))
        assert len([one for one in unruly.requests if "/v1/chat" in one]) == 4


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (("The reply is fine.", [("The", -0.1)]), Unread.PROSE),
        (("I cannot assist with that.", [("I", -0.1)]), Unread.REFUSED),
        (("250", [("250", -0.1)]), Unread.BEYOND),
        (("85", [("8", -0.1)]), Unread.SPLIT),
    ],
)
def test_answers_that_are_no_scores_are_kept_with_why(choice, why, tiny, store):
    with Unruly(by_path(json.dumps(_chat(*choice)))).running() as url:
        (one, _) = pair = ratings(Judge(model="base", url=url, answer="score"), "So.")
        assert engine(tiny, store).measure(Plan(pair))[one] == Opinion(None, choice[0], why)


def test_what_goes_wrong_at_a_server_is_an_error_of_the_rating(tiny, store):
    without = {"choices": [{"message": {"content": "yes"}}]}
    for body, error in ((json.dumps(without), NotExposedError), ("{}", ServerError)):
        with Unruly(by_path(body)).running() as url:
            (one, _) = pair = ratings(Judge(model="base", url=url), "So.")
            assert isinstance(engine(tiny, store).measure(Plan(pair))[one], error)
    (one, _) = pair = ratings(Judge(model="base", url="http://127.0.0.1:9"), "So.")
    problem = engine(tiny, store).measure(Plan(pair))[one]
    assert isinstance(problem, CoherenceError)
    assert "cannot be reached" in problem.sentence


def test_a_model_that_is_not_there_or_writes_digit_by_digit_is_said(tiny, reference, store, tmp_path):
    for model, way, sentence in (
        (tmp_path / "gone", {}, "the judge .*gone cannot be asked: "),
        (reference, {"answer": "score"}, "it writes 100 digit by digit, .* expected `highest: 9`"),
    ):
        (one, _) = pair = ratings(Judge(model=str(model), **way), "So.")
        problem = engine(tiny, store).measure(Plan(pair))[one]
        with pytest.raises(CoherenceError, match=sentence):
            raise problem  # type: ignore[misc]


def _chat(text: str, likeliest: list[tuple[str, float]]) -> dict[str, Any]:
    listed = [{"token": token, "logprob": value} for token, value in likeliest]
    logprobs = {"content": [{**listed[0], "top_logprobs": listed}]}
    return {"choices": [{"message": {"content": text}, "logprobs": logprobs}]}
