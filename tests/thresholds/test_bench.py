"""The bench, on records that were made up: markers that are heard more or less often."""

from dataclasses import replace
from pathlib import Path

import conversations
import drifting
import pytest

from coherence.errors import CoherenceError, MeasurementError, Place, SuiteError
from coherence.plan import Record, Reply
from coherence.properties.conversations.cache import CacheLaw
from coherence.properties.conversations.cache_edit import CacheEdited
from coherence.properties.conversations.drift import Drift
from coherence.suite import Overrides, Suite, load_suite
from coherence.suite.load import assertions_of
from coherence.thresholds import Bench, CalibrationTerms, proposals
from coherence.vocabulary import Part

TERMS = CalibrationTerms(false_alarm=0.05, power=0.9, halves=20, seed=0)
KEYS = ["max_difference", "max_count_difference", "min_recovery"]  # nearly every reply has a marker
EXPECTED_TO_FAIL = """\
  - {property: markers, id: heard, between: [prompt, steering], min_agreement: 0.6, max_difference: 0.25,
     min_recovery: 0.7, expect: {fail: min_recovery}}
"""
HEARD = EXPECTED_TO_FAIL.replace(", expect: {fail: min_recovery}", "")


@pytest.fixture
def proposed(load, talk):
    """Proposals by key for a suite whose artefacts are heard with some probability."""

    def proposed(heard=1.0, suite=None, terms=TERMS, done=None):
        bench = Bench(suite or load(), terms)
        steps = [] if done is None else done
        record = talk(bench.needs(), heard)
        found = list(proposals(bench.trials(record, lambda *step: steps.append(step)), terms))
        return {proposal.key: proposal for proposal in found}

    return proposed


def judged(bench, record):
    """Proposals for what was measured."""
    return list(proposals(bench.trials(record, lambda *step: None), TERMS))


def verdicts(path, found, record):
    """Verdicts at the proposed thresholds."""
    text = path.read_text()
    for proposal in found.values():
        text = text.replace(f"{proposal.key}: {proposal.current}", f"{proposal.key}: {proposal.proposed}")
    path.write_text(text)
    suite = load_suite(path, Overrides())
    return {assertion.case.judge(record, 0).verdict.value for assertion in suite.assertions}


def test_a_healthy_release_passes_what_is_proposed_and_its_controls_do_not(write, talk, proposed):
    path = write()
    suite = load_suite(path, Overrides())
    found = proposed(heard=0.95, suite=suite)
    assert list(found) == KEYS
    for proposal in found.values():
        assert proposal.margin > 0
        assert round(proposal.proposed, 2) == proposal.proposed
        assert proposal.control.who not in proposal.control.assertion
    assert verdicts(path, found, talk(Bench(suite, TERMS).needs(), 0.95)) == {"pass"}


def test_the_weakest_assertion_sets_the_threshold(load, talk):
    suite = load()
    bench = Bench(suite, TERMS)
    healthy = talk(bench.needs())
    deaf = {
        need: talk([need], 0.8).reply(need) if ("oncall", 1.0) in need.condition.adapters else None
        for need in bench.needs()
    }

    class Mixed(Record):
        def reply(self, reply, part=Part.ANSWER):
            return healthy.reply(reply) if deaf[reply] is None else deaf[reply]

    (*_, recovery) = judged(bench, Mixed({}))
    assert recovery.weakest == "oncall.markers.prompt-adapter"
    (*_, every) = judged(Bench(suite, TERMS), healthy)
    assert recovery.proposed < every.proposed


def test_where_the_threshold_is_stricter_than_the_sample_it_says_how_many_probes_are_needed(proposed):
    difference = proposed(heard=0.9)["max_difference"]
    n = difference.estimate.n
    assert n == 24 < difference.needed
    (said,) = difference.notes
    assert said.startswith(f"{difference.weakest}: 24 probes; ")
    assert said.endswith(" needed for rate adapter - prompt within +- 0.25 at 90 % power")


def test_more_power_needs_more_probes(proposed):
    strict = CalibrationTerms(false_alarm=0.05, power=0.99, halves=20, seed=0)
    usual, sure = (proposed(0.9, terms=terms)["max_difference"].needed for terms in (TERMS, strict))
    assert usual < sure


