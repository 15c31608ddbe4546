import re
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import worlds
from pydantic import ValidationError
from stepwise import step_by_step

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Likelihood, Plan, Reading, Record, Reply
from coherence.properties.composition.dose import Dose
from coherence.reports.grounds import explain
from coherence.results import AssertionResult, sentence_of
from coherence.vocabulary import Marker, Operation, Persona, Regime, Verdict

pytestmark = pytest.mark.filterwarnings("error")

PROBES = worlds.probes(24)
SITE, DEPTHS, WIDTH = "resid_post.1", 3, 16
SAYS = {"pirate": "arr", "counsel": "shall", "upbeat": "great"}
LINES = dict(zip(SAYS, np.random.default_rng(0).normal(size=(3, WIDTH)), strict=True))


def persona(name, **changes):
    return worlds.persona(name, markers=[SAYS[name]]).model_copy(update=changes)


def scene(probes=PROBES, vectors=tuple(SAYS), **changed):
    return worlds.scene({name: persona(name) for name in SAYS} | changed, (), vectors, probes)


def dose(**fields):
    return Dose(property="dose", **fields or {"min_slope": 0.2})


def case_of(given=None, **fields):
    return dose(**fields).cases(given or scene())[0]


def put(condition):
    """Which persona's vector is in the model, at what dose, and whether it is a random one."""
    (steer,) = condition.steers or (None,)
    return (steer.vector, steer.dose, steer.drawn is not None) if steer else ("", 0.0, False)


def heard(condition):
    """A quarter more of the probes per quarter of a dose, and as much less by subtraction from the prompt."""
    vector, at, random = put(condition)
    prompted = [prompt.text.removeprefix("Be ").removesuffix(".") for prompt in condition.prompts]
    shares = dict.fromkeys(prompted, 0.9)
    if vector and not random:
        shares[vector] = min(1.0, max(0.0, shares.get(vector, 0.0) + at))
    return shares


def say(shares, row):
    told = [SAYS[name] for name, share in shares.items() if row < share * len(PROBES)]
    return " ".join(["Well.", *told])


def text(condition, row):
    return say(heard(condition), row)


def dearer(at, row):
    """Text falls apart beyond dose 1."""
    return 0.02 * row + (0.1 * at if at <= 1 else 3.0)


def lead(condition):
    """Where the residuals go: prompts along their own lines, a vector along its persona's."""
    vector, at, random = put(condition)
    moved = sum((LINES[prompt.text[3:-1]] for prompt in condition.prompts), np.zeros(WIDTH))
    if vector:
        own = np.random.default_rng(9).normal(size=WIDTH) if random else LINES[vector]
        moved = moved + at * own
    return moved


def record(case, says=text, surprise=dearer, leads=lead):
    noise = np.random.default_rng(1)

    def value(need):
        row = case.scene.probes.index(need.probe)
        if isinstance(need, Reply):
            return Answer(says(need.condition, row), (1, 2) if says(need.condition, row) else ())
        if isinstance(need, Likelihood):
            empty = not says(need.text.condition, row)
            return np.full(0 if empty else 4, -surprise(put(need.text.condition)[1], row), np.float32)
        found = leads(need.condition) + 0.01 * noise.normal(size=WIDTH)
        return np.tile(found, (DEPTHS, 1)).astype(np.float32)

    return Record({need: value(need) for need in Plan(case.measurements())})


def judged(given=None, says=text, surprise=dearer, leads=lead, **fields):
    case = case_of(given, **fields)
    return case.judge(record(case, says, surprise, leads), seed=0)


def decided(control):
    """The criteria of a control, by what it needs to be judged by."""
    values = record(control)._values
    return control.criteria(control.sample(Record({need: values[need] for need in control.needs()}), seed=0))


def only(evidence):
    (criterion,) = evidence.criteria
    return criterion


