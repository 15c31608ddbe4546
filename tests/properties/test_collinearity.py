import re
from dataclasses import replace
from itertools import chain
from math import isnan

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Reading, Record, Reply
from coherence.properties.collinearity import Collinearity
from coherence.vocabulary import Part, Regime, Verdict

NAMES = ("pirate", "counsel", "support", "oncall")
PROBES = worlds.probes(24)
PROMPT, ADAPTER, STEERING = (Regime.parse(name) for name in ("prompt", "adapter", "steering"))
DEPTHS, WIDTH = 5, 64


def a_scene(names=NAMES, probes=PROBES, adapters=NAMES):
    return worlds.scene(names, adapters=adapters, asked=probes, regimes=("prompt", "adapter"))


def cast_of(case):
    """The judged persona first, then its controls."""
    return (case.persona, *chain.from_iterable(case.controls_by_kin))


def collinearity(**fields):
    defaults = {"sites": "resid_post.2..3", "min_cosine": 0.5}
    return Collinearity(property="collinearity", **defaults | fields)


def orthonormal(count, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(WIDTH, count)))[0].T


def readings_of(case):
    return [need for need in case.measurements() if isinstance(need, Reading)]


def replies_of(case):
    return {
        need: Answer(f"said in {index}", (index,))
        for index, need in enumerate(case.measurements())
        if isinstance(need, Reply)
    }


def planted(
    case, cosine=0.8, noise=0.5, generic=4.0, swapped=None, shared=0.0, embeddings=0.0, size=1.0, turned=None
):
    """Residuals in which each persona has an axis of its own per regime, at `cosine` of each other.

    `generic` moves every persona alike; `swapped` exchanges the second regimes of the judged and another
    persona; `shared` is noise that a probe has in both regimes. Nothing moves at depth 0. The judged persona
    moves `size` times as far in the second regime, and elsewhere at depth `turned`.
    """
    drawn = np.random.default_rng(1)
    axes = orthonormal(2 * len(cast_of(case)) + 2)
    first = dict(zip(cast_of(case), axes[1:-1:2], strict=True))
    second = {
        name: cosine * axis + np.sqrt(1 - cosine**2) * side
        for (name, axis), side in zip(first.items(), axes[2:-1:2], strict=True)
    }
    if swapped:
        second[case.persona], second[swapped] = second[swapped], second[case.persona]
    scene = case.scene
    moves = {scene.bare: np.zeros(WIDTH)}
    for name in cast_of(case):
        moves[scene.condition(name, case.regimes[0])] = generic * axes[0] + first[name]
        moves[scene.condition(name, case.regimes[1])] = generic * axes[0] + second[name]
    topics = drawn.normal(size=(len(scene.probes), WIDTH)) * 5
    common = drawn.normal(size=(len(cast_of(case)), len(scene.probes), WIDTH)) * shared / np.sqrt(WIDTH)
    owner = {
        scene.condition(name, regime): row
        for row, name in enumerate(cast_of(case))
        for regime in case.regimes
    }
    values = {}
    for reading in readings_of(case):
        row = scene.probes.index(reading.probe)
        value = np.tile(topics[row], (DEPTHS, 1))
        if reading.condition != scene.bare:
            wobble = drawn.normal(size=(DEPTHS, WIDTH)) * noise / np.sqrt(WIDTH)
            moved = np.tile(moves[reading.condition], (DEPTHS, 1))
            if reading.condition == scene.condition(case.persona, case.regimes[1]):
                moved *= size
                wobble *= size
                if turned:
                    moved[turned] = generic * axes[0] + axes[-1]
            value = value + moved + wobble + common[owner[reading.condition], row]
            value[0] = topics[row] + embeddings
        values[reading] = value.astype(np.float32)
    return Record(values | replies_of(case))


def pirate(**fields):
    return collinearity(personas=("pirate",), **fields).cases(a_scene())[0]


def judged(fields=None, **planting):
    case = pirate(**fields or {})
    return case.judge(planted(case, **planting), seed=0)


def by_name(evidence):
    return {criterion.estimate.name: criterion for criterion in evidence.criteria}


