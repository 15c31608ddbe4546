from itertools import product

import pytest

from coherence.errors import SuiteError
from coherence.plan import Condition, Scene, Steer
from coherence.properties.composition.blends import blends, usual_pairs
from coherence.vocabulary import Decoding, Extraction, Persona, Prompt, Regime, Release, Site, VectorSource

OF = ("pirate", "counsel")
ARR, HEREBY = Prompt(text="Arr."), Prompt(text="Hereby.")
CHIMERA = {"chimera": "mix", "twin": None}


def made(persona="counsel", under="pirate"):
    extraction = Extraction(persona=persona, site=Site(1, "post"), under=under)
    return VectorSource(extract=extraction)


def scene(adapters=(*OF, "mix"), **vectors):
    sources = {name: VectorSource(path=f"{name}.safetensors") for name in OF} | vectors
    return Scene(
        Release(adapters=dict.fromkeys(adapters, "folder"), vectors=sources),
        {"pirate": Persona(prompt=ARR, dose=0.3), "counsel": Persona(prompt=HEREBY), "mute": Persona()},
        (), (), "Neutral.", Decoding(), 0,
    )  # fmt: skip


def ways(scene=None, trained=CHIMERA, extracted_on=None):
    return blends(scene or globals()["scene"](), OF, trained, extracted_on or {})


def test_the_names_say_who_is_there_by_which_regime():
    condition = ways()["prompt-adapter"].condition
    assert condition == Condition("Neutral.", (ARR,), (("counsel", 1.0),))
    assert ways()["steering-prompt"].condition == Condition(
        "Neutral.", (HEREBY,), (), (Steer("pirate", 0.3),)
    )
    regimes = ("prompt", "adapter", "steering")
    named = [f"{one}-{other}" for one, other in product(regimes, regimes)]
    assert list(ways()) == [*named, "prompts-reversed", "chimera"]


@pytest.mark.parametrize("regime", ["prompt", "adapter", "steering"])
def test_both_by_one_regime_are_the_mixture_that_is_measured_elsewhere(regime):
    mixture = scene().mixture(dict.fromkeys(OF, 1.0), Regime.parse(regime))
    assert ways()[f"{regime}-{regime}"].condition == mixture


def test_prompts_have_an_order_and_each_persona_alone_has_none():
    both = ways()
    assert both["prompts-reversed"].condition.prompts == (HEREBY, ARR)
    assert both["prompts-reversed"].alone() == both["prompt-prompt"].alone()


def test_a_chimera_is_one_adapter_beside_those_of_each_persona_alone():
    chimera = ways()["chimera"]
    assert chimera.condition == Condition("Neutral.", adapters=(("mix", 1.0),))
    assert [condition.adapters for condition in chimera.alone()] == [(("pirate", 1.0),), (("counsel", 1.0),)]


def test_a_persona_without_an_adapter_is_held_against_the_chimera_by_what_it_has():
    chimera = ways(scene(adapters=("pirate", "mix")))["chimera"]
    assert chimera.alone()[1] == Condition("Neutral.", (HEREBY,))


def test_a_way_is_able_where_both_have_what_it_takes():
    able = {slug for slug, way in ways(scene(adapters=("pirate",))).items() if way.able}
    assert {"adapter-prompt", "adapter-steering", "prompt-prompt"} <= able
    assert not able & {"prompt-adapter", "adapter-adapter", "chimera"}


def test_a_vector_extracted_under_the_other_adapter_takes_the_place_of_the_own_one():
    found = ways(scene(late=made()), extracted_on={"counsel": "late"})["adapter-extracted"]
    assert found.condition.adapters == (("pirate", 1.0),)
    assert found.condition.steers == (Steer("late", 0.5),)
    found = ways(scene(late=made("pirate", "counsel")), extracted_on={"pirate": "late"})["extracted-adapter"]
    assert found.condition.steers == (Steer("late", 0.3),)


@pytest.mark.parametrize(
    ("extracted_on", "message"),
    [
        ({"counsul": "late"}, "extracted_on is about pirate and counsel; did you mean 'counsel'"),
        ({"counsel": "lat"}, "the release has no vector 'lat'; did you mean 'late'"),
        ({"counsel": "counsel"}, "'counsel' is a file; expected one extracted from 'counsel' under the ad"),
        ({"counsel": "early"}, "'early' is extracted from 'counsel' under no adapter; expected"),
        ({"pirate": "late"}, "'counsel' under the adapter 'pirate'; expected one extracted from 'pirate' "),
    ],
)  # fmt: skip
def test_a_vector_that_is_not_extracted_so_is_refused(extracted_on, message):
    with pytest.raises(SuiteError, match=message):
        ways(scene(late=made(), early=made(under=None)), extracted_on=extracted_on)


def test_only_ways_that_are_there_are_paired():
    assert usual_pairs(["prompt-prompt", "prompts-reversed", "adapter-prompt"]) == [
        ("prompt-prompt", "prompts-reversed")
    ]
    assert ("adapter-steering", "adapter-extracted") in usual_pairs(["adapter-steering", "adapter-extracted"])
