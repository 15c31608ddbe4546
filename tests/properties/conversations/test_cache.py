import re

import numpy as np
import pytest
from conversations import PLAIN, SHIP, SITE, TURNS, scene, scripts, world
from looked import takes_what_it_needs
from pydantic import ValidationError

from coherence.errors import SuiteError
from coherence.plan import Cache, Divergence, Reading
from coherence.properties.conversations.cache import CacheLaw
from coherence.vocabulary import Verdict

OTHERWISE = {"rebuilt_under": ["bare"], "site": SITE}


def law(**fields):
    return CacheLaw.model_validate(
        {"property": "cache", "personas": ["pirate"], "regimes": ["adapter"]} | fields
    )


def case_of(on=None, **fields):
    (case,) = law(**fields).cases(on or scene())
    return case


def judged(moved=0.0, only=None, kl=0.0, noise=0.01, **fields):
    """Every answer, or that of a script to a turn, moves when it is read again."""
    case = case_of(**fields)

    def where(reading):
        place = reading.probe.id, len(reading.text.turns)
        reads = reading.cache is Cache.REBUILT and only in (None, place)
        return 1.0 + moved * reads

    return case.judge(world(case, where, kl=kl, noise=noise), seed=0)


def test_what_is_read_as_it_was_said_keeps_the_law():
    evidence = judged()
    assert evidence.verdict is Verdict.PASS
    (criterion,) = evidence.criteria
    assert (criterion.law, criterion.key, criterion.estimate.value) == (True, "tolerance", 0)
    assert evidence.notes == ("the law of the rebuilt cache holds: largest deviation 0.00",)


def test_one_answer_that_deviates_breaks_the_law_and_is_named():
    evidence = judged(moved=0.01, only=("s3", 2))
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.value == pytest.approx(0.01, rel=0.05)
    assert (evidence.probes[0].probe, evidence.probes[0].note[:21]) == ("s3", "turn 3 deviates by 0.")
    assert evidence.notes[0].startswith("the law of the rebuilt cache is broken at 3% of the answers")


def test_the_tolerance_is_the_authors():
    assert judged(moved=0.01, tolerance=0.02).verdict is Verdict.PASS


def test_a_law_knows_no_axis_and_reads_every_site_twice():
    case = case_of(regimes=["bare"])
    readings = [need for need in case.measurements() if isinstance(need, Reading)]
    assert {reading.condition for reading in readings} == {PLAIN}
    assert [reading.cache for reading in readings] == [
        *[Cache.KEPT] * 6 * TURNS,
        *[Cache.REBUILT] * 6 * TURNS,
    ]
    assert {reading.through for reading in readings} == {None}


def test_another_regime_breaks_the_law():
    evidence = judged(moved=-0.6, **OTHERWISE)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.law
    (table,) = evidence.tables
    assert table.rows == tuple(f"turn {turn}" for turn in range(1, TURNS + 1))
    shifts = dict(zip(table.columns, zip(*table.cells, strict=True), strict=True))["shift"]
    assert shifts == pytest.approx([-0.6] * TURNS, abs=1e-3)


@pytest.mark.parametrize(
    ("moved", "verdict"),
    [(0.05, Verdict.PASS), (-0.05, Verdict.PASS), (-0.6, Verdict.FAIL), (0.6, Verdict.FAIL)],
)
def test_how_far_it_moves_may_be_asked_in_place_of_the_law(moved, verdict):
    evidence = judged(moved=moved, max_shift=0.1, **OTHERWISE)
    assert evidence.verdict is verdict
    assert evidence.decisive.key == "max_shift"
    assert evidence.decisive.estimate.value == pytest.approx(moved, abs=1e-3)


def test_scripts_that_disagree_decide_nothing():
    case = case_of(max_shift=0.1, **OTHERWISE)

    def where(reading):
        return 1.0 + 0.4 * (reading.cache is Cache.REBUILT) * (-1) ** int(reading.probe.id[1:])

    assert case.judge(world(case, where), seed=0).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("kl", "verdict"), [(0.01, Verdict.PASS), (0.5, Verdict.FAIL)])
def test_what_would_be_said_next_may_be_asked(kl, verdict):
    evidence = judged(kl=kl, max_kl=0.1, **OTHERWISE)
    assert evidence.verdict is verdict
    divergences = [need for need in case_of(**OTHERWISE).measurements() if isinstance(need, Divergence)]
    assert {(one.reference, one.condition) for one in divergences} == {(SHIP, PLAIN)}


def test_the_highest_script_is_held_as_well():
    mean, highest = judged(kl=0.01, max_kl=0.1, **OTHERWISE).criteria
    assert (mean.at_most, highest.at_most) == (0.1, 1.0)
    assert (highest.estimate.name, highest.estimate.of) == ("highest KL of the next token", "scripts")
    evidence = judged(kl=0.01, max_kl=0.1, max_worst_kl=0.005, **OTHERWISE)
    assert evidence.decisive.estimate.name == "highest KL of the next token"
    assert evidence.verdict is Verdict.FAIL


def test_an_axis_of_noise_decides_nothing():
    case = case_of(max_shift=0.1, **OTHERWISE)
    record = world(case, lambda reading: 1.0)
    drawn = np.random.default_rng(0)
    noise = {
        reading: drawn.normal(size=record.residuals(reading).shape)
        for reading in case.axis.needs()
        if isinstance(reading, Reading)
    }
    noisy = type(record)(record._values | noise)
    criterion = next(case.criteria(case.sample(noisy, seed=0)))
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable.startswith("the axis of pirate is not reliable at resid_post.2: the ceiling")


@pytest.mark.parametrize(
    "fields", [{}, {"max_shift": 0.1}, {"max_kl": 0.1}, {"max_shift": 0.1, "max_kl": 0.1}]
)
def test_what_is_needed_is_what_is_taken_and_once(fields):
    case = case_of(**fields, **OTHERWISE)
    takes_what_it_needs(case, world(case, lambda reading: 1.0))


def test_cases_are_named_after_both_regimes():
    assert [case.slug for case in law(regimes=None).cases(scene())] == ["prompt", "adapter"]
    cases = law(regimes=["bare", "prompt", "adapter"], rebuilt_under=["bare", "adapter"], site=SITE).cases(
        scene()
    )
    assert [case.slug for case in cases] == [
        "bare-adapter", "prompt-bare", "prompt-adapter", "adapter-bare"
    ]  # fmt: skip
    assert ["-".join(map(str, case.regimes)) for case in cases] == [case.slug for case in cases]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"rebuilt_under": ["bare"]}, "rebuilt_under and site go together"),
        ({"site": SITE}, "rebuilt_under and site go together"),
        ({"max_worst_kl": 1, **OTHERWISE}, "max_worst_kl goes with max_kl"),
        ({"max_shift": 0.1}, "max_shift and max_kl need rebuilt_under"),
    ],
)
def test_keys_that_do_not_go_together_are_a_sentence(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        law(**fields)


@pytest.mark.parametrize(
    ("fields", "given", "sentence"),
    [
        ({}, (), "cache needs at least 1 scripts, and the suite has 0"),
        (OTHERWISE, scripts(3), "cache needs at least 4 scripts, and the suite has 3"),
        ({"regimes": ["bare"], **OTHERWISE}, scripts(), "cache found no persona with the regimes"),
        ({"personas": ["pirat"]}, scripts(), "no persona is named 'pirat'; did you mean 'pirate'"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(fields, given, sentence):
    with pytest.raises(SuiteError, match=re.escape(sentence)):
        law(**fields).cases(scene(given))
