"""Attractor: between two contradictory poles, a persona slides with the mixture or falls into one of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.cast import Couple, require_probes
from coherence.properties.curve import column
from coherence.properties.property import Case, Property
from coherence.properties.reading import Readings, Residuals, Sample, within_reach
from coherence.statistics.intervals import Array, bootstrap
from coherence.statistics.response import Response
from coherence.vocabulary import (
    Criterion,
    Curve,
    Estimate,
    Evidence,
    Position,
    ProbeNote,
    Regime,
    Site,
)

LEAST_PROBES = 4
PROMPT = Regime.parse("prompt")
PROMPT_WEIGHTS = (0.0, 0.5, 1.0)  # two instructions are either both there or one of them


@dataclass(frozen=True)
class AttractorCase(Case):
    """Two poles in one regime, mixed at several weights."""

    persona: str
    slug: str
    asked: "Attractor"
    readings: Readings
    prompted: tuple[Condition, Condition]  # the positive pole, then the negative one
    mixtures: dict[float, tuple[Condition, ...]]  # by rising weight; several conditions are averaged

    def needs(self) -> Iterable[Measurement]:
        """Read the prompted poles, for the axis, and every mixture, on every probe."""
        mixed = [condition for conditions in self.mixtures.values() for condition in conditions]
        readings = (r for condition in (*self.prompted, *mixed) for r in self.readings.of(condition))
        return [*readings, *self._sample.replies.values()]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge separation first: where the poles do not lie apart, nothing can be placed between them."""
        response = self._response(record)
        clusters = self.readings.clusters

        def estimate(name: str, statistic: Callable[[Array], Array]) -> Estimate:
            found = bootstrap(statistic, clusters, seed)
            return Estimate(name=name, value=found.value, low=found.low, high=found.high, n=len(clusters))

        curve = [
            estimate(f"{weight:g}", partial(response.position_at, row))
            for row, weight in enumerate(self.mixtures)
        ]
        criteria = self._criteria(
            separation=estimate("separation of the poles", response.separation),
            area=estimate("signed area", response.area),
            tipping=estimate("tipping weight", response.tipping),
        )
        apart = criteria[1].unreliable is None
        return Evidence(
            criteria=criteria,
            curve=self._curve(curve),
            probes=(*(self._strongest(response) if apart else ()), self._sample.note(record)),
            notes=self._notes(criteria, curve) if apart else (),
        )

    def _criteria(self, separation: Estimate, area: Estimate, tipping: Estimate) -> tuple[Criterion, ...]:
        apart = separation.low > 0 or separation.high < 0
        unreliable = None if apart else f"the poles do not lie apart under {self.slug}: {separation}"
        most, (first, last) = self.asked.max_area, self.asked.tipping
        return (
            Criterion(estimate=separation, at_least=self.asked.min_separation),
            Criterion(estimate=area, at_least=-most, at_most=most, unreliable=unreliable),
            Criterion(estimate=tipping, at_least=first, at_most=last, unreliable=unreliable),
        )

    def _curve(self, curve: Sequence[Estimate]) -> Curve:
        return Curve(
            axis="weight",
            at=tuple(point.name for point in curve),
            columns={
                "m": column(point.value for point in curve),
                "low": column(point.low for point in curve),
                "high": column(point.high for point in curve),
                "D": column(point.value - weight for point, weight in zip(curve, self.mixtures, strict=True)),
            },
        )

    def _strongest(self, response: Response) -> tuple[ProbeNote, ...]:
        pull = response.pull()
        return tuple(
            ProbeNote(
                probe=self.readings.scene.probes[row].id,
                note=f"pulled towards {self._pole(pull[row])}: area {pull[row]:+.2f}",
            )
            for row in np.argsort(-np.abs(pull), kind="stable")[:3]
        )

    def _notes(self, criteria: Sequence[Criterion], curve: Sequence[Estimate]) -> tuple[str, ...]:
        separation, area = criteria[0].estimate, criteria[1].estimate
        weights, position = list(self.mixtures), [point.value for point in curve]
        steps = np.diff(position) / np.diff(weights)
        half = np.interp(0.5, weights, position)
        puller = self._pole(area.value) if area.low > 0 or area.high < 0 else "neither pole"
        shape = "rises throughout" if min(steps) >= 0 else "is not monotone"
        notes = (
            f"{puller} attracts: an even mixture stands {half:.2f} of the way to {self.asked.poles[0]}",
            f"the response {shape}, at its steepest {max(steps):.1f} times as fast as a linear one",
        )
        return (*notes, f"{self.slug} moves against the prompts") if separation.high < 0 else notes

    @property
    def _sample(self) -> Sample:
        mixed = {f"weight {weight:g}": conditions[0] for weight, conditions in self.mixtures.items()}
        return Sample(self.readings.scene, mixed)

    def _pole(self, pull: float) -> str:
        return self.asked.poles[0] if pull > 0 else self.asked.poles[1]

    def _response(self, record: Record) -> Response:
        positive, negative = (self._residuals(record, condition) for condition in self.prompted)
        mixed = [
            np.mean([self._residuals(record, condition) for condition in conditions], axis=0)
            for conditions in self.mixtures.values()
        ]
        return Response.of(self.mixtures, np.stack(mixed), positive - negative, self.readings.clusters)

    def _residuals(self, record: Record, condition: Condition) -> Residuals:
        by_depth = self.readings.residuals(record, condition)
        return np.asarray(by_depth[within_reach(self.asked.site, len(by_depth)).depth])