def test_fewer_false_alarms_take_more_lenient_thresholds(proposed):
    rare = CalibrationTerms(false_alarm=0.001, power=0.9, halves=20, seed=0)
    usual, strict = (proposed(0.95, terms=terms) for terms in (TERMS, rare))
    assert strict["min_recovery"].proposed < usual["min_recovery"].proposed
    assert strict["max_difference"].proposed > usual["max_difference"].proposed


def test_a_release_in_which_everybody_sounds_alike_gets_no_thresholds(load, write, talk):
    path = write()
    path.write_text(path.read_text().replace("markers: [counsel]", "markers: [pirate]"))
    bench = Bench(load_suite(path, Overrides()), TERMS)

    class Alike(Record):
        def reply(self, reply, part=Part.ANSWER):
            named = reply.condition.prompts or reply.condition.adapters
            return "pirate counsel oncall" if named else ""

    found = judged(bench, Alike({}))
    assert {proposal.proposed for proposal in found} == {None}
    for proposal in found:
        assert proposal.margin is None
        assert proposal.notes[0].startswith("the control passes too: ")
        assert proposal.notes[0].endswith("so nothing is proposed (no number of probes helps)")


def test_what_cannot_be_decided_is_not_calibrated(load):
    bench = Bench(load(), TERMS)

    class Mute(Record):
        def reply(self, reply, part=Part.ANSWER):
            return ""

    found = judged(bench, Mute({}))
    assert found[2].proposed is None
    assert "the prompt itself hardly evokes the persona: markers in 0% of its replies" in found[2].notes[0]


def test_the_seed_alone_decides(proposed):
    other = CalibrationTerms(false_alarm=0.05, power=0.9, halves=20, seed=1)
    assert [p.proposed for p in proposed(0.8).values()] == [p.proposed for p in proposed(0.8).values()]
    first, second = (list(proposed(0.8, terms=terms).values()) for terms in (TERMS, other))
    assert [p.needed for p in first] != [p.needed for p in second]
    assert str(first[0].estimate) == str(second[0].estimate)


def test_progress_is_told(proposed):
    done = []
    proposed(done=done)
    assert done == [("assertions judged", step, 3) for step in (1, 2, 3)]


def test_laws_and_known_incoherences_are_left_alone(load, talk):
    law = "  - {property: commutativity, laws: [dose-zero]}\n"
    markers = HEARD.replace("heard", "sure")
    bench = Bench(load(f"{EXPECTED_TO_FAIL}{law}{markers}"), TERMS)
    assert [(entry.name, why) for entry, why in bench.left_alone] == [("heard", "is expected to fail")]
    assert all(isinstance(need, Reply) for need in bench.needs())
    found = judged(bench, talk(bench.needs()))
    assert [(proposal.entry.name, proposal.entry.index) for proposal in found] == [("sure", 2)] * 3


@pytest.mark.parametrize(
    ("assertions", "reason"),
    [("  - {property: commutativity}\n", "it has no claim"), (EXPECTED_TO_FAIL, "heard is expected to fail")],
)
def test_a_suite_without_claims_is_a_sentence(load, assertions, reason):
    with pytest.raises(SuiteError, match=f"has nothing to calibrate: {reason}$"):
        Bench(load(assertions), TERMS)


ATTRACTOR = "  - {property: attractor, poles: [pirate, counsel], site: resid_post.2, max_area: 1}\n"


@pytest.mark.parametrize(
    ("assertions", "probes", "sentence"),
    [
        (HEARD, 9, "heard has 9 probes, of which halves are too few: markers needs at least 8 probes"),
        (ATTRACTOR, 7, "attractor has 7 independent probes; expected at least 8, so that halves of them"),
    ],
)
def test_too_few_probes_for_halves_are_a_sentence(load, assertions, probes, sentence):
    with pytest.raises(SuiteError, match=f"has nothing to calibrate: {sentence}"):
        Bench(load(assertions, probes=probes), TERMS)


def test_what_has_too_few_probes_leaves_the_rest_to_be_calibrated(load):
    bench = Bench(load(f"{HEARD}{ATTRACTOR}", probes=9), TERMS)
    ((entry, reason),) = bench.left_alone
    assert entry.name == "heard"
    assert reason.startswith("has 9 probes, of which halves are too few: ")


