"""Attractor: between two contradictory poles, a persona slides with the mixture or falls into one of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.cast import Couple, require_probes
from coherence.properties.control import random_vectors, stand_ins
from coherence.properties.criterion import held
from coherence.properties.curve import column
from coherence.properties.lengths import by_length
from coherence.properties.property import Case, Property
from coherence.properties.reading import Readings, Residuals, Sample, within_reach
from coherence.statistics.intervals import Interval
from coherence.statistics.response import Response
from coherence.vocabulary import (
    Criterion,
    Curve,
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
    regime: Regime
    readings: Readings
    prompted: tuple[Condition, Condition]  # the positive pole, then the negative one
    mixtures: dict[float, tuple[Condition, ...]]  # by rising weight; several conditions are averaged

    def needs(self) -> Iterable[Measurement]:
        """Read the prompted poles, for the axis, and every mixture, on every probe; replies to look at."""
        return [*self.rests_on(), *self._sample.replies.values()]

    def rests_on(self) -> Iterable[Measurement]:
        """List the readings."""
        mixed = [condition for conditions in self.mixtures.values() for condition in conditions]
        return [r for condition in (*self.prompted, *mixed) for r in self.readings.of(condition)]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge separation first: where the poles do not lie apart, nothing can be placed between them."""
        response = self._response(record)
        curve = response.position()
        criteria = tuple(self._criteria(response))
        apart = criteria[1].unreliable is None
        return Evidence(
            criteria=criteria,
            curve=self._curve(curve),
            probes=(*(self._strongest(response) if apart else ()), self._sample.note(record)),
            notes=(*self._notes(criteria, curve), *self._by_length(response)) if apart else (),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the same criteria alone."""
        return self._criteria(self._response(record))

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Put another persona, or a random vector, in the place of the positive pole.

        Its mixtures are measured for this alone, so one of each has a turn. None between prompts, which are
        what is measured with.
        """
        if self.regime == PROMPT:
            return {}
        scene, (positive, _) = self.readings.scene, self.asked.poles
        others = (name for name in scene.personas if name not in self.asked.poles)
        scenes = (
            *islice(stand_ins(scene, positive, self.regime, others), 1),
            *random_vectors(scene, positive, (self.regime,), at_most=1),
        )
        return {name: [self.asked.case(self.regime, other) for other in several] for name, several in scenes}

    def _criteria(self, response: Response) -> Iterator[Criterion]:
        separation = response.separation()
        n, most, (first, last) = len(self.readings.scene.probes), self.asked.max_area, self.asked.tipping
        poles = held(
            "separation of the poles", separation, n, self.asked.min_separation, key="min_separation"
        )
        apart = separation.low > 0 or separation.high < 0
        missing = poles.unreliable or poles.estimate.lacking(0)
        together = f"the poles do not lie apart under {self.slug}: {poles.estimate}; {missing}"
        unreliable = None if apart else together
        yield poles
        yield held("signed area", response.area(), n, -most, most, unreliable, key="max_area")
        yield held("tipping weight", response.tipping(), n, first, last, unreliable, key="tipping")

    def _curve(self, curve: Sequence[Interval]) -> Curve:
        return Curve(
            axis="weight",
            at=tuple(f"{weight:g}" for weight in self.mixtures),
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

    def _notes(self, criteria: Sequence[Criterion], curve: Sequence[Interval]) -> tuple[str, ...]:
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

    def _by_length(self, response: Response) -> tuple[str, ...]:
        pull = f"the pull towards {self.asked.poles[0]}"
        return by_length(pull, response.pull(), self.readings.scene.probes)

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
        return Response(self.mixtures, np.stack(mixed), positive - negative, self.readings.scene.clusters)

    def _residuals(self, record: Record, condition: Condition) -> Residuals:
        by_depth = self.readings.residuals(record, condition)
        return np.asarray(by_depth[within_reach(self.asked.site, len(by_depth)).depth])


def _rising(weights: tuple[float, ...]) -> tuple[float, ...]:
    if len(weights) < 3 or (weights[0], weights[-1]) != (0, 1) or min(np.diff(weights)) <= 0:
        raise ValueError(
            f"the weights {list(weights)} do not rise from 0 to 1 over at least one mixture between them"
        )
    return weights


def _within_weights(tipping: tuple[float, float]) -> tuple[float, float]:
    first, last = tipping
    if not 0 <= first < last <= 1:
        raise ValueError(f"the range {list(tipping)} does not rise within 0 to 1, the weights of a mixture")
    return tipping


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
    tipping: Annotated[tuple[float, float], AfterValidator(_within_weights)] = Field(
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
        return [self.case(regime, scene) for regime in self.regimes]

    def case(self, regime: Regime, scene: Scene) -> Case:
        """Make the case of one regime."""
        positive, negative = self.poles
        return AttractorCase(
            persona=f"{positive}-{negative}",
            slug=str(regime),
            asked=self,
            regime=regime,
            readings=Readings(scene, self.position, through=self.site),
            prompted=(scene.condition(positive, PROMPT), scene.condition(negative, PROMPT)),
            mixtures=self._mixtures(scene, regime),
        )

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
