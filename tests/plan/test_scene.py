from dataclasses import replace
from typing import Any

import pytest

from coherence.errors import SuiteError
from coherence.plan import CALIBRATION, Condition, Extract, Scene, Steer
from coherence.vocabulary import (
    Bound,
    Decoding,
    Persona,
    Position,
    Probe,
    Prompt,
    Regime,
    Release,
    Site,
    Thinking,
    Tokens,
)

ARR, SIGH = Prompt(text="Arr."), Prompt(text="Sigh.")


def scene(**personas: Any) -> Scene:
    release = Release.model_validate(
        {
            "adapters": {"pirate": "a", "shared": "b"},
            "vectors": {
                "pirate": "v",
                "gloomy": {"extract": {"persona": "gloomy", "site": "resid_post.2", "against": "pirate"}},
                "ablated": {"path": "v", "operation": "ablate"},
                "raw": {"path": "v", "unit": "raw"},
                "made": {"extract": {"persona": "pirate", "site": "resid_post.1", "position": "user_last"}},
            },
        }
    )
    cast = {
        "pirate": Persona(prompt=ARR),
        "gloomy": Persona(prompt=SIGH, adapter="shared", dose=-0.25),
        "mute": Persona(),
    }
    return Scene(release, cast | personas, (), (), "Neutral.", Decoding(), 0)


def condition(persona: str, regime: str) -> Condition:
    return scene().condition(persona, Regime.parse(regime))


def test_kin_are_the_others_of_the_group() -> None:
    family = replace(scene(), kin=(frozenset({"pirate", "gloomy"}), frozenset({"mute", "clerk"})))
    assert family.kin_of("pirate") == {"gloomy"}
    assert family.kin_of("clerk") == {"mute"}
    assert family.kin_of("nobody") == scene().kin_of("pirate") == frozenset()


def test_personas_that_can_be_put_in_are_grouped_with_their_kin() -> None:
    family = replace(scene(clerk=Persona(prompt=ARR)), kin=(frozenset({"pirate", "clerk", "mute"}),))
    assert family.supporting([Regime.PROMPT]) == ("pirate", "gloomy", "clerk")
    assert family.by_kin([Regime.PROMPT]) == (("pirate", "clerk"), ("gloomy",))
    both = [Regime.PROMPT, Regime.ADAPTER]
    assert family.by_kin(both) == family.by_kin(both[::-1]) == (("pirate",), ("gloomy",))
    assert family.units(["mute", "gloomy", "pirate"]) == (("mute", "pirate"), ("gloomy",))


def test_bare_is_the_neutral_prompt_alone() -> None:
    assert scene().bare == condition("pirate", "bare") == Condition("Neutral.")


def test_each_regime_puts_its_own_artefact_into_the_model() -> None:
    assert condition("pirate", "prompt") == Condition("Neutral.", prompts=(ARR,))
    assert condition("pirate", "adapter") == Condition("Neutral.", adapters=(("pirate", 1.0),))
    assert condition("pirate", "steering") == Condition("Neutral.", steers=(Steer("pirate", 0.5),))
    assert condition("pirate", "prompt+adapter+steering") == Condition(
        "Neutral.", (ARR,), (("pirate", 1.0),), (Steer("pirate", 0.5),)
    )


def test_artefacts_of_another_name_and_doses_of_a_persona() -> None:
    assert condition("gloomy", "adapter").adapters == (("shared", 1.0),)
    assert condition("gloomy", "steering").steers == (Steer("gloomy", -0.25),)
    assert scene(gloomy=Persona(vector="pirate")).vector_of("gloomy") == "pirate"


def test_a_dose_that_is_not_stated_is_what_is_usual_for_the_vector() -> None:
    vectors = {name: Persona(vector=name) for name in ("ablated", "raw", "made")}
    others = scene(**vectors, stated=Persona(vector="raw", dose=0.0))
    assert [others.dose_of(name) for name in [*vectors, "stated"]] == [1.0, 1.0, 0.5, 0.0]


