"""Distinct: several personas on one model stay several, in what they do to it and in what it says."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Reading, Recast, Record, Reply, Scene
from coherence.properties.case import Case
from coherence.properties.columns import matrix
from coherence.properties.control import ARTEFACTS
from coherence.properties.criterion import held
from coherence.properties.eligibility import (
    LEAST_BYSTANDERS,
    Between,
    Pair,
    apart_from,
    cast,
    pairs,
    require_probes,
    slug,
    supporting,
)
from coherence.properties.parts import require_in_reply
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, DIFFERENCE, SHARE, SIZE
from coherence.properties.reading import Contrast, Readings, unmoved, within_reach
from coherence.statistics.alignment import Alignment
from coherence.statistics.displacements import Displacements
from coherence.statistics.distinctness import Distinctness
from coherence.statistics.identification import confusion, identified, nearest
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import smallest
from coherence.vocabulary import Band, Criterion, Figures, Part, Position, Regime, Table
from coherence.vocabulary.evidence import number

LEAST_PROBES = 4
LEAST_UNITS = LEAST_BYSTANDERS + 2  # one that is judged and one that it is held against, beside the controls


@dataclass(frozen=True, eq=False)
class DistinctSample:
    """The set in both regimes: each against each, and all together."""

    case: "DistinctCase"
    record: Record

    @cached_property
    def rows(self) -> dict[str, dict[str, Alignment]]:
        """Alignment of each persona in the first regime with those in the second, by their names."""
        return {name: self._row(name) for name in self.case.cast}

    def _row(self, persona: str) -> dict[str, Alignment]:
        """Compare one with everybody but its kin, who are controls and foreign ones in turn."""
        case = self.case
        (prompted, own), second = case.both(persona), case.regimes[1]
        contrast = Contrast(case.readings, apart_from(persona, case.by_kin), case.regimes)
        moved = contrast.displacements(self.record, [prompted, own], case.spec.sites.sites)
        others = {
            name: moved.compared(prompted, case.scene.condition(name, second), without=unit)
            for unit, personas in enumerate(contrast.controls_by_kin)
            for name in personas
        }
        return {persona: moved.compared(prompted, own), **others}

    @cached_property
    def leads(self) -> dict[str, Interval]:
        """How far each persona's own cosine is above the largest of the others'."""
        return {name: row[name].lead(_others(name, row)) for name, row in self.rows.items()}

    @cached_property
    def dominance(self) -> Interval:
        """The smallest lead of all, whichever that is."""
        return smallest(
            [pivot for name, row in self.rows.items() for pivot in row[name].leads(_others(name, row))]
        )

    @cached_property
    def least_apart(self) -> tuple[str, str, float] | None:
        """Who is least apart from whom, and by which lead; None where nobody's is defined."""
        known = {name: lead.value for name, lead in self.leads.items() if not isnan(lead.value)}
        if not known:
            return None
        name = min(known, key=lambda one: known[one])
        others = {other: one.cosine().value for other, one in self.rows[name].items() if other != name}
        return name, max(others, key=lambda one: others[one]), known[name]

    @cached_property
    def distinctness(self) -> Distinctness:
        """How many they are, kin counted as one."""
        sides = [
            np.stack([np.mean([moved.of(one) for one in unit], 0) for unit in units])
            for moved, units in ((self._moved, side) for side in self.case.sides)
        ]
        return Distinctness.of(sides[0], sides[1], self.case.scene.clusters)

    @cached_property
    def unmoved(self) -> str | None:
        """Name the first persona whose first regime moves nothing at a site of the band."""
        prompted = [self.case.both(name)[0] for name in self.case.cast]
        still = np.stack([self._moved.still(condition) for condition in prompted])
        sides = [f"{self.case.regimes[0]} of {name}" for name in self.case.cast]
        return unmoved(still, sides, self.case.spec.sites)

    @cached_property
    def _moved(self) -> Displacements:
        contrast = Contrast(self.case.readings, self.case.by_kin, self.case.regimes)
        return contrast.displacements(self.record, (), self.case.spec.sites.sites)

    @cached_property
    def told(self) -> dict[str, NDArray[np.intp]]:
        """Whose each reply is told to be, [units, probes], by the regime in which it was given."""
        first, second = map(self._read, self.case.sides)
        clusters = self.case.scene.clusters
        return {
            str(self.case.regimes[0]): nearest(first, first, clusters),
            str(self.case.regimes[1]): nearest(first, second, clusters),
        }

    def _read(self, side: Sequence[Sequence[Condition]]) -> Array:
        """Take bare's readings of replies, less those of its own: [units, sites, probes, width]."""
        voices = self.case.voices
        own = voices.residuals(self.record, self.case.scene.bare)
        return np.stack(
            [np.mean([voices.residuals(self.record, one) - own for one in unit], 0) for unit in side]
        )


