"""Two contradictory poles, mixed in several ways, and where on the axis between them the mixtures stand."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.plan import Condition, Reading, Scene
from coherence.properties.eligibility import Couple, require_probes
from coherence.properties.mixtures.mixing import (
    Mixtures,
    Shown,
    by_examples,
    by_regime,
    by_training,
    require_whole,
)
from coherence.properties.property import Property
from coherence.properties.reading import Readings
from coherence.vocabulary import Position, Regime, Site

LEAST_PROBES = 4


@dataclass(frozen=True)
class Mixed:
    """Two poles mixed in one way, read on the axis between the prompted poles."""

    slug: str
    readings: Readings
    site: Site
    prompted: tuple[Condition, Condition]  # the positive pole, then the negative one
    mixtures: Mixtures
    regime: Regime | None = None  # none of examples, and of adapters trained on mixtures

    @property
    def conditions(self) -> list[Condition]:
        """The prompted poles, for the axis, and every mixture."""
        return [*self.prompted, *chain.from_iterable(self.mixtures.values())]

    @property
    def poles(self) -> tuple[float, float]:
        """The weights of the negative pole alone, and of the positive one."""
        first, *_, last = self.mixtures
        return first, last

    @property
    def needs(self) -> list[Reading]:
        """Each of them on every probe."""
        return self._read(self.conditions)

    @property
    def needs_of_poles(self) -> list[Reading]:
        """Those of the axis and of both poles of this way, without what is between them."""
        return self._read([*self.prompted, *(one for weight in self.poles for one in self.mixtures[weight])])

    def _read(self, conditions: Iterable[Condition]) -> list[Reading]:
        return [reading for condition in conditions for reading in self.readings.of(condition)]


def _rising(weights: tuple[float, ...]) -> tuple[float, ...]:
    if len(weights) < 3 or (weights[0], weights[-1]) != (0, 1) or min(np.diff(weights)) <= 0:
        raise ValueError(
            f"the weights {list(weights)} do not rise from 0 to 1 over at least one mixture between them"
        )
    return weights


def _between(trained: dict[float, str] | None) -> dict[float, str] | None:
    for weight in trained or ():
        if not 0 < weight < 1:
            raise ValueError(
                f"the weight {weight:g} is not between 0 and 1, where the poles have adapters of their own"
            )
    return trained


class Poles(Property):
    """What the properties of two contradictory poles have in common: who they are, and how they are mixed."""

    personas: None = Field(None, description="Not used here: the poles are the personas.")
    poles: Couple = Field(description="Two contradictory personas, the positive one first.")
    regimes: tuple[Regime, ...] = Field((Regime.STEERING, Regime.ADAPTER), description="Regimes to mix in.")
    trained: Annotated[dict[float, str] | None, AfterValidator(_between)] = Field(
        None,
        min_length=1,
        description="Another way to mix: adapters of the release that were trained on mixed data, by the "
        "positive pole's share of it.",
    )
    examples: tuple[Shown, ...] | None = Field(
        None,
        min_length=2,
        description="Another way to mix: questions with a reply of each pole. A prompt shows all of them, "
        "and a share of them with the positive pole's reply.",
    )
    weights: Annotated[tuple[float, ...], AfterValidator(_rising)] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0), description="Weights of the positive pole, rising from 0 to 1."
    )
    site: Site = Field(description="Where the position between the poles is read.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token it is read.")

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.examples:
            require_whole(self.examples, self.weights)
        return self

    def ways(self, scene: Scene) -> Iterator[Mixed]:
        """Mix in every way; both poles must have a prompt, as the axis comes from the prompts."""
        require_probes(scene, LEAST_PROBES, self.family)
        for regime in self.regimes:
            yield self.by(regime, scene)
        if self.trained:
            yield self._mixed("trained", scene, by_training(scene, self.poles, self.trained))
        if self.examples:
            yield self._mixed("examples", scene, by_examples(scene, self.examples, self.weights))

    def by(self, regime: Regime, scene: Scene) -> Mixed:
        """Mix the poles in one regime, at every weight: vectors, adapters or prompts."""
        return self._mixed(str(regime), scene, by_regime(scene, self.poles, regime, self.weights), regime)

    def _mixed(self, slug: str, scene: Scene, mixtures: Mixtures, regime: Regime | None = None) -> Mixed:
        positive, negative = self.poles
        prompted = scene.condition(positive, Regime.PROMPT), scene.condition(negative, Regime.PROMPT)
        readings = Readings(scene, self.position, through=self.site)
        return Mixed(slug, readings, self.site, prompted, mixtures, regime)
