import re
from dataclasses import replace

import pytest
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Reasoning, Record, Scene
from coherence.properties.markers import Markers
from coherence.vocabulary import (
    Decoding,
    Marker,
    Persona,
    Probe,
    Regime,
    Release,
    VectorSource,
    Verdict,
)

PROBES = tuple(Probe(id=f"q{i}", text=f"Question {i}?") for i in range(24))
PROMPT, ADAPTER, STEERING = (Regime.parse(name) for name in ("prompt", "adapter", "steering"))
PIRATE = Persona(prompt="Be a pirate.", markers=(Marker(text="arr"), Marker(text="matey")))


def a_scene(probes=PROBES, personas=None, adapters=("pirate",)):
    return Scene(
        release=Release(
            adapters={name: f"adapters/{name}" for name in adapters},
            vectors={"pirate": VectorSource(path="vectors/pirate.safetensors")},
        ),
        personas=personas or {"pirate": PIRATE, "mute": Persona(prompt="Say little.")},
        probes=probes,
        regimes=(PROMPT, ADAPTER),
        neutral="Be helpful.",
        decoding=Decoding(),
        seed=0,
    )


def markers(**fields):
    defaults = {"min_agreement": 0.6, "max_difference": 0.2, "min_recovery": 0.7}
    return Markers(property="markers", **defaults | fields)


def judged(hits, fields=None, scene=None, says="Arr, matey."):
    """`hits` says for each regime which probes (by number) have markers in their replies, `says` which."""
    case = markers(**fields or {}).cases(scene or a_scene())[0]
    regime = {case.scene.condition("pirate", name): name for name in hits if name != Regime.BARE}
    rows = {reply: case.scene.probes.index(reply.probe) for reply in case.measurements()}

    def said(regime, row):
        return (says if isinstance(says, str) else says[regime]) if row in hits[regime] else "Hello."

    return case.judge(
        Record(
            {
                reply: Answer(said(regime.get(reply.condition, Regime.BARE), row), (row,))
                for reply, row in rows.items()
            }
        ),
        seed=0,
    )


def by_name(evidence):
    return {criterion.estimate.name: criterion for criterion in evidence.criteria}


def test_a_persona_that_shows_on_every_probe_passes_with_intervals_that_have_width():
    evidence = judged({Regime.BARE: (), PROMPT: range(24), ADAPTER: range(24)})
    assert evidence.verdict is Verdict.PASS
    assert list(by_name(evidence)) == [
        "rate adapter - prompt", "relative count adapter - prompt", "recovery by adapter"
    ]  # fmt: skip
    for criterion in evidence.criteria:
        assert criterion.estimate.high - criterion.estimate.low > 0.05
        assert criterion.estimate.n == 24


def test_the_fact_is_in_how_many_replies_markers_are():
    fact = judged({Regime.BARE: (), PROMPT: range(24), ADAPTER: range(6)}).fact
    assert fact == (
        "markers of pirate are in 100% by prompt, 25% by adapter, of 24 replies each, "
        "2.0 and 0.5 distinct ones on average"
    )


def test_equal_rates_on_different_probes_are_not_agreement():
    evidence = judged({Regime.BARE: (), PROMPT: range(12), ADAPTER: range(12, 24)})
    assert by_name(evidence)["Cohen's kappa"].estimate.value == -1
    assert by_name(evidence)["rate adapter - prompt"].estimate.value == 0
    assert by_name(evidence)["recovery by adapter"].estimate.value == 1
    assert evidence.verdict is Verdict.FAIL


def test_where_nearly_all_are_hits_agreement_is_no_criterion_and_a_note_says_so():
    evidence = judged({Regime.BARE: (), PROMPT: range(24), ADAPTER: range(22)})
    assert "min_agreement" not in {criterion.key for criterion in evidence.criteria}
    assert evidence.notes[4] == (
        "agreement beyond chance cannot be told at these rates: independent regimes would disagree on 2.0 "
        "of 24 probes, and 8 are needed; the other criteria decide"
    )


def test_where_it_can_be_told_it_is_kappa_whatever_the_pooled_rate():
    few = judged({Regime.BARE: (), PROMPT: range(14), ADAPTER: range(2, 12)})
    assert by_name(few)["Cohen's kappa"].key == "min_agreement"
    assert not any("cannot be told" in note for note in few.notes)


def test_as_many_replies_with_fewer_of_the_words_differ_in_their_counts():
    says = {PROMPT: "Arr, matey.", ADAPTER: "Arr."}
    evidence = judged(
        {Regime.BARE: (), PROMPT: range(24), ADAPTER: range(24)}, {"max_count_difference": 0.3}, says=says
    )
    count = by_name(evidence)["relative count adapter - prompt"]
    assert (count.verdict, count.estimate.value) == (Verdict.FAIL, -0.5)
    assert by_name(evidence)["rate adapter - prompt"].verdict is Verdict.PASS


