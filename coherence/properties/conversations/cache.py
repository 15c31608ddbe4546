"""Cache: a transcript that is read again has the activations that it had when it was said."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from coherence.plan import Measurement, Reading, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import SITES, every_site, series, table
from coherence.properties.conversations.axis import Axis, Scale
from coherence.properties.conversations.conversations import LEAST_SCRIPTS, ConversationCase, require_scripts
from coherence.properties.conversations.rebuilt_cache import Reread, law
from coherence.properties.conversations.shifts import shift, with_interval
from coherence.properties.criterion import over_scripts
from coherence.properties.eligibility import cast, slug
from coherence.properties.highest import Tail, at_worst
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, SIZE
from coherence.properties.reading import Residuals, within_reach
from coherence.statistics.course import Course
from coherence.statistics.deviation import relative_deviation
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import positive_mean
from coherence.vocabulary import Criterion, Curve, Figures, ProbeNote, Regime, Site, Table
from coherence.vocabulary.evidence import Sampled, number, ranged

KL = "KL of the next token"
SHOWN = 3  # of the answers that deviate most


@dataclass(frozen=True, eq=False)
class CacheSample:
    """Answers as they were said and as they are read; on an axis, where they are read otherwise."""

    reread: Reread
    axis: Axis | None
    record: Record
    seed: int

    @cached_property
    def scripts(self) -> list[str]:
        """Ids of the scripts, each a cluster of its own."""
        return [script.id for script in self.reread.scripts]

    @cached_property
    def residuals(self) -> tuple[Residuals, Residuals]:
        """As they were said and as they are read: [answers, depths, width] each."""
        generated, read = (
            np.stack([self.record.residuals(reading) for reading in readings])
            for readings in (self.reread.said, self.reread.read)
        )
        return generated, read

    @cached_property
    def deviations(self) -> Array:
        """How far apart these are, [answers, depths]."""
        return relative_deviation(*self.residuals)

    @cached_property
    def scale(self) -> Scale:
        """The axis in numbers."""
        return self._axis.measured(self.record)

    @cached_property
    def positions(self) -> tuple[Course, Course]:
        """Where the answers stand on it as they were said and as they are read."""
        generated, read = map(self._placed, self.residuals)
        return generated, read

    @cached_property
    def kl(self) -> Course:
        """Mean KL of the next token over the first tokens of each answer, nats."""
        values = (self.record.divergence(one).mean() for one in self.reread.divergences)
        return Course(self.reread.by_turn(values), self.scripts)

    @cached_property
    def kl_by_script(self) -> Array:
        """Its mean over the answers of a script, nats: [scripts]."""
        return np.asarray(np.nanmean(self.kl.values, axis=1))

    @cached_property
    def mean_kl(self) -> Interval:
        """Its mean over the scripts, nats."""
        return positive_mean(self.kl_by_script, self.scripts)

    @property
    def _axis(self) -> Axis:
        assert self.axis is not None
        return self.axis

    def _placed(self, residuals: Residuals) -> Course:
        depth = within_reach(self._axis.site, residuals.shape[1]).depth
        return Course(self.reread.by_turn(self.scale.positions(residuals[:, depth])), self.scripts)


@dataclass(frozen=True)
class CacheCase(ConversationCase[CacheSample]):
    """One persona's conversations in one regime, read again in the same or another."""

    persona: str
    slug: str
    spec: "CacheLaw"
    regimes: tuple[Regime, ...]
    reread: Reread
    axis: Axis | None  # where they are read otherwise

    @property
    def units(self) -> tuple[Sampled, ...]:
        """Scripts, but for the law."""
        return () if self._is_law else super().units

    def needs(self) -> Iterable[Measurement]:
        """Read every answer twice, unless only KL is bounded; what would be said, where that is."""
        moved = self.spec.max_shift is not None
        return [
            *(self._readings if self._is_law or moved else ()),
            *(self.axis.needs() if self.axis and moved else ()),
            *(self.reread.divergences if self.spec.max_kl is not None else ()),
        ]

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Read otherwise, all of it."""
        return [*self._readings, *self.axis.needs(), *self.reread.divergences] if self.axis else ()

    def sample(self, record: Record, seed: int) -> CacheSample:
        """Take both readings of every answer."""
        return CacheSample(self.reread, self.axis, record, seed)

    def criteria(self, sample: CacheSample) -> Iterator[Criterion]:
        """Yield the law, unless it is asked how far an answer may move."""
        n = len(sample.scripts)
        if self.axis and (most := self.spec.max_shift) is not None:
            generated, read = sample.positions
            moved = shift(read.values - generated.values, sample.scripts)
            why = self.axis.unreliable(sample.scale, sample.seed)
            yield over_scripts("shift of the position", moved, n, -most, most, why, key="max_shift")
        if (most := self.spec.max_kl) is not None:
            yield over_scripts(KL, sample.mean_kl, n, at_most=most, key="max_kl")
            yield self._tail(sample, most).criterion()
        if self._is_law:
            yield law("largest deviation", sample.deviations, self.spec.tolerance)

    def figures(self, sample: CacheSample) -> Figures:
        """Show deviations over depth, the answers that deviate most, and how far they move by turn."""
        return Figures(
            curve=_curve(sample.deviations),
            tables=(self._by_turn(sample),) if self.axis else (),
            probes=tuple(self._worst(sample.deviations)),
            notes=tuple(self._notes(sample)),
        )

    @property
    def _is_law(self) -> bool:
        return self.spec.max_shift is None and self.spec.max_kl is None

    @property
    def _readings(self) -> list[Reading]:
        return [*self.reread.said, *self.reread.read]

    def _tail(self, sample: CacheSample, most: float) -> Tail:
        worst = at_worst(self.spec.max_worst_kl, most)
        return Tail(KL, "max_worst_kl", sample.kl_by_script, sample.scripts, worst, of="scripts")

    def _by_turn(self, sample: CacheSample) -> Table:
        generated, read = sample.positions
        return table(
            "positions by turn: as it was said, as it is read, and how far it moves",
            [f"turn {turn}" for turn in range(1, self.reread.turns + 1)],
            {
                "said": generated.means,
                "read": read.means,
                **with_interval("shift", read.apart(generated)),
                "KL": sample.kl.means,
            },
        )

    def _worst(self, deviations: Array) -> Iterator[ProbeNote]:
        places = list(self.reread.replies)
        for row in np.argsort(-deviations.max(axis=1), kind="stable")[:SHOWN]:
            script, turn = places[row]
            where = f"{number(deviations[row].max())} at {Site.at_depth(int(deviations[row].argmax()))}"
            note = f"turn {turn + 1} deviates by {where}"
            yield ProbeNote(probe=self.reread.scripts[script].id, note=note)

    def _notes(self, sample: CacheSample) -> Iterator[str]:
        broken = sample.deviations.max(axis=1) > self.spec.tolerance
        state = f"is broken at {broken.mean():.0%} of the answers" if broken.any() else "holds"
        largest = number(sample.deviations.max())
        yield f"the law of the rebuilt cache {state}: largest deviation {largest}"
        if self.axis:
            kl = sample.mean_kl
            yield f"{KL} {ranged(kl.value, kl.low, kl.high)} nats"
        if self.spec.max_kl is not None:
            yield from self._tail(sample, self.spec.max_kl).notes()


def _curve(deviations: Array) -> Curve:
    lines = {
        "largest deviation": series(deviations.max(axis=0)),
        "median deviation": series(np.median(deviations, axis=0)),
    }
    return Curve(over=SITES, at=every_site(deviations.shape[1]), series=lines, value="relative deviation")


class CacheLaw(Property):
    """A transcript that is read again has the activations that it had when it was said, up to rounding.

    A server rebuilds caches whenever it has lost them. Where the adapter, the vector or the system turn was
    there while the transcript was made, and is not when it is read (or the reverse), the law is broken;
    arXiv 2605.10664 describes what steering leaves in a cache.
    """

    family: ClassVar[str] = "attractor"

    property: Literal["cache"] = Field(description="Names this property.")
    regimes: tuple[Regime, ...] | None = Field(
        None, min_length=1, description="Regimes to talk in; `bare` may be one. Default: the suite's."
    )
    rebuilt_under: tuple[Regime, ...] = Field(
        (),
        description="Other regimes of the persona, or `bare`, that the transcript is read under; default: "
        "the one it was said in.",
    )
    tolerance: Annotated[float, SIZE] = Field(
        1e-4,
        gt=0,
        description="Largest distance of the residuals of an answer at any site, in units of the median norm "
        "there; the default is for float32 weights.",
    )
    max_shift: Annotated[float | None, ANY] = Field(
        None,
        gt=0,
        description="Largest shift, of either sign, of the answers' position; in place of the law.",
    )
    max_kl: Annotated[float | None, SIZE] = Field(
        None,
        gt=0,
        description="Largest KL of the next token where answers begin, in nats; in place of the law.",
    )
    max_worst_kl: Annotated[float | None, SIZE] = Field(
        None, gt=0, description="Largest such KL of any script, in nats; default: ten times `max_kl`."
    )
    site: Site | None = Field(
        None, description="Where positions are read, on the way from the bare model to the prompted persona."
    )

    @model_validator(mode="after")
    def _read_otherwise(self) -> "CacheLaw":
        if bool(self.rebuilt_under) != (self.site is not None):
            raise ValueError("rebuilt_under and site go together: what is read otherwise moves on an axis")
        if not self.rebuilt_under and (self.max_shift is not None or self.max_kl is not None):
            raise ValueError(
                "max_shift and max_kl need rebuilt_under: what is read as it was said obeys the law"
            )
        if self.max_worst_kl is not None and self.max_kl is None:
            raise ValueError("max_worst_kl goes with max_kl: it bounds what that is the mean of")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona, regime and, read otherwise, regime that it is read under."""
        require_scripts(scene.scripts, LEAST_SCRIPTS if self.rebuilt_under else 1, "cache", turns=1)
        regimes = self.regimes or scene.regimes
        pairs = [(one, other) for one in regimes for other in self.rebuilt_under or (one,)]
        pairs = [(one, other) for one, other in pairs if one != other or not self.rebuilt_under]
        able = [name for name in scene.personas if all(scene.supports(name, one) for one in _named(pairs))]
        cases = (
            self._case(persona, one, other, scene)
            for persona in cast(self.personas, scene, able.__contains__)
            for one, other in pairs
        )
        return self.at_least_one(cases, "with the regimes, or a regime that is read under another")

    def _case(self, persona: str, generated: Regime, read: Regime, scene: Scene) -> Case:
        conditions = (scene.condition(persona, regime) for regime in (generated, read))
        reread = Reread(scene, scene.scripts, *conditions)
        if generated == read:
            return CacheCase(persona, str(generated), self, (generated,), reread, None)
        assert self.site is not None
        axis, pair = Axis.of(scene, persona, self.site), (generated, read)
        return CacheCase(persona, slug(pair), self, pair, reread, axis)


def _named(pairs: Iterable[tuple[Regime, Regime]]) -> set[Regime]:
    return {regime for pair in pairs for regime in pair}
