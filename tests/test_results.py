import json
import re
from math import inf, nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coherence.errors import CoherenceError
from coherence.results import AssertionResult, Results, sentence_of
from coherence.vocabulary import (
    Abscissa,
    Adjusted,
    Arrows,
    Control,
    Criterion,
    Curve,
    Estimate,
    Evidence,
    Incoherence,
    ProbeNote,
    Series,
    Threshold,
    Verdict,
    Zone,
)

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
        f"{ID} is inconclusive: cosine 0.40 [0.20, 0.60] straddles 0.5 (24 probes, about 97 needed)"
    )


def beside(*criteria):
    """Evidence of criteria with names of their own."""
    named = (
        one.model_copy(update={"estimate": one.estimate.model_copy(update={"name": f"statistic {place}"})})
        for place, evidence in enumerate(criteria, 1)
        for one in evidence.criteria
    )
    return Evidence(criteria=tuple(named))


def needed_in(text):
    return [int(count) for count in re.findall(r"(?:about|over) (\d+) needed", text)]


@pytest.mark.parametrize("unreliable", [None, "the ceiling 0.20 is below 0.6: 8 probes, about 70 needed"])
def test_no_criterion_needs_more_than_the_sentence_says(unreliable):
    little, much = found(0.42, 0.34, 0.5, n=8), found(0.4, 0.1, 0.7, n=8, unreliable=unreliable)
    judged = beside(little, much)
    assert judged.decisive == judged.criteria[1]
    rows = " ".join(criterion.unreliable or criterion.wanting for criterion in judged.criteria)
    assert needed_in(said(judged)) == [max(needed_in(rows))]
    assert len(needed_in(rows)) == 2


def test_what_more_probes_do_not_help_comes_before_what_they_do():
    flat = "the prompt itself hardly evokes the persona; more probes do not help"
    judged = beside(found(0.42, 0.34, 0.5, n=8), found(0.4, 0.1, 0.7, n=8, unreliable=flat))
    assert flat in said(judged)
    assert not needed_in(said(judged))


def test_what_fails_alone_says_what_another_criterion_needs_beyond_it():
    alone = among(0.01, 0.12)
    assert "needed, and about 999 for statistic 2;" in said(
        beside(alone, found(0.4, 0.1, 0.7, unreliable="8 probes, about 999 needed"))
    )
    assert "needed, and more do not help statistic 2;" in said(
        beside(alone, found(0.4, 0.1, 0.7, unreliable="more probes do not help"))
    )


@pytest.mark.parametrize("value", [0.5, 0.4999])
def test_it_does_not_promise_what_no_sample_would_settle(value):
    assert said(found(value, 0.3, 0.7)).endswith("straddles 0.5 (24 probes, over 1000 needed)")


def test_a_control_that_passes_too_is_said_in_place_of_the_criterion():
    (other,) = found(0.62, 0.55, 0.70).criteria
    control = Control(name="counsel by adapter", criterion=other)
    evidence = found(0.8, 0.7, 0.9).model_copy(update={"controls": (control,)})
    assert said(evidence) == (
        f"{ID} is inconclusive: the control passes too: counsel by adapter, cosine 0.62 [0.55, 0.70], "
        "expected >= 0.5"
    )


def among(p, adjusted, criteria=96):
    (criterion,) = found(0.12, 0.05, 0.20).criteria
    looked_at = Adjusted(p=adjusted, among=criteria)
    return Evidence(criteria=(criterion.model_copy(update={"p": p, "adjusted": looked_at}),))


def test_a_fail_says_what_it_is_among_all_claims():
    assert said(among(1e-6, 9.6e-5)).endswith(
        "fails: cosine 0.12 [0.05, 0.20], expected >= 0.5 "
        "(n = 24; p = 1e-06, among 96 criteria (Holm: 9.6e-05))"
    )


def test_no_p_is_said_to_be_nothing():
    assert said(among(0.0, 0.0)).endswith("(n = 24; p < 1e-12, among 96 criteria (Holm: < 1e-12))")


def test_what_fails_only_alone_says_both_and_how_many_probes_are_missing():
    # z of .01 is 2.33 and of .05 / 96 is 3.28: (3.28 / 2.33)^2 = 1.99 times the probes.
    assert said(among(0.01, 0.12)) == (
        f"{ID} is inconclusive: cosine 0.12 [0.05, 0.20], expected >= 0.5 "
        "(24 probes, about 48 needed; fails alone (p = 0.01), not among 96 criteria (Holm: 0.12))"
    )


def test_among_families_it_is_said_how_many_there_are():
    (criterion,) = found(0.12, 0.05, 0.20).criteria
    adjusted = Adjusted(p=0.24, among=24, families=4)
    evidence = Evidence(criteria=(criterion.model_copy(update={"p": 0.0025, "adjusted": adjusted}),))
    # z of .0025 is 2.81 and of .05 / 96 is 3.28.
    assert said(evidence).endswith(
        "(24 probes, about 33 needed; fails alone (p = 0.0025), not among 24 criteria of its family, "
        "one of 4 (Holm: 0.24))"
    )


