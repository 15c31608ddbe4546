"""Capping: a bound on how far the model goes towards a persona holds it, and costs nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import inf
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene
from coherence.properties.columns import column
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.capped import CappedConversations
from coherence.properties.conversations.conversations import (
    LEAST_SCRIPTS,
    ConversationCase,
    Conversations,
    require_scripts,
)
from coherence.properties.conversations.drifting import Drifting
from coherence.properties.criterion import held, over_scripts
from coherence.properties.eligibility import cast, require_probes, supporting
from coherence.properties.property import Case, Property
from coherence.properties.ranges import ANY, SHARE, SIZE
from coherence.properties.tail import Tail, at_worst
from coherence.statistics.dose import geometric_ratio, largest
from coherence.statistics.drift import Course, Region, rate
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import positive_mean
from coherence.vocabulary import Bound, Criterion, Curve, Evidence, ProbeNote, Regime, Site, Table
from coherence.vocabulary.evidence import Sampled, number

LEAST_PROBES = 8
KL = "KL of the bare model under the cap"


@dataclass(frozen=True)
class CappingCase(ConversationCase):
    """One persona in one regime, without a cap and with it."""

    persona: str
    slug: str
    asked: "Capping"
    capped: CappedConversations

    @property
    def units(self) -> tuple[Sampled, ...]:
        """Scripts, and the probes for KL, which is the bare model's."""
        return super().units if self.asked.max_kl is None else (*super().units, "probes")

    def needs(self) -> Iterable[Measurement]:
        """Hold the conversations twice, and read what each says and hears."""
        return [*self.rests_on(), *self.capped.heard, *self.capped.same_text]

    def rests_on(self) -> Iterable[Measurement]:
        """List the answers, and what else is asked for."""
        capped, asked = self.capped, self.asked
        return [
            *capped.answers,
            *(capped.heard if asked.max_user_shift is not None else ()),
            *(capped.likelihoods if asked.max_perplexity is not None else ()),
            *(capped.divergences if asked.max_kl is not None else ()),
        ]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge what was asked for; all traces are there in any case."""
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            curve=self._curve(record),
            tables=tuple(self._tables(record)),
            probes=(self._highest(record),),
            notes=tuple(self._notes(record)),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield those that were asked for."""
        judges = {
            "max_position": self._position,
            "max_rate": self._rate,
            "max_user_shift": self._user_shift,
            "max_perplexity": self._perplexity,
            "max_kl": self._kl,
        }
        unreliable = self.capped.free.axis.unreliable(record, seed) or self._idle(record)
        for judge, bound in self.asked.written(judges):
            yield judge(record, bound, unreliable)
        if self.asked.max_kl is not None:
            yield self._tail(record, self.asked.max_kl).criterion()

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Cap along the axis of another persona, at the same bound: that must not hold this one.

        Only where the persona has to be held, and only about that: any cap may leave the user's turns and
        the bare model alone. Its conversations are measured for this alone, so one has a turn.
        """
        if self.asked.max_position is None and self.asked.max_rate is None:
            return {}
        holding = self.asked.model_copy(
            update=dict.fromkeys(self.asked.claims.keys() - {"max_position", "max_rate"})
        )
        scene = self.capped.scene
        own = {self.persona, self.capped.bound.persona or self.persona}
        own = own.union(*map(scene.kin_of, own))
        towards = (name for name in scene.personas if name not in own and scene.supports(name, Regime.PROMPT))
        return {
            f"a cap towards {other}": [replace(self, asked=holding, capped=self._towards(other))]
            for other in islice(towards, 1)
        }

    def _towards(self, other: str) -> CappedConversations:
        return replace(self.capped, bound=self.capped.bound.model_copy(update={"persona": other}))

    def _position(self, record: Record, most: float, unreliable: str | None) -> Criterion:
        free, found = (_highest(side.course(record)) for side in (self.capped.free, self.capped.capped))
        return over_scripts(
            "highest turn of the assistant",
            found,
            self._n,
            at_most=most,
            unreliable=unreliable or _needless("the highest turn", free, most),
            key="max_position",
        )

    def _rate(self, record: Record, most: float, unreliable: str | None) -> Criterion:
        free, found = map(rate, self.capped.hits(record))
        return over_scripts(
            "marker rate under the cap",
            found,
            self._n,
            at_most=most,
            unreliable=unreliable or _needless("the marker rate", free, most),
            key="max_rate",
        )

    def _user_shift(self, record: Record, most: float, unreliable: str | None) -> Criterion:
        found = _largest(self._shifts(record))
        name = "largest shift of the user's turns"
        return over_scripts(name, found, self._n, at_most=most, unreliable=unreliable, key="max_user_shift")

    def _perplexity(self, record: Record, most: float, unreliable: str | None) -> Criterion:
        free, capped = self.capped.surprise(record)
        there = np.flatnonzero(np.isfinite(free + capped))
        scripts = [self.capped.free.scripts[row] for row in there]
        found = geometric_ratio(capped[there], free[there], scripts)
        name = "perplexity under the cap over without"
        return over_scripts(
            name, found, len(there), at_most=most, unreliable=unreliable, key="max_perplexity"
        )

    def _kl(self, record: Record, most: float, _: str | None) -> Criterion:
        scene = self.capped.scene
        found = positive_mean(self.capped.divergence(record), scene.clusters)
        return held(f"{KL}, nats", found, len(scene.probes), at_most=most, key="max_kl")

    def _tail(self, record: Record, most: float) -> Tail:
        worst = at_worst(self.asked.max_worst_kl, most)
        return Tail(KL, "max_worst_kl", self.capped.divergence(record), self.capped.scene.clusters, worst)

    def _idle(self, record: Record) -> str | None:
        bound, persona = self.capped.bound, self.capped.bound.persona or self.persona
        if not self.capped.idle(record):
            return None
        return (
            f"the cap changes nothing: under {self.slug} no token goes beyond {bound.at:g} of the way to "
            f"{persona} at {bound.sites}"
        )

    def _curve(self, record: Record) -> Curve:
        user, user_capped = self.capped.user(record)
        found = {
            "assistant": self.capped.free.course(record),
            "assistant, capped": self.capped.capped.course(record),
            "user": user,
            "user, capped": user_capped,
        }
        columns = {name: column(course.means) for name, course in found.items()}
        return Curve(axis="turn", at=self.capped.free.turns, columns=columns)

    def _tables(self, record: Record) -> Iterator[Table]:
        free, capped = self.capped.hits(record)
        held_there = self.capped.capped.course(record).by_turn()
        yield self._table("positions of the assistant's turns under the cap", held_there)
        yield self._table("shifts of the user's turns by the cap", self._shifts(record))
        through = self._shifts_of_same_text(record)
        yield self._table("the same, both reading the text that was said without it", through)
        yield Table(
            name="share of answers with a marker",
            rows=self._turns,
            columns=("without", "capped"),
            cells=tuple(column(pair) for pair in zip(free.means, capped.means, strict=True)),
        )

    def _table(self, name: str, intervals: Sequence[Interval]) -> Table:
        cells = tuple(column((each.value, each.low, each.high)) for each in intervals)
        return Table(name=name, rows=self._turns, columns=("value", "low", "high"), cells=cells)

    def _shifts(self, record: Record) -> list[Interval]:
        free, capped = self.capped.user(record)
        return capped.apart(free)

    def _shifts_of_same_text(self, record: Record) -> list[Interval]:
        free, _ = self.capped.user(record)
        return self.capped.user_of_same_text(record).apart(free)

    def _highest(self, record: Record) -> ProbeNote:
        sides = {"without": self.capped.free, "capped": self.capped.capped}
        positions = {name: side.course(record).values for name, side in sides.items()}
        row, turn = np.unravel_index(np.nanargmax(positions["capped"]), positions["capped"].shape)
        script = self.capped.free.conversations.scripts[row]
        at = ", ".join(f"{name} {values[row, turn]:.2f}" for name, values in positions.items())
        return ProbeNote(
            probe=script.id,
            note=f"the highest answer under the cap is that to turn {turn + 1}: {at}",
            replies={
                name: record.reply(side.conversations.reply(script, int(turn)))
                for name, side in sides.items()
            },
        )

    def _notes(self, record: Record) -> Iterator[str]:
        sides = (self.capped.free, self.capped.capped)
        free, capped = (number(float(np.nanmax(side.course(record).means))) for side in sides)
        yield f"the assistant's highest turn stands at {free} without the cap and at {capped} under it"
        without, under = (f"{rate(hits).value:.0%}" for hits in self.capped.hits(record))
        if self.capped.scene.personas[self.persona].markers:
            yield f"answers with a marker: {without} without the cap, {under} under it"
        own, through = map(_largest, (self._shifts(record), self._shifts_of_same_text(record)))
        yield (
            f"the user's turns move by up to {number(own.value)}; by {number(through.value)} where both "
            "read the same text"
        )
        if self.asked.max_kl is not None:
            yield from self._tail(record, self.asked.max_kl).notes()

    @property
    def _turns(self) -> tuple[str, ...]:
        return tuple(f"turn {turn}" for turn in self.capped.free.turns)

    @property
    def _n(self) -> int:
        return len(self.capped.free.scripts)


def _highest(course: Course) -> Interval:
    """Interval of the highest mean of a turn, whichever that is."""
    mirrored = Course(-course.values, course.scripts)
    return -mirrored.margin(Region(0, inf), course.values.shape[1])


def _largest(shifts: Iterable[Interval]) -> Interval:
    """Interval of the largest size of a shift, over the turns that have one."""
    return largest([each for each in shifts if not np.isnan(each.value)])


def _needless(what: str, free: Interval, most: float) -> str | None:
    """Say that nothing has to be held; None where it is clear that it has."""
    if free.low > most:
        return None
    return f"{what} without the cap, {number(free.value)}, is not clearly above {most:g}: nothing is held"


class Capping(Property):
    """A cap towards a persona holds what a regime puts into the model, and leaves the rest alone.

    Both are said through whole conversations (arXiv 2601.10387), by turn, of the assistant and of the user
    apart (arXiv 2604.17031).
    """

    family: ClassVar[str] = "attractor"

    property: Literal["capping"] = Field(description="Names this property.")
    regimes: tuple[Regime, ...] = Field(
        (Regime.PROMPT,), description="Regimes that put the persona into the model; one assertion each."
    )
    cap: Bound | None = Field(None, description="The bound; default: that of the persona.")
    site: Site = Field(
        description="Where traces are read. Beyond the sites of the cap it is open where they lie."
    )
    max_position: Annotated[float | None, ANY] = Field(
        None,
        description="Highest position that the assistant's turns have under the cap, at any turn: 0 is "
        "the bare model, 1 the prompted persona.",
    )
    max_rate: Annotated[float | None, SHARE] = Field(
        None, ge=0, le=1, description="Largest share of answers that show a marker of the persona."
    )
    max_user_shift: Annotated[float | None, SIZE] = Field(
        None,
        ge=0,
        description="Largest shift of the user's turns by the cap, of either sign, at any turn.",
    )
    max_perplexity: Annotated[float | None, SIZE] = Field(
        None,
        gt=0,
        description="Largest perplexity of the answers to the bare model, in units of that without the cap.",
    )
    max_kl: Annotated[float | None, SIZE] = Field(
        None,
        ge=0,
        description="Largest KL, in nats, of the next tokens of the bare model from those under the cap, "
        "over its own replies to the probes.",
    )
    max_worst_kl: Annotated[float | None, SIZE] = Field(
        None, ge=0, description="Largest such KL at any probe, in nats; default: ten times `max_kl`."
    )

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        self.require_one(*(key for key in self.claims if key != "max_worst_kl"))
        if self.max_worst_kl is not None and self.max_kl is None:
            raise ValueError("max_worst_kl goes with max_kl: it bounds what that is the mean of")
        for regime in self.regimes:
            if "cap" in regime.layers:
                raise ValueError(f"{regime} has a cap already; expected what it is put upon, such as prompt")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime and persona with a prompt, for the axis, a cap and what is asked for."""
        require_probes(scene, LEAST_PROBES, "capping")
        require_scripts(scene.scripts, LEAST_SCRIPTS, "capping")
        found = [
            self._case(scene, persona, regime)
            for regime in self.regimes
            for persona in cast(self.personas, scene, partial(self._able, scene, regime))
        ]
        if not found:
            raise SuiteError("capping found no persona that a regime puts into the model and a cap is for")
        return found

    def _able(self, scene: Scene, regime: Regime, persona: str) -> bool:
        settings = scene.personas[persona]
        bounded = self.cap is not None or settings.cap is not None
        counted = self.max_rate is None or bool(settings.markers)
        return bounded and counted and persona in supporting((Regime.PROMPT, regime), scene)

    def _case(self, scene: Scene, persona: str, regime: Regime) -> Case:
        settings = scene.personas[persona]
        bound = self.cap or settings.cap
        if bound is None:
            raise SuiteError(f"persona {persona!r} has no cap; expected one there, or `cap:` here")
        if self.max_rate is not None and not settings.markers:
            raise SuiteError(f"persona {persona!r} has no markers, and max_rate counts them")
        conversations = Conversations(scene, scene.scripts, scene.condition(persona, regime))
        free = Drifting(Axis.of(scene, persona, self.site), regime, conversations)
        capped = CappedConversations(persona, bound, free)
        scene.capped(scene.bare, persona, bound)  # complains of an axis that nobody has a prompt for
        return CappingCase(persona, str(regime), self, capped)
