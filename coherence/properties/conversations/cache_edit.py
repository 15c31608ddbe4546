"""Cache edit: what the assistant's keys and values hold of a persona beside what the transcript says."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import CacheEdit, Condition, Measurement, Record, Scene
from coherence.properties.columns import table
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.conversations import (
    LEAST_SCRIPTS,
    ConversationCase,
    Conversations,
    require_scripts,
)
from coherence.properties.conversations.follow_ups import FollowUps
from coherence.properties.conversations.shifts import shift, with_interval
from coherence.properties.criterion import over_scripts
from coherence.properties.eligibility import cast
from coherence.properties.property import Case, Property
from coherence.properties.ranges import ANY, SIZE
from coherence.statistics.deviation import relative_deviation
from coherence.statistics.dose import largest
from coherence.statistics.intervals import Array, Interval
from coherence.vocabulary import Band, Criterion, Estimate, Evidence, Marker, ProbeNote, Regime, Site, Table
from coherence.vocabulary.evidence import number

SHOWN = 3  # of the answers that move most


@dataclass(frozen=True)
class CacheEditCase(ConversationCase):
    """One persona's conversations in one regime, and a donor of keys and values for what was said in them."""

    persona: str
    slug: str
    asked: "CacheEdited"
    plain: FollowUps
    donor: Condition
    axis: Axis

    def needs(self) -> Iterable[Measurement]:
        """Ask with the cache as it is, given its own once more, and edited at every band of sites."""
        every = (self.plain, self._given(self._own), *self._edited.values())
        return [*self.axis.needs(), *(need for one in every for need in one.needs(self.axis.site))]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge how far the answers move when all sites are edited; show the rest band by band."""
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            tables=(self._by_band(record),),
            probes=self._furthest(record),
            notes=(self._said(record),),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the law that its own keys and values change nothing, then how far the donor's move it."""
        yield self._law(record)
        found, n = self._shift(record, self._edited[self._whole]), len(self._scripts)
        why = self.axis.unreliable(record, seed)
        most, least = self.asked.max_shift, self.asked.min_shift
        if most is not None:
            yield over_scripts("shift of the position", found, n, -most, most, why, key="max_shift")
        if least is not None:
            yield over_scripts(
                "size of the shift", largest([found]), n, least, unreliable=why, key="min_shift"
            )

    def _law(self, record: Record) -> Criterion:
        given = self._given(self._own).residuals(record, self.axis.site)
        deviations = relative_deviation(self.plain.residuals(record, self.axis.site), given)
        most = float(deviations.max())
        name = "deviation when given its own"
        estimate = Estimate(name=name, value=most, low=most, high=most, n=len(deviations))
        return Criterion(estimate=estimate, at_most=self.asked.tolerance, key="tolerance", law=True)

    def _shift(self, record: Record, edited: FollowUps) -> Interval:
        return shift(self._moves(record, edited), self._scripts)

    def _moves(self, record: Record, edited: FollowUps) -> Array:
        return edited.positions(record, self.axis) - self.plain.positions(record, self.axis)

    @property
    def _edited(self) -> dict[str, FollowUps]:
        return {str(band): self._given(CacheEdit(self.donor, band.sites)) for band in self.asked.bands()}

    @property
    def _own(self) -> CacheEdit:
        return CacheEdit(self.plain.conversations.condition, self.asked.sites.sites)

    def _given(self, edit: CacheEdit) -> FollowUps:
        return replace(self.plain, edit=edit)

    @property
    def _whole(self) -> str:
        return str(self.asked.sites)

    @property
    def _scripts(self) -> list[str]:
        return [script.id for script in self.plain.conversations.scripts]

    def _by_band(self, record: Record) -> Table:
        edited = self._edited.values()
        return table(
            "by band of sites: shift of the position, answers with a marker, answers that stay the same",
            list(self._edited),
            {
                **with_interval("shift", [self._shift(record, one) for one in edited]),
                "markers": [one.rate(record, self._markers) for one in edited],
                "same answer": [self._same(record, one) for one in edited],
            },
        )

    def _said(self, record: Record) -> str:
        edited = self._edited[self._whole]
        before, after = (one.rate(record, self._markers) for one in (self.plain, edited))
        same = self._same(record, edited)
        return f"a marker is in {before:.0%} of the answers, edited in {after:.0%}; {same:.0%} stay the same"

    def _same(self, record: Record, edited: FollowUps) -> float:
        return float(np.mean(np.array(edited.texts(record)) == np.array(self.plain.texts(record))))

    @property
    def _markers(self) -> tuple[Marker, ...]:
        return self.plain.conversations.scene.personas[self.persona].markers

    def _furthest(self, record: Record) -> tuple[ProbeNote, ...]:
        edited = self._edited[self._whole]
        moves = self._moves(record, edited).ravel()
        texts = {"as it is": self.plain.texts(record), "edited": edited.texts(record)}
        return tuple(
            ProbeNote(
                probe=reply.probe.id,
                note=f"the answer to {reply.turns[-1].text!r} moves by {number(moves[row])}",
                replies={name: said[row] for name, said in texts.items()},
            )
            for row in map(int, np.argsort(-np.abs(moves), kind="stable")[:SHOWN])
            for reply in [edited.replies[row]]
        )


