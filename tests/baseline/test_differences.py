from math import inf, nan

import numpy as np
import pytest
from judged import NAMES, judged, mean, run

from coherence.baseline import Baseline, ComparisonTerms, compare
from coherence.errors import CoherenceError
from coherence.vocabulary import Criterion, Estimate, Evidence

GOOD = 0.8 + 0.02 * np.cos(np.arange(24))
SLIGHTLY = GOOD - 0.08 + 0.07 * np.sin(np.arange(24))


def compared(before, now, **terms):
    one, two = (run(*(results if isinstance(results, list) else [results])) for results in (before, now))
    return compare("b.json", Baseline.of(one), Baseline.of(two), ComparisonTerms(**terms))


def only(comparison):
    (change,) = comparison.changes
    return change


def test_the_same_release_is_level():
    found = only(compared(judged(mean(GOOD)), judged(mean(GOOD))))
    assert (found.kind, found.alone, found.difference.value, found.p) == ("level", "level", 0, None)


@pytest.mark.parametrize(
    ("by", "kind"), [(-0.1, "regressed"), (0.1, "improved"), (-0.009, "level"), (0.009, "level")]
)
def test_what_is_surely_beyond_the_tolerance_is_told(by, kind):
    found = compared(judged(mean(GOOD)), judged(mean(GOOD + by)))
    assert only(found).kind == kind
    assert len(found.failing) == (kind == "regressed")


def test_the_tolerance_is_a_choice():
    before, now = judged(mean(GOOD)), judged(mean(GOOD - 0.1))
    assert only(compared(before, now, tolerance=0.11)).kind == "level"
    assert only(compared(judged(mean(GOOD)), judged(mean(GOOD - 0.009)), tolerance=0)).kind == "regressed"


def test_less_is_worse_only_where_more_is_asked_for():
    bounds = {"at_least": -inf, "at_most": 1.0}
    assert only(compared(judged(mean(GOOD, **bounds)), judged(mean(GOOD - 0.1, **bounds)))).kind == "improved"


def test_of_many_criteria_one_may_differ_by_chance():
    many = [judged(mean(GOOD), name=f"pirate.other.{number}") for number in range(20)]
    before, now = judged(mean(GOOD)), judged(mean(SLIGHTLY))
    assert only(compared(before, now)).kind == "regressed"
    found = compared([before, *many], [now, *many]).changes[0]
    assert (found.kind, found.alone) == ("level", "regressed")
    assert found.p < 0.05
    assert compared([before, *many], [now, *many], adjusted=False).changes[0].kind == "regressed"


def test_retrained_releases_are_rarely_told_apart():
    draw, told, several = np.random.default_rng(2), 0, 60
    for _ in range(several):
        shared = draw.normal(0.8, 0.2, (20, 24))
        one, two = (
            [
                judged(mean(values), name=f"p.{i}")
                for i, values in enumerate(shared + draw.normal(0, 0.1, (20, 24)))
            ]
            for _ in range(2)
        )
        told += bool(compared(one, two, tolerance=0).failing)
    assert told / several <= 0.1


def test_what_is_there_once_appeared_or_vanished():
    before = [
        judged(mean(GOOD)),
        judged(mean(GOOD), name="pirate.gone"),
        judged(mean(GOOD), suite="old.yaml"),
    ]
    now = [judged(mean(GOOD)), judged(mean(GOOD, name="new")), judged(name="pirate.gone")]
    found = compared(before, [now[0], now[2], judged(mean(GOOD), mean(GOOD, name="new"), name="pirate.more")])
    kinds = {(change.suite, change.assertion, change.statistic): change.kind for change in found.changes}
    assert kinds == {
        ("a.yaml", "pirate.cosine.adapter", "cosine"): "level",
        ("a.yaml", "pirate.gone", "cosine"): "vanished",
        ("old.yaml", "pirate.cosine.adapter", "cosine"): "vanished",
        ("a.yaml", "pirate.more", "cosine"): "appeared",
        ("a.yaml", "pirate.more", "new"): "appeared",
    }
    assert found.failing == ()
    assert found.changes[0].kind == "vanished"


def test_another_statistic_in_its_place_is_one_line_that_says_so():
    agreement, rate = mean(GOOD, name="Cohen's kappa"), mean(GOOD, name="rate", at_least=0.1)
    found = compared(judged(agreement, rate), judged(mean(GOOD - 0.1, name="Gwet's AC1"), rate))
    changed, level = found.changes
    assert (changed.statistic, changed.kind) == ("Gwet's AC1, was Cohen's kappa", "unclear")
    assert (changed.before, changed.now) == pytest.approx((np.mean(GOOD), np.mean(GOOD) - 0.1), abs=1e-5)
    assert str(changed) == "pirate.cosine.adapter, Gwet's AC1, was Cohen's kappa: unclear"
    assert (level.statistic, level.kind) == ("rate", "level")