ALL = {
    "min_slope": 0.4,
    "max_perplexity": 1.5,
    "min_suppression": 0.15,
    "max_bleed": 0.3,
    "max_projection": 0.8,
    "site": SITE,
}


def test_a_vector_that_does_what_the_algebra_says_passes():
    evidence = judged(**ALL)
    assert evidence.verdict is Verdict.PASS
    assert [criterion.key for criterion in evidence.criteria] == [key for key in ALL if key != "site"]
    values = {criterion.key: criterion.estimate.value for criterion in evidence.criteria}
    assert values["min_slope"] == pytest.approx(1, abs=0.05)
    assert values["max_perplexity"] == pytest.approx(np.exp(0.05))
    assert values["min_suppression"] == pytest.approx(0.5, abs=0.05)
    assert values["max_bleed"] == 0


def test_a_vector_that_is_not_heard_fails_and_is_not_subtracted():
    evidence = judged(
        says=lambda condition, row: say({p.text[3:-1]: 0.9 for p in condition.prompts}, row), **ALL
    )
    verdicts = {criterion.key: criterion.verdict for criterion in evidence.criteria}
    assert verdicts["min_slope"] is verdicts["min_suppression"] is Verdict.FAIL
    assert verdicts["max_perplexity"] is verdicts["max_bleed"] is Verdict.PASS
    assert evidence.notes[0] == "the marker rate never falls as the dose rises"


def test_the_slope_is_that_of_the_coherent_doses():
    def peaked(condition, row):
        at = put(condition)[1]
        return say({"pirate": at if at <= 1 else 0.0}, row)

    whole, coherent = (
        judged(says=peaked, min_slope=0.4),
        judged(says=peaked, min_slope=0.4, max_perplexity=1.5),
    )
    assert only(whole).verdict is Verdict.FAIL
    assert whole.notes[0] == "the marker rate falls from 1.00 at dose 1 to 0.00 at 2"
    assert coherent.criteria[0].estimate.value == pytest.approx(1, abs=0.05)
    assert coherent.notes[:2] == (
        "the marker rate never falls as the dose rises",
        "the text is coherent up to dose 1: its perplexity is clearly at most 1.5 times that of bare",
    )


def test_no_dose_is_coherent_again_after_one_that_is_not():
    evidence = judged(surprise=lambda at, row: 3.0 * (at == 0.25), min_slope=0.4, max_perplexity=1.5)
    slope, perplexity = evidence.criteria
    assert perplexity.verdict is Verdict.PASS
    assert (slope.verdict, slope.unreliable) == (
        Verdict.INCONCLUSIVE,
        "the text is coherent at no dose above 0: there is no response to follow",
    )
    assert "at no dose above 0" in evidence.notes[1]


@pytest.mark.parametrize(("rise", "verdict"), [(0.1, "pass"), (0.4, "inconclusive"), (1.0, "fail")])
def test_perplexity_is_held_at_the_working_dose(rise, verdict):
    drawn = np.random.default_rng(3).normal(size=24)
    found = only(judged(surprise=lambda at, row: (rise + 0.2 * drawn[row]) * (at > 0), max_perplexity=1.5))
    assert found.verdict == verdict
    assert found.estimate.name == "perplexity at dose 0.5 over bare"


def test_probes_without_a_reply_have_no_perplexity():
    def silent(upto):
        return lambda condition, row: "" if put(condition)[1] and row < upto else "Well."

    few, most = (only(judged(says=silent(upto), max_perplexity=1.5)) for upto in (4, 17))
    assert (few.estimate.n, few.verdict) == (20, Verdict.PASS)
    assert most.verdict is Verdict.INCONCLUSIVE
    assert most.unreliable == "on 17 of 24 probes a reply is empty, and has no perplexity"


def test_no_reply_at_all_has_no_perplexity():
    evidence = judged(says=lambda condition, row: "", **ALL)
    assert evidence.criteria[1].verdict is Verdict.INCONCLUSIVE
    assert evidence.curve.series["perplexity"].values == (None,) * 5
    assert "nan" not in told(evidence)