class CacheEdited(Property):
    """Whether the persona of the next answer hangs on keys and values that the transcript does not show.

    Those of the assistant's tokens are replaced, after the conversation, by what a donor has when it reads
    the same transcript (arXiv 2604.17031); then a question is asked. Replaced by its own, nothing may change.
    """

    family: ClassVar[str] = "attractor"

    property: Literal["cache_edit"] = Field(description="Names this property.")
    regimes: tuple[Regime, ...] | None = Field(
        None, min_length=1, description="Regimes to talk in; `bare` may be one. Default: the suite's."
    )
    donor: Regime = Field(
        Regime.BARE,
        description="Regime of the persona, or `bare`, that gives the keys and values; as long a prompt.",
    )
    donor_persona: str | None = Field(
        None, description="Another persona whose regime the donor is; default: the persona's own."
    )
    sites: Band = Field(description="Blocks whose keys and values are replaced, all together and in parts.")
    parts: int = Field(
        3, ge=1, description="How many parts of the sites are replaced by themselves, to look at."
    )
    asked: tuple[str, ...] = Field(
        ("Who are you?",), min_length=1, description="What the user asks then, each after every script."
    )
    site: Site = Field(
        description="Where positions are read, on the way from the bare model to the prompted persona."
    )
    max_shift: Annotated[float | None, ANY] = Field(
        None,
        gt=0,
        description="Largest shift of the answers' position, edited minus as it is, of either sign.",
    )
    min_shift: Annotated[float | None, SIZE] = Field(None, ge=0, description="Least size of that shift.")
    tolerance: Annotated[float, SIZE] = Field(
        1e-4,
        gt=0,
        description="Largest distance of the residuals of an answer when the cache is given its own, in "
        "units of the median norm; the default is for float32 weights.",
    )

    @model_validator(mode="after")
    def _something_is_asked(self) -> "CacheEdited":
        self.require_one("max_shift", "min_shift")
        if self.parts > len(self.sites.sites):
            raise ValueError(f"{self.parts} parts of {self.sites}, which has {len(self.sites.sites)}")
        return self

    def bands(self) -> tuple[Band, ...]:
        """Cut the sites into parts; all of them come last."""
        every = self.sites.sites
        ends = np.linspace(0, len(every), self.parts + 1).round().astype(int)
        return tuple(dict.fromkeys((*(Band(every[start:end]) for start, end in pairwise(ends)), self.sites)))

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona and regime that has what it takes, the donor's own left out."""
        require_scripts(scene.scripts, LEAST_SCRIPTS, "cache_edit", turns=1)
        regimes = self.regimes or scene.regimes
        able = [
            name
            for name in scene.personas
            if all(scene.supports(name, regime) for regime in regimes)
            and scene.supports(self.donor_persona or name, self.donor)
        ]
        found = [
            self._case(persona, regime, scene)
            for persona in cast(self.personas, scene, able.__contains__)
            for regime in regimes
            if (self.donor_persona or persona, self.donor) != (persona, regime)
        ]
        if not found:
            raise SuiteError(f"cache_edit found no persona with a regime beside the donor's, {self.donor}")
        return found

    def _case(self, persona: str, regime: Regime, scene: Scene) -> Case:
        condition = scene.condition(persona, regime)
        donor = scene.condition(self.donor_persona or persona, self.donor)
        whose = f"{self.donor_persona}-" if self.donor_persona else ""
        plain = FollowUps(Conversations(scene, scene.scripts, condition), self.asked)
        axis = Axis.of(scene, persona, self.site)
        return CacheEditCase(persona, f"{regime}-given-{whose}{self.donor}", self, plain, donor, axis)