@dataclass(frozen=True)
class Voices:
    """Replies of conditions as the bare model reads them: what can be told from the text alone."""

    scene: Scene
    sites: Band

    def of(self, condition: Condition) -> list[Reading]:
        """Read the replies to all probes."""
        replies = (Reply(condition, probe, self.scene.decoding) for probe in self.scene.probes)
        return [
            Reading(self.scene.bare, reply.probe, Position.RESPONSE_MEAN, reply, self.sites.sites[-1])
            for reply in replies
        ]

    def residuals(self, record: Record, condition: Condition) -> Array:
        """Residuals of the replies at the sites: [sites, probes, width]."""
        stacks = [record.residuals(reading) for reading in self.of(condition)]
        depths = [within_reach(site, len(stacks[0])).depth for site in self.sites.sites]
        return np.stack([by_depth[depths] for by_depth in stacks], axis=1).astype(np.float64)


@dataclass(frozen=True)
class DistinctCase(Case[DistinctSample]):
    """All personas of a set in two regimes."""

    persona: str
    slug: str
    spec: "Distinct"
    scene: Scene
    regimes: Pair
    by_kin: tuple[tuple[str, ...], ...]

    def needs(self) -> Iterable[Measurement]:
        """Read bare and every persona in both regimes, and what they reply if it is asked who that is."""
        return (need for step in self.steps() for need in step)

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Yield the prompts' readings first: no reply is said for a control that they settle."""
        if self.spec.is_about_directions():
            contrast = Contrast(self.readings, self.by_kin, self.regimes)
            yield contrast.needs(())
        if self.spec.min_identified is not None:
            conditions = (self.scene.bare, *(one for side in self.sides for unit in side for one in unit))
            yield [reading for one in dict.fromkeys(conditions) for reading in self.voices.of(one)]

    def sample(self, record: Record, seed: int) -> DistinctSample:
        """Take what was measured; nothing is drawn."""
        return DistinctSample(self, record)

    def criteria(self, sample: DistinctSample) -> Iterator[Criterion]:
        """Judge what is written: the smallest lead, spread, rank, and who is told from replies."""
        n = len(self.scene.probes)
        judges: Mapping[str, Callable[[DistinctSample], tuple[str, Interval, str | None]]] = {
            "min_margin": lambda s: ("smallest margin over another persona", s.dominance, s.unmoved),
            "min_spread": lambda s: ("spread of the set", s.distinctness.spread(), s.unmoved),
            "min_rank": lambda s: ("effective rank of the set", s.distinctness.rank(), s.unmoved),
            "min_identified": self._told,
        }
        for key, judge in judges.items():
            least = getattr(self.spec, key)
            if least is not None:
                name, interval, unreliable = judge(sample)
                yield held(name, interval, n, least, unreliable=unreliable, key=key)

    def _told(self, sample: DistinctSample) -> tuple[str, Interval, str | None]:
        ceiling, own = (identified(told, self.scene.clusters) for told in sample.told.values())
        first, second = self.regimes
        chance = 1 / len(self.by_kin)
        unreliable = (
            f"replies by {first} are told in {ceiling.value:.0%} of cases, where chance gives {chance:.0%}"
            if ceiling.low <= chance
            else None
        )
        return f"identified by replies of {second}", own, unreliable

    def figures(self, sample: DistinctSample) -> Figures:
        """Show who is like whom, in what they do and in what is said."""
        return Figures(
            fact=self._fact(sample), tables=tuple(self._tables(sample)), notes=tuple(self._notes(sample))
        )

    def _fact(self, sample: DistinctSample) -> str | None:
        """Name whose direction is not its own, where one's is not."""
        least, nearest = self.spec.min_margin, sample.least_apart
        if least is None or nearest is None or nearest[2] >= least:
            return None
        (name, other, lead), (first, second) = nearest, self.regimes
        if lead < 0:
            return f"{first} of {name} is nearer to {second} of {other} than to its own, by {number(-lead)}"
        return (
            f"{first} of {name} is nearer to its own {second} than to that of {other} by {number(lead)} alone"
        )

    def _tables(self, sample: DistinctSample) -> Iterator[Table]:
        first, second = self.regimes
        if self.spec.is_about_directions():
            cells = [
                [row[other].cosine().value if other in row else np.nan for other in self.cast]
                for row in sample.rows.values()
            ]
            name = f"specific cosine of {first} (rows) and {second} (columns)"
            yield matrix(name, self.cast, self.cast, cells)
        if self.spec.min_identified is not None:
            for regime, told in sample.told.items():
                name = f"replies by {regime} of a persona (rows) told as one's (columns)"
                yield matrix(name, self._units, self._units, confusion(told))

    def _notes(self, sample: DistinctSample) -> Iterator[str]:
        if not self.spec.is_about_directions():
            return
        if sample.least_apart:
            name, other, lead = sample.least_apart
            yield f"least apart: {name} from {other}, by {number(lead)}"
        first, second = map(number, sample.distinctness.ranks())
        yield (
            f"effective rank {first} of {self.regimes[0]} and {second} of {self.regimes[1]}, "
            f"of at most {len(self.by_kin) - 1}"
        )

    def controls(self) -> Mapping[str, Sequence["DistinctCase"]]:
        """Give all of them their mean, each one the next one's, or nothing, in the second regime."""
        if ARTEFACTS.isdisjoint(self.regimes[1].layers):
            return {}
        following = dict(zip(self._units, (*self._units[1:], self._units[0]), strict=True))
        everybody = {name: 1 / len(self._units) for name in self._units}
        next_of = {name: following[unit[0]] for unit in self.by_kin for name in unit}
        takes: Mapping[str, Callable[[Mapping[str, float]], Mapping[str, float]]] = {
            "their mean in the place of each": lambda _weights: everybody,
            "another one in the place of each": lambda weights: {next_of[n]: w for n, w in weights.items()},
            "nothing in the place of each": lambda _weights: {},
        }
        return {name: [self._with(artefacts)] for name, artefacts in takes.items()}

    def _with(self, instead: Callable[[Mapping[str, float]], Mapping[str, float]]) -> "DistinctCase":
        """Put the artefacts of others in the place of each one's; prompts stay."""

        def mixture(weights: Mapping[str, float], regime: Regime) -> Condition:
            was, other = self.scene.mixture(weights, regime), instead(weights)
            taken = self.scene.mixture(other, regime) if other else self.scene.bare
            return replace(was, adapters=taken.adapters, steers=taken.steers)

        return replace(self, scene=Recast.of(self.scene, self.regimes[1], mixture))

    @property
    def part(self) -> Part:
        """Which part of replies it judges by."""
        return self.spec.part

    @cached_property
    def cast(self) -> tuple[str, ...]:
        """All personas of the set."""
        return tuple(name for unit in self.by_kin for name in unit)

    @cached_property
    def readings(self) -> Readings:
        """Where and over which text directions are read."""
        return Readings(self.scene, self.spec.position, self.spec.text, part=self.spec.part)

    @cached_property
    def voices(self) -> Voices:
        """How replies are read."""
        return Voices(self.scene, self.spec.sites)

    @cached_property
    def sides(self) -> list[list[list[Condition]]]:
        """Conditions of either regime, by units of kin."""
        return [
            [[self.scene.condition(name, regime) for name in unit] for unit in self.by_kin]
            for regime in self.regimes
        ]

    def both(self, persona: str) -> tuple[Condition, Condition]:
        """One persona of the set in either regime."""
        first, second = (self.scene.condition(persona, regime) for regime in self.regimes)
        return first, second

    @property
    def _units(self) -> tuple[str, ...]:
        return tuple(unit[0] for unit in self.by_kin)


