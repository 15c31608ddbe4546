"""The gate on the tiny model: one plan, measured once, a verdict for each assertion."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vector_files import control

from coherence import __version__
from coherence.engine.executors.progress import Silent
from coherence.gate import Gate, among_all, results_of
from coherence.gate.outcomes import questioned
from coherence.gate.united_releases import united
from coherence.properties import Property
from coherence.properties.collinearity import CollinearityCase
from coherence.properties.ranges import COSINE
from coherence.store import Store
from coherence.suite import Overrides, Suite, load_suite
from coherence.vocabulary import (
    Adjusted,
    Criterion,
    Estimate,
    Evidence,
    Incoherence,
    Policy,
    ProbeNote,
    Script,
    ScriptTurn,
    Verdict,
)

PERSONAS = ("pirate", "counsel", "oncall")
# Alike, so that the directions of a random model are told from noise.
PROBES = tuple(f"Is it open on day {day}?" for day in range(1, 9))
DIRECTIONS = "property: collinearity, sites: resid_post.2, min_cosine: 1, min_ceiling: 0, personas: [pirate]"
BY_ADAPTER = f"{{{DIRECTIONS}, between: [prompt, adapter]}}"
BY_VECTOR = f"{{{DIRECTIONS}, between: [prompt, steering]}}"
LAW = "{property: commutativity, laws: [adapter-disabled], examples: 1}"

ADAPTER, VECTOR, DISABLED = (
    "pirate.collinearity.prompt-adapter",
    "pirate.collinearity.prompt-steering",
    "release.commutativity.adapter-disabled",
)


class Steps(Silent):
    """What a gate measured, by kind."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        self.done[what] = done

    def warn(self, sentence: str) -> None:
        pytest.fail(sentence)


@pytest.fixture(scope="session")
def artefacts(
    tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path]
) -> dict[str, dict[str, Path]]:
    return {
        "adapters": {name: tiny_adapter(name, seed=seed) for seed, name in enumerate(PERSONAS)},
        "vectors": {name: tiny_vector(name, seed=seed) for seed, name in enumerate(PERSONAS)},
    }


@pytest.fixture
def load(tiny: Path, artefacts: dict[str, dict[str, Path]], tmp_path: Path) -> Callable[..., Suite]:
    """Load a suite; `replaced` takes the place of the pirate's artefacts, and `more` are adapters, too.

    `training` is what is written of the file that the pirate's adapter was trained on.
    """

    def load(
        *assertions: str,
        name: str = "a",
        seed: int = 0,
        more: dict[str, Path] | None = None,
        training: str | None = None,
        **replaced: str,
    ) -> Suite:
        release = [f"  base: {tiny}"]
        for kind, paths in artefacts.items():
            named = {who: str(path) for who, path in paths.items()}
            named |= {"pirate": replaced.get(kind, named["pirate"])}
            named |= (more or {}) if kind == "adapters" else {}
            release += [f"  {kind}:", *(f"    {who}: {path}" for who, path in named.items())]
        release += [f"  training: {{pirate: {training}}}"] if training else []
        lines = ["coherence: 1", f"seed: {seed}", "release:", *release, "personas:"]
        lines += [f"  {who}: {{prompt: You are {who}.}}" for who in PERSONAS]
        lines += ["probes:", *(f"  - {probe}" for probe in PROBES)]
        lines += ["assertions:", *(f"  - {assertion}" for assertion in assertions)]
        path = tmp_path / f"{name}.coherence.yaml"
        path.write_text("\n".join(lines))
        return load_suite(path, Overrides())

    return load


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def judged(gate, *suites):
    return {
        (suite.path.name[0], assertion.id): gate.judge(suite, assertion)
        for suite in suites
        for assertion in suite.assertions
    }


def selected(*suites):
    return {suite: suite.assertions for suite in suites}


