"""What is proposed where a control comes close, or a key does not take what healthy releases pass."""

from math import inf

import pytest

from coherence.thresholds.proposal import CalibrationTerms, Halved, Trial
from coherence.thresholds.propose import proposals
from coherence.thresholds.written_claim import entries
from coherence.vocabulary import Criterion, Estimate

TERMS = CalibrationTerms(false_alarm=0.05, power=0.9, halves=20, seed=0)
COLLINEAR = (
    "  - {property: collinearity, between: [prompt, adapter], sites: resid_post.2, min_cosine: 0.4, "
    "personas: [pirate], max_strength: 1.5}\n"
)
ATTRACTOR = (
    "  - {property: attractor, poles: [pirate, counsel], regimes: [adapter], site: resid_post.2, "
    "max_area: 1}\n"
)


def criterion(key, value, half, n=24, unreliable=None, **bounds):
    estimate = Estimate(name="statistic", value=value, low=value - half, high=value + half, n=n)
    return Criterion(estimate=estimate, unreliable=unreliable, key=key, **(bounds or {"at_least": 0.4}))


def proposed(entry, healthy, control=None, **options):
    """The proposal for a statistic of an interval that is the same under every seed and on every half."""
    whole = criterion(*healthy, **options)
    scale = 2**0.5
    half = criterion(healthy[0], healthy[1], healthy[2] * scale, n=12, **options)
    controls = {"oncall": {whole.key: control}} if control else {}
    trial = tried(entry, {whole.key: whole}, [{whole.key: half}] * 20, controls)
    return list(proposals([trial], TERMS))


def tried(entry, whole, halves, controls=None, name="pirate.x", release=None):
    """An assertion that shows the same under every seed."""
    return Trial(entry, name, release, [whole] * 3, {"probes": Halved(halves, 24)}, controls or {})


@pytest.fixture
def collinear(load):
    (entry,) = entries(load(COLLINEAR))
    return entry


@pytest.fixture
def attractor(load):
    (entry,) = entries(load(ATTRACTOR))
    return entry


def test_a_threshold_far_from_its_control(collinear):
    (found,) = proposed(collinear, ("min_cosine", 0.7, 0.098), criterion("min_cosine", 0.1, 0.1))
    # An error of 0.05: 0.602 - 1.796 * sqrt(2) * 0.05, with 11.2 degrees of freedom.
    assert found.proposed == 0.47
    assert found.margin == pytest.approx(0.47 - 0.2)
    assert (found.current, found.weakest, found.notes) == (0.4, "pirate.x", ())
    assert found.needed == 8


def test_a_threshold_near_the_estimate_needs_more_probes(collinear):
    (found,) = proposed(collinear, ("min_cosine", 0.5, 0.098))
    assert found.needed == pytest.approx(24 * ((0.098 + 1.2816 * 0.05) / 0.1) ** 2, rel=0.01)
    assert found.notes == ("pirate.x: 24 probes; 64 needed for statistic >= 0.4 at 90 % power",)


def test_a_threshold_is_raised_above_a_control_where_healthy_releases_still_pass(collinear):
    (found,) = proposed(collinear, ("min_cosine", 0.7, 0.098), criterion("min_cosine", 0.6, 0.05))
    assert found.proposed == 0.56
    (said,) = found.notes
    assert said.startswith(
        "raised because at 0.47 the control passes too: oncall as pirate.x, 0.60 [0.55, 0.65]; "
        "a healthy release misses it with probability 0.2"
    )
    assert found.margin == pytest.approx(0.56 - 0.65)


def test_nothing_is_proposed_where_control_and_release_cannot_be_told_apart(collinear):
    (found,) = proposed(collinear, ("min_cosine", 0.7, 0.098), criterion("min_cosine", 0.65, 0.02))
    assert (found.proposed, found.margin) == (None, None)
    assert found.notes == (
        "the control passes too: oncall as pirate.x, 0.65 [0.63, 0.67], "
        "so nothing is proposed (24 probes; 253 tell them apart)",
    )


