"""Traits: which of them go one way, and which go against these."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, product
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError, did_you_mean
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import interval_columns, matrix, table
from coherence.properties.criterion import held
from coherence.properties.eligibility import cast, require_probes, with_persona
from coherence.properties.parts import require_in_reply
from coherence.properties.property import Property
from coherence.properties.ranges import COSINE
from coherence.properties.reading import Readings, Residuals, unmoved
from coherence.statistics.alignment import Alignment, largest_cosine, smallest_cosine
from coherence.statistics.geometry import still
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Band, Criterion, Figures, Part, Position, Regime, Table

LEAST_PROBES = 8
LEAST_TOGETHER = 2
Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TraitsSample:
    """The direction of every trait, from its opposite to itself, and each held against each."""

    case: "TraitsCase"
    record: Record

    @cached_property
    def cosines(self) -> dict[tuple[str, str], Alignment]:
        """Every two traits, in the suite's order."""
        return {pair: self._compared(*pair) for pair in combinations(self._directions, 2)}

    def among(self, pairs: Iterable[tuple[str, str]]) -> list[Alignment]:
        """Take some pairs, whichever of the two comes first."""
        return [self.cosines.get((one, other)) or self.cosines[other, one] for one, other in pairs]

    @cached_property
    def unmoved(self) -> str | None:
        """Name the first trait whose prompt and its opposite's do the same."""
        nothing = np.stack([still(direction, self._bare) for direction in self._directions.values()])
        against = self.case.spec.against
        return unmoved(
            nothing, [f"{name} against {against[name]}" for name in self._directions], self.case.spec.sites
        )

    @cached_property
    def _directions(self) -> dict[str, Residuals]:
        """[sites, probes, width] of each."""
        return {
            name: self._read(trait) - self._read(opposite)
            for name, (trait, opposite) in self.case.ends.items()
        }

    @cached_property
    def _bare(self) -> Residuals:
        return self._read(self.case.scene.bare)

    def _read(self, condition: Condition) -> Residuals:
        readings = self.case.readings
        return readings.residuals(
            self.record, condition, readings.depths(self.record, self.case.spec.sites.sites)
        )

    def _compared(self, one: str, other: str) -> Alignment:
        directions = self._directions
        return Alignment.of(directions[one], directions[other], self.case.scene.clusters)


@dataclass(frozen=True)
class TraitsCase(Case[TraitsSample]):
    """All traits of an assertion in one regime; `instead` has what some are replaced by."""

    persona: str
    slug: str
    spec: "Traits"
    scene: Scene
    regimes: tuple[Regime]
    instead: Mapping[str, str] = field(default_factory=dict)

    def needs(self) -> Iterable[Measurement]:
        """Read bare, and every trait and its opposite, on every probe."""
        conditions = dict.fromkeys([self.scene.bare, *(one for both in self.ends.values() for one in both)])
        return [reading for condition in conditions for reading in self.readings.of(condition)]

    def sample(self, record: Record, seed: int) -> TraitsSample:
        """Take what was measured; nothing is drawn."""
        return TraitsSample(self, record)

    def criteria(self, sample: TraitsSample) -> Iterator[Criterion]:
        """Judge the smallest cosine of those that go together, and the largest with those opposed."""
        spec, n = self.spec, len(self.scene.probes)
        least = smallest_cosine(sample.among(combinations(spec.together, 2)))
        name = "smallest cosine of those together"
        yield held(name, least, n, spec.min_together, unreliable=sample.unmoved, key="min_together")
        if spec.opposed:
            most = largest_cosine(sample.among(product(spec.together, spec.opposed)))
            name = "largest cosine with those opposed"
            yield held(name, most, n, at_most=spec.max_opposed, unreliable=sample.unmoved, key="max_opposed")

    def figures(self, sample: TraitsSample) -> Figures:
        """Show every cosine."""
        if sample.unmoved:
            return Figures()
        known = {pair: compared.cosine() for pair, compared in sample.cosines.items()}
        return Figures(fact=self._fact(known), tables=tuple(self._tables(known)))

    def controls(self) -> Mapping[str, Sequence["TraitsCase"]]:
        """Exchange every other trait and its opposite; where some are opposed, let all change places.

        Nothing in a trait's place is no control: what leads away from its opposite leads to the trait.
        """
        related = self.spec.related()
        over = {name: name if row % 2 else self.spec.against[name] for row, name in enumerate(related)}
        named = {"every other one turned over": [replace(self, instead=over)]}
        if self.spec.opposed:
            following = dict(zip(related, (*related[1:], related[0]), strict=True))
            named["another one in the place of each"] = [replace(self, instead=following)]
        return named

    def _fact(self, known: Mapping[tuple[str, str], Interval]) -> str:
        spec = self.spec
        together = {frozenset(pair) for pair in combinations(spec.together, 2)}
        apart = {frozenset(pair) for pair in product(spec.together, spec.opposed)}
        positive = sum(one.value > 0 for pair, one in known.items() if frozenset(pair) in together)
        negative = sum(one.value < 0 for pair, one in known.items() if frozenset(pair) in apart)
        against = f", and {negative} of {len(apart)} with those opposed are negative" if apart else ""
        return f"{positive} of {len(together)} cosines of those together are positive{against}"

    def _tables(self, known: Mapping[tuple[str, str], Interval]) -> Iterator[Table]:
        names = [*self.ends]
        both_ways = {**known, **{(other, one): interval for (one, other), interval in known.items()}}
        cells = [[1.0 if one == other else both_ways[one, other].value for other in names] for one in names]
        yield matrix(f"cosine of traits by {self.slug}", names, names, cells)
        rows = [" and ".join(pair) for pair in known]
        yield table(f"every two traits by {self.slug}", rows, interval_columns("cosine", [*known.values()]))

    @property
    def part(self) -> Part:
        """Which part of replies it judges by."""
        return self.spec.part

    @cached_property
    def readings(self) -> Readings:
        """Where and over which text residuals are read."""
        spec = self.spec
        return Readings(self.scene, spec.position, spec.text, part=spec.part)

    @cached_property
    def ends(self) -> dict[str, tuple[Condition, Condition]]:
        """What puts each trait into the model, and what its opposite does."""
        (regime,) = self.regimes
        ends = {name: (name, opposite) for name, opposite in self.spec.against.items()}
        ends |= {opposite: (opposite, name) for name, opposite in self.spec.against.items()}
        sources = {name: ends[self.instead.get(name, name)] for name in self.spec.against}
        return {
            name: (self.scene.condition(one, regime), self.scene.condition(other, regime))
            for name, (one, other) in sources.items()
        }


