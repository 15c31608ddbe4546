"""Cache: a transcript that is read again has the activations that it had when it was said."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene
from coherence.properties.columns import column, every_site, table
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.conversations import LEAST_SCRIPTS, ConversationCase, require_scripts
from coherence.properties.conversations.rebuilt_cache import Reread
from coherence.properties.conversations.shifts import shift, with_interval
from coherence.properties.criterion import over_scripts
from coherence.properties.eligibility import cast, slug
from coherence.properties.property import Case, Property
from coherence.properties.ranges import ANY, SIZE
from coherence.properties.tail import Tail, at_worst
from coherence.statistics.drift import Course
from coherence.statistics.intervals import Array
from coherence.statistics.jackknife import positive_mean
from coherence.vocabulary import Criterion, Curve, Estimate, Evidence, ProbeNote, Regime, Site, Table
from coherence.vocabulary.evidence import Sampled, number

KL = "KL of the next token"
SHOWN = 3  # of the answers that deviate most


@dataclass(frozen=True)
class CacheCase(ConversationCase):
    """One persona's conversations in one regime, read again in the same or another."""

    persona: str
    slug: str
    asked: "CacheLaw"
    conversations: Reread
    axis: Axis | None  # where they are read otherwise

    @property
    def units(self) -> tuple[Sampled, ...]:
        """Scripts, but for the law."""
        return () if self._is_law else super().units

    def needs(self) -> Iterable[Measurement]:
        """Read every answer twice; read otherwise, the axis and what would be said as well."""
        return [*self.conversations.needs(), *(self.axis.needs() if self.axis else ())]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge the law, or how far the answers move; name the answers that deviate most."""
        deviations = self.conversations.deviations(record)
        moved = self.axis is not None
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            curve=_curve(deviations),
            tables=(self._by_turn(record, self.axis),) if self.axis else (),
            probes=self._worst(deviations),
            notes=(self._law_note(deviations), *(self._kl_notes(record) if moved else ())),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the law, unless it is asked how far an answer may move."""
        most, most_kl = self.asked.max_shift, self.asked.max_kl
        if self.axis and most is not None:
            found = shift(self._moves(record, self.axis).values, self._scripts)
            why = self.axis.unreliable(record, seed)
            yield over_scripts(
                "shift of the position", found, len(self._scripts), -most, most, why, key="max_shift"
            )
        if most_kl is not None:
            found = positive_mean(self._kl(record), self._scripts)
            yield over_scripts(KL, found, len(self._scripts), at_most=most_kl, key="max_kl")
            yield self._tail(record, most_kl).criterion()
        if self._is_law:
            yield self._law(self.conversations.deviations(record))

    @property
    def _is_law(self) -> bool:
        return self.asked.max_shift is None and self.asked.max_kl is None

    def _kl(self, record: Record) -> Array:
        """KL of the next token, mean over the answers of a script, nats: [scripts]."""
        return np.asarray(np.nanmean(self.conversations.kl(record), axis=1))

    def _tail(self, record: Record, most: float) -> Tail:
        worst = at_worst(self.asked.max_worst_kl, most)
        return Tail(KL, "max_worst_kl", self._kl(record), self._scripts, worst, of="scripts")

    def _law(self, deviations: Array) -> Criterion:
        most = float(deviations.max())
        estimate = Estimate(name="largest deviation", value=most, low=most, high=most, n=len(deviations))
        return Criterion(estimate=estimate, at_most=self.asked.tolerance, key="tolerance", law=True)

    def _moves(self, record: Record, axis: Axis) -> Course:
        said, read = self.conversations.moved(record, axis)
        return Course(read - said, self._scripts)

    @property
    def _scripts(self) -> list[str]:
        return [script.id for script in self.conversations.scripts]

    def _by_turn(self, record: Record, axis: Axis) -> Table:
        said, read = (Course(side, self._scripts) for side in self.conversations.moved(record, axis))
        return table(
            "positions by turn: as it was said, as it is read, and how far it moves",
            [f"turn {turn}" for turn in range(1, self.conversations.turns + 1)],
            {
                "said": list(said.means),
                "read": list(read.means),
                **with_interval("shift", self._moves(record, axis).by_turn()),
                "KL": list(Course(self.conversations.kl(record), self._scripts).means),
            },
        )

    def _worst(self, deviations: Array) -> tuple[ProbeNote, ...]:
        places = list(self.conversations.replies)
        worst = np.argsort(-deviations.max(axis=1), kind="stable")[:SHOWN]
        return tuple(
            ProbeNote(
                probe=self.conversations.scripts[places[row][0]].id,
                note=f"turn {places[row][1] + 1} deviates by {number(deviations[row].max())} at "
                f"{Site.at_depth(int(deviations[row].argmax()))}",
            )
            for row in worst
        )

    def _law_note(self, deviations: Array) -> str:
        broken = deviations.max() > self.asked.tolerance
        share = np.mean(deviations.max(axis=1) > self.asked.tolerance)
        said = f"is broken at {share:.0%} of the answers" if broken else "holds"
        return f"the law of the rebuilt cache {said}: largest deviation {number(deviations.max())}"

    def _kl_notes(self, record: Record) -> Iterator[str]:
        found = positive_mean(self._kl(record), self._scripts)
        yield f"{KL} {number(found.value)} [{number(found.low)}, {number(found.high)}] nats"
        if self.asked.max_kl is not None:
            yield from self._tail(record, self.asked.max_kl).notes()


def _curve(deviations: Array) -> Curve:
    return Curve(
        axis="site",
        at=every_site(deviations.shape[1]),
        columns={
            "largest deviation": column(deviations.max(axis=0)),
            "median deviation": column(np.median(deviations, axis=0)),
        },
    )


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
        found = [
            self._case(persona, one, other, scene)
            for persona in cast(self.personas, scene, able.__contains__)
            for one, other in pairs
        ]
        if not found:
            raise SuiteError(
                "cache found no persona with the regimes, or a regime that is read under another"
            )
        return found

    def _case(self, persona: str, said: Regime, read: Regime, scene: Scene) -> Case:
        conversations = Reread(
            scene, scene.scripts, scene.condition(persona, said), scene.condition(persona, read)
        )
        if said == read:
            return CacheCase(persona, str(said), self, conversations, None)
        assert self.site is not None
        return CacheCase(persona, slug((said, read)), self, conversations, Axis.of(scene, persona, self.site))


def _named(pairs: Iterable[tuple[Regime, Regime]]) -> set[Regime]:
    return {regime for pair in pairs for regime in pair}
