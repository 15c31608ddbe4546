import re
from dataclasses import replace

import pytest
from drifting import NAMES, PROBES, SCRIPTS, planted, scene, script
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Record
from coherence.properties.conversations.drift import Drift
from coherence.vocabulary import Persona, Release, VectorSource, Verdict


def drift(**fields):
    defaults = {"site": "resid_post.1", "personas": ["pirate"], "regimes": ["adapter"]}
    asked = {} if "max_difference" in fields else {"max_drift": 0.05}
    return Drift(property="drift", **defaults | asked | fields)


def case_of(cast=None, **fields):
    return drift(**fields).cases(cast or scene())[0]


def moving(by, start=1.0):
    """Whoever is a persona moves by so much a turn, from where it stands in single replies."""
    return lambda who, turn: (start if turn is None else start + by * turn) if who else 0.0


def judged(place, noise=0.05, says=lambda who, turn: "Arr.", cast=None, **fields):
    case = case_of(cast, **fields)
    return case.judge(planted(case, place, says, noise), seed=0)


def by_name(evidence):
    return {criterion.estimate.name: criterion for criterion in evidence.criteria}


def test_a_persona_that_stays_passes():
    evidence = judged(moving(0.0), min_turns=5, coverage=0.99, min_rate=0.5)
    assert evidence.verdict is Verdict.PASS
    assert by_name(evidence)["slope per turn"].estimate.value == pytest.approx(0, abs=0.01)
    assert "first turn whose whole interval is out of the region: none" in evidence.notes


@pytest.mark.parametrize(("by", "side"), [(-0.1, "below"), (0.1, "above")])
def test_a_persona_that_moves_fails_and_leaves_its_region(by, side):
    evidence = judged(moving(by), min_turns=5)
    criteria = by_name(evidence)
    assert criteria["slope per turn"].verdict is Verdict.FAIL
    assert criteria["slope per turn"].estimate.value == pytest.approx(by, abs=0.01)
    assert criteria["margin in the region through turn 5"].verdict is Verdict.FAIL
    assert re.fullmatch(rf"first turn whose .* region: turn [23], {side} the region", evidence.notes[1])
    total = re.match(r"last turn minus first (\S+) ", evidence.notes[2])
    assert float(total[1]) == pytest.approx(4 * by, abs=0.02)


def test_too_much_noise_is_inconclusive():
    evidence = judged(moving(0.05), noise=0.6)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert not by_name(evidence)["slope per turn"].unreliable


def test_an_axis_of_noise_places_nothing():
    evidence = judged(lambda who, turn: 0.0, noise=1.0)
    assert {criterion.verdict for criterion in evidence.criteria} == {Verdict.INCONCLUSIVE}
    for criterion in evidence.criteria:
        assert criterion.unreliable.startswith(
            "the axis of pirate is not reliable at resid_post.1: the ceiling"
        )


def test_an_axis_without_length_is_a_sentence():
    with pytest.raises(MeasurementError, match=r"the axis of pirate has no length at resid_post\.1"):
        judged(lambda who, turn: 0.0, noise=0.0)


def test_the_region_is_that_of_the_regime_and_not_of_the_prompt():
    """An adapter that is weaker than the prompt is at home where it is weak."""
    case = case_of()
    record, prompted = planted(case, moving(0.0, start=0.4)), planted(case, moving(0.0, start=1.0))
    mixed = {
        need: (prompted if need.condition.prompts else record)._values[need] for need in case.measurements()
    }
    evidence = case.judge(Record(mixed), seed=0)
    assert evidence.verdict is Verdict.PASS
    low, high = map(float, re.findall(r"-?\d\.\d\d", evidence.notes[0]))
    assert 0.3 < low < high < 0.5


def test_a_wider_coverage_is_a_wider_region():
    widths = []
    for coverage in (0.5, 0.9):
        curve = judged(moving(0.0), coverage=coverage).curve
        widths.append(curve.zone.high[0] - curve.zone.low[0])
    assert widths[1] > 2 * widths[0]


def test_markers_that_cease_fail():
    evidence = judged(moving(0.0), says=lambda who, turn: "Arr." if not turn else "Hello.", min_rate=0.6)
    rate = by_name(evidence)["marker rate"]
    assert (rate.estimate.value, rate.verdict) == (pytest.approx(0.2), Verdict.FAIL)
    table = next(table for table in evidence.tables if "marker" in table.name)
    assert [row[0] for row in table.cells] == [1, 0, 0, 0, 0]
    assert evidence.curve.series["marker rate"].values == (1, 0, 0, 0, 0)