def test_nothing_of_a_persona_takes_no_component_away() -> None:
    pair = scene(ablated=Persona())
    assert pair.mixture({"ablated": 0.0, "pirate": 1.0}, Regime.STEERING).steers == (Steer("pirate", 0.5),)
    # As it was measured before there were others.
    assert pair.mixture({"ablated": 0.5, "pirate": 0.0}, Regime.STEERING).steers == (
        Steer("ablated", 0.5),
        Steer("pirate", 0.0),
    )


def test_a_mixture_weighs_adapters_and_doses_and_keeps_the_order_of_prompts() -> None:
    weights = {"gloomy": 0.25, "pirate": 0.75}
    mixed = scene().mixture(weights, Regime.parse("prompt+adapter+steering"))
    assert mixed.prompts == (SIGH, ARR)
    assert mixed.adapters == (("shared", 0.25), ("pirate", 0.75))
    assert mixed.steers == (Steer("gloomy", -0.0625), Steer("pirate", 0.375))


@pytest.mark.parametrize(
    ("persona", "regime", "supported"),
    [
        ("pirate", "prompt+adapter+steering", True),
        ("mute", "bare", True),
        ("mute", "prompt", False),
        ("mute", "adapter", False),
        ("gloomy", "adapter+steering", True),
    ],
)
def test_a_regime_needs_what_its_layers_need(persona: str, regime: str, supported: bool) -> None:
    assert scene().supports(persona, Regime.parse(regime)) == supported


@pytest.mark.parametrize(
    ("regime", "lacks"),
    [
        ("prompt", "prompt is not written in the suite"),
        ("adapter", "adapter 'mute' is not in the release"),
        ("prompt+steering", "prompt is not written in the suite"),
        ("steering", "vector 'mute' is not in the release"),
        ("cap", "cap is not written in the suite"),
    ],
)
def test_what_a_persona_lacks_is_said(regime: str, lacks: str) -> None:
    sentence = f"persona 'mute' cannot be put into the model by {regime}: its {lacks}"
    with pytest.raises(SuiteError) as caught:
        condition("mute", regime)
    assert caught.value.sentence == sentence


BOUND = Bound.model_validate({"sites": "resid_post.1..2", "at": 0.25, "tokens": "assistant"})
CAPPED = {"pirate": Persona(prompt=ARR, cap=BOUND), "gloomy": Persona(prompt=SIGH, cap=BOUND)}


def test_a_cap_is_put_upon_what_else_the_regime_puts_in() -> None:
    free, capped = (
        scene(**CAPPED).condition("pirate", Regime.parse(regime)) for regime in ("adapter", "adapter+cap")
    )
    assert capped.cap is not None
    assert replace(capped, cap=None) == free
    assert [str(site) for site in capped.cap.sites] == ["resid_post.1", "resid_post.2"]
    assert (capped.cap.at, capped.cap.tokens) == (0.25, Tokens.ASSISTANT)


def test_the_axis_of_a_cap_leads_from_bare_to_the_prompt_on_questions_of_our_own() -> None:
    suite = replace(scene(**CAPPED), probes=(Probe(id="own", text="Own?"),))
    cap = suite.condition("pirate", Regime.parse("cap")).cap
    assert cap is not None
    for readings, prompts in ((cap.low, ()), (cap.high, (ARR,))):
        assert tuple(reading.probe for reading in readings) == CALIBRATION
        assert {reading.condition.prompts for reading in readings} == {prompts}
        assert all(reading.text and reading.text.condition == reading.condition for reading in readings)
        assert {str(reading.through) for reading in readings} == {"resid_post.2"}


def test_a_cap_may_lead_towards_another_persona() -> None:
    towards = Persona(prompt=ARR, cap=BOUND.model_copy(update={"persona": "gloomy"}))
    cap = scene(pirate=towards).condition("pirate", Regime.parse("prompt+cap")).cap
    assert cap is not None
    assert {reading.condition.prompts for reading in cap.high} == {(SIGH,)}