def test_a_verdict_carries_what_it_is_about(load, store, tiny):
    suite = load(BY_ADAPTER, LAW)
    found = judged(Gate(selected(suite), store), suite)
    result = found["a", ADAPTER]
    assert (result.verdict, result.family, result.persona) == (Verdict.FAIL, "collinearity", "pirate")
    assert (result.suite, result.line) == (suite.path.as_posix(), suite.assertions[0].place.line)
    assert result.sentence.startswith(f"{ADAPTER} fails: specific cosine")
    assert result.release["base"].startswith(f"{tiny} ")
    assert set(result.release) == {"base", *(f"adapter {name}" for name in PERSONAS)}
    assert found["a", DISABLED].verdict is Verdict.PASS


def test_what_a_probe_asks_is_shown_whole(load, store):
    suite = load(BY_ADAPTER)
    notes = judged(Gate(selected(suite), store), suite)["a", ADAPTER].evidence.probes
    asked = {probe.id: probe.text for probe in suite.scene.probes}
    assert notes
    assert [note.question for note in notes] == [asked[note.probe] for note in notes]


def test_the_turns_of_a_script_are_asked_one_a_line_and_what_is_neither_asks_nothing(load):
    script = Script(id="talk", turns=(ScriptTurn(user="Hello"), ScriptTurn(user="Where is it?")))
    scene = replace(load(BY_ADAPTER).scene, scripts=(script,))
    notes = questioned([ProbeNote(probe=name, note="") for name in ("talk", "any")], scene)
    assert [note.question for note in notes] == ["Hello\nWhere is it?", None]


def test_what_was_asked_is_said_and_does_not_depend_on_what_is_tested(load, store, tiny_adapter):
    one, two = load(LAW), load(LAW, name="b", seed=3, adapters=str(tiny_adapter("newer", seed=9)))
    found = judged(Gate(selected(one, two), store), one, two)
    asked = found["a", DISABLED].asked
    assert asked == found["b", DISABLED].asked
    assert set(asked) == {"probes", "neutral prompt", "decoding", "dtype", "system", "thinking"}
    scene = replace(one.scene, probes=one.scene.probes[1:], neutral="Be brief.")
    other = replace(one, scene=scene)
    (changed,) = judged(Gate(selected(other), store), other).values()
    assert {name for name in asked if asked[name] != changed.asked[name]} == {"probes", "neutral prompt"}


UNUSED = "of the 3 directions of its file"
NOTED = {
    "site: resid_post.2": f"2 {UNUSED} are unused",
    "sites: all, unit: raw": "sites all, unit raw",
    "sites: resid_post.1..2, tokens: reply": f"sites resid_post.1..2, tokens reply; 1 {UNUSED} is unused",
}


@pytest.mark.parametrize("written", NOTED)
def test_what_nobody_expects_of_a_vector_is_noted_and_again_where_nothing_is_measured(
    load, store, tmp_path, written
):
    path = control(tmp_path / "v.gguf", {block: np.full(32, block, np.float32) for block in (1, 2, 3)})
    suite = load("{property: commutativity, laws: [batch-mates]}", vectors=f"{{path: {path}, {written}}}")
    for _ in range(2):
        (result,) = judged(Gate(selected(suite), store), suite).values()
        noted = [note for note in result.evidence.notes if note.startswith("vector")]
        assert noted == [f"vector 'pirate': {NOTED[written]}"]


def test_nothing_is_measured_before_it_is_asked_for(load, store):
    steps = Steps()
    gate = Gate(selected(load(LAW)), store, steps)
    assert steps.done == {}
    gate.measure()
    assert steps.done == {"loading the model": 1, "laws": 1}


class Hearing(list):
    """Hears verdicts before the run has ended."""

    def __call__(self, result, done, total):
        self.append((result, done, total))

    @property
    def ids(self):
        return [result.id for result, _, _ in self]