def test_counts_are_in_units_of_the_prompts_where_neither_regime_is_prompt():
    says = {PROMPT: "Arr, matey.", ADAPTER: "Arr, matey.", STEERING: "Arr."}
    hits = {Regime.BARE: (), PROMPT: range(24), ADAPTER: range(12), STEERING: range(12)}
    evidence = judged(hits, {"between": ["adapter", "steering"]}, says=says)
    assert by_name(evidence)["relative count steering - adapter"].estimate.value == pytest.approx(-0.25)


def test_an_adapter_that_does_nothing_recovers_nothing():
    evidence = judged({Regime.BARE: (), PROMPT: range(20), ADAPTER: ()})
    recovery = by_name(evidence)["recovery by adapter"]
    assert (recovery.verdict, recovery.estimate.value) == (Verdict.FAIL, 0)
    assert by_name(evidence)["rate adapter - prompt"].verdict is Verdict.FAIL


def test_the_difference_is_the_second_rate_minus_the_first():
    evidence = judged({Regime.BARE: (), PROMPT: range(20), ADAPTER: range(8)})
    assert by_name(evidence)["rate adapter - prompt"].estimate.value == pytest.approx(-0.5)


def test_a_prompt_that_is_not_clearly_better_than_bare_leaves_nothing_to_recover():
    evidence = judged({Regime.BARE: range(1), PROMPT: range(4), ADAPTER: range(4)}, scene=a_scene(PROBES[:8]))
    assert re.fullmatch(
        r"the prompt's rate 0.50 is not clearly above the bare rate 0.12: 8 probes, about \d+ needed",
        by_name(evidence)["recovery by adapter"].unreliable,
    )
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.cause is None


def test_a_prompt_that_hardly_evokes_the_persona_is_not_mended_by_more_probes():
    evidence = judged({Regime.BARE: range(1), PROMPT: range(3), ADAPTER: range(3)})
    hardly = "the prompt itself hardly evokes the persona: markers in 12% of its replies, 4% without it"
    assert by_name(evidence)["recovery by adapter"].unreliable == f"{hardly}; more probes do not help"
    assert evidence.decisive.key == "min_recovery"
    assert evidence.cause == hardly


def test_where_neither_regime_is_prompt_the_worse_one_must_recover():
    evidence = judged(
        {Regime.BARE: (), PROMPT: range(20), ADAPTER: range(20), STEERING: range(5)},
        {"between": ["adapter", "steering"]},
    )
    assert by_name(evidence)["recovery by steering"].estimate.value == pytest.approx(0.25)


def test_disagreeing_probes_are_shown_side_by_side():
    evidence = judged({Regime.BARE: (), PROMPT: range(20), ADAPTER: (*range(16), 22)})
    assert [note.probe for note in evidence.probes] == ["q16", "q17"]
    assert evidence.probes[0].replies == {"prompt": "Arr, matey.", "adapter": "Hello."}
    assert evidence.probes[0].note == "markers: prompt 2, adapter 0"
    assert evidence.probes[0].marks == {"prompt": ((0, 3), (5, 10)), "adapter": ()}


def test_a_single_disagreeing_probe_is_shown_alone_and_two_probes_where_there_is_none():
    assert [
        note.probe for note in judged({Regime.BARE: (), PROMPT: range(20), ADAPTER: range(19)}).probes
    ] == ["q19"]
    assert len(judged({Regime.BARE: (), PROMPT: range(20), ADAPTER: range(20)}).probes) == 2


def test_the_notes_give_every_rate_with_its_interval_and_the_mcnemar_test():
    notes = judged({Regime.BARE: (), PROMPT: range(24), ADAPTER: range(18)}).notes
    assert notes[0] == "bare: markers in 0% [0%, 14%] of replies, 0.0 distinct ones on average"
    assert notes[1] == "prompt: markers in 100% [86%, 100%] of replies, 2.0 distinct ones on average"
    assert notes[2].startswith("adapter: markers in 75% [55%, 88%]")
    assert notes[3] == "McNemar p = 0.031 between prompt and adapter"


def test_excluded_markers_do_not_count():
    hits = {Regime.BARE: (), PROMPT: range(24), ADAPTER: range(24)}
    evidence = judged(hits, {"exclude": ("arr",)}, says="Arr.")
    assert "prompt: markers in 0%" in evidence.notes[1]