def test_a_cap_bounds_one_persona() -> None:
    with pytest.raises(SuiteError, match=r"^a cap bounds one persona; found pirate, gloomy$"):
        scene(**CAPPED).mixture({"pirate": 0.5, "gloomy": 0.5}, Regime.parse("prompt+cap"))


def test_a_persona_that_nobody_knows() -> None:
    with pytest.raises(SuiteError, match=r"^no persona is named 'pirat'; did you mean 'pirate'\?$"):
        condition("pirat", "prompt")


def test_the_vectors_that_the_suite_makes_itself() -> None:
    arr, sigh = Condition("Neutral.", (ARR,)), Condition("Neutral.", (SIGH,))
    assert scene().extracts == {
        "gloomy": Extract(sigh, arr, Site.parse("resid_post.2"), Position.RESPONSE_MEAN),
        "made": Extract(arr, Condition("Neutral."), Site.parse("resid_post.1"), Position.USER_LAST),
    }


def test_both_sides_of_an_extraction_are_read_under_the_adapter_that_it_names() -> None:
    source = {
        "extract": {"persona": "gloomy", "site": "resid_post.2", "against": "pirate", "under": "shared"}
    }
    release = Release.model_validate({"adapters": {"shared": "b"}, "vectors": {"late": source}})
    carried = (("shared", 1.0),)
    expected = Extract(
        Condition("Neutral.", (SIGH,), carried),
        Condition("Neutral.", (ARR,), carried),
        Site.parse("resid_post.2"),
        Position.RESPONSE_MEAN,
    )
    assert replace(scene(), release=release).extracts == {"late": expected}


def test_an_adapter_is_extracted_against_bare_weights() -> None:
    source = {"extract": {"adapter": "shared", "site": "resid_post.2"}}
    release = Release.model_validate({"adapters": {"shared": "b"}, "vectors": {"own": source}})
    bare = Condition("Neutral.")
    expected = Extract(
        replace(bare, adapters=(("shared", 1.0),)), bare, Site.parse("resid_post.2"), Position.RESPONSE_MEAN
    )
    assert replace(scene(), release=release).extracts == {"own": expected}


@pytest.mark.parametrize(
    ("suite", "expected"), [("auto", "on"), ("off", "on"), ("on", "on"), ("high", "high"), ("low", "low")]
)
def test_a_layer_lets_a_model_reason_as_much_as_the_suite_does(suite: Thinking, expected: Thinking) -> None:
    told = replace(scene(), thinking=suite)
    assert told.condition("pirate", Regime.parse("prompt+thinking")) == Condition(
        "Neutral.", prompts=(ARR,), thinking=expected
    )
    assert told.condition("pirate", Regime.PROMPT).thinking == told.bare.thinking == suite
    # A vector belongs to the base.
    assert {side.thinking for side in (told.extracts["made"].positive, told.extracts["gloomy"].negative)} == {
        "auto"
    }


def test_every_probe_is_answered_as_often_as_it_is_sampled() -> None:
    probes = (Probe(id="a", text="A?", template="t"), Probe(id="b", text="B?"))
    drawn = replace(scene(), probes=probes, decoding=Decoding(temperature=1.0, seed=5), samples=3)
    replies = drawn.replies(drawn.bare)
    assert [reply.probe for reply in replies] == list(drawn.answered) == [probes[0]] * 3 + [probes[1]] * 3
    assert [reply.decoding for reply in replies[:3]] == [reply.decoding for reply in replies[3:]]
    assert len({reply.decoding.seed for reply in replies}) == 3
    # The first is what everything takes that asks for one, and what a suite of one sample has stored.
    assert replies[0].decoding == drawn.decoding
    assert replies[::3] == replace(drawn, samples=1).replies(drawn.bare)
    assert drawn.sampling == Decoding(temperature=1.0, seed=5, samples=3)