def test_what_could_not_be_measured_is_its_own_sentence(load):
    bench = Bench(load(), TERMS)
    record = Record(dict.fromkeys(bench.needs(), MeasurementError("the model gave no number")))
    with pytest.raises(CoherenceError, match="the model gave no number"):
        judged(bench, record)


def suite_of(asserted, on):
    """A suite of one property and a scene that were made up."""
    return Suite(Path("a.yaml"), Overrides(), on, {}, assertions_of([(asserted, Place("a.yaml", 1))], on))


def test_conversations_are_halved_by_their_scripts():
    """Persons drift by 0.02 a turn, each script by a little more or less."""
    asked = Drift(property="drift", site="resid_post.1", regimes=["adapter"], max_drift=0.05, min_rate=0.5)
    bench = Bench(suite_of(asked, drifting.scene()), TERMS)
    record = drifting.planted(bench, lambda who, turn: 1 + 0.02 * (turn or 0) if who else 0.0, noise=0.1)
    drift, rate = judged(bench, record)
    assert (drift.key, drift.estimate.n, drift.estimate.of) == ("max_drift", 8, "scripts")
    assert 0.02 < drift.proposed < 0.1
    assert rate.key == "min_rate"


def test_halves_of_scripts_vary_what_is_judged():
    """On halves of the probes, as many scripts say the same each time: the spread would be none."""
    asked = Drift(property="drift", site="resid_post.1", regimes=["adapter"], max_drift=0.05)
    bench = Bench(suite_of(asked, drifting.scene()), TERMS)
    record = drifting.planted(bench, lambda who, turn: 1.0 if who else 0.0)
    (trial, *_) = bench.trials(record, lambda *step: None)
    assert trial.halves["scripts"].clusters == 8
    assert len({half["max_drift"].estimate.value for half in trial.halves["scripts"].judged}) > 10


def test_a_law_among_claims_is_not_proposed():
    """Given its own keys and values an answer may not move: 1e-4 is not to become 0.01."""
    asked = CacheEdited(
        property="cache_edit",
        personas=["pirate"],
        regimes=["adapter"],
        sites="resid_post.0..2",
        site=conversations.SITE,
        max_shift=0.5,
    )
    on = conversations.scene(conversations.scripts(8))
    bench = Bench(suite_of(asked, on), TERMS)
    record = conversations.world(bench, lambda reading: 1.0)
    assert [proposal.key for proposal in judged(bench, record)] == ["max_shift"]


def test_a_suite_of_laws_alone_is_a_sentence():
    asked = CacheLaw(property="cache", personas=["pirate"], regimes=["adapter"])
    with pytest.raises(SuiteError, match="has nothing to calibrate: it has no claim"):
        Bench(suite_of(asked, conversations.scene()), TERMS)


def test_a_key_under_which_nothing_is_asked_gets_no_proposal(load, talk):
    """A criterion may be there to be looked at; its key says that it is no claim."""
    bench = Bench(load(), TERMS)
    record = talk(bench.needs())
    (first, *_) = bench.trials(record, lambda *step: None)
    assert set(first.whole[0]) == set(KEYS)

    def without(entry):
        asserted = entry.asserted.model_copy(update={KEYS[0]: None})
        return replace(entry, asserted=asserted)

    bench._cases = [replace(cases, entry=without(cases.entry)) for cases in bench._cases]
    assert [proposal.key for proposal in judged(bench, record)] == KEYS[1:]


@pytest.mark.parametrize(("probes", "told"), [(24, False), (80, True)])
def test_agreement_that_halves_cannot_tell_is_not_calibrated(load, probes, told):
    """Half of the replies have markers: enough for kappa on all probes, and on halves of many."""
    suite = load(probes=probes)

    class Half(Record):
        def reply(self, reply, part=Part.ANSWER):
            under = reply.condition
            names = [prompt.text.removeprefix("Be ").removesuffix(".") for prompt in under.prompts]
            names += [name for name, _ in under.adapters]
            return " ".join(names) if int(reply.probe.id[1:]) % 2 else ""

    bench = Bench(suite, TERMS)
    (agreement,) = [found for found in judged(bench, Half({})) if found.key == "min_agreement"]
    assert (agreement.proposed is not None) == told
    if not told:
        assert agreement.notes[0].endswith("on most halves of the probes, there is no Cohen's kappa")