@pytest.mark.parametrize(
    "now",
    [
        [mean(GOOD, name="new", at_least=0.2)],
        [mean(GOOD, name="new"), mean(GOOD, name="newer")],
    ],
    ids=["other bounds", "two of them"],
)
def test_what_cannot_be_paired_vanished_and_appeared(now):
    before = [mean(GOOD), mean(GOOD, name="kept", at_least=0.1)]
    found = compared(judged(*before), judged(before[1], *now))
    assert [change.kind for change in found.changes] == ["vanished", *["appeared"] * len(now), "level"]


def law(deviation):
    estimate = Estimate(name="deviation", value=deviation, low=deviation, high=deviation, n=9)
    return judged(Criterion(estimate=estimate, at_most=1e-4, law=True))


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [(1e-6, 9e-5, "level"), (1e-6, 0.2, "regressed"), (0.2, 0.0, "improved"), (0.2, 0.3, "level")],
)
def test_a_law_holds_or_does_not(before, now, kind):
    assert only(compared(law(before), law(now))).kind == kind


@pytest.mark.parametrize("side", ["before", "now"])
@pytest.mark.parametrize("how", ["unreliable", "undefined", "unbounded"])
def test_what_decides_nothing_is_compared_with_nothing(side, how):
    good = mean(GOOD)
    estimate = good.estimate.model_copy(
        update={"undefined": {"value": nan}, "unbounded": {"low": -inf, "high": inf, "influence": None}}.get(
            how, {}
        )
    )
    poor = good.model_copy(
        update={"estimate": estimate, "unreliable": "noise" if how == "unreliable" else None}
    )
    sides = (poor, good) if side == "before" else (good, poor)
    assert only(compared(*map(judged, sides))).kind == "unclear"


def test_a_baseline_of_other_suites_is_refused():
    with pytest.raises(
        CoherenceError, match=r"of other suites: .* \(it is of a\.yaml; this run of b\.yaml\)"
    ):
        compared(judged(mean(GOOD)), judged(mean(GOOD), suite="b.yaml"), anyway=True)


OTHERS = [f"other{number}" for number in range(24)]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            judged(mean(GOOD), release={"base": "tiny 34cd"}),
            "a.yaml was judged on the base tiny 12ab and is now on tiny 34cd",
        ),
        (
            judged(mean(GOOD), asked={"probes": "1", "decoding": "3"}),
            "a.yaml asks with other decoding than the baseline",
        ),
        (
            judged(mean(GOOD, clusters=[*NAMES[:23], "new"]), asked={"probes": "9", "decoding": "2"}),
            "a.yaml asks with other probes than the baseline (added new, gone q23)",
        ),
        (
            judged(mean(GOOD, clusters=OTHERS), asked={"probes": "9", "decoding": "2"}),
            "(added other0, other1, other10 and 21 more, gone q0, q1, q10 and 21 more)",
        ),
    ],
)
def test_what_is_no_comparison_of_releases_is_made_only_when_told(now, said):
    before = judged(mean(GOOD))
    with pytest.raises(CoherenceError) as refused:
        compared(before, now)
    assert said in str(refused.value)
    found = compared(before, now, anyway=True)
    assert said in found.notes[0]
    assert only(found).kind == "level"


def test_the_same_base_may_lie_elsewhere():
    before, now = (judged(mean(GOOD), release={"base": f"{where} 12ab"}) for where in ("/a b/tiny", "tiny"))
    assert compared(before, now).notes == ()


def test_other_versions_of_the_engine_are_noted():
    before, now = (
        Baseline.of(run(judged(mean(GOOD)), versions={"torch": v, "scipy": v})) for v in ("2", "3")
    )
    assert compare("b", before, now, ComparisonTerms()).notes == ("measured with torch 2, now 3",)


def test_an_older_document_is_compared_without_pairs():
    criterion = mean(GOOD)
    old = criterion.estimate.model_copy(update={"influence": None})
    evidence = Evidence(criteria=(criterion.model_copy(update={"estimate": old}),))
    before = judged(criterion, asked={}).model_copy(update={"evidence": evidence})
    assert not only(compared(before, judged(mean(GOOD)))).difference.paired


@pytest.mark.parametrize(
    "release", [{"base": ""}, {"base": " "}, {"base": "tiny 12ab", "adapter pirate": ""}]
)
def test_a_release_whose_digests_were_taken_out_is_compared(release):
    before, now = judged(mean(GOOD), release=release), judged(mean(GOOD))
    assert only(compared(before, now, anyway=True)).kind == "level"