def test_what_nobody_wrote_says_so():
    assert said(among(1e-9, 1.0, criteria=0)).endswith(
        "is inconclusive: cosine 0.12 [0.05, 0.20], expected >= 0.5 "
        "(24 probes; fails alone (p = 1e-09), and misses no threshold that is written)"
    )


def several(**verdicts):
    """Criteria by key, with low, high and middling values."""
    values = {"pass": 0.8, "fail": 0.12, "inconclusive": 0.5}
    made = (
        found(value, value - 0.05, value + 0.05).criteria[0] for value in map(values.get, verdicts.values())
    )
    named = [one.model_copy(update={"key": key}) for key, one in zip(verdicts, made, strict=True)]
    estimates = [one.estimate.model_copy(update={"name": one.key}) for one in named]
    pairs = zip(named, estimates, strict=True)
    return Evidence(criteria=tuple(one.model_copy(update={"estimate": estimate}) for one, estimate in pairs))


@pytest.mark.parametrize(
    ("evidence", "says", "outcome"),
    [
        (several(a="pass", b="fail"), "fails, as expect: {fail: b} says; b 0.12", "expected fail"),
        (several(a="pass", b="pass"), "passes although expect: {fail: b} says", "unexpected pass"),
        (several(a="fail", b="fail"), "fails in more than expect: {fail: b} says; a 0.12", "fail"),
        (several(a="fail", b="pass"), "fails in more than expect: {fail: b} says; a 0.12", "fail"),
        (
            several(a="pass", b="inconclusive"),
            "is inconclusive although expect: {fail: b} says that it should fail; b 0.50",
            "inconclusive",
        ),
    ],
)
def test_a_known_incoherence_is_what_is_named_and_nothing_else(evidence, says, outcome):
    expect = Incoherence(fail="b")
    assert said(evidence, expect).startswith(f"{ID} {says}")
    one = result(evidence.verdict, expect, evidence)
    assert (one.outcome, one.green) == (outcome, outcome == "expected fail")


def test_each_of_several_that_are_named_must_fail():
    evidence = several(a="fail", b="pass")
    assert said(evidence, Incoherence(fail=("a", "b"))).startswith(
        f"{ID} fails in less than expect: {{fail: [a, b]}} says; b 0.80"
    )
    assert said(evidence, Incoherence(fail=("a", "c"))).startswith(
        f"{ID} has no criterion c, as expect: {{fail: [a, c]}} says; a 0.12"
    )


def test_expect_fail_is_strict_on_the_adjusted_verdict():
    assert said(among(0.01, 0.12), "fail").startswith(
        f"{ID} is inconclusive although expect: fail says that it should fail; cosine 0.12"
    )


def test_an_inconclusive_names_the_nearest_of_two_bounds():
    assert " straddles 0.6 (" in said(found(0.55, 0.3, 0.7, at_least=0.4, at_most=0.6))


def test_an_inconclusive_says_what_makes_it_unreliable():
    evidence = found(0.12, 0.05, 0.20, unreliable="ceiling 0.45 is below 0.6")
    assert said(evidence).endswith("expected >= 0.5 (n = 24; unreliable: ceiling 0.45 is below 0.6)")


def test_an_undefined_estimate_is_called_undefined():
    assert said(found(nan, nan, nan)) == (f"{ID} is inconclusive: cosine undefined, expected >= 0.5 (n = 24)")


def test_small_numbers_are_not_rounded_to_nothing():
    assert "2.5e-05 [1e-05, 4e-05], expected <= 1e-06" in said(
        found(2.5e-5, 1e-5, 4e-5, at_least=-inf, at_most=1e-6)
    )


def test_an_error_says_why():
    assert sentence_of(ID, Verdict.ERROR, "pass", None, "the hook did\nnot fire") == (
        f"{ID} could not be measured: the hook did not fire"
    )


FLOATS = st.floats(width=32)
ENDS = st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3).map(sorted)


@given(
    ENDS,
    st.booleans(),
    FLOATS,
    FLOATS,
    st.integers(0, 10**6),
    st.none() | ANY_TEXT,
    st.sampled_from(["pass", "fail"]),
)
def test_a_sentence_is_ascii_one_line_and_short(ends, defined, at_least, at_most, n, unreliable, expect):
    low, value, high = ends
    sentence = said(found(value if defined else nan, low, high, n, at_least, at_most, unreliable), expect)
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


