"""Handover: what a persona leaves behind when another release takes over on the way, and by what."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Cache, Condition, Measurement, Record, Reply, Scene
from coherence.properties.columns import column, table
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.conversations import (
    LEAST_SCRIPTS,
    ConversationCase,
    Conversations,
    require_scripts,
)
from coherence.properties.conversations.shifts import shift, with_interval
from coherence.properties.criterion import over_scripts
from coherence.properties.eligibility import cast
from coherence.properties.property import Case, Property
from coherence.properties.ranges import ANY
from coherence.statistics.drift import Course
from coherence.statistics.intervals import Array, Interval
from coherence.vocabulary import Criterion, Curve, Evidence, ProbeNote, Regime, Script, Site, Table
from coherence.vocabulary.evidence import number

SHOWN = 2  # of the scripts that carry most
STILL, NEVER, TEXT, BOTH = "still under it", "never under it", "through the text", "and the cache"
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
        said = super().reply(script, turn)
        if turn < self.at:
            return said
        changed = replace(said.turns[self.at - 1], condition=self.to, cache=self.cache)
        return replace(said, turns=(*said.turns[: self.at - 1], changed, *said.turns[self.at :]))


@dataclass(frozen=True)
class Carried:
    """Positions of the answers after a change, [scripts, turns] each; `kept` where the cache can be."""

    scripts: tuple[str, ...]
    still: Array
    never: Array
    rebuilt: Array
    kept: Array | None

    @property
    def by_text(self) -> Array:
        """What is carried by the transcript alone."""
        return self.rebuilt - self.never

    @property
    def by_cache(self) -> Array | None:
        """What is carried by keys and values beside the transcript."""
        return None if self.kept is None else self.kept - self.rebuilt

    @property
    def in_all(self) -> Array:
        """What is carried as the conversation goes on: with its cache, where it can be kept."""
        return (self.rebuilt if self.kept is None else self.kept) - self.never

    @property
    def at_most(self) -> Array:
        """What there is to be carried."""
        return self.still - self.never

    def mean(self, differences: Array) -> Interval:
        """Mean over the answers of a script, then over the scripts, by the jackknife over these."""
        return shift(differences, self.scripts)

    def by_turn(self, differences: Array) -> list[Interval]:
        """Mean over the scripts, by turn."""
        return Course(differences, self.scripts).by_turn()


@dataclass(frozen=True)
class HandoverCase(ConversationCase):
    """One persona, and two conditions of which the second takes over."""

    persona: str
    slug: str
    asked: "Handover"
    still: Conversations
    never: Conversations
    axis: Axis

    def needs(self) -> Iterable[Measurement]:
        """Hold every conversation under both conditions, and under one after the other."""
        said: list[Measurement] = list(self.axis.needs())
        for conversations in self._talks.values():
            said += [*conversations.replies.values(), *conversations.readings(self.axis.site).values()]
        return said

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge what is carried; show it turn by turn, and what is said where most is."""
        carried = self._carried(record)
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            curve=self._curve(record),
            tables=(self._by_turn(carried),),
            probes=tuple(self._most(record, carried)),
            notes=tuple(self._notes(carried)),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield those that were asked for; nothing is decided where there is nothing to be carried."""
        carried = self._carried(record)
        why = self.axis.unreliable(record, seed) or self._nothing(carried)
        parts = (
            ("max_carried", "carried", carried.in_all),
            ("max_text", "carried by the text", carried.by_text),
            ("max_cache", "carried by the cache", carried.by_cache),
        )
        for key, name, differences in parts:
            most = getattr(self.asked, key)
            if most is not None and differences is not None:
                found = carried.mean(differences)
                yield over_scripts(name, found, len(carried.scripts), -most, most, why, key=key)

    @property
    def keeps(self) -> bool:
        """Whether the cache can be kept: it holds the prompt as it was."""
        return self.still.condition.prompts == self.never.condition.prompts

    @property
    def _talks(self) -> dict[str, Conversations]:
        found = {STILL: self.still, NEVER: self.never, TEXT: self._taken_over(Cache.REBUILT)}
        return found | {BOTH: self._taken_over(Cache.KEPT)} if self.keeps else found

    def _taken_over(self, cache: Cache) -> Conversations:
        first, second = self.still.condition, self.never.condition
        return Interrupted(self.still.scene, self.still.scripts, first, self.asked.at - 1, second, cache)

    def _carried(self, record: Record) -> Carried:
        scale, site = self.axis.measured(record), self.axis.site
        after = {
            name: conversations.positions(record, scale, site)[:, self.asked.at - 1 :]
            for name, conversations in self._talks.items()
        }
        return Carried(self._scripts, after[STILL], after[NEVER], after[TEXT], after.get(BOTH))

    def _nothing(self, carried: Carried) -> str | None:
        apart = carried.mean(carried.at_most)
        if apart.low > 0 or apart.high < 0:
            return None
        found = over_scripts(
            "still under it - never under it", apart, len(carried.scripts), key=None
        ).estimate
        return f"there is nothing to be carried: {found}"

    def _curve(self, record: Record) -> Curve:
        scale = self.axis.measured(record)
        placed = {
            name: Course(conversations.positions(record, scale, self.axis.site), self._scripts).means
            for name, conversations in self._talks.items()
        }
        return Curve(
            axis="turn",
            at=tuple(str(turn) for turn in range(1, self.still.turns + 1)),
            columns={name: column(means) for name, means in placed.items()},
        )

    def _by_turn(self, carried: Carried) -> Table:
        parts = {"carried": carried.in_all, "by the text": carried.by_text, "by the cache": carried.by_cache}
        columns = {
            name: value
            for part, differences in parts.items()
            if differences is not None
            for name, value in with_interval(part, carried.by_turn(differences)).items()
        }
        turns = range(self.asked.at, self.still.turns + 1)
        return table("carried, by turn, and its intervals", [f"turn {turn}" for turn in turns], columns)

    def _notes(self, carried: Carried) -> Iterator[str]:
        yield f"there is this to be carried: {_said(carried, carried.at_most)}"
        yield f"the text carries {_said(carried, carried.by_text)}"
        if carried.by_cache is None:
            yield "the prompts differ, so that the cache cannot be kept: what is carried is the text's"
        else:
            yield f"the cache carries {_said(carried, carried.by_cache)}"

    def _most(self, record: Record, carried: Carried) -> Iterator[ProbeNote]:
        """Show the last answers of the scripts that carry most."""
        most = np.nanmean(carried.in_all, axis=1)
        for row in np.argsort(-np.abs(most), kind="stable")[:SHOWN]:
            turn = max(column for place, column in self.still.replies if place == row)
            yield ProbeNote(
                probe=self._scripts[row],
                note=f"carries {number(most[row])}; the answers to turn {turn + 1}",
                replies={
                    name: record.reply(conversations.replies[int(row), turn])
                    for name, conversations in self._talks.items()
                },
            )

    @property
    def _scripts(self) -> tuple[str, ...]:
        return tuple(script.id for script in self.still.scripts)


def _said(carried: Carried, differences: Array) -> str:
    found = carried.mean(differences)
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"


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
        found = [
            self._case(persona, change, scene)
            for persona in cast(self.personas, scene, able.__contains__)
            for change in self.changes
            if self.into != persona
        ]
        if not found:
            raise SuiteError("handover found no persona with a prompt, for the axis, and the regimes")
        return found

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
        case = HandoverCase(persona, slug, self, still, never, Axis.of(scene, persona, self.site))
        if not case.keeps and (self.max_carried, self.max_text) == (None, None):
            raise SuiteError(
                f"max_cache asks for a cache that is kept, and from {before} to {after} the prompt changes; "
                "expected max_carried or max_text"
            )
        return case