def _rising(weights: tuple[float, ...]) -> tuple[float, ...]:
    if len(weights) < 3 or (weights[0], weights[-1]) != (0, 1) or min(np.diff(weights)) <= 0:
        raise ValueError(
            f"the weights {list(weights)} do not rise from 0 to 1 over at least one mixture between them"
        )
    return weights


class Attractor(Property):
    """How the model answers a mixture of two contradictory poles; a linear answer has area 0 and tips at 1/2.

    Which pole attracts may differ by regime (arXiv 2607.00006). Under prompts only the weights 0, 1/2 and 1
    exist, and 1/2 is the average of both orders of the two instructions.
    """

    family: ClassVar[str] = "attractor"

    property: Literal["attractor"] = Field(description="Names this property.")
    personas: None = Field(None, description="Not used here: the poles are the personas.")
    poles: Couple = Field(description="Two contradictory personas, the positive one first.")
    regimes: tuple[Regime, ...] = Field(
        (Regime.parse("steering"), Regime.parse("adapter")),
        description="Regimes to mix in; one assertion each.",
    )
    weights: Annotated[tuple[float, ...], AfterValidator(_rising)] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0), description="Weights of the positive pole, rising from 0 to 1."
    )
    site: Site = Field(description="Where the position between the poles is read.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token it is read.")
    max_area: float = Field(
        ge=0, description="Largest area, of either sign, between the response and a linear one."
    )
    tipping: tuple[float, float] = Field(
        (0.25, 0.75),
        description="Range in which the weight must lie at which the model is half way between the poles.",
    )
    min_separation: float = Field(
        0.25,
        ge=0,
        description="Least distance of the regime's poles, as a share of the distance of the prompted poles.",
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime; the axis comes from the prompts, so both poles must have one."""
        require_probes(scene, LEAST_PROBES, "attractor")
        positive, negative = self.poles
        return [
            AttractorCase(
                persona=f"{positive}-{negative}",
                slug=str(regime),
                asked=self,
                readings=Readings(scene, self.position, through=self.site),
                prompted=(scene.condition(positive, PROMPT), scene.condition(negative, PROMPT)),
                mixtures=self._mixtures(scene, regime),
            )
            for regime in self.regimes
        ]

    def _mixtures(self, scene: Scene, regime: Regime) -> dict[float, tuple[Condition, ...]]:
        prompted = PROMPT.layers <= regime.layers
        orders = (self.poles, self.poles[::-1]) if prompted else (self.poles,)
        return {
            weight: tuple(
                dict.fromkeys(scene.mixture(self._shares(order, weight), regime) for order in orders)
            )
            for weight in (PROMPT_WEIGHTS if prompted else self.weights)
        }

    def _shares(self, order: tuple[str, ...], weight: float) -> dict[str, float]:
        share = dict(zip(self.poles, (weight, 1 - weight), strict=True))
        return {pole: share[pole] for pole in order if share[pole] > 0}