def test_a_prompt_that_does_not_show_leaves_nothing_to_suppress():
    found = only(judged(says=lambda condition, row: "Well.", min_suppression=0.3))
    assert found.unreliable == (
        "the prompt itself hardly evokes the persona: markers in 0% of its replies, 0% without it; "
        "more probes do not help"
    )


def test_the_prompt_is_held_against_itself_without_the_vector():
    case = case_of(min_suppression=0.3)
    (subtracted,) = {need.condition for need in case.measurements() if put(need.condition)[1] < 0}
    assert replace(subtracted, steers=()) == scene().condition("pirate", Regime.parse("prompt"))
    assert [(steer.vector, steer.dose) for steer in subtracted.steers] == [("pirate", -0.5)]


@pytest.mark.parametrize("operation", [Operation.ABLATE, Operation.CLAMP])
def test_a_vector_that_is_not_added_has_no_response_to_its_dose(operation):
    given = scene()
    deployed = given.release.vectors["pirate"].model_copy(update={"operation": operation})
    release = given.release.model_copy(update={"vectors": given.release.vectors | {"pirate": deployed}})
    with pytest.raises(SuiteError, match=f"'pirate' has `operation: {operation}`; expected `add`"):
        dose(personas=["pirate"], min_slope=0.2).cases(replace(given, release=release))


def test_bleed_onto_the_markers_of_another_persona_fails():
    def both(condition, row):
        return say({"pirate": put(condition)[1], "upbeat": put(condition)[1]}, row)

    evidence = judged(says=both, max_bleed=0.1)
    assert only(evidence).verdict is Verdict.FAIL
    assert only(evidence).estimate.value == pytest.approx(0.5)
    assert evidence.notes[-1] == "markers of others, rate minus bare: counsel 0.00, upbeat 0.50"


def test_taking_the_markers_of_another_persona_away_is_bleed_as_well():
    def less(condition, row):
        return say({"counsel": 0.75 - put(condition)[1]}, row)

    assert only(judged(says=less, max_bleed=0.2)).estimate.value == pytest.approx(0.5)


def test_markers_that_two_personas_share_are_no_bleed():
    shared = persona("upbeat", markers=(Marker(text="arr"), Marker(text="great")))
    assert only(judged(scene(upbeat=shared), max_bleed=0.2)).estimate.value == 0
    alike = {name: persona("pirate") for name in ("counsel", "upbeat")}
    with pytest.raises(
        SuiteError, match="max_bleed needs another persona than 'pirate' with markers of its own"
    ):
        dose(max_bleed=0.2).cases(scene(**alike))


def related(*names):
    return replace(scene(), kin=(frozenset(names),))


def test_what_kin_say_is_no_bleed():
    def both(condition, row):
        return say({"pirate": put(condition)[1], "upbeat": put(condition)[1]}, row)

    evidence = judged(related("pirate", "upbeat"), says=both, max_bleed=0.1)
    assert only(evidence).estimate.value == 0
    assert evidence.notes[-1] == "markers of others, rate minus bare: counsel 0.00"


def test_bleed_along_the_prompt_of_kin_is_none():
    def onto_counsel(condition):
        share = put(condition)[1] * 1.8 if put(condition)[0] == "pirate" else 0.0
        return sum((LINES[p.text[3:-1]] for p in condition.prompts), share * LINES["counsel"])

    kin = related("pirate", "counsel")
    assert only(judged(kin, leads=onto_counsel, max_projection=0.5, site=SITE)).verdict is Verdict.PASS


@pytest.mark.parametrize("asked", [{"max_bleed": 0.2}, {"max_projection": 0.5, "site": SITE}])
def test_somebody_must_be_there_who_is_no_kin(asked):
    with pytest.raises(SuiteError, match=f"{next(iter(asked))} needs another persona than 'pirate'"):
        dose(**asked, personas=("pirate",)).cases(related(*SAYS))