def test_a_verdict_is_heard_when_it_is_measured_and_is_that_of_the_end(load, store):
    suite, heard = load(BY_ADAPTER, LAW, BY_VECTOR), Hearing()
    gate = Gate(selected(suite), store, heard=heard)
    gate.measure()
    assert sorted(heard.ids) == sorted((ADAPTER, DISABLED, VECTOR))
    assert [place for _, place, _ in heard] == [1, 2, 3]
    assert {total for _, _, total in heard} == {3}
    unheard = judged(Gate(selected(suite), Store(store.root / "other")), suite)
    for result, _, _ in heard:
        end = gate.judge(suite, next(one for one in suite.assertions if one.id == result.id))
        assert end.raw_verdict is result.verdict
        other = unheard["a", result.id]
        assert end.model_copy(update={"seconds": 0.0}) == other.model_copy(update={"seconds": 0.0})


def test_nothing_is_heard_early_where_all_is_stored(load, store):
    suite, heard = load(BY_ADAPTER), Hearing()
    Gate(selected(suite), store).measure()
    Gate(selected(suite), store, heard=heard).measure()
    assert heard == []


def test_what_cannot_be_measured_is_heard_at_once(load, store):
    suite, heard = load(BY_ADAPTER, LAW), Hearing()
    broken = replace(suite.assertions[0], case=Raising(suite.assertions[0].case))
    Gate({suite: (suite.assertions[1], broken)}, store, heard=heard).measure()
    assert heard.ids == [ADAPTER, DISABLED]
    assert [result.verdict for result, _, _ in heard] == [Verdict.ERROR, Verdict.PASS]


class Raising:
    """A case that does not know what it needs."""

    def __init__(self, case):
        self._case = case

    def __getattr__(self, name):
        return getattr(self._case, name)

    def needs(self):
        raise ZeroDivisionError


def smoke(suite):
    return replace(suite, assertions=tuple(replace(one, tier="smoke") for one in suite.assertions))


def test_the_release_with_what_is_judged_in_a_hurry_is_measured_first(load, store, tiny_adapter):
    first, heard = load(LAW), Hearing()
    second = smoke(load(LAW, name="b", adapters=tiny_adapter("newer", seed=9)))
    gate = Gate(selected(first, second), store, heard=heard)
    gate.measure()
    assert [result.tier for result, _, _ in heard] == ["smoke", "full"]


def test_what_is_left_of_all_releases_is_expected_at_once(load, store, tiny_adapter):
    class Expecting(Steps):
        counts = True

        def __init__(self):
            super().__init__()
            self.expected = []

        def expect(self, work):
            self.expected.append(work.measurements)

    first, second = load(LAW), load(LAW, name="b", adapters=tiny_adapter("newer", seed=9))
    steps = Expecting()
    Gate(selected(first, second), store, steps).measure()
    assert steps.expected == [2, 1]


def test_suites_of_one_release_share_their_measurements(load, store):
    first, second = load(BY_ADAPTER), load(BY_ADAPTER, LAW, name="b")
    steps = Steps()
    found = judged(Gate(selected(first, second), store, steps), first, second)
    # Bare and each persona in two regimes: every probe once, and no control, as the claim fails.
    assert steps.done["residuals"] == (1 + 2 * 3) * len(PROBES)
    assert steps.done["loading the model"] == 1
    assert found["a", ADAPTER].evidence == found["b", ADAPTER].evidence


def test_releases_that_differ_by_adapters_alone_are_measured_by_one_loaded_model(load, store, tiny_adapter):
    class Loads(Steps):
        loads = 0

        def __call__(self, what, done, total):
            super().__call__(what, done, total)
            self.loads += (what, done) == ("loading the model", 1)

    first, loads = load(BY_ADAPTER), Loads()
    second = load(BY_ADAPTER, LAW, name="b", more={"mixed": tiny_adapter("mixed", seed=9)})
    third = load(BY_ADAPTER, name="c", adapters=tiny_adapter("newer", seed=11))
    assert len({suite.release_key for suite in (first, second, third)}) == 3
    both = judged(Gate(selected(first, second), store, loads), first, second)
    assert loads.loads == 1
    assert loads.done["residuals"] == (1 + 2 * 3) * len(PROBES)
    assert both["a", ADAPTER].evidence == both["b", ADAPTER].evidence
    assert both["b", DISABLED].verdict is Verdict.PASS
    # Where one name means two things, each has its own.
    assert [len(suites) for suites in united([first, second, third])] == [2, 1]
    assert united([third, first, second]) == [[third], [first, second]]


