"""The bench, on records that were made up: markers that are heard more or less often."""

import pytest

from coherence.errors import CoherenceError, MeasurementError, SuiteError
from coherence.plan import Record, Reply
from coherence.suite import Overrides, load_suite
from coherence.thresholds import Bench, Terms

TERMS = Terms(false_alarm=0.05, power=0.9, halves=20, seed=0)
KEYS = ["min_agreement", "max_difference", "min_recovery"]
EXPECTED_TO_FAIL = """\
  - {property: markers, id: heard, between: [prompt, steering], min_agreement: 0.6, max_difference: 0.25,
     min_recovery: 0.7, expect: fail}
"""


@pytest.fixture
def proposed(load, talk):
    """Proposals by key for a suite whose artefacts are heard with some probability."""

    def proposed(heard=1.0, suite=None, terms=TERMS, done=None):
        bench = Bench(suite or load(), terms)
        steps = [] if done is None else done
        record = talk(bench.needs(), heard)
        found = list(bench.proposals(record, lambda *step: steps.append(step)))
        return {proposal.key: proposal for proposal in found}

    return proposed


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
        def reply(self, reply):
            return healthy.reply(reply) if deaf[reply] is None else deaf[reply]

    (agreement, *_) = bench.proposals(Mixed({}), lambda *step: None)
    assert agreement.weakest == "oncall.markers.prompt-adapter"
    (every, *_) = Bench(suite, TERMS).proposals(healthy, lambda *step: None)
    assert agreement.proposed < every.proposed


def test_where_the_threshold_is_stricter_than_the_sample_it_says_how_many_probes_are_needed(proposed):
    agreement = proposed(heard=0.9)["min_agreement"]
    n = agreement.estimate.n
    assert n == 24 < agreement.needed
    (said,) = agreement.notes
    assert said.startswith(f"{agreement.weakest}: 24 probes; ")
    assert said.endswith(" needed for Gwet's AC1 >= 0.6 at 90 % power")


def test_more_power_needs_more_probes(proposed):
    strict = Terms(false_alarm=0.05, power=0.99, halves=20, seed=0)
    usual, sure = (proposed(0.9, terms=terms)["min_agreement"].needed for terms in (TERMS, strict))
    assert usual < sure


def test_fewer_false_alarms_take_more_lenient_thresholds(proposed):
    rare = Terms(false_alarm=0.001, power=0.9, halves=20, seed=0)
    usual, strict = (proposed(0.95, terms=terms) for terms in (TERMS, rare))
    assert strict["min_agreement"].proposed < usual["min_agreement"].proposed
    assert strict["max_difference"].proposed > usual["max_difference"].proposed


def test_a_release_in_which_everybody_sounds_alike_gets_no_thresholds(load, write, talk):
    path = write()
    path.write_text(path.read_text().replace("markers: [counsel]", "markers: [pirate]"))
    bench = Bench(load_suite(path, Overrides()), TERMS)

    class Alike(Record):
        def reply(self, reply):
            named = reply.condition.prompts or reply.condition.adapters
            return "pirate counsel oncall" if named else ""

    found = list(bench.proposals(Alike({}), lambda *step: None))
    assert {proposal.proposed for proposal in found} == {None}
    for proposal in found:
        assert proposal.margin is None
        assert proposal.notes[0].startswith("the control passes too: ")
        assert proposal.notes[0].endswith("so nothing is proposed (no number of probes helps)")


def test_what_cannot_be_decided_is_not_calibrated(load):
    bench = Bench(load(), TERMS)

    class Mute(Record):
        def reply(self, reply):
            return ""

    found = list(bench.proposals(Mute({}), lambda *step: None))
    assert found[2].proposed is None
    assert "the prompt's rate 0.00 is not clearly above the bare rate 0.00" in found[2].notes[0]


def test_the_seed_alone_decides(proposed):
    other = Terms(false_alarm=0.05, power=0.9, halves=20, seed=1)
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
    markers = EXPECTED_TO_FAIL.replace("heard", "sure").replace(", expect: fail", "")
    bench = Bench(load(f"{EXPECTED_TO_FAIL}{law}{markers}"), TERMS)
    assert [entry.name for entry in bench.left_alone] == ["heard"]
    assert all(isinstance(need, Reply) for need in bench.needs())
    found = list(bench.proposals(talk(bench.needs()), lambda *step: None))
    assert [(proposal.entry.name, proposal.entry.index) for proposal in found] == [("sure", 2)] * 3


@pytest.mark.parametrize("assertions", ["  - {property: commutativity}\n", EXPECTED_TO_FAIL])
def test_a_suite_without_claims_is_a_sentence(load, assertions):
    with pytest.raises(SuiteError, match="has no claim that is expected to pass, so nothing to calibrate"):
        Bench(load(assertions), TERMS)


@pytest.mark.parametrize(
    ("probes", "sentence"),
    [
        (10, "halves of the suite's 10 probes are too few to calibrate: markers needs at least 8 probes"),
        (
            7,
            "the suite has 7 independent probes .* expected at least 8",
        ),
    ],
)
def test_too_few_probes_for_halves_are_a_sentence(load, probes, sentence):
    attractor = "  - {property: attractor, poles: [pirate, counsel], site: resid_post.2, max_area: 1}\n"
    with pytest.raises(SuiteError, match=sentence):
        Bench(load(probes=probes) if probes > 7 else load(attractor, probes=probes), TERMS)


def test_what_could_not_be_measured_is_its_own_sentence(load):
    bench = Bench(load(), TERMS)
    record = Record(dict.fromkeys(bench.needs(), MeasurementError("the model gave no number")))
    with pytest.raises(CoherenceError, match="the model gave no number"):
        list(bench.proposals(record, lambda *step: None))