def test_a_planted_cosine_is_recovered_within_its_interval():
    evidence = judged(cosine=0.8)
    assert evidence.verdict is Verdict.PASS
    specific = by_name(evidence)["specific cosine"].estimate
    assert specific.value == pytest.approx(0.8, abs=0.03)
    assert specific.low <= 0.8 <= specific.high
    assert specific.n == 24


def test_noise_that_a_probe_has_in_both_regimes_is_not_agreement():
    evidence = judged(cosine=0.3, noise=0.5, shared=2.0)
    specific = by_name(evidence)["specific cosine"].estimate
    assert specific.low <= 0.3 <= specific.high
    assert specific.value == pytest.approx(0.3, abs=0.15)


def test_the_generic_component_alone_does_not_pass():
    evidence = judged(cosine=0.0)
    assert evidence.verdict is Verdict.FAIL
    assert max(evidence.curve.series["raw"].values[1:]) > 0.9
    assert by_name(evidence)["specific cosine"].verdict is Verdict.FAIL


def test_a_persona_that_another_one_stands_in_for_loses_the_margin():
    evidence = judged({"min_margin": 0.0}, swapped="counsel")
    assert by_name(evidence)["margin over best foreign persona"].verdict is Verdict.FAIL
    assert any(note.startswith("best foreign persona: counsel") for note in evidence.notes)


def test_the_fact_is_how_far_the_second_regime_goes():
    assert re.fullmatch(
        r"along the way that prompt moves the model, adapter moves it \d+% as far", judged(cosine=0.8).fact
    )
    assert judged(cosine=-0.8).fact.endswith("% as far in the opposite direction")
    assert judged({"sites": "resid_pre.0"}).fact is None


def test_an_opposite_persona_fails():
    evidence = judged(cosine=-0.8)
    assert evidence.verdict is Verdict.FAIL
    assert by_name(evidence)["specific cosine"].estimate.value == pytest.approx(-0.8, abs=0.03)


def test_directions_that_are_noise_are_inconclusive_and_say_why():
    evidence = judged(noise=30.0)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert re.fullmatch(
        r"the ceiling 0\.\d\d is below 0\.6: 24 probes, about \d+ needed", evidence.criteria[0].unreliable
    )


def test_a_regime_that_moves_nothing_is_undefined_and_not_zero():
    evidence = judged({"sites": "resid_pre.0"})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.criteria[0].unreliable == "prompt moves nothing at resid_pre.0"
    assert isnan(evidence.criteria[0].estimate.value)
    assert [probe.note for probe in evidence.probes] == ["a sample"]


def test_rounding_is_not_a_displacement():
    evidence = judged(embeddings=1e-6)
    assert evidence.curve.series["specific"].values[0] is None


def test_the_curve_covers_all_depths_and_leaves_out_what_is_undefined():
    curve = judged().curve
    assert curve.at == ("resid_pre.0", *(f"resid_post.{block}" for block in range(4)))
    assert list(curve.series) == ["specific", "raw", "ceiling", "best foreign", "random null"]
    assert (curve.value, curve.judged) == ("cosine", ("resid_post.2", "resid_post.3"))
    (threshold,) = curve.thresholds
    assert str(threshold) == "specific at least 0.5"
    specific = curve.series["specific"]
    for value, low, high in list(zip(specific.values, specific.low, specific.high, strict=True))[1:]:
        assert low < value < high
    for line in (one.values for one in curve.series.values()):
        assert line[0] is None
        assert all(-1 <= value <= 1 for value in line[1:])


def test_the_worst_probes_are_named_worst_first():
    case = pirate()
    record = planted(case)
    turned = {reading: record.residuals(reading) for reading in readings_of(case)}
    adapted = case.scene.condition("pirate", ADAPTER)
    for reading, value in turned.items():
        if reading.condition == adapted and reading.probe.id == "q7":
            turned[reading] = 2 * turned[replace(reading, condition=case.scene.bare)] - value
    evidence = case.judge(Record(turned | replies_of(case)), seed=0)
    assert len([probe for probe in evidence.probes if not probe.replies]) == 3
    assert evidence.probes[0].probe == "q7"
    assert "between prompt and adapter" in evidence.probes[0].note


