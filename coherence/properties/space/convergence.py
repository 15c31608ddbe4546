"""Convergence: adapters for one trait, trained in several ways, move the model one way."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, combinations
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene, stream
from coherence.properties.case import Case
from coherence.properties.columns import cosines_over_depth, interval_series, series
from coherence.properties.control import DRAWN, nothing, stand_ins
from coherence.properties.criterion import held
from coherence.properties.directed import Directed, DirectedSample
from coherence.properties.eligibility import (
    LEAST_BYSTANDERS,
    Couple,
    require_adapter,
    require_probes,
    require_vector,
)
from coherence.properties.ranges import ANY, COSINE, DIFFERENCE
from coherence.properties.reading import Contrast, Readings
from coherence.properties.space.transferred import FAINT, Ablation
from coherence.statistics.alignment import Alignment
from coherence.statistics.displacements import Displacements
from coherence.vocabulary import Criterion, Curve, Figures, Operation, ProbeNote, Regime
from coherence.vocabulary.evidence import number, ranged

LEAST_PROBES = 8


@dataclass(frozen=True, eq=False)
class ConvergenceSample(DirectedSample["ConvergenceCase"]):
    """Displacements by two adapters for one trait, beside those for other traits."""

    @cached_property
    def seeds(self) -> Displacements:
        """Displacements by two adapters that differ by their seed, and the controls, at every site."""
        return self.case.contrast.displacements(self.record, self.case.twins)

    @cached_property
    def foreign(self) -> dict[str, Alignment]:
        """Adapters for other traits, compared with the first at the sites that are judged."""
        return self.foreign_in(self.band.moved)

    def foreign_in(self, moved: Displacements) -> dict[str, Alignment]:
        """Compare with adapters for other traits, none of them among its own controls."""
        case, first = self.case, self.band.pair[0]
        if len(case.controls_by_kin) <= LEAST_BYSTANDERS:
            return {}
        return {
            name: moved.compared(first, case.scene.condition(name, Regime.ADAPTER), without=unit)
            for unit, names in enumerate(case.controls_by_kin)
            for name in names
        }


@dataclass(frozen=True)
class ConvergenceCase(Case[ConvergenceSample]):
    """Two adapters for one trait; what others share is taken out of both."""

    persona: str
    slug: str
    spec: "Convergence"
    scene: Scene
    pair: Couple
    by_kin: tuple[tuple[str, ...], ...]
    aside: tuple[str, ...]
    """Whose kin are no controls: those of the trait, and whoever stands in for one."""
    drawn: int | None = None
    regimes: tuple[Regime, ...] = (Regime.ADAPTER,)

    def needs(self) -> Iterable[Measurement]:
        """Read bare, both and the others on every probe, and what they say without each other's direction."""
        return chain.from_iterable(self.steps())

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Directions first: two that point apart need no replies."""
        yield self.contrast.needs([*self.sides.values(), *self.twins])
        if self.ablations:
            yield [one for ablation in self.ablations.values() for one in ablation.needs()]

    def sample(self, record: Record, seed: int) -> ConvergenceSample:
        """Take displacements at the sites of the band, and for figures at all."""
        return ConvergenceSample(self, record, seed)

    def criteria(self, sample: ConvergenceSample) -> Iterator[Criterion]:
        """Judge the specific cosine over the band, its lead over other traits, and what ablation leaves."""
        band, spec = sample.band, self.spec
        yield from spec.directions(band, "min_convergence", spec.min_convergence)
        if spec.min_margin is not None and sample.foreign:
            lead, unreliable = band.alignment.lead(list(sample.foreign.values())), spec.unreliable(band)
            name = "margin over best other trait"
            yield held(name, lead, band.n, spec.min_margin, unreliable=unreliable, key="min_margin")
        if spec.max_left is not None:
            for name, ablation in self.ablations.items():
                yield self._left(name, ablation, sample, spec.max_left)

    def figures(self, sample: ConvergenceSample) -> Figures:
        """Show cosines over depth, and the probes that agree least."""
        return Figures(
            fact=self._fact(sample),
            curve=self._curve(sample),
            probes=() if sample.band.undefined else tuple(self._worst(sample)),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["ConvergenceCase"]]:
        """Nothing, or an adapter for another trait, in the place of the second; random directions ablated."""
        second = self.pair[1]
        controls = {
            name: [replace(self, scene=scene) for scene in scenes]
            for name, scenes in nothing(self.scene, second, self.regimes)
        }
        return {**controls, **dict(self._stand_ins(second)), **dict(self._random())}

    def _stand_ins(self, second: str) -> Iterator[tuple[str, list["ConvergenceCase"]]]:
        if len(self.controls_by_kin) <= LEAST_BYSTANDERS:
            return
        for name in chain.from_iterable(self.controls_by_kin):
            for control, scenes in stand_ins(self.scene, second, Regime.ADAPTER, [name]):
                yield control, [replace(self, scene=scene, aside=(*self.aside, name)) for scene in scenes]

    def _random(self) -> Iterator[tuple[str, list["ConvergenceCase"]]]:
        if self.spec.max_left is not None and self.ablations:
            seeds = (
                stream(self.scene.seed, f"random direction {turn} of {self.persona}") for turn in range(DRAWN)
            )
            yield "random directions ablated", [replace(self, drawn=seed) for seed in seeds]

    @cached_property
    def sides(self) -> dict[str, Condition]:
        """Both adapters, by the names of their personas."""
        return {name: self.scene.condition(name, Regime.ADAPTER) for name in self.pair}

    @cached_property
    def twins(self) -> list[Condition]:
        """The adapters of one mix with two seeds; none where none are named."""
        return [replace(self.scene.bare, adapters=((name, 1.0),)) for name in self.spec.seed_pair or ()]

    @cached_property
    def ablations(self) -> dict[str, Ablation]:
        """Either adapter without the direction of the other, where a vector takes that away."""
        first, second = self.pair
        return {
            f"{one} without {other}": Ablation(self.scene, one, self.spec.without[other], self.drawn)
            for one, other in ((second, first), (first, second))
            if other in self.spec.without
        }

    @cached_property
    def controls_by_kin(self) -> tuple[tuple[str, ...], ...]:
        """The personas of other traits, kin together."""
        return tuple(unit for unit in self.by_kin if not any(name in unit for name in self.aside))

    @cached_property
    def contrast(self) -> Contrast:
        """Where and over which text residuals are read, and who is beside."""
        spec = self.spec
        readings = Readings(self.scene, spec.position, spec.text, part=spec.part)
        return Contrast(readings, self.controls_by_kin, self.regimes)

    def _left(self, name: str, ablation: Ablation, sample: ConvergenceSample, most: float) -> Criterion:
        size = ablation.size(sample.record)
        faint = f"its adapter changes a token by {size:.1g} nats on average: there is no effect to take away"
        return held(
            f"effect left of {name}",
            ablation.effects(sample.record).slope,
            len(self.scene.probes),
            at_most=most,
            unreliable=None if size >= FAINT else faint,
            key="max_left",
        )

    def _fact(self, sample: ConvergenceSample) -> str | None:
        if sample.band.undefined:
            return None
        (first, second), cosine = self.pair, sample.band.alignment.cosine()
        best = max((one.cosine().value for one in sample.foreign.values()), default=None)
        beside = "" if best is None else f"; the nearest adapter for another trait has {number(best)}"
        return f"the adapters of {first} and {second} have the cosine {number(cosine.value)}{beside}"

    def _worst(self, sample: ConvergenceSample) -> Iterator[ProbeNote]:
        by_probe = sample.band.by_probe
        for row in np.argsort(by_probe, kind="stable")[:3]:
            note = f"specific cosine {number(by_probe[row])} between {' and '.join(self.pair)}"
            yield ProbeNote(probe=self.scene.probes[row].id, note=note)

    def _notes(self, sample: ConvergenceSample) -> Iterator[str]:
        yield from sample.band.geometry()
        for name, compared in sample.foreign.items():
            cosine = compared.cosine()
            yield f"{self.pair[0]} and {name}: {ranged(cosine.value, cosine.low, cosine.high)}"
        if self.twins:
            cosine = self._of_seeds(sample).at(self.spec.sites.depths).cosine()
            named = " and ".join(self.spec.seed_pair or ())
            yield f"two seeds, {named}: {ranged(cosine.value, cosine.low, cosine.high)}"

    def _of_seeds(self, sample: ConvergenceSample) -> Alignment:
        first, second = self.twins
        return sample.seeds.compared(first, second)

    def _curve(self, sample: ConvergenceSample) -> Curve:
        moved, pair = sample.everywhere, sample.band.pair
        foreign = [[one.value for one in other.cosines()] for other in sample.foreign_in(moved).values()]
        lines = {
            "specific": interval_series(moved.compared(*pair).cosines()),
            "ceiling": series(moved.ceiling(*pair, sample.seed)),
            **({"best other trait": series(np.fmax.reduce(foreign))} if foreign else {}),
            **({"two seeds": interval_series(self._of_seeds(sample).cosines())} if self.twins else {}),
            "random null": series(moved.chance(pair[0], sample.seed)),
        }
        return cosines_over_depth(lines, moved, pair, self.spec.sites, self.spec.min_convergence)


def _several(of: tuple[str, ...]) -> tuple[str, ...]:
    if len(of) < 2 or len(set(of)) < len(of):
        raise ValueError(f"{list(of)} are not two or more different personas")
    return of


class Convergence(Directed):
    """Adapters for one trait move the residual stream one way, whatever they were trained on and how.

    Different fine-tunes that converge on one direction, and ablation that carries over from one to the other:
    arXiv 2506.11618. A case for each pair; directions are specific ones (docs/verdicts.md, specific cosine).
    """

    family: ClassVar[str] = "space"

    property: Literal["convergence"] = Field(description="Names this property.")
    personas: None = Field(None, description="Not used here: `of` has them.")
    of: Annotated[tuple[str, ...], AfterValidator(_several)] = Field(
        description="Personas with an adapter each that are meant to be one trait; a case for each pair."
    )
    text: Literal["shared", "own"] = Field(
        "shared",
        description="For response_mean: every condition reads the bare model's reply (shared), or its own.",
    )
    min_convergence: Annotated[float, COSINE] = Field(
        ge=-1, le=1, description="Least specific cosine of two of the adapters, divided by its ceiling."
    )
    min_margin: Annotated[float | None, DIFFERENCE] = Field(
        None, ge=0, le=2, description="Least lead of that over the cosine with any other trait's adapter."
    )
    seed_pair: Couple | None = Field(
        None,
        description="Two adapters of the release that differ by their seed: their cosine is shown beside.",
    )
    without: dict[str, str] = Field(
        default_factory=dict,
        description="For personas of `of`, the vector of the release that takes their adapter's direction "
        "away (`operation: ablate`).",
    )
    max_left: Annotated[float | None, ANY] = Field(
        None,
        ge=0,
        description="Largest share of an adapter's effect on its own replies that is left without the "
        "direction of the other; needs `without`.",
    )

    @model_validator(mode="after")
    def _ablates_what_it_holds(self) -> Self:
        if (self.max_left is None) != (not self.without):
            raise ValueError("max_left and without go together; found one of them")
        if strangers := [name for name in self.without if name not in self.of]:
            raise ValueError(f"without names {strangers[0]!r}; expected one of {', '.join(self.of)}")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per pair; at least two other traits must serve as controls."""
        require_probes(scene, LEAST_PROBES, "convergence")
        for name in self.of:
            scene.condition(name, Regime.ADAPTER)  # complains of an adapter that is missing
        for adapter in self.seed_pair or ():
            require_adapter(scene, adapter)
        for vector in self.without.values():
            require_vector(scene, "without", vector, Operation.ABLATE)
        return [self._case(first, second, scene) for first, second in combinations(self.of, 2)]

    def _case(self, first: str, second: str, scene: Scene) -> Case:
        by_kin, regime = scene.by_kin((Regime.ADAPTER,)), Regime.ADAPTER
        case = ConvergenceCase(
            f"{first}-{second}", str(regime), self, scene, (first, second), by_kin, self.of
        )
        if len(case.controls_by_kin) < LEAST_BYSTANDERS + (self.min_margin is not None):
            named = ", ".join(chain.from_iterable(case.controls_by_kin)) or "none"
            raise SuiteError(
                f"convergence needs adapters of at least {LEAST_BYSTANDERS} other traits as controls, and of "
                f"one more for min_margin; found {named}"
            )
        return case