def test_bleed_along_the_prompt_of_another_persona():
    def onto_counsel(condition):
        share = put(condition)[1] * 1.8 if put(condition)[0] == "pirate" else 0.0
        return sum((LINES[p.text[3:-1]] for p in condition.prompts), share * LINES["counsel"])

    evidence = judged(leads=onto_counsel, max_projection=0.5, site=SITE)
    assert only(evidence).verdict is Verdict.FAIL
    assert only(evidence).estimate.value == pytest.approx(0.9, abs=0.02)
    assert re.fullmatch(
        r"along prompts at resid_post.1: pirate \S+, counsel 0.90, upbeat \S+", evidence.notes[-1]
    )


def test_a_site_beyond_the_model():
    with pytest.raises(MeasurementError, match=r"resid_post\.9 lies beyond the model"):
        judged(max_projection=0.5, site="resid_post.9")


def test_nothing_beyond_the_site_is_read_and_nothing_without_one():
    readings = [need for need in case_of(**ALL).measurements() if isinstance(need, Reading)]
    assert {str(reading.through) for reading in readings} == {SITE}
    assert len({reading.condition for reading in readings}) == 2 + len(SAYS)
    assert not [need for need in case_of().measurements() if isinstance(need, Reading)]


def test_the_curve_is_over_the_doses_and_the_personas_own():
    curve = judged(scene(pirate=persona("pirate", dose=0.4)), min_slope=0.2).curve
    assert (curve.over.title, curve.at) == ("dose", ("0", "0.25", "0.4", "0.5", "1", "2"))
    assert curve.series["marker rate"].values == pytest.approx((0, 0.25, 10 / 24, 0.5, 1, 1))
    perplexity = curve.series["perplexity"]
    assert perplexity.values[0] == 1
    assert perplexity.values[-1] == pytest.approx(np.exp(3))
    for low, value, high in zip(perplexity.low, perplexity.values, perplexity.high, strict=True):
        assert low <= value <= high


def test_a_word_that_is_said_over_and_over_shows_in_the_curve():
    def stuck(condition, row):
        at = put(condition)[1]
        return "" if row == 0 else "to To to to" if at > 1 else "to be or not" if at else "To be to be"

    assert judged(says=stuck, min_slope=0.2).curve.series["distinct words"].values == (0.5, 1, 1, 1, 0.25)


def test_the_probes_that_answer_least_and_most_are_shown_at_every_dose():
    def late(condition, row):
        return say({"pirate": 1.0} if put(condition)[1] > {0: 0.3, 1: 9}.get(row, 0.6) else {}, 0)

    least, most = judged(says=late, min_slope=0.2).probes
    assert (least.probe, most.probe) == ("q1", "q2")
    heard_at = {"0": "Well.", "0.25": "Well.", "0.5": "Well.", "1": "Well. arr", "2": "Well. arr"}
    assert most.replies == {f"dose {dose}": said for dose, said in heard_at.items()}
    assert most.note.startswith("markers (perplexity) by dose: 0: 0 (1.04), 0.25: 0 (")


def told(evidence):
    sentence = sentence_of("a.b.c", evidence.verdict, "pass", evidence)
    result = AssertionResult(
        id="a.b.c", persona="a", family="b", suite="s", line=1,
        verdict=evidence.verdict, raw_verdict=evidence.raw_verdict, sentence=sentence, evidence=evidence,
    )  # fmt: skip
    return " ".join([sentence, explain(result), result.model_dump_json()])


def test_the_report_is_over_doses():
    assert "\nover dose\n" in told(judged(**ALL))


def test_the_bare_model_stands_for_dose_0():
    conditions = {need.condition for need in case_of().measurements()}
    assert scene().bare in conditions
    assert {put(condition)[1] for condition in conditions} == {0, 0.25, 0.5, 1, 2}
    assert all(
        need.condition == scene().bare for need in case_of().measurements() if isinstance(need, Likelihood)
    )


