"""The claim of the same position, on adapters and vectors of the tiny model."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import key_of
from coherence.engine.laws.search import CALLS_PER_EXAMPLE, deviation, read_example, search
from coherence.engine.requests.job import Job
from coherence.engine.running.runner import Runner
from coherence.errors import CoherenceError
from coherence.plan import ClaimName, Condition, LawSearch, Measurement, Steer
from coherence.store import Store
from coherence.vocabulary import Position, Probe, Prompt, Site, VectorSource

NEUTRAL = "You are a helpful assistant."
PROBES = tuple(Probe(id=f"p{n}", text=text) for n, text in enumerate(["Why?", "Where is my order?", "No."]))
POLES = ("upbeat", "gloomy")
PROMPTED = tuple(Condition(NEUTRAL, prompts=(Prompt(text=f"Be {pole}."),)) for pole in POLES)
ADAPTED = tuple(Condition(NEUTRAL, adapters=((pole, 1.0),)) for pole in POLES)
STEERED = tuple(Condition(NEUTRAL, steers=(Steer(pole, 0.5),)) for pole in POLES)
ADAPTER, STEERING = "adapter upbeat against adapter gloomy", "vector upbeat against vector gloomy"


@pytest.fixture
def runner(
    artefacts: Callable[..., Artefacts],
    store: Store,
    tiny_adapter: Callable[..., Path],
    tiny_vector: Callable[..., Path],
) -> Runner:
    adapters = {pole: tiny_adapter(pole, seed=seed) for seed, pole in enumerate(POLES)}
    vectors = {pole: VectorSource(path=str(tiny_vector(pole, seed=seed))) for seed, pole in enumerate(POLES)}
    return Runner(artefacts(adapters=adapters, vectors=vectors), store, pytest.fail)


def claim(*regimes: tuple[Condition, ...], bound: float = 0.1, examples: int = 6) -> LawSearch:
    conditions = (*PROMPTED, *(condition for ends in regimes for condition in ends))
    read = (Site.parse("resid_post.2"), Position.PROMPT_LAST)
    return LawSearch(ClaimName.SAME_POSITION, conditions, PROBES, bound, examples, 0, read)


def test_a_vector_of_no_dose_moves_no_mixture(runner: Runner) -> None:
    stacked = tuple(
        replace(end, steers=(Steer(pole, 0.0),)) for pole, end in zip(POLES, ADAPTED, strict=True)
    )
    outcome = search(runner, claim(ADAPTED, stacked, bound=1e-4))
    assert outcome.counterexample is None
    assert outcome.examples > 1


def test_a_broken_claim_is_shown_at_its_smallest_weight(runner: Runner) -> None:
    wide = claim(ADAPTED, STEERED, bound=inf)
    half = deviation(runner, wide, {"pair": [ADAPTER, STEERING], "weight": 0.5})
    assert half > 0
    outcome = search(runner, replace(wide, tolerance=half / 2))
    assert outcome.counterexample is not None
    found = outcome.counterexample.example
    assert tuple(found["pair"]) == (ADAPTER, STEERING)
    assert 0 < found["weight"] <= 0.5
    assert outcome.largest.deviation >= outcome.counterexample.deviation > half / 2
    assert outcome.examples <= 6 * CALLS_PER_EXAMPLE + 1


def test_poles_have_their_place_whatever_they_are(runner: Runner) -> None:
    for weight in (0.0, 1.0):
        example = {"pair": [ADAPTER, STEERING], "weight": weight}
        assert deviation(runner, claim(ADAPTED, STEERED), example) == 0


def test_a_counterexample_is_measured_again_as_it_is_written(runner: Runner) -> None:
    wanted = claim(ADAPTED, STEERED, bound=1e-9)
    outcome = search(runner, wanted)
    assert outcome.counterexample is not None
    example = read_example(wanted, json.dumps(outcome.counterexample.example))
    assert deviation(runner, wanted, example) == outcome.counterexample.deviation


def test_a_counterexample_is_tried_first(runner: Runner) -> None:
    wanted = claim(ADAPTED, STEERED, bound=1e-9)
    first = search(runner, wanted)
    again = search(runner, wanted)
    assert again.counterexample is not None
    assert first.counterexample is not None
    assert json.dumps(again.counterexample.example) == json.dumps(first.counterexample.example)
    assert again.examples == 1  # which is that of every two regimes, too


def test_a_regime_that_nobody_knows_is_a_sentence() -> None:
    pair = json.dumps({"pair": [ADAPTER, "vector upbaet against vector gloomy"], "weight": 0.5})
    with pytest.raises(
        CoherenceError, match=r"pair: 1: found 'vector upbaet against vector gloomy'; did you"
    ):
        read_example(claim(ADAPTED, STEERED), pair)


def test_where_it_is_read_belongs_to_its_key(runner: Runner) -> None:
    wanted = claim(ADAPTED, STEERED)
    assert wanted.read
    elsewhere = replace(wanted, read=(Site.parse("resid_post.1"), wanted.read[1]))
    assert key_of(wanted, runner.artefacts) != key_of(elsewhere, runner.artefacts)


def test_poles_that_are_known_are_not_read_again(runner: Runner, asked: list[Measurement]) -> None:
    wanted = claim(ADAPTED, STEERED, bound=inf)
    known = dict(runner.measured(Job(wanted.rests_on, {})))
    alone = search(runner, wanted)
    asked.clear()
    again = search(runner, wanted, known)
    assert asked
    assert not set(asked) & set(wanted.rests_on)
    assert again.largest.example == alone.largest.example
    assert again.largest.deviation == pytest.approx(alone.largest.deviation, rel=1e-4)