def _all_different(names: Names) -> Names:
    if len(set(names)) < len(names):
        raise ValueError(f"{list(names)} has a trait more than once; expected each once")
    return names


def _no_opposite_of_itself(against: dict[str, str]) -> dict[str, str]:
    for trait, opposite in against.items():
        if trait == opposite:
            raise ValueError(f"{trait!r} is its own opposite; expected two different personas")
    return against


class Traits(Property):
    """Traits go one way or against each other: their directions' cosines have the signs that are asked for.

    The direction of a trait leads from the persona of its opposite to its own, as persona vectors are made
    (arXiv 2507.21509). All are judged together, in one regime after the other.
    """

    family: ClassVar[str] = "space"

    property: Literal["traits"] = Field(description="Names this property.")
    personas: None = Field(None, description="Not used here: `against` has them.")
    regimes: Annotated[tuple[Regime, ...] | None, AfterValidator(with_persona)] = Field(
        None, min_length=1, description="Regimes, one assertion each; default: those of the suite."
    )
    against: Annotated[dict[str, str], AfterValidator(_no_opposite_of_itself)] = Field(
        description="For each trait, a persona, the persona of its opposite; cosines of all are shown."
    )
    together: Annotated[Names, AfterValidator(_all_different)] = Field(
        min_length=LEAST_TOGETHER, description="Traits of `against` that go one way."
    )
    opposed: Annotated[Names, AfterValidator(_all_different)] = Field(
        (), description="Traits of `against` that go against each of these."
    )
    sites: Band = Field(description="Where directions are compared; cosines are averaged over the band.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token directions are read.")
    part: Part = Field(
        Part.ANSWER,
        description="Which part of a reply a position is in: the answer, the reasoning before it, or both.",
    )
    text: Literal["shared", "own"] = Field(
        "shared",
        description="For response_mean: every condition reads the bare model's reply (shared), or its own.",
    )
    min_together: Annotated[float, COSINE] = Field(
        0.0, ge=-1, lt=1, description="Least cosine of any two that go together."
    )
    max_opposed: Annotated[float, COSINE] = Field(
        0.0, gt=-1, le=1, description="Largest cosine of any that goes together with any that is opposed."
    )

    @model_validator(mode="after")
    def _asks_of_what_there_is(self) -> Self:
        for name in self.related():
            if name not in self.against:
                raise ValueError(f"{name!r} is not among `against`{did_you_mean(name, self.against)}")
        if both := next((name for name in self.opposed if name in self.together), None):
            raise ValueError(f"{both!r} is both together and opposed; expected one of them")
        require_in_reply(self.part, self.position)
        return self

    def related(self) -> Names:
        """List the traits that anything is asked of."""
        return (*self.together, *self.opposed)

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime, about all traits; each and its opposite must have what it takes."""
        require_probes(scene, LEAST_PROBES, "traits")
        if not (chosen := self.regimes or scene.regimes):
            raise SuiteError("traits needs a regime; the suite has none")
        named = cast((*self.against, *self.against.values()), scene, scene.personas.__contains__)
        for name, regime in product(named, chosen):
            scene.condition(name, regime)  # complains of what is missing
        return [TraitsCase("release", str(regime), self, scene, (regime,)) for regime in chosen]