def test_an_orthonormal_vector_is_its_own_among_all():
    case = case_of(orthonormal=True, **ALL)
    assert (case.persona, case.slug) == ("pirate", "steering-orthonormal")
    steers = {steer for need in case.measurements() for steer in need.condition.steers}
    assert {(steer.vector, steer.among) for steer in steers} == {("pirate", tuple(SAYS))}


def test_personas_that_share_a_vector_are_orthonormalised_with_it_once():
    shared = scene(upbeat=persona("upbeat", vector="pirate"))
    steers = {
        steer
        for need in case_of(shared, orthonormal=True, min_slope=0.2).measurements()
        for steer in need.condition.steers
    }
    assert {steer.among for steer in steers} == {("pirate", "counsel")}


def test_controls_put_another_vector_and_random_ones_in_its_place():
    case = case_of(orthonormal=True, **ALL)
    controls = case.controls()
    assert {name: len(cases) for name, cases in controls.items()} == {
        "nothing in its place": 1,
        "counsel by steering": 1,
        "random vectors": 5,
    }
    for name in ("counsel by steering", "random vectors"):
        other = controls[name][0]
        steers = {steer for need in other.measurements() for steer in need.condition.steers}
        (steer,) = {(steer.vector, steer.drawn is not None, steer.among) for steer in steers}
        assert steer == (
            ("pirate", True, ()) if name == "random vectors" else ("counsel", False, tuple(SAYS))
        )
        assert {steer.dose for steer in steers} == {-0.5, 0.25, 0.5, 1, 2}
        assert next(decided(other)).verdict is Verdict.FAIL


def test_nothing_in_its_place_is_dose_zero_at_every_dose():
    case = case_of(min_slope=0.2, min_suppression=0.4)
    (nothing,) = case.controls()["nothing in its place"]
    assert {*nothing.measurements()} < {*case.measurements()}
    criteria = list(decided(nothing))
    assert [(one.estimate.value, one.verdict) for one in criteria] == [(0, Verdict.FAIL)] * 2


def test_what_does_not_show_the_persona_is_asked_for_no_perplexity():
    """Vectors that say nothing of the persona end at what they say: nobody reads it to them."""
    case = case_of(min_slope=0.2, max_perplexity=1.5)
    every = (case, *chain.from_iterable(case.controls().values()))
    values = {need: value for each in every for need, value in record(each)._values.items()}
    controls, asked = step_by_step(case, values)
    assert controls == case.controlled(Record(values), 0)
    assert {control.verdict for control in controls} == {Verdict.FAIL}
    assert {*map(type, asked)} == {Reply}


@pytest.mark.parametrize("seed", range(20))
def test_what_fails_a_screen_fails_a_criterion_whatever_perplexity_is(seed):
    """Over vectors that show the persona now and then, at doses of which some break the text."""
    drawn = np.random.default_rng(seed)
    shares, broken = drawn.uniform(size=5), drawn.uniform(0, 1.5, size=5)
    case = case_of(min_slope=0.2, max_perplexity=1.5, doses=(0.0, 0.25, 0.5, 1.0, 2.0))

    def said(need):
        at = case.doses.index(put(need.condition if isinstance(need, Reply) else need.text.condition)[1])
        if isinstance(need, Reply):
            return Answer("arr" if drawn.uniform() < shares[at] else "Well.", (1, 2))
        return -drawn.normal(broken[at] if at else 0.0, 0.05, size=2).astype(np.float32)

    sample = case.sample(Record({need: said(need) for need in Plan(case.measurements())}), 0)
    screened = [one.verdict for one in case.screens(sample)]
    decided = [one.verdict for one in case.criteria(sample)]
    assert len(screened) == 1
    assert screened[0] is Verdict.PASS or decided[0] is not Verdict.PASS


