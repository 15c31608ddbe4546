"""Looks at an assertion before all of its probes are measured, on the tiny model."""

from dataclasses import replace
from math import inf

import pytest

from coherence.engine.executors.progress import Silent
from coherence.gate import Gate
from coherence.gate.beginnings import Beginnings
from coherence.gate.looks import Look, looks_at, looks_at_controls
from coherence.gate.needs import Needs
from coherence.properties.criterion import exact, held
from coherence.statistics.jackknife import mean
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Evidence, Policy, Verdict

PERSONAS = ("pirate", "counsel", "oncall")
PROBES = 24
DIRECTIONS = (
    "property: collinearity, sites: resid_post.2, min_ceiling: 0, personas: [pirate], "
    "between: [adapter, prompt+adapter]"
)
PASSES = f"{{{DIRECTIONS}, min_cosine: -1}}"
FAILS = f"{{{DIRECTIONS}, id: fails, min_cosine: 0.999}}"
KNOWN = f"{{{DIRECTIONS}, id: known, min_cosine: 0.999, expect: {{fail: min_cosine}}}}"
LAW = "{property: commutativity, laws: [adapter-disabled], examples: 1}"
LOOKS = (8, 16)


class Counting(Silent):
    """Counts what is measured, by kind."""

    def __init__(self):
        self.done = {}

    def __call__(self, what, done, total):
        self.done[what] = max(done, self.done.get(what, 0))


@pytest.fixture
def load(tiny, tiny_adapter, tiny_vector, tmp_path):
    def load(*assertions, template=1):
        release = [f"  base: {tiny}"]
        for kind, made in (("adapters", tiny_adapter), ("vectors", tiny_vector)):
            release += [f"  {kind}:", *(f"    {who}: {made(who, seed=n)}" for n, who in enumerate(PERSONAS))]
        probes = [
            f"  - {{id: q{day}, template: t{day // template}, text: Is it open on day {day}?}}"
            for day in range(PROBES)
        ]
        lines = ["coherence: 1", "release:", *release, "personas:"]
        lines += [f"  {who}: {{prompt: You are {who}.}}" for who in PERSONAS]
        lines += ["probes:", *probes, "assertions:", *(f"  - {one}" for one in assertions)]
        path = tmp_path / "a.coherence.yaml"
        path.write_text("\n".join(lines))
        return load_suite(path, Overrides())

    return load


def judged(suite, store, looks=LOOKS, progress=None):
    gate = Gate({suite: suite.assertions}, Store(store), progress or Counting(), policy=Policy(looks=looks))
    return [gate.judge(suite, assertion) for assertion in suite.assertions]


def sizes(result):
    return {criterion.estimate.n for criterion in result.evidence.criteria}


def alike(first, second):
    """Tell whether two results are the same but for what other rows of a batch round otherwise."""
    pairs = zip(first.evidence.criteria, second.evidence.criteria, strict=True)
    return first.evidence.notes == second.evidence.notes and all(
        one.estimate.value == pytest.approx(other.estimate.value, rel=1e-5)
        and (one.unreliable, one.estimate.n) == (other.unreliable, other.estimate.n)
        for one, other in pairs
    )


def test_what_is_clear_stops_and_its_other_probes_are_not_measured(load, tmp_path):
    suite, counted = load(KNOWN), Counting()
    (result,) = judged(suite, tmp_path / "store", progress=counted)
    assert result.verdict is Verdict.FAIL
    assert result.green
    assert sizes(result) == {8}
    assert counted.done["residuals"] == (1 + 2 * len(PERSONAS)) * 8
    (note,) = (note for note in result.evidence.notes if note.startswith("clear after"))
    assert note == (
        "clear after 8 of 24 probes, so that no more were measured: every criterion is decided at 99.44%, "
        "the level of this look"
    )


def test_what_fails_is_measured_whole_and_is_what_it_is_without_looks(load, tmp_path):
    suite = load(FAILS)
    (looked,), (whole,) = judged(suite, tmp_path / "a"), judged(suite, tmp_path / "b", looks=())
    assert looked.verdict is whole.verdict is Verdict.FAIL
    assert sizes(looked) == {PROBES}
    assert alike(looked, whole)


def test_the_controls_of_what_stops_are_about_the_same_probes(load, tmp_path):
    (result,) = judged(load(PASSES), tmp_path / "store")
    assert sizes(result) == {8}
    ns = {one.estimate.n for control in result.evidence.controls for one in control.criteria}
    assert ns == {8}


def test_looks_at_no_fewer_than_all_probes_change_nothing(load, tmp_path):
    suite = load(PASSES, KNOWN, LAW)
    looked = judged(suite, tmp_path / "a", looks=(PROBES, 2 * PROBES))
    whole = judged(suite, tmp_path / "b", looks=())
    assert all(alike(*pair) for pair in zip(looked, whole, strict=True))


def looks_of(suite, place=0, after=LOOKS):
    assertion = suite.assertions[place]
    return looks_at(assertion, Beginnings(suite.scene), Needs(assertion), after)


def probes_of(look):
    return {probe for one in look.needs.decisive for probe in [one.probe.id]}