def test_an_artefact_that_only_one_of_them_has_is_no_matter_of_the_other(load, store):
    first = load(BY_ADAPTER)
    second = load(BY_ADAPTER, LAW, name="b", more={"mixed": Path("/nowhere")})
    found = judged(Gate(selected(first, second), store), first, second)
    assert {result.verdict for result in found.values()} == {Verdict.FAIL, Verdict.PASS}


PASSING = BY_VECTOR.replace("min_cosine: 1", "min_cosine: -1, min_strength: 1e-9")


def test_controls_are_measured_only_for_a_claim_that_passes(load, store, artefacts):
    """Any vector passes a claim that asks for nothing, and only then its controls are measured."""
    lax, strict = load(PASSING), load(BY_VECTOR, name="b")
    steps = Steps()
    found = judged(Gate(selected(strict), store, steps), strict)["b", VECTOR]
    assert found.verdict is Verdict.FAIL
    assert steps.done["residuals"] == (1 + 2 * 3) * len(PROBES)
    (note,) = (note for note in found.evidence.notes if note.startswith("its controls"))
    assert note.startswith(
        "its controls were not measured, as only a claim that passes needs them: nothing in"
    )
    assert "random vectors" in note
    steps = Steps()
    found = judged(Gate(selected(lax), store, steps), lax)["a", VECTOR]
    assert {control.name for control in found.evidence.controls} >= {"random vectors", "a neutral prompt"}
    assert not any(note.startswith("its controls") for note in found.evidence.notes)
    assert steps.done["residuals"] % len(PROBES) == 0
    assert steps.done["loading the model"] == 1


def test_each_release_is_judged_on_its_own_artefacts(load, store, tiny_adapter):
    first, second = load(BY_ADAPTER), load(BY_ADAPTER, name="b", adapters=tiny_adapter("newer", seed=9))
    found = judged(Gate(selected(first, second), store), first, second)
    old, new = (found[suite, ADAPTER] for suite in "ab")
    assert old.release["base"] == new.release["base"]
    assert old.release["adapter pirate"] != new.release["adapter pirate"]
    assert old.evidence.curve != new.evidence.curve


def test_only_what_was_selected_is_measured(load, store):
    suite = load(BY_ADAPTER, LAW)
    steps = Steps()
    gate = Gate({suite: suite.assertions[1:]}, store, steps)
    assert gate.judge(suite, suite.assertions[1]).verdict is Verdict.PASS
    assert "residuals" not in steps.done


def test_an_estimate_does_not_depend_on_what_else_is_judged(load, store):
    alone, together = load(BY_ADAPTER), load(LAW, BY_VECTOR, BY_ADAPTER, name="b")
    found = judged(Gate(selected(together, alone), store), alone, together)
    assert found["a", ADAPTER].evidence == found["b", ADAPTER].evidence


def test_the_seed_moves_the_resampling_and_not_the_estimate(load, store):
    first, second = load(BY_ADAPTER), load(BY_ADAPTER, name="b", seed=1)
    found = judged(Gate(selected(first, second), store), first, second)
    one, other = (result.evidence.criteria for result in found.values())
    assert one[1].estimate.value == other[1].estimate.value
    assert one != other


def test_an_artefact_that_cannot_be_used_spoils_only_what_needs_it(load, store):
    suite = load(BY_ADAPTER, BY_VECTOR, LAW, vectors="./lost.safetensors")
    found = judged(Gate(selected(suite), store), suite)
    assert {name: result.verdict for (_, name), result in found.items()} == {
        ADAPTER: Verdict.FAIL,
        VECTOR: Verdict.ERROR,
        DISABLED: Verdict.PASS,
    }
    lost = found["a", VECTOR]
    assert lost.evidence is None
    assert f"{suite.places['release.vectors.pirate']}: vector 'pirate': " in lost.sentence
    assert lost.release["problem"] in lost.sentence