def result(
    verdict=Verdict.FAIL, expect="pass", evidence=None, persona="pirate", sentence="s", tolerated=False
):
    return AssertionResult(
        id=ID, persona=persona, family="collinearity", suite="s.yaml", line=1,
        verdict=verdict, raw_verdict=verdict, expect=expect, tolerated=tolerated,
        sentence=sentence, evidence=evidence,
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


def test_what_is_tolerated_is_green_and_says_so():
    one = result(Verdict.INCONCLUSIVE, tolerated=True)
    assert (one.outcome, one.green) == ("tolerated", True)


def test_a_document_holds_no_nan(tmp_path):
    path = tmp_path / "results.json"
    run(result(evidence=found(nan, -inf, inf))).write(path)
    assert "nan" not in path.read_text().lower()
    assert '"value": null' in path.read_text()


def test_personas_keep_their_order():
    groups = run(result(persona="b"), result(persona="a"), result(persona="b")).by_persona()
    assert [(persona, len(group)) for persona, group in groups.items()] == [("b", 2), ("a", 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(value=st.floats(), text=ANY_TEXT)
def test_a_document_reads_back_whatever_it_holds(tmp_path, value, text):
    curve = Curve(
        over=Abscissa(title="dose", diagonal="m"),
        at=("resid_pre.0",),
        series={
            "raw": Series(values=(value,), low=(None,), high=(value,)),
            "specific": Series(values=(None,)),
        },
        value=text.encode("utf-8", "replace").decode(),
        zone=Zone(name="region", low=(value,), high=(value,)),
        judged=("resid_pre.0", "resid_pre.0"),
        thresholds=(Threshold(series="raw", value=value, kind="at most"),),
    )
    arrows = Arrows(x="x", y="y", begins="b", ends="e", start={"a": (value, None)}, end={"a": (0, value)})
    probe = ProbeNote(probe="p", note=text, question=text, replies={"bare": text})
    criteria = found(value, -inf, inf, unreliable=text).criteria
    controls = (Control(name=text, criterion=criteria[0]), Control(name="lost", problem=text))
    evidence = Evidence(
        criteria=criteria, controls=controls, curve=curve, arrows=arrows, probes=(probe,), notes=(text,)
    )
    before = run(result(evidence=evidence, sentence=text))
    path = tmp_path / "results.json"
    before.write(path)
    after = Results.read(path)
    assert repr(after) == repr(before)


def test_a_document_that_is_none_is_refused_with_its_name(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('{"format": 1}')
    with pytest.raises(
        CoherenceError, match=r"results\.json: not a results document of format 5 to 2: format: "
    ):
        Results.read(path)
    path.write_text("arr")
    with pytest.raises(CoherenceError, match="the document: Invalid JSON"):
        Results.read(path)


def test_a_document_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(CoherenceError, match=r"lost\.json: cannot be read: No such file"):
        Results.read(tmp_path / "lost.json")


def test_a_document_of_format_2_is_read(tmp_path):
    path = tmp_path / "results.json"
    run(result(evidence=found(0.6, 0.55, 0.7))).write(path)
    older = json.loads(path.read_text())
    older["format"] = 2
    del older["comparison"], older["assertions"][0]["asked"]
    del older["assertions"][0]["evidence"]["criteria"][0]["estimate"]["influence"]
    path.write_text(json.dumps(older))
    assert Results.read(path).assertions[0].evidence.criteria[0].estimate.influence is None


def test_a_document_of_format_3_is_read(tmp_path):
    path = tmp_path / "results.json"
    run(result(Verdict.FAIL, "fail", among(1e-6, 9.6e-5))).write(path)
    older = json.loads(path.read_text())
    older["format"] = 3
    del older["assertions"][0]["evidence"]["criteria"][0]["adjusted"]["families"]
    path.write_text(json.dumps(older))
    (found,) = Results.read(path).assertions
    assert (found.outcome, found.evidence.criteria[0].adjusted.families) == ("expected fail", 1)


def test_a_document_keeps_what_was_expected(tmp_path):
    path = tmp_path / "results.json"
    before = run(result(expect=Incoherence(fail="b"), evidence=several(b="fail")))
    before.write(path)
    assert '"expect": {\n    "fail": [\n     "b"' in path.read_text()
    assert Results.read(path) == before


def test_writing_replaces_the_old_document_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "reports" / "results.json"
    run(result()).write(path)
    run().write(path)
    assert Results.read(path) == run()
    assert list(path.parent.iterdir()) == [path]


def test_a_document_that_no_run_wrote_is_refused(tmp_path):
    evidence = found(0.4, 0.2, 0.6)
    result = AssertionResult(
        id=ID,
        persona="pirate",
        family="collinearity",
        suite="a.coherence.yaml",
        line=1,
        verdict=evidence.verdict,
        raw_verdict=evidence.raw_verdict,
        sentence="",
        evidence=evidence,
    )
    whole = Results(started="", seconds=0.0, seed=0, versions={}, assertions=(result,))
    path = tmp_path / "results.json"
    whole.write(path)
    assert Results.read(path) == whole
    document = json.loads(path.read_text())
    document["assertions"] *= 2
    path.write_text(json.dumps(document))
    with pytest.raises(CoherenceError) as caught:
        Results.read(path)
    assert caught.value.sentence == f"not what a run wrote: {ID} of a.coherence.yaml is there 2 times"


def test_a_document_that_is_a_device_is_not_read_for_ever(tmp_path):
    (tmp_path / "results.json").symlink_to("/dev/zero")
    with pytest.raises(CoherenceError, match="cannot be read: it is a pipe or a device, expected a file"):
        Results.read(tmp_path / "results.json")
