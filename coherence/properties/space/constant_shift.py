"""Constant shift: how much of a fine-tune is one vector added everywhere, which steering would do as well."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.plan import Measurement, Record, Scene, stream
from coherence.properties.case import Case
from coherence.properties.columns import interval_columns, interval_series, over_depth, table
from coherence.properties.control import DRAWN, nothing
from coherence.properties.criterion import held
from coherence.properties.eligibility import cast, require_probes, require_vector, supporting
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, SHARE
from coherence.properties.reading import Readings, Residuals, within_reach
from coherence.properties.space.transferred import FAINT, Replacement
from coherence.statistics.constant_share import ConstantShare
from coherence.vocabulary import Band, Criterion, Curve, Figures, Operation, Position, Regime, Table

LEAST_PROBES = 8
EVERYWHERE = (Position.USER_MEAN, Position.PROMPT_LAST, Position.RESPONSE_MEAN)


@dataclass(frozen=True, eq=False)
class ConstantShiftSample:
    """Displacements by the adapter at every position, and the effect of a vector in its place."""

    case: "ConstantShiftCase"
    record: Record

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.case.scene.probes)

    @cached_property
    def everywhere(self) -> ConstantShare:
        """The constant share at every site."""
        return ConstantShare.of(self._displaced, self.case.scene.clusters)

    @cached_property
    def judged(self) -> ConstantShare:
        """At the sites that are judged."""
        depths = len(self._displaced)
        return self.everywhere.at([within_reach(site, depths).depth for site in self.case.spec.sites.sites])

    @cached_property
    def by_position(self) -> list[ConstantShare]:
        """The same with a vector for each position."""
        of_positions = np.moveaxis(self._displaced, 1, 0)[:, :, None]
        whole = (ConstantShare.of(one, self.case.scene.clusters) for one in of_positions)
        return [one.at([site.depth for site in self.case.spec.sites.sites]) for one in whole]

    @cached_property
    def _displaced(self) -> Residuals:
        """What the adapter adds: [depths, positions, probes, width]."""
        adapted = self.case.scene.condition(self.case.persona, Regime.ADAPTER)
        moved = [readings.displaced(self.record, [adapted])[1][0] for readings in self.case.readings]
        displaced = np.stack(moved, axis=1)
        return displaced if self.case.drawn is None else _turned(displaced, self.case.drawn)


@dataclass(frozen=True)
class ConstantShiftCase(Case[ConstantShiftSample]):
    """One persona's adapter; with `drawn`, a seed, as long displacements in directions drawn at random."""

    persona: str
    slug: str
    spec: "ConstantShift"
    scene: Scene
    drawn: int | None = None
    regimes: tuple[Regime, ...] = (Regime.ADAPTER,)

    def needs(self) -> Iterable[Measurement]:
        """Read bare and adapter at every position, and the adapter's replies under the vector."""
        for wanted in self.steps():
            yield from wanted

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Displacements first: they need no replies of the adapter."""
        conditions = (self.scene.bare, self.scene.condition(self.persona, Regime.ADAPTER))
        yield [one for readings in self.readings for each in conditions for one in readings.of(each)]
        if self.replacement:
            yield self.replacement.needs()

    def sample(self, record: Record, seed: int) -> ConstantShiftSample:
        """Take displacements by the adapter."""
        return ConstantShiftSample(self, record)

    def criteria(self, sample: ConstantShiftSample) -> Iterator[Criterion]:
        """Judge the constant share, and what the vector does in the adapter's place."""
        least, most = self.spec.share
        yield held("constant share", sample.judged.share(), sample.n, least, most, key="share")
        if self.replacement and self.spec.replaced:
            yield self._replaced(sample, self.replacement, *self.spec.replaced)

    def figures(self, sample: ConstantShiftSample) -> Figures:
        """Show the share over depth, and with a vector for each position."""
        share = sample.judged.share()
        if np.isnan(share.value):
            return Figures()
        return Figures(
            fact=f"{share.value:.0%} of what {self.persona}'s adapter adds is one vector everywhere",
            curve=self._curve(sample),
            tables=(self._positions(sample),),
        )

    def controls(self) -> Mapping[str, Sequence["ConstantShiftCase"]]:
        """Nothing, or as long displacements in random directions, and a random vector, in its place.

        Another persona's adapter is none: its shift may be as constant.
        """
        emptied = {
            name: [replace(self, scene=scene) for scene in scenes]
            for name, scenes in nothing(self.scene, self.persona, self.regimes)
        }
        seeds = (
            stream(self.scene.seed, f"random displacements {turn} of {self.persona}") for turn in range(DRAWN)
        )
        return {**emptied, "random displacements": [replace(self, drawn=seed) for seed in seeds]}

    @cached_property
    def readings(self) -> list[Readings]:
        """The positions at which residuals are read, of one text: the bare model's."""
        return [Readings(self.scene, position) for position in self.spec.positions]

    @cached_property
    def replacement(self) -> Replacement | None:
        """The vector in the adapter's place, where one is named."""
        vector = self.spec.vector
        return None if vector is None else Replacement(self.scene, self.persona, vector, self.drawn)

    def _replaced(
        self, sample: ConstantShiftSample, replacement: Replacement, least: float, most: float
    ) -> Criterion:
        size = replacement.size(sample.record)
        faint = f"its adapter changes a token by {size:.1g} nats on average: there is no effect to replace"
        return held(
            f"effect of {self.spec.vector} in its place",
            replacement.effects(sample.record).slope,
            sample.n,
            least,
            most,
            unreliable=None if size >= FAINT else faint,
            key="replaced",
        )

    def _curve(self, sample: ConstantShiftSample) -> Curve:
        shares = sample.everywhere.shares()
        still = np.isnan([one.value for one in shares])
        return over_depth(
            {"constant share": interval_series(shares)}, still, "share of the square", self.spec.sites
        )

    def _positions(self, sample: ConstantShiftSample) -> Table:
        shares = [one.share() for one in sample.by_position]
        name = "constant share with a vector for each position"
        return table(name, map(str, self.spec.positions), interval_columns("share", shares))