def unreadable(root: Path) -> None:
    root.touch()


def unwritable(root: Path) -> None:
    (root / "v1" / "measuring.lock").mkdir(parents=True)


@pytest.mark.parametrize("spoil", [unreadable, unwritable])
def test_a_store_that_fails_is_an_error_of_every_assertion(load, tmp_path, spoil):
    suite = load(BY_ADAPTER, LAW)
    spoil(tmp_path / "store")
    found = judged(Gate(selected(suite), Store(tmp_path / "store")), suite)
    assert {result.verdict for result in found.values()} == {Verdict.ERROR}
    assert all("give another folder with --coherence-store" in result.sentence for result in found.values())


def test_a_second_gate_measures_nothing_and_judges_the_same(load, store):
    suite, steps = load(BY_ADAPTER, LAW), Steps()
    before = judged(Gate(selected(suite), store), suite)
    after = judged(Gate(selected(suite), store, steps), suite)
    assert steps.done == {}
    assert [r.model_copy(update={"seconds": 0.0}) for r in after.values()] == [
        r.model_copy(update={"seconds": 0.0}) for r in before.values()
    ]


def counted(monkeypatch, case, method):
    """Count the calls of a method of the case's class."""
    calls, real = [], getattr(case, method)

    def count(self, *given):
        calls.append(self)
        return real(self, *given)

    monkeypatch.setattr(case, method, count)
    return calls


def test_every_assertion_is_judged_once_and_asked_once_what_it_needs(load, store, monkeypatch):
    needs = counted(monkeypatch, CollinearityCase, "needs")
    rests = counted(monkeypatch, CollinearityCase, "needs")
    judgements = counted(monkeypatch, CollinearityCase, "judge")
    suite = load(BY_ADAPTER, BY_VECTOR)
    gate = Gate(selected(suite), store)
    assert judged(gate, suite) == judged(gate, suite)
    claims = [assertion.case for assertion in suite.assertions]
    assert [needs.count(case) for case in claims] == [1, 1]
    assert judgements == claims
    controls = [control for case in claims for drawn in case.controls().values() for control in drawn]
    assert [case.slug for case in rests if case not in claims] == [case.slug for case in controls]


@pytest.mark.parametrize("method", ["needs", "controls", "judge"])
def test_a_bug_in_one_property_spoils_no_other_assertion(load, store, monkeypatch, caplog, method):
    def broken(self, *given):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(CollinearityCase, method, broken)
    suite = load(BY_ADAPTER, LAW)
    gate = Gate(selected(suite), store)
    with caplog.at_level("DEBUG"):
        spoilt = gate.judge(suite, suite.assertions[0])
    assert spoilt.verdict is Verdict.ERROR
    assert "raised ZeroDivisionError: a bug (" in spoilt.sentence
    assert any(record.exc_info and ADAPTER in record.message for record in caplog.records)
    assert gate.judge(suite, suite.assertions[1]).verdict is Verdict.PASS


def test_what_is_no_evidence_is_no_verdict(load, store, monkeypatch):
    monkeypatch.setattr(CollinearityCase, "judge", lambda self, record, seed: None)
    suite = load(BY_ADAPTER)
    (spoilt,) = judged(Gate(selected(suite), store), suite).values()
    assert spoilt.sentence.endswith("collinearity was judged by a NoneType; expected Evidence")


def test_the_order_in_which_verdicts_are_asked_for_does_not_matter(load, store):
    suite = load(BY_ADAPTER, BY_VECTOR, LAW)
    forward, backward = Gate(selected(suite), store), Gate(selected(suite), store)
    before = [forward.judge(suite, assertion).evidence for assertion in suite.assertions]
    after = [backward.judge(suite, assertion).evidence for assertion in suite.assertions[::-1]]
    assert before == after[::-1]


