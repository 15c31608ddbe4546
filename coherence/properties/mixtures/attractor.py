"""Attractor: between two contradictory poles, a persona slides with the mixture or falls into one of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.plan import Measurement, Record, Scene
from coherence.properties.columns import column
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held
from coherence.properties.lengths import by_length
from coherence.properties.mixtures.poles import Mixed, Poles
from coherence.properties.property import Case
from coherence.properties.ranges import ANY, SHARE
from coherence.properties.reading import ExampleReplies
from coherence.statistics.intervals import Interval
from coherence.statistics.response import Response
from coherence.vocabulary import Criterion, Curve, Evidence, ProbeNote, Regime, Table

LEAST_STEEP = 5  # weights; through fewer points a logistic curve passes whatever they are


@dataclass(frozen=True)
class AttractorCase(Case):
    """Two poles mixed in one way, at several weights."""

    persona: str
    slug: str
    asked: "Attractor"
    mixed: Mixed

    def needs(self) -> Iterable[Measurement]:
        """Read every mixture on the axis, and have replies to look at."""
        return [*self.rests_on(), *self._sample.replies.values()]

    def rests_on(self) -> Iterable[Measurement]:
        """Read the poles and the mixtures; replies are only to look at."""
        return self.mixed.needs

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge separation first: where the poles do not lie apart, nothing can be placed between them."""
        response = self.mixed.response(record)
        curve = response.position()
        criteria = tuple(self._criteria(response))
        apart = criteria[1].unreliable is None
        return Evidence(
            criteria=criteria,
            curve=self._curve(curve),
            tables=(self._departures(curve),),
            probes=(*(self._strongest(response) if apart else ()), self._sample.note(record)),
            notes=(*self._notes(response, criteria, curve), *self._by_length(response)) if apart else (),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the same criteria alone."""
        return self._criteria(self.mixed.response(record))

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Put nothing, another persona, or random vectors in the place of the positive pole.

        Its mixtures are measured for this alone, so one other persona has a turn. None between prompts, which
        are what is measured with, and none where nobody else has examples or adapters trained on a mixture.
        """
        regime, scene = self.mixed.regime, self._scene
        if regime is None or regime == Regime.PROMPT:
            return {}
        positive = self.asked.poles[0]
        others = (name for name in scene.personas if name not in self.asked.poles)
        scenes = (
            *nothing(scene, positive, (regime,)),
            *islice(stand_ins(scene, positive, regime, others), 1),
            *random_vectors(scene, positive, (regime,)),
        )
        return {
            name: [self.asked.case(self.asked.by(regime, other)) for other in several]
            for name, several in scenes
        }

    def _criteria(self, response: Response) -> Iterator[Criterion]:
        asked, n, (first, last) = self.asked, self.mixed.n, self.asked.tipping
        yield held(
            "separation of the poles",
            response.separation(),
            n,
            asked.min_separation,
            unreliable=self.mixed.without_axis(response),
            key="min_separation",
        )
        unreliable, most = self.mixed.together(response), asked.max_area
        yield held("signed area", response.area(), n, -most, most, unreliable, key="max_area")
        yield held("tipping weight", response.tipping(), n, first, last, unreliable, key="tipping")
        if asked.min_step is not None:
            yield self._step(response, asked.min_step, unreliable)
        if asked.max_steepness is not None and self._steep:
            yield self._steepness(response, asked.max_steepness, unreliable)

    def _step(self, response: Response, least: float = -inf, unreliable: str | None = None) -> Criterion:
        found = response.smallest_step()
        return held("smallest step", found, self.mixed.n, least, unreliable=unreliable, key="min_step")

    def _steepness(self, response: Response, most: float = inf, unreliable: str | None = None) -> Criterion:
        found = response.steepness()
        return held("steepness", found, self.mixed.n, -inf, most, unreliable, key="max_steepness")

    @property
    def _steep(self) -> bool:
        """Whether a switch can be told from a slide: prompts have too few weights."""
        return len(self.mixed.mixtures) >= LEAST_STEEP

    def _curve(self, curve: Sequence[Interval]) -> Curve:
        return Curve(
            axis="weight",
            at=tuple(f"{weight:g}" for weight in self.mixed.mixtures),
            columns={
                "m": column(point.value for point in curve),
                "low": column(point.low for point in curve),
                "high": column(point.high for point in curve),
                "D": column(point.value for point in self._off(curve)),
            },
        )

    def _departures(self, curve: Sequence[Interval]) -> Table:
        return Table(
            name="D(w) = m(w) - w, and its interval",
            rows=tuple(f"weight {weight:g}" for weight in self.mixed.mixtures),
            columns=("D", "low", "high"),
            cells=tuple(column((point.value, point.low, point.high)) for point in self._off(curve)),
        )

    def _off(self, curve: Sequence[Interval]) -> list[Interval]:
        """How far each mixture is from where a linear response has it."""
        return [point.above(weight) for point, weight in zip(curve, self.mixed.mixtures, strict=True)]

    def _strongest(self, response: Response) -> tuple[ProbeNote, ...]:
        pull = response.pull()
        return tuple(
            ProbeNote(
                probe=self._scene.probes[row].id,
                note=f"pulled towards {self._pole(pull[row])}: area {pull[row]:+.2f}",
            )
            for row in np.argsort(-np.abs(pull), kind="stable")[:3]
        )

    def _notes(
        self, response: Response, criteria: Sequence[Criterion], curve: Sequence[Interval]
    ) -> tuple[str, ...]:
        separation, area = criteria[0].estimate, criteria[1].estimate
        weights, position = list(self.mixed.mixtures), [point.value for point in curve]
        half = np.interp(0.5, weights, position)
        puller = self._pole(area.value) if area.low > 0 or area.high < 0 else "neither pole"
        notes = (
            f"{puller} attracts: an even mixture stands {half:.2f} of the way to {self.asked.poles[0]}",
            self._monotony(response),
            *((self._shape(response),) if self._steep else ()),
        )
        return (*notes, f"{self.slug} moves against the prompts") if separation.high < 0 else notes

    def _monotony(self, response: Response) -> str:
        step = self._step(response).estimate
        turns = "is not monotone" if step.high < 0 else "may not be monotone"
        return f"the response {'rises throughout' if step.low > 0 else turns}: {step} (a linear one: 1)"

    def _shape(self, response: Response) -> str:
        steepness = self._steepness(response).estimate
        better = "neither a line nor a logistic curve clearly"
        if steepness.low > 0 or steepness.high < 0:
            better = "a logistic curve" if steepness.low > 0 else "a line"
        slope = f"the curve is {response.logistic().slope:.1f} times as steep as a linear response"
        return f"{better} fits the response better: {steepness}; {slope}"

    def _by_length(self, response: Response) -> tuple[str, ...]:
        pull = f"the pull towards {self.asked.poles[0]}"
        return by_length(pull, response.pull(), self._scene.probes)

    @property
    def _scene(self) -> Scene:
        return self.mixed.readings.scene

    @property
    def _sample(self) -> ExampleReplies:
        mixed = {f"weight {weight:g}": conditions[0] for weight, conditions in self.mixed.mixtures.items()}
        return ExampleReplies(self._scene, mixed)

    def _pole(self, pull: float) -> str:
        return self.asked.poles[0] if pull > 0 else self.asked.poles[1]


def _within_weights(tipping: tuple[float, float]) -> tuple[float, float]:
    first, last = tipping
    if not 0 <= first < last <= 1:
        raise ValueError(f"the range {list(tipping)} does not rise within 0 to 1, the weights of a mixture")
    return tipping


class Attractor(Poles):
    """How the model answers a mixture of two contradictory poles; a linear answer has area 0 and tips at 1/2.

    Which pole attracts may differ by regime (arXiv 2607.00006). Under prompts only the weights 0, 1/2 and 1
    exist, and 1/2 is the average of both orders of the two instructions.
    """

    family: ClassVar[str] = "attractor"

    property: Literal["attractor"] = Field(description="Names this property.")
    max_area: Annotated[float, ANY] = Field(
        ge=0, description="Largest area, of either sign, between the response and a linear one."
    )
    tipping: Annotated[tuple[float, float], AfterValidator(_within_weights), SHARE] = Field(
        (0.25, 0.75),
        description="Range in which the weight must lie at which the model is half way between the poles.",
    )
    min_separation: Annotated[float, ANY] = Field(
        0.25,
        ge=0,
        description="Least distance of the regime's poles, as a share of the distance of the prompted poles.",
    )

    min_step: Annotated[float | None, ANY] = Field(
        None,
        description="Least rise from one weight to the next, per unit of weight; a linear response has 1, "
        "and one that turns back less than 0.",
    )
    max_steepness: Annotated[float | None, ANY] = Field(
        None,
        description="Most by which a logistic curve may fit better than a line (difference of the root mean "
        "square errors of the position).",
    )

    @model_validator(mode="after")
    def _steep_enough(self) -> Self:
        if self.max_steepness is not None and len(self.weights) < LEAST_STEEP:
            raise ValueError(
                f"max_steepness needs at least {LEAST_STEEP} weights; through the {len(self.weights)} of "
                f"{list(self.weights)} a logistic curve passes whatever the response is"
            )
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per way of mixing."""
        return [self.case(mixed) for mixed in self.ways(scene)]

    def case(self, mixed: Mixed) -> AttractorCase:
        """Make the case of one way."""
        return AttractorCase("-".join(self.poles), mixed.slug, self, mixed)
