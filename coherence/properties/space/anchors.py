"""Anchors: an invented persona goes its own way, and less far along a real one's than that itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import at_most, interval_columns, interval_series, over_depth, series, table
from coherence.properties.control import (
    artefact_regime,
    neutral_prompt,
    nothing,
    random_vectors,
    stand_ins,
)
from coherence.properties.criterion import held
from coherence.properties.eligibility import (
    LEAST_BYSTANDERS,
    Between,
    Pair,
    cast,
    pairs,
    require_probes,
    slug,
    supporting,
)
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, DIFFERENCE, SIZE
from coherence.properties.reading import Contrast, Readings
from coherence.properties.space.anchored import Anchored, Place
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Band, Criterion, Curve, Figures, Part, Position, Table
from coherence.vocabulary.evidence import number, ranged

LEAST_PROBES = 8


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("an anchor is named twice; expected each once")
    return names


@dataclass(frozen=True)
class AnchorsCase(Case[Anchored]):
    """One invented persona and all real anchors, in two regimes."""

    persona: str
    slug: str
    spec: "Anchors"
    scene: Scene
    regimes: Pair
    by_kin: tuple[tuple[str, ...], ...]
    aside: frozenset[str]
    """Whose kin are no controls: the persona, the anchors, and whoever stands in for it."""

    def needs(self) -> Iterable[Measurement]:
        """Read bare, the persona, its anchors and the controls in both regimes, on every probe."""
        return self.contrast.needs(self.places.values())

    def sample(self, record: Record, seed: int) -> Anchored:
        """Compare displacements at the sites of the band, and for figures at all."""
        return Anchored(self.contrast, record, self.places, self.persona, self.regimes, self.spec.sites, seed)

    def criteria(self, sample: Anchored) -> Iterator[Criterion]:
        """Judge how far it goes along anchors, that its way is its own, and that regimes agree."""
        judges = {
            "max_ratio": self._ratio,
            "min_own": self._own,
            "max_ratio_difference": self._difference,
        }
        for judge, bound in self.spec.written(judges):
            yield judge(sample, bound)

    def figures(self, sample: Anchored) -> Figures:
        """Show the ratio for every anchor in either regime, and over depth."""
        if sample.unmoved:
            return Figures()
        ratios = {place: one.strength() for place, one in sample.along.items()}
        return Figures(
            fact=None if sample.undefined else self._fact(ratios),
            curve=self._curve(sample),
            tables=(self._table(sample, ratios),),
            notes=(self._null(sample),),
        )

    def controls(self) -> Mapping[str, Sequence["AnchorsCase"]]:
        """Put an anchor, another persona, nothing, random vectors or an empty prompt in its place."""
        scenes = (
            *nothing(self.scene, self.persona, self.regimes),
            *random_vectors(self.scene, self.persona, self.regimes),
            *neutral_prompt(self.scene, self.persona, self.regimes),
        )
        others = {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}
        return {**dict(self._stand_ins()), **others}

    @cached_property
    def places(self) -> dict[Place, Condition]:
        """The persona and its anchors in either regime."""
        named = product((self.persona, *self.spec.real), self.regimes)
        return {(name, regime): self.scene.condition(name, regime) for name, regime in named}

    @cached_property
    def contrast(self) -> Contrast:
        """Where and over which text residuals are read, and who is beside the persona and its anchors."""
        readings = Readings(self.scene, self.spec.position, self.spec.text, part=self.spec.part)
        return Contrast(readings, self.controls_by_kin, self.regimes)

    @cached_property
    def controls_by_kin(self) -> tuple[tuple[str, ...], ...]:
        """The personas that are neither judged nor anchors, kin together."""
        return tuple(unit for unit in self.by_kin if self.aside.isdisjoint(unit))

    def _stand_ins(self) -> Iterator[tuple[str, list["AnchorsCase"]]]:
        regime, controls = artefact_regime(self.regimes), self.controls_by_kin
        # Who stands in is no control any more, and two of them must be left.
        spare = [name for unit in controls for name in unit] if len(controls) > LEAST_BYSTANDERS else []
        for name in (*self.spec.real, *spare):
            for control, scenes in stand_ins(self.scene, self.persona, regime, [name]):
                yield control, [replace(self, scene=scene, aside=self.aside | {name}) for scene in scenes]

    def _ratio(self, sample: Anchored, most: float) -> Criterion:
        name, undefined = "ratio along an anchor", sample.undefined
        return held(name, sample.ratio, sample.n, at_most=most, unreliable=undefined, key="max_ratio")

    def _own(self, sample: Anchored, least: float) -> Criterion:
        name, undefined = "lead of its own direction", sample.undefined
        return held(name, sample.own, sample.n, least, unreliable=undefined, key="min_own")

    def _difference(self, sample: Anchored, most: float) -> Criterion:
        name, key = f"ratio in {self.regimes[0]} and {self.regimes[1]} apart", "max_ratio_difference"
        return held(name, sample.difference, sample.n, at_most=most, unreliable=sample.undefined, key=key)

    def _fact(self, ratios: Mapping[Place, Interval]) -> str:
        anchor, regime = max(ratios, key=lambda place: ratios[place].value)
        far = f"{max(0.0, ratios[anchor, regime].value):.0%} as far as {anchor} itself"
        return f"along {anchor}'s direction {self.persona} goes {far} by {regime}, its most along an anchor"

    def _curve(self, sample: Anchored) -> Curve:
        everywhere = sample.everywhere
        lines = {_named(place): interval_series(one.strengths()) for place, one in everywhere.along.items()}
        most = self.spec.max_ratio
        return over_depth(
            {**lines, "random null": series(everywhere.chance)},
            everywhere.still,
            "ratio",
            self.spec.sites,
            (threshold for line in lines for threshold in at_most(line, most)),
        )

    def _table(self, sample: Anchored, ratios: Mapping[Place, Interval]) -> Table:
        columns = interval_columns("ratio", list(ratios.values()))
        raw = [one.strength().value for one in sample.raw.values()]
        cosines = [one.cosine().value for one in sample.along.values()]
        return table(
            f"how far {self.persona} goes along an anchor's direction, as a share of how far that goes",
            map(_named, ratios),
            {**columns, "specific cosine": cosines, "raw ratio": raw},
        )

    def _null(self, sample: Anchored) -> str:
        own = ranged(sample.own.value, sample.own.low, sample.own.high)
        chance = number(float(sample.at_band.chance.mean()))
        return f"along random directions as long as the anchors' it goes {chance} of that; own lead {own}"


def _named(place: Place) -> str:
    return f"{place[0]} by {place[1]}"


class Anchors(Property):
    """An invented persona does not move the model along a real anchor's direction further than that itself.

    The inversion of arXiv 2607.00006 is a ratio above 1. Judged are specific directions: what lies outside of
    what the suite's other personas share (docs/verdicts.md, anchors).
    """

    family: ClassVar[str] = "space"

    property: Literal["anchors"] = Field(description="Names this property.")
    real: Annotated[tuple[str, ...], AfterValidator(_each_once)] = Field(
        min_length=1,
        description="Personas that are real anchors; judged are `personas`, by default all others.",
    )
    between: Between = None
    sites: Band = Field(description="Where directions are compared; ratios are averaged over the band.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token directions are read.")
    text: Literal["shared", "own"] = Field(
        "shared",
        description="For response_mean: every condition reads the bare model's reply (shared), or its own.",
    )
    part: Part = Field(Part.ANSWER, description="Which part of a reply a position is in.")
    max_ratio: Annotated[float, ANY] = Field(
        gt=0,
        description="How far it may go along an anchor's direction in either regime, as a share of how far "
        "that goes; the inversion is above 1.",
    )
    min_own: Annotated[float, DIFFERENCE] = Field(
        ge=0,
        le=2,
        description="How much nearer it is, in the second regime, to its own direction in the first than to "
        "any anchor's: a difference of cosines.",
    )
    max_ratio_difference: Annotated[float | None, SIZE] = Field(
        None, gt=0, description="How far the ratio in one regime may be from that in the other."
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per pair of regimes and persona that is no anchor."""
        require_probes(scene, LEAST_PROBES, "anchors")
        cast(self.real, scene, bool)  # complains of a name that there is not
        cases = (
            self._case(persona, pair, scene)
            for pair in pairs(self.between, scene)
            for persona in self._judged(pair, scene)
        )
        return self.at_least_one(cases, "beside the anchors that two of the regimes can put into the model")

    def _judged(self, pair: Pair, scene: Scene) -> list[str]:
        able = {*supporting(pair, scene)}.difference(self.real)
        return cast(self.personas, scene, able.__contains__)

    def _case(self, persona: str, pair: Pair, scene: Scene) -> Case:
        if persona in self.real:
            raise SuiteError(f"anchors holds {persona!r} against itself: it is among the real anchors")
        for name, regime in product((persona, *self.real), pair):
            scene.condition(name, regime)  # complains of an artefact that is missing
        aside = frozenset((persona, *self.real))
        case = AnchorsCase(persona, slug(pair), self, scene, pair, scene.by_kin(pair), aside)
        if len(case.controls_by_kin) < LEAST_BYSTANDERS:
            named = ", ".join(name for unit in case.controls_by_kin for name in unit) or "none"
            raise SuiteError(
                f"anchors of {persona!r} needs at least two control personas, neither it nor an anchor, that "
                f"{pair[0]} and {pair[1]} can put into the model; found {named}"
            )
        return case