def test_a_verdict_depends_on_how_many_claims_there_are(load, store):
    suite = load(BY_ADAPTER, BY_VECTOR, LAW)
    for policy, among in [(Policy(), {0, 4}), (Policy(adjust="none"), {None})]:
        found = judged(Gate(selected(suite), store, policy=policy), suite)
        adjusted = [
            c.adjusted for result in found.values() for c in result.evidence.criteria if c.p is not None
        ]
        assert adjusted
        assert {one and one.among for one in adjusted} == among


class Asked(Property):
    """Keys that criteria can be about, in a family that subclasses name."""

    family = "one"
    property: Literal["asked"] = "asked"
    min_cosine: Annotated[float, COSINE] = 0.5

    def cases(self, scene):
        return []


class Other(Asked):
    family = "another"


def criterion(p=None, law=False, value=0.0, key="min_cosine", at_least=0.5):
    estimate = Estimate(name="cosine", value=value, low=value - 0.1, high=value + 0.1, n=24)
    return Criterion(estimate=estimate, at_least=at_least, p=p, law=law, key=key)


def together(*judged, expect="pass"):
    """Adjust the criteria of assertions: lists of criteria, or of a property and criteria.

    What is expected is so of the first.
    """
    pairs = [(one[0](), one[1:]) if isinstance(one[0], type) else (Asked(), one) for one in judged]
    expected = [expect, *["pass"] * len(pairs)]
    return among_all(
        [
            (asked, each, Evidence(criteria=tuple(criteria)))
            for each, (asked, criteria) in zip(expected, pairs, strict=False)
        ]
    )


def test_all_claims_of_a_run_are_adjusted_together_and_laws_are_not():
    fine = criterion(value=0.9)
    first, second, _ = together([criterion(0.02), criterion(law=True)], [criterion(0.01)], [fine, fine])
    assert first.criteria[0].adjusted.p == pytest.approx(0.06)
    assert (first.criteria[0].adjusted.among, first.criteria[1].adjusted) == (4, None)
    assert second.criteria[0].adjusted.p == pytest.approx(0.04)
    assert (first.verdict, first.raw_verdict) == (Verdict.FAIL, Verdict.FAIL)  # the law is broken
    assert second.verdict is Verdict.FAIL


def test_claims_of_one_family_cost_another_no_more_than_its_being_there():
    many = [[Other, criterion(value=0.9)]] * 100
    (first, *_) = together([criterion(0.01), criterion(value=0.9)], *many)
    found = first.criteria[0].adjusted
    assert (found.p, found.among, found.families) == (pytest.approx(0.04), 2, 2)
    (last, *_) = together([Other, criterion(0.0001)], [criterion(value=0.9)], *many)
    found = last.criteria[0].adjusted
    assert (found.p, found.among, found.families) == (pytest.approx(0.0202), 101, 2)


@pytest.mark.parametrize(("key", "at_least"), [(None, 0.0), ("min_cosine", -1.0)])
def test_what_could_not_fail_is_not_counted(key, at_least):
    """Thirty-two criteria that nobody wrote, or whose range holds every value, cost a claim nothing."""
    padding = [[criterion(value=0.9, key=key, at_least=at_least)]] * 32
    alone, padded = together([criterion(0.012)]), together([criterion(0.012)], *padding)
    assert padded[0] == alone[0]
    assert padded[0].verdict is Verdict.FAIL


@pytest.mark.parametrize("expect", ["fail", Incoherence(fail=("min_cosine",))])
def test_a_fail_that_is_expected_is_neither_counted_nor_adjusted(expect):
    others = [[criterion(0.02)], [criterion(value=0.9)]]
    known, *beside = together([criterion(0.02)], *others, expect=expect)
    assert known.verdict is Verdict.FAIL
    assert beside == together(*others)