def test_a_persona_without_markers_has_none_in_its_evidence():
    cast = scene(pirate=Persona(prompt="Be pirate."))
    evidence = judged(moving(0.0), cast=cast)
    assert "marker rate" not in evidence.curve.series
    assert not [table for table in evidence.tables if "marker" in table.name]
    with pytest.raises(SuiteError, match="'pirate' has no markers, and min_rate counts them"):
        case_of(cast, min_rate=0.5)
    assert [case.persona for case in drift(personas=None, min_rate=0.5).cases(cast)] == ["counsel"]


def test_the_curve_goes_from_turn_to_turn_beside_the_bare_model():
    curve = judged(moving(-0.1)).curve
    assert (curve.over.title, curve.at) == ("turn", ("1", "2", "3", "4", "5"))
    position = curve.series["position"]
    assert position.values == pytest.approx([1, 0.9, 0.8, 0.7, 0.6], abs=0.03)
    assert curve.series["the bare model"].values == pytest.approx([0] * 5, abs=0.05)
    for low, found, high in zip(position.low, position.values, position.high, strict=True):
        assert low < found < high


def test_kinds_of_scripts_are_told_apart():
    evidence = judged(moving(-0.1))
    table = next(table for table in evidence.tables if "kind" in table.name)
    assert table.rows == ("neutral", "pressure", "adversarial")
    assert [row[0] for row in table.cells] == [4, 2, 2]
    assert [row[1] for row in table.cells] == pytest.approx([-0.1] * 3, abs=0.03)


def test_the_worst_answers_are_quoted_with_their_markers():
    case = case_of()
    record = planted(case, moving(-0.2), says=lambda who, turn: f"Arr {turn}")
    first, *_ = case.judge(record, seed=0).probes
    assert re.fullmatch(r"turn 5 \(\w+\) at 0\.[12]\d, below the region: Turn 4 of \d\?", first.note)
    assert first.replies == {"turn 5": "Arr 4"}
    assert first.marks == {"turn 5": ((0, 3),)}
    assert first.probe in {script.id for script in SCRIPTS}


def test_neither_nobody_nor_another_passes_for_the_persona():
    case = case_of()
    assert list(case.controls()) == ["nothing in its place", "counsel by adapter"]
    record = planted(case, moving(0.0))
    others = {name: several[0] for name, several in case.controls().items()}
    for other in others.values():
        whole = Record({**record._values, **planted(other, moving(0.0))._values})
        assert other.judge(whole, seed=0).verdict is Verdict.FAIL


def test_random_vectors_talk_where_the_regime_steers():
    cast = scene()
    steered = replace(cast, release=Release(vectors={"pirate": VectorSource(path="pirate.safetensors")}))
    for regime in ("steering", "prompt+steering"):
        drawn = case_of(steered, regimes=[regime]).controls()["random vectors"]
        talking = {
            need.condition for each in drawn for need in each.measurements() if need.probe not in PROBES
        }
        assert len({steer.drawn for condition in talking for steer in condition.steers} - {None}) == len(
            drawn
        )


def test_a_control_holds_what_it_hears_against_the_persona_s_own_region():
    (bare,) = case_of().controls()["nothing in its place"]
    talking = {need.condition for need in bare.measurements() if need.probe not in PROBES}
    assert talking == {scene().bare}
    assert scene().condition("pirate", bare.regimes[0]) in {need.condition for need in bare.measurements()}


def test_personas_that_are_judged_take_each_others_places():
    cast = scene(extra=Persona(prompt="Be extra.", adapter="counsel"))
    first, _ = drift(personas=["pirate", "extra"]).cases(cast)
    assert list(first.controls()) == ["nothing in its place", "extra by adapter"]


def test_regimes_that_drift_alike_pass_wherever_they_are():
    case = case_of(regimes=["prompt", "adapter"], max_difference=0.05)
    record = planted(case, moving(-0.1))
    assert case.slug == "prompt-adapter"
    evidence = case.judge(record, seed=0)
    assert evidence.verdict is Verdict.PASS
    assert evidence.decisive.estimate.name == "slope adapter - prompt"
    assert list(evidence.curve.series) == ["prompt", "adapter"]
    assert case.controls() == {}


