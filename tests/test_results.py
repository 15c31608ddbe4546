from math import inf, nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coherence.errors import CoherenceError
from coherence.results import AssertionResult, Results, sentence_of
from coherence.vocabulary import Criterion, Curve, Estimate, Evidence, ProbeNote, Verdict

ID = "pirate.collinearity.prompt-adapter"
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def found(value, low, high, n=24, at_least=0.5, at_most=inf, unreliable=None):
    estimate = Estimate(name="cosine", value=value, low=low, high=high, n=n)
    criterion = Criterion(estimate=estimate, at_least=at_least, at_most=at_most, unreliable=unreliable)
    return Evidence(criteria=(criterion,))


def said(evidence, expect="pass"):
    return sentence_of(ID, evidence.verdict, expect, evidence)


def test_a_failure_says_its_numbers():
    assert said(found(0.12, 0.05, 0.20)) == (
        "pirate.collinearity.prompt-adapter fails: cosine 0.12 [0.05, 0.20], expected >= 0.5 (n = 24)"
    )


def test_an_expected_fail_and_an_unexpected_pass_say_so():
    assert said(found(0.12, 0.05, 0.20), "fail").startswith(f"{ID} fails, as expect: fail says; cosine 0.12")
    assert said(found(0.8, 0.7, 0.9), "fail") == (
        f"{ID} passes although expect: fail says that it should not; "
        "cosine 0.80 [0.70, 0.90], expected >= 0.5 (n = 24)"
    )


def test_an_inconclusive_says_how_many_probes_would_settle_it():
    # The bound is half as far as the interval reaches: four times the probes, and one.
    assert said(found(0.4, 0.2, 0.6)) == (
        f"{ID} is inconclusive: cosine 0.40 [0.20, 0.60] straddles 0.5 "
        "(n = 24; about 97 probes would settle it)"
    )


@pytest.mark.parametrize("value", [0.5, 0.4999])
def test_it_does_not_promise_what_no_sample_would_settle(value):
    assert said(found(value, 0.3, 0.7)).endswith("straddles 0.5 (n = 24; more probes narrow it)")


def test_an_inconclusive_names_the_nearest_of_two_bounds():
    assert " straddles 0.6 (" in said(found(0.55, 0.3, 0.7, at_least=0.4, at_most=0.6))


def test_an_inconclusive_says_what_makes_it_unreliable():
    evidence = found(0.12, 0.05, 0.20, unreliable="ceiling 0.45 is below 0.6")
    assert said(evidence).endswith("expected >= 0.5 (n = 24; unreliable: ceiling 0.45 is below 0.6)")


def test_an_undefined_estimate_is_called_undefined():
    assert said(found(nan, nan, nan)) == (
        f"{ID} is inconclusive: cosine nan [nan, nan], expected >= 0.5 (n = 24; undefined)"
    )


def test_small_numbers_are_not_rounded_to_nothing():
    assert "2.5e-05 [1e-05, 4e-05], expected <= 1e-06" in said(
        found(2.5e-5, 1e-5, 4e-5, at_least=-inf, at_most=1e-6)
    )


def test_an_error_says_why():
    assert sentence_of(ID, Verdict.ERROR, "pass", None, "the hook did\nnot fire") == (
        f"{ID} could not be measured: the hook did not fire"
    )


FLOATS = st.floats(width=32)


@given(
    FLOATS,
    FLOATS,
    FLOATS,
    FLOATS,
    FLOATS,
    st.integers(0, 10**6),
    st.none() | ANY_TEXT,
    st.sampled_from(["pass", "fail"]),
)
def test_a_sentence_is_ascii_one_line_and_short(value, low, high, at_least, at_most, n, unreliable, expect):
    sentence = said(found(value, low, high, n, at_least, at_most, unreliable), expect)
    assert sentence.startswith(ID)
    assert sentence.isascii()
    assert sentence.isprintable()
    assert len(sentence) <= 240


@given(ANY_TEXT)
def test_any_error_makes_a_sentence(error):
    sentence = sentence_of(ID, Verdict.ERROR, "pass", None, error)
    assert sentence.isascii()
    assert sentence.isprintable()
    assert len(sentence) <= 600


def result(verdict=Verdict.FAIL, expect="pass", evidence=None, persona="pirate", sentence="s"):
    return AssertionResult(
        id=ID, persona=persona, family="collinearity", suite="s.yaml", line=1,
        verdict=verdict, expect=expect, sentence=sentence, evidence=evidence,
    )  # fmt: skip


def run(*assertions):
    return Results(started="2026-01-02T03:04:05Z", seconds=1.0, seed=0, versions={}, assertions=assertions)


@pytest.mark.parametrize(
    ("verdict", "expect", "outcome", "green"),
    [
        ("pass", "pass", "pass", True),
        ("fail", "pass", "fail", False),
        ("inconclusive", "pass", "inconclusive", False),
        ("error", "pass", "error", False),
        ("pass", "fail", "unexpected pass", False),
        ("fail", "fail", "expected fail", True),
        ("inconclusive", "fail", "inconclusive", False),
        ("error", "fail", "error", False),
    ],
)
def test_only_the_expected_verdict_is_green(verdict, expect, outcome, green):
    one = result(Verdict(verdict), expect)
    assert (one.outcome, one.green) == (outcome, green)


def test_personas_keep_their_order():
    groups = run(result(persona="b"), result(persona="a"), result(persona="b")).by_persona()
    assert [(persona, len(group)) for persona, group in groups.items()] == [("b", 2), ("a", 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(value=st.floats(), text=ANY_TEXT)
def test_a_document_reads_back_whatever_it_holds(tmp_path, value, text):
    curve = Curve(axis="site", at=("resid_pre.0",), columns={"raw": (value,), "specific": (None,)})
    probe = ProbeNote(probe="p", note=text, replies={"bare": text})
    criteria = found(value, -inf, inf, unreliable=text).criteria
    evidence = Evidence(criteria=criteria, curve=curve, probes=(probe,), notes=(text,))
    before = run(result(evidence=evidence, sentence=text))
    path = tmp_path / "results.json"
    before.write(path)
    after = Results.read(path)
    assert repr(after) == repr(before)


def test_a_document_that_is_none_is_refused_with_its_name(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('{"format": 2}')
    with pytest.raises(CoherenceError, match=r"results\.json: not a results document of format 1: format: "):
        Results.read(path)
    path.write_text("arr")
    with pytest.raises(CoherenceError, match="the document: Invalid JSON"):
        Results.read(path)


def test_writing_replaces_the_old_document_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "reports" / "results.json"
    run(result()).write(path)
    run().write(path)
    assert Results.read(path) == run()
    assert list(path.parent.iterdir()) == [path]