def _others(name: str, row: Mapping[str, Alignment]) -> list[Alignment]:
    return [alignment for other, alignment in row.items() if other != name]


class Distinct(Property):
    """Several personas on one model stay several: each is itself in both regimes, and nobody else.

    They are judged together. Kin count as one, and are not held against each other.
    """

    family: ClassVar[str] = "space"

    property: Literal["distinct"] = Field(description="Names this property.")
    between: Between = None
    sites: Band = Field(description="Where directions are compared, on average over the band.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token directions are read.")
    part: Part = Field(
        Part.ANSWER,
        description="Which part of a reply a position is in: the answer, the reasoning before it, or both.",
    )
    text: Literal["shared", "own"] = Field(
        "shared",
        description="For response_mean: every condition reads the bare model's reply (shared), or its own.",
    )
    min_margin: Annotated[float | None, DIFFERENCE] = Field(
        None,
        ge=0,
        le=2,
        description="Least lead of every persona's specific cosine with itself over that with another.",
    )
    min_spread: Annotated[float | None, ANY] = Field(
        None,
        gt=0,
        description="How far personas stand apart in the second regime along the ways that they do in the "
        "first, at least, as a share of how far they do there.",
    )
    min_rank: Annotated[float | None, SIZE] = Field(
        None, gt=0, description="Least effective rank of the set, as a share of that in the first regime."
    )
    min_identified: Annotated[float | None, SHARE] = Field(
        None,
        gt=0,
        lt=1,
        description="Least share of replies in the second regime whose persona is told, by the nearest mean "
        "of replies in the first.",
    )

    @model_validator(mode="after")
    def _asserts_something(self) -> Self:
        self.require_one("min_margin", "min_spread", "min_rank", "min_identified")
        require_in_reply(self.part, self.position)
        return self

    def is_about_directions(self) -> bool:
        """Whether any of it is asked of directions, and not of replies alone."""
        return any(one is not None for one in (self.min_margin, self.min_spread, self.min_rank))

    def cases(self, scene: Scene) -> list[Case]:
        """One case per pair of regimes, about all personas of the set; there must be four, kin as one."""
        require_probes(scene, LEAST_PROBES, "distinct")
        return [self._case(pair, scene) for pair in pairs(self.between, scene)]

    def _case(self, pair: Pair, scene: Scene) -> Case:
        names = cast(self.personas, scene, supporting(pair, scene).__contains__)
        for name in names:
            for regime in pair:
                scene.condition(name, regime)  # complains of an artefact that is missing
        by_kin = scene.units(dict.fromkeys(names))
        if len(by_kin) < LEAST_UNITS:
            kin = " (kin count as one)" if len(by_kin) < len(names) else ""
            raise SuiteError(
                f"distinct needs at least four personas that {pair[0]} and {pair[1]} can put into the model: "
                "a couple is held apart by what the others share; "
                f"found {', '.join(names) or 'none'}{kin}"
            )
        return DistinctCase("release", slug(pair), self, scene, pair, by_kin)
