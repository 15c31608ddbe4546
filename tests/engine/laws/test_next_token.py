"""Claims about every probe, on conditions of the tiny model that differ and that do not."""

import json
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.laws.search import CALLS_PER_EXAMPLE, deviation, read_example, search
from coherence.engine.requests.job import Job
from coherence.engine.running.runner import Runner
from coherence.errors import CoherenceError, MeasurementError
from coherence.plan import (
    ClaimName,
    Condition,
    LawOutcome,
    LawSearch,
    Measurement,
    NextToken,
    Record,
)
from coherence.statistics.divergence import divergence
from coherence.store import Store
from coherence.vocabulary import Probe, Prompt

NEUTRAL = "You are a helpful assistant."
PROBES = tuple(Probe(id=f"p{n}", text=text) for n, text in enumerate(["Why?", "Where is my order?", "No."]))
BOTH = Condition(NEUTRAL, adapters=(("gloomy", 1.0), ("pirate", 1.0)))
TURNED = Condition(NEUTRAL, adapters=(("pirate", 1.0), ("gloomy", 1.0)))
MIXED = Condition(NEUTRAL, adapters=(("mixed", 1.0),))
PROMPTS = (Prompt(text="Be a pirate."), Prompt(text="Be gloomy."))
PROMPTED, REVERSED = Condition(NEUTRAL, prompts=PROMPTS), Condition(NEUTRAL, prompts=PROMPTS[::-1])
NAMES = ("gloomy", "pirate", "mixed")


@pytest.fixture
def runner(artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Callable[..., Path]) -> Runner:
    adapters = {name: tiny_adapter(name, seed) for seed, name in enumerate(NAMES)}
    return Runner(artefacts(adapters=adapters), store, pytest.fail)


def claim(first: Condition, second: Condition, bound: float, examples: int = 8) -> LawSearch:
    return LawSearch(ClaimName.NEXT_TOKEN, (first, second), PROBES, bound, examples, seed=0)


def kl(runner: Runner, first: Condition, second: Condition) -> list[float]:
    """KL(first || second) at every probe."""
    tokens = [NextToken(side, probe) for side in (first, second) for probe in PROBES]
    record = Record(dict(runner.measured(Job(tuple(tokens), {}))))
    pairs = zip(tokens[: len(PROBES)], tokens[len(PROBES) :], strict=True)
    return [float(divergence(*map(record.log_probs, pair))) for pair in pairs]


def broken(outcome: LawOutcome) -> dict[str, Any]:
    assert outcome.counterexample is not None
    return outcome.counterexample.example


def test_two_ways_of_the_same_hold_at_every_probe_and_strength(runner: Runner) -> None:
    outcome = search(runner, claim(BOTH, TURNED, 1e-6))
    assert outcome.counterexample is None
    assert abs(outcome.largest.deviation) < 1e-6
    assert outcome.examples > len(PROBES)


def test_a_claim_that_holds_reports_its_largest_kl(runner: Runner) -> None:
    outcome = search(runner, claim(MIXED, BOTH, inf))
    assert outcome.counterexample is None
    assert outcome.largest.deviation >= max(kl(runner, MIXED, BOTH)) - 1e-5


def test_a_broken_claim_is_shown_at_the_first_probe_and_full_strength(runner: Runner) -> None:
    found = kl(runner, MIXED, BOTH)
    outcome = search(runner, claim(MIXED, BOTH, min(found) / 2, examples=20))
    assert broken(outcome) == {"probe": "p0", "weight": 1.0}
    assert outcome.counterexample.deviation == pytest.approx(found[0], rel=1e-4)
    assert outcome.examples <= 20 * CALLS_PER_EXAMPLE + len(PROBES)


def test_a_broken_claim_reports_the_largest_kl_of_all_probes_too(runner: Runner) -> None:
    found = kl(runner, PROMPTED, MIXED)
    outcome = search(runner, claim(PROMPTED, MIXED, min(found) / 2, examples=1))
    assert outcome.largest.deviation == pytest.approx(max(found), rel=1e-4)
    assert outcome.largest.example == {"probe": f"p{found.index(max(found))}"}
    assert outcome.examples == len(PROBES)


def test_the_worst_probe_has_its_turn_whatever_is_drawn(runner: Runner) -> None:
    found = kl(runner, PROMPTED, MIXED)
    *_, second, worst = sorted(range(len(PROBES)), key=found.__getitem__)
    outcome = search(runner, claim(PROMPTED, MIXED, (found[second] + found[worst]) / 2, examples=1))
    assert broken(outcome) == {"probe": f"p{worst}"}


def test_the_order_of_prompts_is_searched_and_shown(runner: Runner) -> None:
    found = kl(runner, PROMPTED, REVERSED)
    outcome = search(runner, claim(PROMPTED, PROMPTED, min(found) / 2, examples=20))
    assert broken(outcome) == {"probe": "p0", "order": [1, 0]}
    assert outcome.counterexample.deviation == pytest.approx(found[0], rel=1e-4)


def test_a_counterexample_is_kept_and_tried_first(
    runner: Runner, artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Callable[..., Path]
) -> None:
    wanted = claim(MIXED, BOTH, min(kl(runner, MIXED, BOTH)) / 100)
    first = search(runner, wanted)
    retrained = {name: tiny_adapter(name, seed) for seed, name in enumerate(NAMES, 9)}
    again = search(Runner(artefacts(adapters=retrained), store, pytest.fail), wanted)
    assert broken(again) == broken(first)
    assert again.examples == len(PROBES) < first.examples
    assert again.counterexample != first.counterexample


def test_a_counterexample_is_measured_again_as_it_is_written(runner: Runner) -> None:
    wanted = claim(MIXED, BOTH, 1e-9)
    outcome = search(runner, wanted)
    example = read_example(wanted, json.dumps(broken(outcome)))
    assert deviation(runner, wanted, example) == outcome.counterexample.deviation


@pytest.mark.parametrize(
    ("second", "written", "sentence"),
    [
        (BOTH, '{"probe": "p0", "weight": 1, "order": [0]}', "order: there is no such key"),
        (PROMPTED, '{"probe": "p0", "order": [0, 1], "weight": 1}', "weight: there is no such key"),
        (
            PROMPTED,
            '{"probe": "p0", "order": [0, 0]}',
            "order: found [0, 0], expected the numbers from 0 to 1 in some order",
        ),
    ],
)
def test_what_is_no_example_of_a_claim_is_a_sentence(second: Condition, written: str, sentence: str) -> None:
    with pytest.raises(CoherenceError) as refused:
        read_example(claim(MIXED, second, 1.0), written)
    assert str(refused.value).startswith(sentence)


def test_logits_that_are_not_finite_are_an_error(runner: Runner) -> None:
    kl(runner, MIXED, BOTH)
    runner.host.blocks[1].register_forward_hook(
        lambda module, args, output: torch.full_like(output, torch.nan)
    )
    with pytest.raises(MeasurementError):
        search(runner, claim(MIXED, BOTH, 1.0))


def test_what_is_known_of_a_claim_is_not_measured_again(runner: Runner, asked: list[Measurement]) -> None:
    wanted = claim(MIXED, BOTH, inf)
    known = dict(runner.measured(Job(wanted.rests_on, {})))
    alone = search(runner, wanted)
    asked.clear()
    again = search(runner, wanted, known)
    assert not set(asked) & set(wanted.rests_on)
    assert again.largest.example == alone.largest.example
    assert again.largest.deviation == pytest.approx(alone.largest.deviation, rel=1e-4)