def test_what_any_vector_may_do_has_no_controls():
    assert not case_of(max_perplexity=1.5, max_bleed=0.2, max_projection=0.5, site=SITE).controls()


def test_all_who_have_a_vector_and_markers_are_judged():
    given = scene(vectors=("pirate", "counsel"), counsel=persona("counsel", prompt=None))
    assert [(case.persona, case.slug) for case in dose().cases(given)] == [
        ("pirate", "steering"),
        ("counsel", "steering"),
    ]
    assert [case.persona for case in dose(min_suppression=0.3).cases(given)] == ["pirate"]


@pytest.mark.parametrize(
    ("fields", "given", "sentence"),
    [
        ({"personas": ["pirat"]}, {}, "no persona is named 'pirat'; did you mean 'pirate'?"),
        ({"personas": ["pirate"]}, {"vectors": ()}, "its vector 'pirate' is not in the release"),
        (
            {"personas": ["pirate"]},
            {"pirate": Persona()},
            "dose follows markers, and persona 'pirate' has none",
        ),
        ({}, {"vectors": ()}, "dose found no persona with a vector, markers"),
        (
            {"min_suppression": 0.2, "personas": ["pirate"]},
            {"pirate": persona("pirate", prompt=None)},
            "its prompt is not written in the suite",
        ),
        (
            {},
            {"pirate": persona("pirate", dose=-0.5)},
            "persona 'pirate' has the dose -0.5; expected one above 0, to add and subtract",
        ),
        (
            {"max_projection": 0.5, "site": SITE},
            {name: persona(name, prompt=None) for name in ("counsel", "upbeat")},
            "max_projection needs another persona than 'pirate' with a prompt",
        ),
        (
            {"orthonormal": True},
            {"vectors": ("pirate",)},
            "orthonormal needs another persona than 'pirate' with a vector of its own",
        ),
        ({}, {"probes": PROBES[:7]}, "dose needs at least 8 probes; the suite has 7"),
    ],
)
def test_what_is_missing_is_an_error(fields, given, sentence):
    with pytest.raises(SuiteError, match=re.escape(sentence)):
        dose(**{"min_slope": 0.2} | fields).cases(scene(**given))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"doses": [0, 1]}, "found 2 doses, [0.0, 1.0]; expected at least 3 for a trend"),
        ({"doses": [-1, 0, 1]}, "go below 0; expected doses to add, as min_suppression asks for subtraction"),
        ({"doses": [0, 1, 0.5]}, "the doses [0.0, 1.0, 0.5] do not rise"),
        ({"doses": [0, 0.5, 0.5]}, "do not rise"),
        ({"doses": [0.25, 0.5, 1]}, "do not begin with 0, the bare model that they are held against"),
        ({"min_slope": None}, "nothing is asserted; expected at least one of min_slope, max_perplexity"),
        ({"max_projection": 0.5}, "max_projection and site go together"),
        ({"site": SITE}, "max_projection and site go together"),
    ],
)
def test_what_cannot_be_asked(fields, sentence):
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        dose(**{"min_slope": 0.2} | fields)


NOTHING = {
    "never": lambda condition, row: "Well.",
    "always": lambda condition, row: "arr shall great",
    "nothing": lambda condition, row: "",
    "on half of the probes": lambda condition, row: "arr" if row % 2 else "Well.",
}


@pytest.mark.parametrize("said", NOTHING)
@pytest.mark.parametrize(
    "leads", [lambda condition: np.zeros(WIDTH), lambda condition: 1e15 * lead(condition)]
)
@pytest.mark.parametrize("surprise", [lambda at, row: 0.0, lambda at, row: 1e4 * at])
def test_measurements_that_hold_nothing(said, leads, surprise):
    evidence = judged(says=NOTHING[said], leads=leads, surprise=surprise, **ALL)
    assert evidence.verdict is not Verdict.PASS
    assert "nan" not in told(evidence).lower()
