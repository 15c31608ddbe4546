import re

import numpy as np
import pytest
from poles import DEPTH, PROBES, WIDTH, attractor, readings_of, scene
from pydantic import ValidationError

from coherence.errors import SuiteError
from coherence.plan import Answer, Record, Reply
from coherence.vocabulary import Persona, Regime, Site, Verdict


def case_of(**fields):
    return attractor(**fields).cases(scene())[0]


def replies_of(case):
    return {
        need: Answer(f"said in {index}", (index,))
        for index, need in enumerate(case.measurements())
        if isinstance(need, Reply)
    }


def planted(case, answer, reach=2.0, noise=0.05):
    """Residuals on a line between the poles: a mixture lies at `answer(w)` of the regime's `reach` on it."""
    drawn = np.random.default_rng(0)
    line, questions = drawn.normal(size=WIDTH), drawn.normal(size=(len(PROBES), WIDTH))
    at = {condition: answer(w) * reach for w, several in case.mixed.mixtures.items() for condition in several}
    at |= dict(zip(case.mixed.prompted, (2.0, 0.0), strict=True))
    values = {}
    for reading in readings_of(case):
        row = PROBES.index(reading.probe)
        values[reading] = np.full((DEPTH, WIDTH), np.nan, np.float32)
        values[reading][2] = questions[row] + at[reading.condition] * line + noise * drawn.normal(size=WIDTH)
    return Record(values | replies_of(case))


def judged(answer, reach=2.0, noise=0.05, **fields):
    case = case_of(**fields)
    return case.judge(planted(case, answer, reach, noise), seed=0)


def by_name(evidence):
    return {criterion.estimate.name: criterion for criterion in evidence.criteria}


def test_a_linear_mixture_passes():
    evidence = judged(lambda w: w)
    assert evidence.verdict is Verdict.PASS
    assert by_name(evidence)["tipping weight"].estimate.value == pytest.approx(0.5, abs=0.02)
    assert by_name(evidence)["separation of the poles"].estimate.value == pytest.approx(1, abs=0.02)
    assert evidence.notes[1].startswith("the response rises throughout: smallest step 1.0")
    assert evidence.notes[2].startswith("a line fits the response better: steepness -0.0")


def test_a_planted_attractor_fails_with_its_area_and_tipping_weight():
    evidence = judged({0: 0, 0.25: 0.8, 0.5: 0.9, 0.75: 0.95, 1: 1}.get)
    assert evidence.verdict is Verdict.FAIL
    criteria = by_name(evidence)
    assert criteria["signed area"].verdict is criteria["tipping weight"].verdict is Verdict.FAIL
    assert criteria["signed area"].estimate.value == pytest.approx(
        (0.8 + 0.9 + 0.95 + 0.5) / 4 - 0.5, abs=0.02
    )
    assert criteria["tipping weight"].estimate.value == pytest.approx(0.25 * 0.5 / 0.8, abs=0.02)
    assert evidence.notes[0] == "upbeat attracts: an even mixture stands 0.90 of the way to upbeat"
    assert all("towards upbeat" in note.note for note in evidence.probes if not note.replies)


def test_the_other_pole_attracts_with_the_other_sign():
    evidence = judged(lambda w: w**4)
    assert by_name(evidence)["signed area"].estimate.high < 0
    assert evidence.notes[0].startswith("gloomy attracts")


def test_a_response_that_turns_back_is_not_monotone():
    evidence = judged({0: 0, 0.25: 0.6, 0.5: 0.3, 0.75: 0.6, 1: 1}.get, min_step=0)
    assert "is not monotone" in evidence.notes[1]
    step = by_name(evidence)["smallest step"]
    assert step.verdict is Verdict.FAIL
    assert step.estimate.value == pytest.approx(-0.3 / 0.25, abs=0.1)


def test_a_switch_fails_where_a_slide_is_asked_for():
    def switch(w):
        return 1 / (1 + np.exp(-30 * (w - 0.5)))

    steep = by_name(judged(switch, max_steepness=0.05))["steepness"]
    assert steep.verdict is Verdict.FAIL
    assert steep.estimate.value > 0.1
    assert by_name(judged(lambda w: w, max_steepness=0.05))["steepness"].verdict is Verdict.PASS


def test_a_response_that_may_turn_back_is_inconclusive():
    evidence = judged(lambda w: w, noise=2.0, min_step=0)
    assert by_name(evidence)["smallest step"].verdict is Verdict.INCONCLUSIVE
    assert "may not be monotone" in evidence.notes[1]


def test_prompts_have_too_few_weights_for_a_steepness():
    case = case_of(regimes=["prompt"], max_steepness=0.05)
    assert "steepness" not in by_name(case.judge(planted(case, lambda w: w), seed=0))
    with pytest.raises(ValidationError, match="needs at least 5 weights"):
        attractor(weights=(0, 0.5, 1), max_steepness=0.05)


def test_the_curve_runs_from_pole_to_pole():
    curve = judged(lambda w: w**2).curve
    assert (curve.over.title, curve.over.diagonal) == ("weight of the mixture", "a linear response")
    assert curve.at == ("0", "0.25", "0.5", "0.75", "1")
    position = curve.series["m"]
    assert (position.values[0], position.values[-1]) == (0, 1)
    assert curve.series["D"].values == pytest.approx([0, -3 / 16, -1 / 4, -3 / 16, 0], abs=0.02)
    for low, m, high in zip(position.low, position.values, position.high, strict=True):
        assert low <= m <= high


def test_departures_from_a_line_have_intervals():
    (table,) = judged(lambda w: w**2).tables
    assert table.rows[2] == "weight 0.5"
    off, low, high = table.cells[2]
    assert low < off < high
    assert off == pytest.approx(-0.25, abs=0.02)