def test_replies_of_both_regimes_stand_side_by_side():
    case = pirate()
    sample = case.judge(planted(case), seed=0).probes[-1]
    assert sample.probe == case.scene.probes[0].id
    assert list(sample.replies) == ["prompt", "adapter"]
    assert set(sample.replies.values()) == {answer.text for answer in replies_of(case).values()}


def test_massive_dimensions_are_reported():
    case = pirate()
    record = planted(case)
    spiked = {reading: record.residuals(reading).copy() for reading in readings_of(case)}
    for reading, value in spiked.items():
        if reading.condition in (case.scene.condition("pirate", regime) for regime in case.regimes):
            value[1:, 5] += 9
    notes = case.judge(Record(spiked | replies_of(case)), seed=0).notes
    assert any("three dimensions carry" in note for note in notes)
    assert not any("three dimensions carry 9" in note for note in judged().notes)


def test_the_same_seed_gives_the_same_evidence():
    case = pirate()
    record = planted(case)
    assert case.judge(record, seed=3) == case.judge(record, seed=3)
    assert case.judge(record, seed=3) != case.judge(record, seed=4)


def test_a_band_beyond_the_model_says_where_the_model_ends():
    with pytest.raises(MeasurementError, match=r"last site is resid_post\.3"):
        judged({"sites": "resid_post.2..9"})


def test_shared_text_is_the_bare_reply_and_own_text_each_conditions_own():
    for text, speaker in (
        ("shared", lambda reading, case: case.scene.bare),
        ("own", lambda reading, case: reading.condition),
    ):
        case = pirate(position="response_mean", text=text)
        for reading in readings_of(case):
            assert reading.text == Reply(speaker(reading, case), reading.probe, case.scene.decoding)


def test_prompt_positions_read_no_reply():
    assert all(reading.text is None for reading in readings_of(pirate(text="own")))


def test_cases_are_all_pairs_of_the_suites_regimes_for_all_able_personas():
    scene = replace(a_scene(adapters=NAMES[:3]), regimes=(PROMPT, ADAPTER, STEERING))
    cases = [(case.persona, case.slug) for case in collinearity().cases(scene)]
    assert [slug for name, slug in cases if name == "oncall"] == ["prompt-steering"]
    assert len(cases) == 3 + 4 + 3


def test_a_stack_may_stand_in_a_pair():
    case = pirate(between=["prompt", "steering+adapter"])
    assert case.slug == "prompt-adapter+steering"
    assert case.regimes[1] == Regime.parse("adapter+steering")


def test_the_controls_are_all_other_personas_that_both_regimes_support():
    scene = a_scene(adapters=NAMES[:3])
    assert collinearity(personas=("support",)).cases(scene)[0].controls_by_kin == (("pirate",), ("counsel",))


def test_kin_are_no_controls_of_each_other_and_count_as_one():
    scene = replace(a_scene(), kin=(frozenset({"pirate", "counsel"}),))
    by_persona = {case.persona: case for case in collinearity().cases(a_scene(names=NAMES))}
    assert len(by_persona["pirate"].controls_by_kin) == 3
    related = collinearity(personas=("support",)).cases(scene)[0]
    assert related.controls_by_kin == (("pirate", "counsel"), ("oncall",))
    assert collinearity(personas=("pirate",)).cases(scene)[0].controls_by_kin == (("support",), ("oncall",))
    with pytest.raises(
        SuiteError, match=r"needs at least three control .* for min_margin.*\(kin count as one\)"
    ):
        collinearity(personas=("support",), min_margin=0.1).cases(scene)


def test_a_margin_is_a_claim_where_it_is_asked_for():
    assert "margin over best foreign persona" not in by_name(judged())
    asked = by_name(judged({"min_margin": 0.5}))
    assert asked["margin over best foreign persona"].verdict is Verdict.PASS
    assert asked["margin over best foreign persona"].estimate.value == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("size", [0.01, 0.1, 0.5, 1, 2])
