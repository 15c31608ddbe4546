"""What an open suite can be asked, on the tiny model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coherence import open_suite
from coherence.api.opened import OpenSuite
from coherence.engine.executors.local import LocalExecutor
from coherence.errors import CoherenceError, MeasurementError, SuiteError
from coherence.gate import Gate
from coherence.plan import NextToken
from coherence.properties.collinearity import Collinearity
from coherence.properties.composition.commutativity import Commutativity
from coherence.properties.reading import Readings
from coherence.statistics.generic import basis, outside
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Position, Regime, Site, Verdict

SITE = "resid_post.2"
KEYS = {"property": "collinearity", "between": ["prompt", "adapter"], "sites": SITE, "personas": ["pirate"]}
FAILS = KEYS | {"min_cosine": 1, "min_ceiling": 0}
LAW = {"property": "commutativity", "laws": ["scale-zero"], "examples": 1}


def test_replies_are_those_of_the_condition(suite):
    found = suite.replies("pirate", "prompt")
    assert list(found) == [probe.id for probe in suite.scene.probes]
    assert found != suite.replies("counsel", "prompt")
    assert found == suite.replies("pirate", Regime.parse("prompt"))


def test_a_base_that_does_not_reason_only_answers(suite):
    answers = suite.replies("pirate", "prompt")
    assert suite.replies("pirate", "prompt", "both") == suite.replies("pirate", "prompt", "answer") == answers
    assert set(suite.replies("pirate", "prompt", "reasoning").values()) == {""}


def test_every_persona_is_bare_without_a_regime(suite):
    assert suite.replies("pirate", "bare") == suite.replies("mute", "bare")


def test_residuals_are_those_at_the_site(suite):
    found = suite.residuals("pirate", "adapter", SITE)
    assert (found.shape, found.dtype) == ((8, 32), np.float32)
    readings = Readings(suite.scene, Position.PROMPT_LAST)
    asked = readings.of(suite.scene.condition("pirate", Regime.parse("adapter")))
    record = suite.measure(asked)
    assert (found == [record.residuals(reading)[3] for reading in asked]).all()
    assert (found != suite.residuals("pirate", "adapter", Site.parse("resid_post.1"))).any()
    assert (found != suite.residuals("pirate", "adapter", SITE, "response_mean")).any()


def test_a_direction_lies_outside_of_what_the_others_share(suite):
    prompt, adapter = (suite.direction("pirate", regime, SITE) for regime in ("prompt", "adapter"))
    assert prompt.among == adapter.among == ("counsel", "oncall")
    assert (prompt.n, prompt.array.shape, prompt.by_probe.shape) == (8, (32,), (8, 32))
    bare = suite.residuals("pirate", "bare", SITE)
    own, *others = (suite.residuals(name, "prompt", SITE) - bare for name in ("pirate", *prompt.among))
    shared = basis(np.mean(others, axis=(0, 1))[None])
    assert prompt.array == pytest.approx(outside(own, shared).mean(0), abs=1e-5)
    assert prompt.array @ shared[0] == pytest.approx(0, abs=1e-5)
    assert -1 < prompt.cosine(adapter) < 1
    assert repr(prompt) == "Direction(pirate by prompt at resid_post.2, prompt_last, n = 8)"


def test_with_nobody_else_the_common_part_stays(suite):
    whole = suite.direction("pirate", "prompt", SITE, among=())
    moved = suite.residuals("pirate", "prompt", SITE) - suite.residuals("pirate", "bare", SITE)
    assert whole.array == pytest.approx(moved.mean(0), abs=1e-5)
    own = suite.direction("pirate", "prompt", SITE, among=["pirate"])
    assert own.cosine(whole) == pytest.approx(1)


@pytest.mark.parametrize(
    ("ask", "error", "sentence"),
    [
        (
            lambda s: s.replies("pirat", "prompt"),
            SuiteError,
            "no persona is named 'pirat'; did you mean 'pirate'?",
        ),
        (
            lambda s: s.replies("pirate", "promt"),
            SuiteError,
            "'promt' is not a regime; did you mean 'prompt'?",
        ),
        (
            lambda s: s.replies("pirate", "prompt", "reason"),
            SuiteError,
            "'reason' is not a part of a reply; did you mean 'reasoning'?",
        ),
        (
            lambda s: s.replies("pirate", "steering"),
            SuiteError,
            "persona 'pirate' cannot be put into the model by steering: its vector 'pirate' is not in the "
            "release",
        ),
        (
            lambda s: s.residuals("pirate", "prompt", "post.2"),
            SuiteError,
            "'post.2' is not a site; expected resid_pre.N or resid_post.N, such as resid_post.14",
        ),
        (
            lambda s: s.residuals("pirate", "prompt", SITE, "prompt_lst"),
            SuiteError,
            "'prompt_lst' is not a position; did you mean 'prompt_last'?",
        ),
        (
            lambda s: s.direction("pirate", "prompt", "resid_post.9"),
            MeasurementError,
            "resid_post.9 lies beyond the model, whose last site is resid_post.3",
        ),
    ],
)
def test_mistakes_are_sentences(suite, ask, error, sentence):
    with pytest.raises(error) as caught:
        ask(suite)
    assert str(caught.value) == sentence


def test_a_direction_needs_others_and_no_kin(suite):
    alone = {name: suite.scene.personas[name] for name in ("pirate", "counsel", "mute")}
    lonely = replace(suite.scene, personas=alone)
    related = replace(suite.scene, kin=(frozenset({"pirate", "oncall"}),))
    for scene in (lonely, related):
        with pytest.raises(
            SuiteError, match=r"needs two other personas that prompt can .*; found counsel; with amo"
        ):
            open_suite(scene).direction("pirate", "prompt", SITE)


def test_anything_that_can_be_planned_can_be_measured(suite):
    asked = NextToken(suite.scene.bare, suite.scene.probes[0])
    assert np.exp(suite.measure([asked]).log_probs(asked)).sum() == pytest.approx(1, abs=1e-4)


def test_an_artefact_that_cannot_be_used_is_said(cast, store):
    suite = open_suite(cast, store=store, adapters={"pirate": "./lost"})
    with pytest.raises(CoherenceError, match=r"adapter 'pirate': there is no folder .*lost"):
        suite.replies("pirate", "adapter")
    (result,) = suite.judge(FAILS)
    assert result.verdict is Verdict.ERROR


def test_verdicts_are_those_of_the_gate(suite, cast, store):
    written = cast.with_name("a.coherence.yaml")
    written.write_text(f"{cast.read_text()}assertions: [{FAILS}, {LAW}]\n")
    found = suite.judge(FAILS, Commutativity(**LAW))
    stated = load_suite(written, Overrides())
    gate = Gate({stated: stated.assertions}, Store(store))
    expected = [gate.judge(stated, assertion) for assertion in stated.assertions]
    own = {"suite", "line", "seconds"}
    assert [one.model_dump(exclude=own) for one in found] == [one.model_dump(exclude=own) for one in expected]


def test_a_result_names_the_line_that_asked(suite):
    (result,) = suite.judge(LAW)
    assert Path(result.suite).name == Path(__file__).name
    assert "suite.judge(LAW)" in Path(__file__).read_text().splitlines()[result.line - 1]


def test_objects_and_keys_are_judged_alike(suite):
    by_keys, by_object = suite.judge(FAILS), suite.judge(Collinearity(**FAILS))
    assert [one.evidence for one in by_keys] == [one.evidence for one in by_object]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"property": "collinarity"}, "'collinarity' is not a property; did you mean 'collinearity'?"),
        (FAILS | {"min_cosin": 1}, "unknown key 'min_cosin' in assertions[0]; did you mean 'min_cosine'?"),
        (FAILS | {"min_cosine": 7}, "assertions[0].min_cosine: expected a number from -1 to 1, found 7"),
        (FAILS | {"personas": ["pirat"]}, "no persona is named 'pirat'; did you mean 'pirate'?"),
    ],
)
def test_a_property_that_is_stated_wrong_names_its_line(suite, keys, sentence):
    with pytest.raises(SuiteError) as caught:
        suite.judge(keys)
    assert caught.value.sentence == sentence
    assert Path(caught.value.place.file).name == Path(__file__).name


def test_one_id_twice_is_refused(suite):
    with pytest.raises(SuiteError, match=r"asserts 'release\.commutativity\.scale-zero' already; set 'id:'"):
        suite.judge(LAW, LAW)
    assert len(suite.judge(LAW, LAW | {"id": "again"})) == 2


def test_a_broken_law_has_no_command_that_a_suite_would_take(suite):
    (result,) = suite.judge(LAW | {"laws": ["batch-mates"], "tolerance": 1e-30})
    assert result.verdict is Verdict.FAIL
    assert result.replay is None


def test_what_is_required_must_hold(suite, cast, store):
    heard = []
    suite = OpenSuite(load_suite(cast, Overrides(), must_assert=False), Store(store), heard=heard.append)
    assert suite.require(LAW) == tuple(heard)
    with pytest.raises(AssertionError) as caught:
        suite.require(FAILS, LAW)
    assert str(caught.value).startswith(f"{heard[1].headline}\n")
    assert "criteria" in str(caught.value)
    assert [result.green for result in heard] == [True, False, True]
    known = {"laws": ["adapter-merged"], "tolerance": 1e-30, "expect": {"fail": "tolerance"}}
    assert suite.require(LAW | known)[0].green


class Counted(LocalExecutor):
    """Counts how often a model is made ready, and let go."""

    entered = left = 0

    def __enter__(self):
        type(self).entered += 1
        return super().__enter__()

    def __exit__(self, *problem):
        type(self).left += 1
        super().__exit__(*problem)


def test_one_model_answers_all_until_it_is_let_go(cast, tmp_path, monkeypatch):
    monkeypatch.setattr(Counted, "entered", 0)
    monkeypatch.setattr(Counted, "left", 0)
    loaded = load_suite(cast, Overrides(), must_assert=False)
    with OpenSuite(loaded, Store(tmp_path), Counted) as suite:
        suite.replies("pirate", "prompt")
        suite.direction("pirate", "adapter", SITE)
        suite.require(LAW)
        assert (Counted.entered, Counted.left) == (1, 0)
    assert (Counted.entered, Counted.left) == (1, 1)
    suite.replies("pirate", "prompt")
    assert Counted.entered == 1  # it is in the store
    suite.replies("oncall", "adapter")
    suite.close()
    assert (Counted.entered, Counted.left) == (2, 2)


class Interrupted(Counted):
    """Is interrupted at its first job."""

    def run(self, jobs):
        if self.entered == 1:
            raise KeyboardInterrupt
        return super().run(jobs)


def test_a_model_that_was_interrupted_is_let_go(cast, tmp_path, monkeypatch):
    monkeypatch.setattr(Interrupted, "entered", 0, raising=False)
    monkeypatch.setattr(Interrupted, "left", 0, raising=False)
    suite = OpenSuite(load_suite(cast, Overrides(), must_assert=False), Store(tmp_path), Interrupted)
    with pytest.raises(KeyboardInterrupt):
        suite.replies("pirate", "prompt")
    assert (Interrupted.entered, Interrupted.left) == (1, 1)
    assert len(suite.replies("pirate", "prompt")) == 8
    suite.close()