def test_looks_are_at_beginnings_of_one_order_of_the_probes(load):
    suite = load(KNOWN, PASSES)
    first, second, last = map(probes_of, looks_of(suite))
    assert (len(first), len(second), len(last)) == (8, 16, PROBES)
    assert first < second < last
    assert first != {f"q{day}" for day in range(8)}
    assert [probes_of(look) for look in looks_of(suite, 1)] == [first, second, last]
    other = replace(suite, scene=replace(suite.scene, seed=1))
    assert probes_of(looks_of(other)[0]) != first


def test_probes_of_a_template_are_looked_at_together(load):
    looks = looks_of(load(KNOWN, template=2), after=(8,))
    assert [(look.probes, look.of) for look in looks] == [(8, 12), (12, 12)]
    days = {int(name[1:]) // 2 for name in probes_of(looks[0])}
    assert (len(days), len(probes_of(looks[0]))) == (8, 16)


def test_a_law_and_what_cannot_be_planned_are_looked_at_once(load):
    suite = load(LAW)
    (only,) = looks_of(suite)
    assert only.assertion is suite.assertions[0]
    needs = Needs(suite.assertions[0])
    needs.problem = ValueError("none")
    assert len(looks_at(suite.assertions[0], Beginnings(suite.scene), needs, LOOKS)) == 1


def at_controls(suite, place=0):
    *_, last = looks_of(suite, place)
    found = looks_at_controls(last, Beginnings(suite.scene))
    return [({probe.id for probe in one.case.scene.probes}, round(one.level, 4)) for one in found]


def test_controls_are_looked_at_after_thirds_of_the_probes_whatever_claims_are(load):
    suite = load(PASSES, LAW)
    first, second, _ = map(probes_of, looks_of(suite))
    assert at_controls(suite) == [(first, 0.0056), (second, 0.0167)]
    assert at_controls(suite, 1) == []
    # Of twelve templates a third are too few.
    (only,) = at_controls(load(PASSES, template=2))
    assert (len(only[0]), only[1]) == (16, 0.0222)


def test_controls_of_what_is_judged_whole_end_by_their_first_probes(load, tmp_path):
    """Of adapters at random none goes another's way."""
    suite = load(PASSES.replace("-1", "0.2"))
    (result,) = judged(suite, tmp_path / "store", looks=())
    assert result.verdict is Verdict.PASS
    assert sizes(result) == {PROBES}
    ns = {control.name: control.criterion.estimate.n for control in result.evidence.controls}
    assert min(ns.values()) < PROBES


def test_a_problem_at_an_early_look_is_left_to_the_last(load, tmp_path, monkeypatch):
    suite = load(PASSES)
    case = type(suite.assertions[0].case)
    criteria = case.criteria

    def fragile(self, sample):
        if len(self.scene.probes) < PROBES:
            raise ZeroDivisionError
        return criteria(self, sample)

    monkeypatch.setattr(case, "criteria", fragile)
    (result,) = judged(suite, tmp_path / "store")
    assert sizes(result) == {PROBES}
    assert result.evidence.notes == judged(suite, tmp_path / "store", looks=())[0].evidence.notes


def look_at(suite, place=0):
    """Take the first of three looks at made-up evidence."""
    first, *_ = looks_of(suite, place)
    return first


VALUES = [0.5 + 0.01 * (row % 5) for row in range(8)]


def criterion(at_least, key="min_cosine"):
    return held("a mean", mean(VALUES, [str(row) for row in range(8)]), 8, at_least, inf, key=key)


def test_a_fact_about_the_probes_is_clear_only_where_it_is_over_its_bound(load):
    suite = load(PASSES, KNOWN)
    passes, known = look_at(suite), look_at(suite, 1)
    clear, broken = criterion(0.1), criterion(0.9)
    under, over = (exact("highest", value, 8, 1.0, key="min_cosine") for value in (0.5, 2.0))
    assert passes.is_clear([clear])
    assert not passes.is_clear([clear, under])
    assert not passes.is_clear([clear, over])
    assert known.is_clear([broken, over])
    assert not known.is_clear([broken, under])


def test_the_last_look_decides_by_what_the_others_leave(load):
    """A bound that the interval of 95 % just misses is not missed by that of 97.2 %."""
    *_, last = looks_of(load(PASSES))
    low = criterion(-inf).estimate.low
    for at_least, verdict in ((low - 0.0005, Verdict.INCONCLUSIVE), (low - 0.01, Verdict.PASS)):
        (weighed,) = last.weighed(Evidence(criteria=(criterion(at_least),))).criteria
        assert criterion(at_least).verdict is Verdict.PASS
        assert weighed.verdict is verdict
    (weighed,) = last.weighed(Evidence(criteria=(criterion(low - 0.0005),))).criteria
    assert weighed.unreliable == (
        "clear at 95 %, and not at the 97.2% that earlier looks leave: 8 probes, about 15 needed"
    )
    high = criterion(-inf).estimate.high
    (fails,) = last.weighed(Evidence(criteria=(criterion(high + 0.0005),))).criteria
    assert fails.verdict is Verdict.FAIL


def test_where_there_is_one_look_it_has_the_whole_level(load):
    (only,) = looks_of(load(PASSES), after=())
    evidence = Evidence(criteria=(criterion(criterion(-inf).estimate.low),))
    assert isinstance(only, Look)
    assert only.weighed(evidence) is evidence