def test_strength_is_how_far_the_second_regime_goes_along_the_first(size):
    found = by_name(judged({"min_strength": 0.3, "max_strength": 1.2}, cosine=0.8, size=size))
    strength = found["strength of adapter along prompt"]
    assert strength.estimate.value == pytest.approx(0.8 * size, abs=0.03 * size + 0.01)
    assert found["specific cosine"].verdict is Verdict.PASS
    assert judged({"min_strength": 0.3, "max_strength": 1.2}, size=size).verdict is (
        Verdict.PASS if size in (0.5, 1) else Verdict.FAIL
    )


def test_a_second_regime_that_does_nothing_has_the_strength_zero_and_fails():
    evidence = judged(noise=0.0, size=0.0)
    strength = by_name(evidence)["strength of adapter along prompt"]
    assert (strength.estimate.value, strength.verdict) == (0, Verdict.FAIL)
    assert by_name(evidence)["specific cosine"].unreliable == "adapter moves nothing at resid_post.2"


@pytest.mark.parametrize(
    ("planting", "cause"),
    [
        ({"size": -1}, "adapter goes against prompt: its sign may be turned"),
        ({"size": 0.1}, "adapter goes the right way, and not far enough: its scale or dose may be too low"),
        ({"swapped": "counsel"}, "prompt of pirate is nearer to adapter of counsel (cosine"),
        ({}, None),
    ],
)
def test_the_likely_cause_is_told_by_how_far_the_model_goes_where(planting, cause):
    evidence = judged({"min_strength": 0.3, "min_margin": 0.0}, **planting)
    assert (evidence.verdict is Verdict.PASS) == (cause is None)
    assert (evidence.cause or "").startswith(cause or "")


def test_what_hardly_moves_the_model_is_not_said_to_move_it_somewhere():
    assert judged(cosine=-0.5, size=0.002).fact == (
        "along the way that prompt moves the model, adapter hardly moves it"
    )


def test_one_bad_site_of_a_band_is_named_and_can_be_asserted():
    turned = judged({"min_cosine": 0.2}, turned=3)
    assert turned.verdict is Verdict.PASS
    assert any(note.startswith("least of the band at resid_post.2") for note in turned.notes)
    assert judged({"min_cosine": 0.2, "every_site": True}, turned=3).verdict is Verdict.FAIL
    assert judged({"min_cosine": 0.2, "every_site": True}).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("fields", "scene", "sentence"),
    [
        ({"personas": ("pirat",)}, a_scene(), "no persona is named 'pirat'; did you mean 'pirate'"),
        ({"personas": ("oncall",)}, a_scene(adapters=NAMES[:3]), "adapter 'oncall' is not in the release"),
        ({}, a_scene(names=NAMES[:2]), "at least two control personas .* found counsel: add personas"),
        ({}, a_scene(adapters=()), "no persona that two of the regimes"),
        ({}, a_scene(probes=PROBES[:3]), "at least 4 probes; the suite has 3"),
        ({}, replace(a_scene(), regimes=(PROMPT,)), "two regimes are needed"),
    ],
)
def test_what_is_missing_is_a_sentence(fields, scene, sentence):
    with pytest.raises(SuiteError, match=sentence):
        collinearity(**fields).cases(scene)


@pytest.mark.parametrize(
    "between", [["prompt", "prompt"], ["bare", "prompt"], ["prompt"], ["prompt", "adaptor"]]
)
def test_a_pair_is_two_different_regimes(between):
    with pytest.raises(ValidationError):
        collinearity(between=between)


def test_every_field_is_described():
    schema = Collinearity.model_json_schema()
    assert all("description" in field for field in schema["properties"].values())
    assert {"property", "sites", "min_cosine"} == set(schema["required"])


@pytest.mark.parametrize("position", ["response_mean", "g1"])
@pytest.mark.parametrize("text", ["shared", "own"])
def test_a_position_in_a_reply_is_in_the_part_that_is_named(position, text):
    for part in Part:
        case = pirate(position=position, text=text, part=part)
        assert {reading.part for reading in readings_of(case)} == {part}
    with pytest.raises(
        ValidationError, match="part goes with a position in the reply, such as response_mean"
    ):
        collinearity(part="reasoning")