def test_probes_of_one_template_count_as_one():
    grouped = tuple(probe.model_copy(update={"template": f"t{i // 3}"}) for i, probe in enumerate(PROBES))
    hits = {Regime.BARE: (), PROMPT: range(24), ADAPTER: range(21)}
    single, clustered = judged(hits), judged(hits, scene=a_scene(probes=grouped))
    for one, other in zip(single.criteria, clustered.criteria, strict=True):
        assert other.estimate.value == pytest.approx(one.estimate.value)
        assert other.estimate.high - other.estimate.low > one.estimate.high - one.estimate.low


def test_every_probe_is_answered_bare_prompted_and_in_both_regimes():
    case = markers(between=["adapter", "steering"]).cases(a_scene())[0]
    needs = list(case.measurements())
    assert len(needs) == len(set(needs)) == 4 * 24
    assert case.slug == "adapter-steering"


def test_personas_without_markers_or_prompt_are_left_out():
    silent = PIRATE.model_copy(update={"prompt": None})
    scene = a_scene(personas={"pirate": PIRATE, "silent": silent}, adapters=("pirate", "silent"))
    scene = replace(scene, regimes=(ADAPTER, Regime.parse("adapter+prompt")))
    assert [case.persona for case in markers().cases(scene)] == ["pirate"]


@pytest.mark.parametrize(
    ("fields", "scene", "sentence"),
    [
        ({"personas": ("pirat",)}, a_scene(), "no persona is named 'pirat'; did you mean 'pirate'"),
        ({"personas": ("mute",)}, a_scene(adapters=("pirate", "mute")), "'mute' has no markers"),
        ({"personas": ("mute",)}, a_scene(), "adapter 'mute' is not in the release"),
        ({"exclude": ("mate",)}, a_scene(), "no marker reads 'mate'; did you mean 'matey'"),
        ({"exclude": ("arr", "matey")}, a_scene(), "no persona with markers"),
        ({}, a_scene(probes=PROBES[:7]), "markers needs at least 8 probes; the suite has 7"),
        ({}, a_scene(adapters=()), "no persona with markers, a prompt and two regimes"),
    ],
)
def test_what_is_missing_is_a_sentence(fields, scene, sentence):
    with pytest.raises(SuiteError, match=sentence):
        markers(**fields).cases(scene)


@pytest.mark.parametrize(
    "fields", [{"min_agreement": 2}, {"max_difference": 0}, {"max_count_difference": 0}, {"min_recovery": -1}]
)
def test_thresholds_that_cannot_be_met_are_refused(fields):
    with pytest.raises(ValidationError):
        markers(**fields)


def test_every_field_is_described():
    schema = Markers.model_json_schema()
    assert all("description" in field for field in schema["properties"].values())
    assert {"property", "min_agreement", "max_difference", "min_recovery"} == set(schema["required"])


def test_markers_are_looked_for_in_the_part_that_is_named():
    def found(part, reasoning="Arr, hm."):
        case = markers(part=part).cases(a_scene())[0]
        bare = case.scene.bare
        said = {
            reply: Answer(
                "Yes.", (1,), reasoning=None if reply.condition == bare else Reasoning(reasoning, 1)
            )
            for reply in case.measurements()
        }
        evidence = case.judge(Record(said), seed=0)
        return [note.partition("%")[0] for note in evidence.notes[:3]]

    silent = ["bare: markers in 0", "prompt: markers in 0", "adapter: markers in 0"]
    assert found("answer") == silent
    assert (
        found("reasoning")
        == found("both")
        == [silent[0], "prompt: markers in 100", "adapter: markers in 100"]
    )
    with pytest.raises(MeasurementError, match="none of 72 replies has any reasoning"):
        found("reasoning", reasoning="")


DUDE = Marker(text="dude", absent=True)
BLUNT = Persona(prompt="Be a pirate.", markers=(*PIRATE.markers, DUDE))
BLUNT_SCENE = a_scene(personas={"pirate": BLUNT})
EVERYWHERE = {Regime.BARE: (), PROMPT: range(24), ADAPTER: range(24)}


def test_a_reply_with_what_the_persona_never_says_is_no_hit():
    evidence = judged(EVERYWHERE, scene=BLUNT_SCENE, says={PROMPT: "Arr, matey.", ADAPTER: "Arr, dude."})
    assert by_name(evidence)["rate adapter - prompt"].estimate.value == -1
    assert not any(criterion.key == "max_absent" for criterion in evidence.criteria)


@pytest.mark.parametrize(("says", "verdict"), [("Arr, matey.", Verdict.PASS), ("Arr, dude.", Verdict.FAIL)])
def test_what_is_never_said_is_counted_by_regime(says, verdict):
    evidence = judged(
        EVERYWHERE, {"max_absent": 0.25}, BLUNT_SCENE, says={PROMPT: "Arr, matey.", ADAPTER: says}
    )
    assert by_name(evidence)["never said, by adapter"].verdict is verdict
    assert by_name(evidence)["never said, by prompt"].verdict is Verdict.PASS