def _turned(displaced: Residuals, seed: int) -> Residuals:
    """Give every displacement a direction of its own, uniformly: the same at all depths."""
    drawn = np.random.default_rng(seed).standard_normal(displaced.shape[1:])
    units = drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)
    return np.asarray(np.linalg.norm(displaced, axis=-1, keepdims=True) * units)


def _rising(written: tuple[float, float]) -> tuple[float, float]:
    if written[0] >= written[1]:
        raise ValueError(f"the range {list(written)} does not rise")
    return written


def _within_shares(written: tuple[float, float]) -> tuple[float, float]:
    if not 0 < written[0] < written[1] <= 1:
        raise ValueError(f"the range {list(written)} does not rise within 0 to 1, from above 0")
    return written


def _each_once(positions: tuple[Position, ...]) -> tuple[Position, ...]:
    if len(set(positions)) < len(positions):
        raise ValueError("a position is named twice; expected each once")
    return positions


class ConstantShift(Property):
    """Of what an adapter adds to residuals a share in a range is one vector, whatever is asked and wherever.

    Where that is nearly all, fine-tuning is steering, and the vector does in the adapter's place what that
    does.
    """

    family: ClassVar[str] = "space"

    property: Literal["constant_shift"] = Field(description="Names this property.")
    sites: Band = Field(description="Where displacements are read; the share is averaged over the band.")
    positions: Annotated[tuple[Position, ...], AfterValidator(_each_once)] = Field(
        EVERYWHERE, min_length=1, description="At which tokens: one vector is to be that of all."
    )
    share: Annotated[tuple[float, float], SHARE, AfterValidator(_within_shares)] = Field(
        description="Range in which the share of the mean square must lie that is one vector's."
    )
    vector: str | None = Field(
        None,
        description="A vector of the release that takes the adapter's place, such as its own mean shift "
        "(`extract: {adapter: ...}`, `unit: raw`).",
    )
    replaced: Annotated[tuple[float, float] | None, ANY] = Field(
        None,
        description="Range of the share of the adapter's effect on its own replies that the vector has in "
        "its place; goes with `vector`.",
    )

    @model_validator(mode="after")
    def _replaces_by_a_vector(self) -> Self:
        if (self.vector is None) != (self.replaced is None):
            raise ValueError("vector and replaced go together; found one of them")
        if self.replaced is not None:
            _rising(self.replaced)
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona that has an adapter."""
        require_probes(scene, LEAST_PROBES, "constant_shift")
        if self.vector is not None:
            require_vector(scene, "vector", self.vector, Operation.ADD)
        able = supporting((Regime.ADAPTER,), scene)
        cases = (self._case(name, scene) for name in cast(self.personas, scene, able.__contains__))
        return self.at_least_one(cases, "with an adapter")

    def _case(self, persona: str, scene: Scene) -> Case:
        scene.condition(persona, Regime.ADAPTER)  # complains of an adapter that is missing
        return ConstantShiftCase(persona, str(Regime.ADAPTER), self, scene)