def test_a_control_that_decides_nothing_passes_nothing(collinear):
    lost = criterion("min_cosine", 0.9, 0.01, unreliable="too noisy")
    (found,) = proposed(collinear, ("min_cosine", 0.7, 0.098), lost)
    assert (found.proposed, found.control) == (0.47, None)


def test_an_estimate_that_decides_nothing_is_not_calibrated(collinear):
    (found,) = proposed(collinear, ("min_cosine", 0.7, 0.098), unreliable="too noisy", at_least=0.4)
    assert (found.proposed, found.notes) == (None, ("pirate.x: too noisy",))


def test_an_estimate_without_a_value_on_halves_is_not_calibrated(collinear):
    whole, half = criterion("min_cosine", 0.7, 0.1), criterion("min_cosine", 0.7, inf, n=12)
    (found,) = proposals([tried(collinear, {"min_cosine": whole}, [{"min_cosine": half}] * 20)], TERMS)
    assert found.proposed is None
    assert found.notes == ("pirate.x: on most halves of the probes, there is no statistic",)


@pytest.mark.parametrize(("other", "proposes"), [(0.1, True), (0.39, False), (0.6, False)])
def test_a_control_that_another_criterion_stops_holds_no_threshold_down(collinear, other, proposes):
    """The control has less strength than the persona, and so is within any upper bound of it."""
    strength = {"at_least": float("-inf"), "at_most": 1.5}
    whole = {"max_strength": criterion("max_strength", 0.7, 0.05, **strength)}
    half = {"max_strength": criterion("max_strength", 0.7, 0.07, n=12, **strength)}
    control = {
        "min_cosine": criterion("min_cosine", other, 0.05),
        "max_strength": criterion("max_strength", 0.3, 0.05, **strength),
    }
    (found,) = proposals([tried(collinear, whole, [half] * 20, {"oncall": control})], TERMS)
    assert (found.proposed is not None) is proposes
    assert found.control.estimate.value == 0.3  # it is shown all the same


def test_a_threshold_that_the_key_does_not_take_is_not_proposed(collinear):
    (found,) = proposed(collinear, ("min_strength", 0.1, 0.098), at_least=0.0)
    assert found.proposed is None
    assert found.notes[0] == (
        "healthy releases pass -0.13 only, which min_strength does not take (Input should be greater than 0)"
    )


def test_an_estimate_below_its_threshold_needs_something_else_than_probes(collinear):
    (found,) = proposed(collinear, ("min_cosine", 0.3, 0.05))
    assert found.needed == inf
    assert found.notes == ("pirate.x: no number of probes is enough for statistic >= 0.4, for it is 0.30",)


def test_both_ends_of_a_range_are_proposed(attractor):
    low, high = proposed(attractor, ("tipping", 0.5, 0.098), at_least=0.25, at_most=0.75)
    assert (low.item, low.current, low.proposed) == (0, 0.25, 0.24)
    assert (high.item, high.current, high.proposed) == (1, 0.75, 0.76)


def test_a_control_beyond_one_end_of_a_range_holds_the_other_end_down_no_more(attractor):
    bounds = {"at_least": 0.25, "at_most": 0.75}
    nothing = criterion("tipping", 0.0, 0.02, **bounds)
    low, high = proposed(attractor, ("tipping", 0.5, 0.098), nothing, **bounds)
    # Without a control: 0.24 and 0.76. Nothing lies below the least, so that it cannot pass by the most.
    assert (low.proposed, high.proposed) == (0.24, 0.76)
    assert high.control.estimate.value == 0.0  # it is shown all the same
    near = criterion("tipping", 0.23, 0.03, **bounds)
    low, high = proposed(attractor, ("tipping", 0.5, 0.098), near, **bounds)
    assert high.proposed is None  # it straddles the least


def test_a_bound_on_either_side_is_one_number(attractor):
    (found,) = proposed(attractor, ("max_area", -0.1, 0.049), at_least=-1.0, at_most=1.0)
    assert found.proposed == 0.22
    assert found.needed == 8


HEALTHY = criterion("min_cosine", 0.7, 0.098)
HALF = criterion("min_cosine", 0.7, 0.098 * 2**0.5, n=12)