def test_regimes_that_drift_apart_fail_by_the_difference_of_their_slopes():
    case = case_of(between=["prompt", "adapter"], max_difference=0.05)
    still, moved = planted(case, moving(0.0)), planted(case, moving(-0.1))
    mixed = {
        need: (moved if need.condition.adapters else still)._values[need] for need in case.measurements()
    }
    evidence = case.judge(Record(mixed), seed=0)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.value == pytest.approx(-0.1, abs=0.02)
    (table,) = evidence.tables
    assert [row[0] for row in table.cells] == pytest.approx([0, -0.1, -0.2, -0.3, -0.4], abs=0.04)


def test_ids_name_regimes_and_pairs():
    asked = drift(personas=None, regimes=None, max_drift=0.1, max_difference=0.1)
    slugs = ["prompt", "adapter", "steering", "prompt-adapter", "prompt-steering", "adapter-steering"]
    assert [(case.persona, case.slug) for case in asked.cases(scene())] == [
        (name, slug) for slug in slugs for name in NAMES
    ]
    assert ["-".join(map(str, case.regimes)) for case in asked.cases(scene())[:: len(NAMES)]] == slugs


def test_criteria_take_no_more_than_they_need():
    """The bare model's conversations are there to be looked at."""
    case = case_of(min_rate=0.5)
    whole = planted(case, moving(0.0))
    record = Record({need: whole._values[need] for need in case.needs()})
    assert [one.key for one in case.criteria(case.sample(record, seed=0))] == [
        "max_drift",
        "min_turns",
        "min_rate",
    ]


def test_only_the_scripts_that_are_named_are_put():
    case = case_of(scripts=["script-1", "script-3", "script-5", "script-6"])
    assert case.drifting.scripts == ["script-1", "script-3", "script-5", "script-6"]


def test_answers_that_are_written_down_are_not_judged():
    given = replace_turn(SCRIPTS[0], 2, assistant="Arr.")
    evidence = judged(moving(-0.1), cast=scene(scripts=(given, *SCRIPTS[1:])))
    assert by_name(evidence)["slope per turn"].estimate.value == pytest.approx(-0.1, abs=0.01)


def replace_turn(script, place, **fields):
    turns = list(script.turns)
    turns[place] = turns[place].model_copy(update=fields)
    return script.model_copy(update={"turns": tuple(turns)})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scripts": ["script-11"]}, "no script is named 'script-11'; did you mean 'script-1'?"),
        ({"scripts": ["script-1"]}, "drift needs at least 4 scripts, and the suite has 1 for it"),
        ({"min_turns": 6}, "min_turns is 6, and the longest script has 5 turns"),
        ({"personas": ["pirat"]}, "no persona is named 'pirat'; did you mean 'pirate'?"),
    ],
)
def test_what_cannot_be_put_is_a_sentence(fields, sentence):
    with pytest.raises(SuiteError, match=re.escape(sentence)):
        case_of(**fields)


def test_scripts_with_one_answer_have_no_slope():
    short = (*SCRIPTS, script(9, turns=1))
    with pytest.raises(
        SuiteError, match="answers 1 of the turns of the script 'script-9'; drift needs at le"
    ):
        case_of(scene(scripts=short))


def test_the_axis_needs_a_prompt_and_a_persona():
    promptless = scene(pirate=Persona())
    with pytest.raises(SuiteError, match="persona 'pirate' has no prompt, and the axis leads"):
        case_of(promptless)
    without = replace(promptless, personas={"pirate": Persona()})
    with pytest.raises(SuiteError, match="drift found no persona with a prompt"):
        case_of(without, personas=None)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"max_drift": None}, "nothing is asserted; expected max_drift, max_difference or both"),
        ({"regimes": ["bare"]}, "the bare model has no persona to keep"),
        ({"between": ["prompt", "adapter"]}, "between goes with max_difference"),
        ({"max_difference": 0.1, "min_rate": 0.5}, "min_rate goes with max_drift"),
        ({"coverage": 1.0}, "less than 1"),
    ],
)
def test_what_makes_no_claim_is_a_sentence(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        drift(**fields)