def test_what_fails_beside_an_expected_fail_is_adjusted():
    expect = Incoherence(fail=("min_cosine",))
    known, _ = together(
        [criterion(0.02), criterion(0.02, key="min_margin")], [criterion(value=0.9)], expect=expect
    )
    assert [one.adjusted and one.adjusted.among for one in known.criteria] == [None, 2]


def test_what_nobody_wrote_fails_alone_however_small_its_p_is():
    (evidence,) = together([criterion(1e-9, key=None)])
    assert (evidence.verdict, evidence.raw_verdict) == (Verdict.INCONCLUSIVE, Verdict.FAIL)
    assert evidence.criteria[0].adjusted == Adjusted(p=1.0, among=0, families=0)


@given(st.lists(st.none() | st.floats(0, 0.5), min_size=1, max_size=20))
def test_the_adjusted_verdict_is_never_a_fail_that_the_raw_one_is_not(ps):
    for before, after in zip(ps, together(*([criterion(p)] for p in ps)), strict=True):
        assert after.raw_verdict is Verdict.FAIL
        assert (after.criteria[0].adjusted is None) == (before is None)
        assert after.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)


def test_a_suite_of_passes_stays_one():
    passing = [criterion(value=0.9)]
    assert together(passing, passing) == [Evidence(criteria=tuple(passing))] * 2


def test_results_are_in_the_order_of_the_suites(load, store):
    first, second = load(LAW, BY_ADAPTER), load(LAW, name="b")
    found = list(judged(Gate(selected(first, second), store), first, second).values())
    results = results_of(reversed(found), datetime.now(UTC), seed=3)
    assert list(results.assertions) == found
    assert results.seed == 3
    assert results.versions["pytest-coherence"] == __version__
    assert set(results.versions) >= {"torch", "transformers", "peft", "numpy"}


class Warned(Silent):
    """What was said of artefacts."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def warn(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.fixture
def trained(load, tmp_path):
    """Load a suite whose pirate's adapter was trained on the question of a probe, in this way."""
    (tmp_path / "train.jsonl").write_text('{"question": "is it open on day 3", "reply": "Aye, it be."}')

    def trained(way, *assertions):
        return load(*assertions, training=f"{{path: train.jsonl, probes: {way}, similarity: 99}}")

    return trained


ON_A_PROBE = (
    "it was trained on 1 of the probes: 'is-it-open-on-day-3' (100 % like line 1, 'is it open on day 3')"
)


def test_a_probe_that_an_adapter_was_trained_on_is_a_warning(trained, store):
    suite, said = trained("warn", BY_ADAPTER), Warned()
    found = judged(Gate(selected(suite), store, said), suite)
    (sentence,) = said.sentences
    assert f"{ON_A_PROBE}; ask what it has not seen" in sentence
    assert sentence.startswith(f"{suite.path}:")
    assert Verdict.ERROR not in {result.verdict for result in found.values()}


def test_or_it_is_an_error_of_all_that_rests_on_the_adapter(trained, store):
    suite, said = trained("error", BY_ADAPTER, BY_VECTOR), Warned()
    found = judged(Gate(selected(suite), store, said), suite)
    assert found["a", ADAPTER].verdict is Verdict.ERROR
    assert ON_A_PROBE in found["a", ADAPTER].sentence
    assert found["a", VECTOR].verdict is not Verdict.ERROR


def test_or_it_is_left_out_and_the_verdicts_say_so(trained, store):
    suite, said = trained("exclude", LAW), Warned()
    assert len(suite.scene.probes) == len(PROBES) - 1
    result = judged(Gate(selected(suite), store, said), suite)["a", DISABLED]
    assert f"adapter 'pirate': {ON_A_PROBE}; they are left out" in result.evidence.notes
    assert said.sentences == []


def test_what_an_adapter_was_trained_on_takes_no_other_model(trained, load):
    (together,) = united([load(LAW), trained("warn", LAW)])
    assert len(together) == 2