def test_reversed_poles_fail():
    evidence = judged(lambda w: -w)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.name == "separation of the poles"
    assert evidence.decisive.estimate.value == pytest.approx(-1, abs=0.02)
    assert evidence.notes[-1] == "adapter moves against the prompts"


def test_poles_that_cannot_be_told_apart_are_inconclusive():
    evidence = judged(lambda w: w, reach=0.2, noise=1.5)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    reason = by_name(evidence)["signed area"].unreliable
    assert re.fullmatch(
        r"the poles do not lie apart under adapter: separation .*; 24 probes, (about|over) \d+ needed", reason
    )


def test_poles_that_lie_on_one_another_fail_by_their_separation_alone():
    evidence = judged(lambda w: 0.0)
    assert evidence.decisive.estimate.name == "separation of the poles"
    assert by_name(evidence)["tipping weight"].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("regime", ["adapter", "prompt"])
def test_prompts_that_do_the_same_give_no_axis(regime):
    case = case_of(regimes=[regime])
    record = planted(case, lambda w: w, noise=0.0)
    same = {r: record.residuals(readings_of(case)[PROBES.index(r.probe)]) for r in readings_of(case)}
    evidence = case.judge(Record(same | replies_of(case)), seed=0)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert by_name(evidence)["separation of the poles"].unreliable == (
        "the prompts of both poles do the same: there is no axis between them"
    )


@pytest.mark.parametrize("regime", ["adapter", "prompt"])
def test_an_axis_of_noise_decides_nothing(regime):
    case = case_of(regimes=[regime])
    drawn = np.random.default_rng(5)
    noise = {reading: drawn.normal(size=(DEPTH, WIDTH)) for reading in readings_of(case)}
    evidence = case.judge(Record(noise | replies_of(case)), seed=0)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    for criterion in evidence.criteria:
        assert criterion.unreliable.startswith("the prompted poles do not lie apart")


def test_a_regime_that_moves_nothing_is_undefined_between_its_poles():
    evidence = judged(lambda w: 0.0, noise=0.0)
    assert np.isnan(by_name(evidence)["tipping weight"].estimate.value)
    assert by_name(evidence)["signed area"].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("tipping", [(0.2, 1.5), (-0.1, 0.5), (0.7, 0.3)])
def test_a_tipping_range_lies_among_the_weights(tipping):
    with pytest.raises(ValidationError, match="does not rise within 0 to 1, the weights of a mixture"):
        attractor(tipping=tipping)


def test_nothing_beyond_the_site_is_read():
    for position in ("prompt_last", "response_mean"):
        readings = readings_of(case_of(site="resid_post.0", position=position))
        assert readings
        assert {reading.through for reading in readings} == {Site.parse("resid_post.0")}


def test_prompts_are_mixed_half_and_half_in_both_orders():
    case = case_of(regimes=["prompt"])
    assert list(case.mixed.mixtures) == [0, 0.5, 1]
    orders = [[prompt.text for prompt in condition.prompts] for condition in case.mixed.mixtures[0.5]]
    assert orders == [["Be upbeat.", "Be gloomy."], ["Be gloomy.", "Be upbeat."]]
    assert case.mixed.mixtures[1] == (case.mixed.prompted[0],)
    assert case.judge(planted(case, lambda w: w), seed=0).verdict is Verdict.PASS


def test_artefacts_are_mixed_by_weight():
    case = case_of(regimes=["adapter+steering"])
    (quarter,) = case.mixed.mixtures[0.25]
    assert quarter.adapters == (("upbeat", 0.25), ("gloomy", 0.75))
    assert [(steer.vector, steer.dose) for steer in quarter.steers] == [("upbeat", 0.125), ("gloomy", 0.375)]
    assert case.mixed.mixtures[0][0].adapters == (("gloomy", 1.0),)


def test_ids_name_the_pair_and_the_regime():
    cases = attractor(regimes=["steering", "adapter"]).cases(scene())
    assert [(case.persona, case.slug, case.regimes) for case in cases] == [
        ("upbeat-gloomy", "steering", (Regime.STEERING,)),
        ("upbeat-gloomy", "adapter", (Regime.ADAPTER,)),
    ]


def test_ways_without_a_regime_have_assertions_of_their_own_and_no_controls():
    examples = [{"user": f"Why {n}?", "replies": ["Great!", "Sadly."]} for n in range(4)]
    cases = attractor(regimes=[], trained={0.5: "mixed"}, examples=examples).cases(scene())
    assert [(case.slug, case.regimes) for case in cases] == [("trained", ()), ("examples", ())]
    assert [case.controls() for case in cases] == [{}, {}]
    for case in cases:
        assert case.judge(planted(case, lambda w: w), seed=0).verdict is Verdict.PASS


def test_in_the_reply_every_condition_reads_the_same_text():
    texts = {
        reading.text
        for reading in readings_of(case_of(position="response_mean"))
        if reading.probe == PROBES[0]
    }
    assert [text.condition for text in texts] == [scene().bare]


def test_an_unknown_pole_is_an_error():
    with pytest.raises(SuiteError, match="did you mean 'upbeat'"):
        attractor(poles=("upbaet", "gloomy")).cases(scene())


def test_a_pole_without_a_prompt_has_no_axis():
    with pytest.raises(SuiteError, match="its prompt is not written in the suite"):
        attractor().cases(scene(personas={"upbeat": Persona(prompt="Be upbeat."), "gloomy": Persona()}))


@pytest.mark.parametrize("weights", [(0, 1), (0, 0.5), (0.5, 0, 1), (0, 0.5, 0.5, 1)])
def test_weights_rise_from_0_to_1(weights):
    with pytest.raises(ValidationError, match="do not rise from 0 to 1"):
        attractor(weights=weights)