def test_a_criterion_that_few_halves_lack_is_judged_on_the_others(collinear):
    halves = [{"min_cosine": HALF}] * 16 + [{}] * 4
    (found,) = proposals([tried(collinear, {"min_cosine": HEALTHY}, halves)], TERMS)
    assert found.proposed == 0.47


def test_a_criterion_that_most_halves_lack_is_not_calibrated(collinear):
    (found,) = proposals([tried(collinear, {"min_cosine": HEALTHY}, [{}] * 20)], TERMS)
    assert found.proposed is None
    assert found.notes == ("pirate.x: on most halves of the probes, there is no statistic",)


def test_a_criterion_that_a_control_lacks_is_not_passed_by_it(collinear):
    whole, halves = {"min_cosine": HEALTHY}, [{"min_cosine": HALF}] * 20
    controls = {"oncall": {}, "counsel": {"min_cosine": criterion("min_cosine", 0.1, 0.1)}}
    (found,) = proposals([tried(collinear, whole, halves, controls)], TERMS)
    assert found.control.who == "counsel"


def test_a_criterion_that_some_assertions_lack_is_that_of_the_others(collinear):
    lacking = tried(collinear, {}, [{}] * 20, name="oncall.x")
    having = tried(collinear, {"min_cosine": HEALTHY}, [{"min_cosine": HALF}] * 20)
    (found,) = proposals([lacking, having], TERMS)
    assert (found.weakest, found.proposed) == ("pirate.x", 0.47)


def test_what_no_assertion_shows_is_not_proposed(collinear):
    assert list(proposals([tried(collinear, {}, [{}] * 20)], TERMS)) == []


def of_release(entry, name, value, half=0.098, control=None):
    whole, part = (criterion("min_cosine", value, width) for width in (half, half * 2**0.5))
    part = part.model_copy(update={"estimate": part.estimate.model_copy(update={"n": 12})})
    controls = {"oncall": {"min_cosine": control}} if control else {}
    return tried(entry, {"min_cosine": whole}, [{"min_cosine": part}] * 20, controls, release=name)


def test_of_several_releases_the_weakest_is_named(collinear):
    trials = [of_release(collinear, *each) for each in (("own", 0.75), ("twin", 0.6), ("third", 0.9))]
    (found,) = proposals(trials, TERMS)
    assert (found.weakest, found.release, found.estimate.value) == ("pirate.x", "twin", 0.6)
    (alone,) = proposals([of_release(collinear, None, 0.6)], TERMS)
    assert found.proposed < alone.proposed


def test_a_control_of_any_release_counts(collinear):
    controls = (criterion("min_cosine", value, 0.02) for value in (0.1, 0.3))
    trials = [
        of_release(collinear, name, 0.7 + 0.01 * len(name), control=control)
        for name, control in zip(("own", "twin"), controls, strict=True)
    ]
    (found,) = proposals(trials, TERMS)
    assert str(found.control) == "oncall as pirate.x (twin), 0.30 [0.28, 0.32]"


def test_what_one_release_cannot_decide_is_said_of_it(collinear):
    lost = criterion("min_cosine", 0.7, 0.098, unreliable="too noisy")
    trials = [
        of_release(collinear, "own", 0.7),
        tried(collinear, {"min_cosine": lost}, [{"min_cosine": HALF}] * 20, release="twin"),
    ]
    (found,) = proposals(trials, TERMS)
    assert (found.proposed, found.notes) == (None, ("pirate.x (twin): too noisy",))


def test_a_threshold_of_many_decimals_stays_one_of_many(load):
    """Rounded to two decimals, a KL of at most 0.00001 would become one of 0.01."""
    ways = "{property: algebra, of: [pirate, counsel], ways: [cat], sites: resid_post.2, max_kl: 0.00001}"
    (entry,) = entries(load(f"  - {ways}\n"))
    (found,) = proposed(entry, ("max_kl", 2.1e-5, 0.2e-5), at_most=1e-5)
    assert found.proposed == pytest.approx(3e-5)
