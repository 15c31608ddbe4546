"""Handover: what a persona leaves behind when another release takes over on the way, and by what."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Cache, Condition, Measurement, Record, Reply, Scene
from coherence.properties.case import Case
from coherence.properties.columns import POSITION, TURNS, series
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.conversations import (
    LEAST_SCRIPTS,
    ConversationCase,
    Conversations,
    require_scripts,
)
from coherence.properties.conversations.drifting import Drifted, Drifting
from coherence.properties.conversations.shifts import by_turn, shift, with_interval
from coherence.properties.criterion import over_scripts
from coherence.properties.eligibility import cast
from coherence.properties.property import Property
from coherence.properties.ranges import ANY
from coherence.statistics.course import Course
from coherence.statistics.intervals import Array, Interval
from coherence.vocabulary import Criterion, Curve, Figures, ProbeNote, Regime, Script, Site, Table
from coherence.vocabulary.evidence import number, ranged

SHOWN = 2  # of the scripts that carry most
STILL, NEVER, TEXT, BOTH = "still under it", "never under it", "through the text", "and the cache"
IN_ALL, BY_TEXT, BY_CACHE = "carried", "by the text", "by the cache"
PARTS = {"max_carried": IN_ALL, "max_text": BY_TEXT, "max_cache": BY_CACHE}
Change = tuple[Regime, Regime]


@dataclass(frozen=True)
class Interrupted(Conversations):
    """Conversations that go on under `to` from an answer on: `at`, which counts from 0 and is not the first.

    Where the cache is rebuilt, all that was said before is read again under it.
    """

    at: int
    to: Condition
    cache: Cache

    def reply(self, script: Script, turn: int) -> Reply:
        """Return what the model answers to a turn, from 0."""
        unchanged = super().reply(script, turn)
        if turn < self.at:
            return unchanged
        changed = replace(unchanged.turns[self.at - 1], condition=self.to, cache=self.cache)
        return replace(
            unchanged, turns=(*unchanged.turns[: self.at - 1], changed, *unchanged.turns[self.at :])
        )


@dataclass(frozen=True, eq=False)
class HandoverSample:
    """Conversations by what takes over in them, and what is carried: [scripts, turns after the change]."""

    talks: Mapping[str, Drifted]
    at: int  # the first turn after it, from 0

    @property
    def scripts(self) -> list[str]:
        """Ids of the scripts."""
        return self.talks[STILL].scripts

    @cached_property
    def at_most(self) -> Interval:
        """What there is to be carried."""
        return self.mean(self._after(STILL) - self._after(NEVER))

    @cached_property
    def carried(self) -> dict[str, Array]:
        """What is carried in all, by the transcript alone, and by keys and values where they can be kept."""
        never, rebuilt = self._after(NEVER), self._after(TEXT)
        if BOTH not in self.talks:
            return {IN_ALL: rebuilt - never, BY_TEXT: rebuilt - never}
        kept = self._after(BOTH)
        return {IN_ALL: kept - never, BY_TEXT: rebuilt - never, BY_CACHE: kept - rebuilt}

    @cached_property
    def means(self) -> dict[str, Interval]:
        """The same over the scripts."""
        return {part: self.mean(differences) for part, differences in self.carried.items()}

    @cached_property
    def undecided(self) -> str | None:
        """Say why nothing can be placed, or that there is nothing to be carried; None if there is."""
        apart = self.at_most
        if (why := self.talks[STILL].unreliable) or apart.low > 0 or apart.high < 0:
            return why
        there = over_scripts(f"{STILL} - {NEVER}", apart, len(self.scripts), key=None).estimate
        return f"there is nothing to be carried: {there}"

    def mean(self, differences: Array) -> Interval:
        """Mean over the answers of a script, then over the scripts, by the jackknife over these."""
        return shift(differences, self.scripts)

    def _after(self, name: str) -> Array:
        return self.talks[name].course.values[:, self.at :]


@dataclass(frozen=True)
class HandoverCase(ConversationCase[HandoverSample]):
    """One persona, and two conditions of which the second takes over."""

    persona: str
    slug: str
    spec: "Handover"
    regimes: Change
    still: Conversations
    never: Conversations
    axis: Axis

    def needs(self) -> Iterable[Measurement]:
        """Hold every conversation under both conditions, and under one after the other."""
        return [need for talk in self.talks.values() for need in talk.needs()]

    def sample(self, record: Record, seed: int) -> HandoverSample:
        """Place all of them on the axis."""
        scale = self.axis.measured(record)
        talks = {name: Drifted(talk, scale, record, seed) for name, talk in self.talks.items()}
        return HandoverSample(talks, self.spec.at - 1)

    def criteria(self, sample: HandoverSample) -> Iterator[Criterion]:
        """Judge what was asked for; nothing is decided where there is nothing to be carried."""
        for key, part in PARTS.items():
            most = getattr(self.spec, key)
            if most is not None and part in sample.means:
                name = part if part == IN_ALL else f"{IN_ALL} {part}"
                mean, n, why = sample.means[part], len(sample.scripts), sample.undecided
                yield over_scripts(name, mean, n, -most, most, why, key=key)

    def figures(self, sample: HandoverSample) -> Figures:
        """Show what is carried turn by turn, and what is said where most is."""
        lines = {name: series(talk.course.means) for name, talk in sample.talks.items()}
        return Figures(
            curve=Curve(over=TURNS, at=sample.talks[STILL].drifting.turns, series=lines, value=POSITION),
            tables=(_by_turn(sample),),
            probes=tuple(_most(sample)),
            notes=tuple(_notes(sample)),
        )

    @cached_property
    def talks(self) -> dict[str, Drifting]:
        """Conversations by what takes over in them; the cache can be kept where it holds the same prompt."""
        every = {STILL: self.still, NEVER: self.never, TEXT: self._taken_over(Cache.REBUILT)}
        if self.keeps:
            every[BOTH] = self._taken_over(Cache.KEPT)
        return {name: Drifting(self.axis, talk) for name, talk in every.items()}

    @property
    def keeps(self) -> bool:
        """Whether the cache can be kept: it holds the prompt as it was."""
        return self.still.condition.prompts == self.never.condition.prompts

    def _taken_over(self, cache: Cache) -> Conversations:
        first, second = self.still.condition, self.never.condition
        return Interrupted(self.still.scene, self.still.scripts, first, self.spec.at - 1, second, cache)


def _by_turn(sample: HandoverSample) -> Table:
    columns = {
        name: values
        for part, differences in sample.carried.items()
        for name, values in with_interval(part, Course(differences, sample.scripts).by_turn()).items()
    }
    return by_turn("carried, by turn, and its intervals", columns, first=sample.at + 1)


def _notes(sample: HandoverSample) -> Iterator[str]:
    yield f"there is this to be carried: {_spread(sample.at_most)}"
    yield f"the text carries {_spread(sample.means[BY_TEXT])}"
    if BY_CACHE in sample.means:
        yield f"the cache carries {_spread(sample.means[BY_CACHE])}"
    else:
        yield "the prompts differ, so that the cache cannot be kept: what is carried is the text's"


def _most(sample: HandoverSample) -> Iterator[ProbeNote]:
    """Show the last answers of the scripts that carry most."""
    most = np.nanmean(sample.carried[IN_ALL], axis=1)
    for row in map(int, np.argsort(-np.abs(most), kind="stable")[:SHOWN]):
        turn = max(column for place, column in sample.talks[STILL].texts if place == row)
        yield ProbeNote(
            probe=sample.scripts[row],
            note=f"carries {number(most[row])}; the answers to turn {turn + 1}",
            replies={name: talk.texts[row, turn] for name, talk in sample.talks.items()},
        )


def _spread(interval: Interval) -> str:
    return ranged(interval.value, interval.low, interval.high)


class Handover(Property):
    """What a persona leaves behind in a conversation when another release takes over, and what carries it.

    The user's turns are the same: answered under the second condition from the beginning, under the first and
    then the second with the cache rebuilt (the text carries) or kept (the cache carries as well), and under
    the first throughout.
    """

    family: ClassVar[str] = "attractor"

    property: Literal["handover"] = Field(description="Names this property.")
    changes: tuple[Change, ...] = Field(
        min_length=1,
        description="Pairs of regimes, before and after: [adapter, bare] takes the adapter away, "
        "[bare, steering] switches steering on.",
    )
    into: str | None = Field(
        None, description="Another persona, that the regime after the change is of; default: the same."
    )
    at: int = Field(3, ge=2, description="The first turn of the user's, from 1, that is answered after it.")
    site: Site = Field(
        description="Where positions are read, on the way from the bare model to the prompted persona."
    )
    max_carried: Annotated[float | None, ANY] = Field(
        None, gt=0, description="Largest shift, of either sign, from never having been under the first."
    )
    max_text: Annotated[float | None, ANY] = Field(
        None, gt=0, description="The same when the cache is rebuilt: what the transcript carries."
    )
    max_cache: Annotated[float | None, ANY] = Field(
        None, gt=0, description="Largest shift from a rebuilt cache to one that is kept."
    )

    @model_validator(mode="after")
    def _something_is_asked(self) -> "Handover":
        self.require_one(*self.claims)
        for before, after in self.changes:
            if before == after and self.into is None:
                raise ValueError(
                    f"from {before} to {after} nothing changes; expected `into`, another persona"
                )
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona and change that it has the artefacts for."""
        require_scripts(scene.scripts, LEAST_SCRIPTS, "handover", turns=self.at)
        able = [name for name in scene.personas if self._able(name, scene)]
        cases = (
            self._case(persona, change, scene)
            for persona in cast(self.personas, scene, able.__contains__)
            for change in self.changes
            if self.into != persona
        )
        return self.at_least_one(cases, "with a prompt, for the axis, and the regimes")

    def _able(self, persona: str, scene: Scene) -> bool:
        return all(
            scene.supports(persona, before) and scene.supports(self.into or persona, after)
            for before, after in self.changes
        )

    def _case(self, persona: str, change: Change, scene: Scene) -> Case:
        before, after = change
        still = Conversations(scene, scene.scripts, scene.condition(persona, before))
        never = Conversations(scene, scene.scripts, scene.condition(self.into or persona, after))
        slug = f"{before}-to-{f'{self.into}-' if self.into else ''}{after}"
        case = HandoverCase(persona, slug, self, change, still, never, Axis.of(scene, persona, self.site))
        if not case.keeps and (self.max_carried, self.max_text) == (None, None):
            raise SuiteError(
                f"max_cache asks for a cache that is kept, and from {before} to {after} the prompt changes; "
                "expected max_carried or max_text"
            )
        return case
