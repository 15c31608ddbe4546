"""Made-up divergences: a vector that acts at some depths, and what it and the prompt make likelier."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError, UnknownNameError
from coherence.plan import Answer, Condition, Divergence, Likelihood, Measurement, Record, Reply, Scene
from coherence.properties.space.gateway import Gateway
from coherence.vocabulary import Evidence, Extraction, Operation, Site, VectorSource, Verdict

NAMES = ("pirate", "counsel", "support", "upbeat")
SITES, WHOLE = 10, 2.0
LIKELIER = dict(zip(NAMES, np.random.default_rng(0).normal(size=(4, 4)), strict=True))


def a_scene(**source: Any) -> Scene:
    scene = worlds.scene(NAMES)
    extract = Extraction(adapter="pirate", site=Site(4, "post"))
    vectors = {**scene.release.vectors, "by-adapter": VectorSource(extract=extract, **source)}
    return replace(scene, release=scene.release.model_copy(update={"vectors": vectors}))


def gateway(**fields: Any) -> Gateway:
    defaults = {
        "property": "gateway",
        "personas": ("pirate",),
        "sites": f"resid_post.0..{SITES - 1}",
        "peaks_within": "resid_post.3..5",
        "min_effect": 0.3,
    }
    return Gateway.model_validate(defaults | fields)


def a_case(**fields: Any) -> Any:
    (case,) = gateway(**fields).cases(a_scene())
    return case


def judged(case: Any, peak: int = 4, most: float = 0.6, other: int = 4, alike: bool = True) -> Evidence:
    """Let the pirate's vector act most at block `peak`, fading by a third a block; the other's at `other`."""
    drawn = np.random.default_rng(1)
    best = {"pirate": peak, "by-adapter": other}

    def effect(condition: Condition) -> float:
        own = (steer for steer in condition.steers if steer.drawn is None and steer.vector in best)
        return sum(most * (2 / 3) ** abs(steer.at.block - best[steer.vector]) for steer in own)

    def value(one: Measurement) -> Any:
        if isinstance(one, Reply):
            return Answer("Arr.", (1,))
        if isinstance(one, Likelihood):
            place = case.personas.index(one.text.condition.prompts[0].text.removeprefix("Be ").rstrip("."))
            return np.float32([likelier(one.condition, alike)[place] - 3 + drawn.normal() / 10])
        assert isinstance(one, Divergence)
        size = WHOLE * np.exp(np.random.default_rng(int(one.probe.id[1:])).normal() / 4)
        share = 1 - effect(one.condition) + (drawn.normal() / 50 if one.condition.steers else 0)
        return np.float32([size * share])

    return worlds.controlled(case, value)


def likelier(condition: Condition, alike: bool) -> np.ndarray:
    if condition.prompts:
        return LIKELIER["pirate"]
    own = [steer.vector for steer in condition.steers if steer.drawn is None]
    return LIKELIER[own[0]] * (1 if alike else -1) if own else np.zeros(len(NAMES))


def test_a_vector_that_acts_within_the_band_passes_and_no_control_does():
    evidence = judged(a_case(fades_from="resid_post.8", max_late=0.4))
    assert evidence.verdict is Verdict.PASS
    effect, late = (worlds.by_key(evidence)[key].estimate for key in ("min_effect", "max_late"))
    assert effect.low <= 0.6 <= effect.high
    assert late.low <= (2 / 3) ** 4 <= late.high
    assert {control.name: control.verdict for control in evidence.controls} == {
        "nothing in its place": Verdict.FAIL,
        "counsel by steering": Verdict.FAIL,
        "random vectors": Verdict.FAIL,
    }
    assert evidence.fact == (
        "added at resid_post.4 the vector brings what is said next 60% of the way from the bare model to the "
        "prompted pirate, its most"
    )


def test_one_that_peaks_elsewhere_fails_by_where_it_does():
    evidence = judged(a_case(), peak=8)
    assert [one.key for one in evidence.criteria if one.verdict is Verdict.FAIL] == ["min_lead"]
    lead = worlds.by_key(evidence)["min_lead"].estimate.value
    assert lead == pytest.approx(0.6 * ((2 / 3) ** 3 - 1), abs=0.02)


def test_sites_that_do_as_much_within_and_outside_decide_nothing():
    assert worlds.by_key(judged(a_case(peaks_within="resid_post.4"), most=1e-3))["min_lead"].verdict is (
        Verdict.INCONCLUSIVE
    )


def test_one_that_does_not_fade_fails():
    evidence = judged(a_case(fades_from="resid_post.5", max_late=0.4))
    assert worlds.by_key(evidence)["max_late"].verdict is Verdict.FAIL


@pytest.mark.parametrize(("other", "verdict"), [(4, Verdict.PASS), (0, Verdict.FAIL)])
def test_a_vector_beside_it_must_act_at_the_same_site(other: int, verdict: Verdict):
    evidence = judged(a_case(beside="by-adapter", max_loss=0.1), other=other)
    assert worlds.by_key(evidence)["max_loss"].verdict is verdict
    assert list(evidence.curve.series) == ["pirate", "by-adapter"]


@pytest.mark.parametrize(("alike", "verdict"), [(True, Verdict.PASS), (False, Verdict.FAIL)])
def test_what_it_makes_likelier_is_what_the_prompt_does(alike: bool, verdict: Verdict):
    evidence = judged(a_case(min_profile=0.7), alike=alike)
    assert worlds.by_key(evidence)["min_profile"].verdict is verdict
    (profiles,) = evidence.tables
    assert (profiles.rows, profiles.columns) == (NAMES, ("prompt", "steering"))


def test_a_prompt_that_says_nothing_decides_nothing():
    case = a_case()
    record = Record({one: np.zeros(1, np.float32) for one in case.needs()})
    evidence = case.judge(record, 0)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.fact is None


def test_the_curve_has_the_effect_at_every_site():
    evidence = judged(a_case())
    values = evidence.curve.series["pirate"].values
    assert values == pytest.approx([0.6 * (2 / 3) ** abs(site - 4) for site in range(SITES)], abs=0.02)
    assert evidence.curve.judged == ("resid_post.3", "resid_post.5")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"peaks_within": "resid_post.9..12"}, "peaks_within: resid_post.9..12 is no part of sites"),
        ({"peaks_within": "resid_post.0..9"}, "expected some of at least 3 sites, and not all"),
        ({"fades_from": "resid_post.12", "max_late": 0.5}, "fades_from: resid_post.12 is none of the sites"),
        ({"max_late": 0.5}, "fades_from and max_late go together"),
        ({"beside": "by-adapter"}, "beside and max_loss go together"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        gateway(**fields)


def test_a_vector_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="the release has no vector 'by-adaptor'; did you mean"):
        a_case(beside="by-adaptor", max_loss=0.1)


def test_a_vector_that_adds_no_equal_dose_is_refused():
    asked = gateway(beside="by-adapter", max_loss=0.1)
    with pytest.raises(
        SuiteError, match="beside: the vector 'by-adapter' has `operation: ablate`; expected `add`"
    ):
        asked.cases(a_scene(operation=Operation.ABLATE))


def test_a_raw_vector_has_no_equal_doses():
    with pytest.raises(SuiteError, match="the vector 'by-adapter' has `unit: raw`; expected `norm`"):
        gateway(beside="by-adapter", max_loss=0.1).cases(a_scene(unit="raw"))


def test_a_profile_needs_the_replies_of_others():
    with pytest.raises(
        SuiteError, match=r"min_profile needs at least 3 personas with a prompt.*; found pirate"
    ):
        gateway(min_profile=0.5).cases(worlds.scene(("pirate",)))