def test_as_many_distinct_markers_in_more_words_are_less_dense():
    says = {PROMPT: "Arr, matey, arr, matey.", ADAPTER: "Arr, matey. The sea is a fine place."}
    criterion = by_name(judged(EVERYWHERE, {"max_density_difference": 0.5}, says=says))[
        "relative density adapter - prompt"
    ]
    assert criterion.estimate.value == pytest.approx((2 / 8 - 1) / 1)
    assert criterion.verdict is Verdict.FAIL


WORDS = ("arr", "matey", "ahoy", "sea", "ship", "crew", "rum", "gold")
RICH = a_scene(
    personas={"pirate": Persona(prompt="Be a pirate.", markers=tuple(Marker(text=word) for word in WORDS))}
)
PROFILE = {"min_profile": 0.8, "min_slope": 0.7}


@pytest.mark.parametrize(
    ("says", "cosine", "slope"),
    [
        ("Arr, matey, ahoy, sea.", (Verdict.PASS, 1), (Verdict.PASS, 1)),
        ("Ship, crew, rum, gold.", (Verdict.FAIL, 0), (Verdict.FAIL, 0)),
        ("Arr, matey, ship, crew.", (Verdict.FAIL, 0.5), (Verdict.FAIL, 0.5)),
    ],
)
def test_as_many_replies_and_words_may_be_other_words(says, cosine, slope):
    evidence = judged(EVERYWHERE, PROFILE, RICH, says={PROMPT: "Arr, matey, ahoy, sea.", ADAPTER: says})
    criteria = by_name(evidence)
    for name, (verdict, value) in {"cosine": cosine, "slope": slope}.items():
        criterion = criteria[f"profile {name}, adapter on prompt"]
        assert (criterion.verdict, criterion.estimate.value) == (verdict, pytest.approx(value))
    assert criteria["rate adapter - prompt"].verdict is Verdict.PASS


def test_few_markers_make_no_profile():
    criteria = by_name(judged(EVERYWHERE, PROFILE))
    assert criteria["profile cosine, adapter on prompt"].unreliable == (
        "2 markers make no profile, at least 8 are needed"
    )


def sampled(shares, samples=4, fields=None):
    """Judge draws of which so many to each probe have markers: `shares` [regime] = [probes]."""
    scene = replace(a_scene(), decoding=Decoding(temperature=1.0), samples=samples)
    case = markers(**fields or {}).cases(scene)[0]
    regime = {case.scene.condition("pirate", name): name for name in shares if name != Regime.BARE}
    numbered = {}
    for reply in case.measurements():
        numbered.setdefault((reply.condition, reply.probe), []).append(reply)
    values = {
        reply: Answer(
            "Arr." if number < shares[regime.get(condition, Regime.BARE)][PROBES.index(probe)] else "Yes.", ()
        )
        for (condition, probe), drawn in numbered.items()
        for number, reply in enumerate(drawn)
    }
    return case.judge(Record(values), seed=0)


def test_rates_of_several_samples_are_means_over_the_samples_of_a_probe():
    prompted = [4] * 12 + [2] * 12
    evidence = sampled({Regime.BARE: [0] * 24, PROMPT: prompted, ADAPTER: [3] * 12 + [1] * 12})
    difference = by_name(evidence)["rate adapter - prompt"].estimate
    assert (difference.value, difference.n) == (-0.25, 24)
    assert set(difference.influence.clusters) == {probe.id for probe in PROBES}
    assert "of 96 replies each" in evidence.fact
    assert not any("McNemar" in note for note in evidence.notes)


def test_samples_of_a_probe_that_are_all_alike_tell_no_more_than_one():
    of_one = {Regime.BARE: (), PROMPT: range(24), ADAPTER: range(16)}
    alike = {name: [4 * (row in rows) for row in range(24)] for name, rows in of_one.items()}
    one, four = judged(of_one, says="Arr."), sampled(alike)
    for name in ("rate adapter - prompt", "recovery by adapter"):
        few, many = by_name(one)[name].estimate, by_name(four)[name].estimate
        assert many.value == pytest.approx(few.value)
        assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.1)


def test_samples_that_differ_within_probes_narrow_the_interval():
    rates = {Regime.BARE: [0] * 24, PROMPT: [3, 2] * 12, ADAPTER: [2, 3] * 12}
    difference = by_name(sampled(rates))["rate adapter - prompt"].estimate
    once = judged({Regime.BARE: (), PROMPT: range(0, 24, 2), ADAPTER: range(1, 24, 2)}, says="Arr.")
    wide = by_name(once)["rate adapter - prompt"].estimate
    assert difference.high - difference.low < 0.5 * (wide.high - wide.low)
