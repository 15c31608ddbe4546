"""Attractor: between two contradictory poles, a persona slides with the mixture or falls into one of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.plan import Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import BETWEEN, WEIGHTS, interval_series, series
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held
from coherence.properties.lengths import by_length
from coherence.properties.mixtures.placed import Placed, intervals, placed
from coherence.properties.mixtures.poles import Mixed, Poles
from coherence.properties.ranges import ANY, SHARE
from coherence.properties.reading import ExampleReplies
from coherence.vocabulary import Criterion, Curve, Figures, ProbeNote, Regime

LEAST_STEEP = 5  # weights; through fewer points a logistic curve passes whatever they are


@dataclass(frozen=True)
class AttractorCase(Case[Placed]):
    """Two poles mixed in one way, at several weights."""

    persona: str
    slug: str
    spec: "Attractor"
    scene: Scene
    mixed: Mixed
    regimes: tuple[Regime, ...]

    def needs(self) -> Iterable[Measurement]:
        """Read the poles and every mixture on the axis."""
        return self.mixed.needs

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Read the poles alone at first: where they do not lie apart, nothing can be placed between them."""
        yield self.mixed.needs_of_poles
        yield self.needs()

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Have replies to look at."""
        return self._examples.replies.values()

    def sample(self, record: Record, seed: int) -> Placed:
        """Place the mixtures on the axis."""
        (sample,) = placed([self.mixed], record)
        return sample

    def criteria(self, sample: Placed) -> Iterator[Criterion]:
        """Judge separation first: where the poles do not lie apart, nothing can be placed between them."""
        spec = self.spec
        yield held(
            "separation of the poles",
            sample.poles.separation,
            sample.n,
            spec.min_separation,
            unreliable=sample.without_axis,
            key="min_separation",
        )
        yield self._area(sample)
        response = sample.response
        hold = partial(held, n=sample.n, unreliable=sample.together)
        first, last = spec.tipping
        yield hold("tipping weight", response.tipping, at_least=first, at_most=last, key="tipping")
        if (least := spec.min_step) is not None:
            yield hold("smallest step", response.smallest_step, at_least=least, key="min_step")
        if (most := spec.max_steepness) is not None and self._steep:
            yield hold("steepness", response.steepness, at_most=most, key="max_steepness")

    def figures(self, sample: Placed) -> Figures:
        """Show the response, and where the poles lie apart, what attracts and on which probes."""
        apart = self._area(sample).unreliable is None
        off = {weight: position.above(weight) for weight, position in sample.positions.items()}
        by_row = {f"weight {weight:g}": departure for weight, departure in off.items()}
        lines = {
            "m": interval_series(sample.positions.values()),
            "D": series(departure.value for departure in off.values()),
        }
        return Figures(
            curve=Curve(
                over=WEIGHTS,
                at=tuple(f"{weight:g}" for weight in off),
                series=lines,
                value=BETWEEN,
            ),
            tables=(intervals("D(w) = m(w) - w, and its interval", "D", by_row),),
            probes=(*(self._strongest(sample) if apart else ()), self._examples.note(sample.record)),
            notes=tuple(self._notes(sample)) if apart else (),
        )

    def controls(self) -> Mapping[str, Sequence["AttractorCase"]]:
        """Put nothing, another persona, or random vectors in the place of the positive pole.

        Its mixtures are measured for this alone, so one other persona has a turn. None between prompts, which
        are what is measured with, and none where nobody else has examples or adapters trained on a mixture.
        """
        regime, scene = self.mixed.regime, self.scene
        if regime is None or regime == Regime.PROMPT:
            return {}
        positive = self.spec.poles[0]
        others = (name for name in scene.personas if name not in self.spec.poles)
        scenes = (
            *nothing(scene, positive, (regime,)),
            *islice(stand_ins(scene, positive, regime, others), 1),
            *random_vectors(scene, positive, (regime,)),
        )
        return {
            name: [self.spec.case(self.spec.by(regime, other)) for other in several]
            for name, several in scenes
        }

    def _area(self, sample: Placed) -> Criterion:
        area, most = sample.response.area, self.spec.max_area
        return held("signed area", area, sample.n, -most, most, sample.together, key="max_area")

    @property
    def _steep(self) -> bool:
        """Whether a switch can be told from a slide: prompts have too few weights."""
        return len(self.mixed.mixtures) >= LEAST_STEEP

    def _strongest(self, sample: Placed) -> Iterator[ProbeNote]:
        pull = sample.response.pull
        for row in np.argsort(-np.abs(pull), kind="stable")[:3]:
            note = f"pulled towards {self._pole(pull[row])}: area {pull[row]:+.2f}"
            yield ProbeNote(probe=self.scene.probes[row].id, note=note)

    def _notes(self, sample: Placed) -> Iterator[str]:
        response, positive = sample.response, self.spec.poles[0]
        half = np.interp(0.5, [*sample.positions], [position.value for position in response.position])
        puller = (
            self._pole(response.area.value)
            if response.area.low > 0 or response.area.high < 0
            else "neither pole"
        )
        yield f"{puller} attracts: an even mixture stands {half:.2f} of the way to {positive}"
        yield _monotony(sample)
        if self._steep:
            yield _shape(sample)
        if response.separation.high < 0:
            yield f"{self.slug} moves against the prompts"
        yield from by_length(f"the pull towards {positive}", response.pull, self.scene.probes)

    @property
    def _examples(self) -> ExampleReplies:
        mixed = {f"weight {weight:g}": conditions[0] for weight, conditions in self.mixed.mixtures.items()}
        return ExampleReplies(self.scene, mixed)

    def _pole(self, pull: float) -> str:
        return self.spec.poles[0] if pull > 0 else self.spec.poles[1]


def _monotony(sample: Placed) -> str:
    step = sample.response.smallest_step
    turns = "is not monotone" if step.high < 0 else "may not be monotone"
    estimate = held("smallest step", step, sample.n, key=None).estimate
    return f"the response {'rises throughout' if step.low > 0 else turns}: {estimate} (a linear one: 1)"


def _shape(sample: Placed) -> str:
    steepness = sample.response.steepness
    better = "neither a line nor a logistic curve clearly"
    if steepness.low > 0 or steepness.high < 0:
        better = "a logistic curve" if steepness.low > 0 else "a line"
    estimate = held("steepness", steepness, sample.n, key=None).estimate
    slope = sample.response.logistic.slope
    times = f"the curve is {slope:.1f} times as steep as a linear response"
    return f"{better} fits the response better: {estimate}; {times}"


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
        persona, regimes = "-".join(self.poles), (mixed.regime,) if mixed.regime else ()
        return AttractorCase(persona, mixed.slug, self, mixed.readings.scene, mixed, regimes)
