"""Cache edit: what the assistant's keys and values hold of a persona beside what the transcript says."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from coherence.plan import CacheEdit, Condition, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import table
from coherence.properties.conversations.axis import Axis, Scale
from coherence.properties.conversations.conversations import (
    LEAST_SCRIPTS,
    ConversationCase,
    Conversations,
    require_scripts,
)
from coherence.properties.conversations.follow_ups import FollowUps
from coherence.properties.conversations.rebuilt_cache import law
from coherence.properties.conversations.shifts import shift, with_interval
from coherence.properties.criterion import over_scripts
from coherence.properties.eligibility import cast
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, SIZE
from coherence.properties.reading import within_reach
from coherence.statistics.deviation import relative_deviation
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.rising_dose import largest
from coherence.vocabulary import Band, Criterion, Figures, ProbeNote, Regime, Site, Table, shown
from coherence.vocabulary.evidence import number

SHOWN = 3  # of the answers that move most


@dataclass(frozen=True, eq=False)
class Answers:
    """What is answered to the questions, in the order of the replies; moved from where it stands as it is."""

    asked: FollowUps
    sample: "CacheEditSample"

    @cached_property
    def residuals(self) -> Array:
        """Residuals up to the site of the axis, [answers, depths, width]."""
        readings = self.asked.readings(self.sample.case.axis.site)
        return np.stack([*map(self.sample.record.residuals, readings)]).astype(np.float64)

    @cached_property
    def positions(self) -> Array:
        """Where they stand on the axis, [scripts, questions]."""
        depth = within_reach(self.sample.case.axis.site, self.residuals.shape[1]).depth
        positions = self.sample.scale.positions(self.residuals[:, depth])
        return positions.reshape(-1, len(self.asked.questions))

    @cached_property
    def moves(self) -> Array:
        """How far each moves, [scripts, questions]."""
        return self.positions - self.sample.plain.positions

    @cached_property
    def shift(self) -> Interval:
        """Mean over the scripts of how far they move."""
        return shift(self.moves, self.sample.scripts)

    @cached_property
    def texts(self) -> list[str]:
        """What is said."""
        return [*map(self.sample.record.reply, self.asked.replies)]

    @cached_property
    def rate(self) -> float:
        """Share of them that hold a marker of the persona."""
        markers = self.sample.case.scene.personas[self.sample.case.persona].markers
        return float(np.mean([bool(shown(markers, text)) for text in self.texts]))

    @cached_property
    def same(self) -> float:
        """Share of them that stay the same."""
        return float(np.mean(np.array(self.texts) == np.array(self.sample.plain.texts)))


@dataclass(frozen=True, eq=False)
class CacheEditSample:
    """Answers with the cache as it is, given its own once more, and edited at every band of sites."""

    case: "CacheEditCase"
    record: Record
    seed: int

    @cached_property
    def scale(self) -> Scale:
        """The axis in numbers."""
        return self.case.axis.measured(self.record)

    @cached_property
    def scripts(self) -> list[str]:
        """Ids of the scripts, each a cluster of its own."""
        return [script.id for script in self.case.plain.conversations.scripts]

    @cached_property
    def plain(self) -> Answers:
        """As it is."""
        return Answers(self.case.plain, self)

    @cached_property
    def edited(self) -> dict[str, Answers]:
        """Edited, by the band of sites."""
        return {band: Answers(answers, self) for band, answers in self.case.edited.items()}

    @property
    def whole(self) -> Answers:
        """Edited at all of the sites."""
        return self.edited[str(self.case.spec.sites)]


@dataclass(frozen=True)
class CacheEditCase(ConversationCase[CacheEditSample]):
    """One persona's conversations in one regime, and a donor of keys and values for what was said in them."""

    persona: str
    slug: str
    spec: "CacheEdited"
    scene: Scene
    regimes: tuple[Regime, ...]
    plain: FollowUps
    donor: Condition
    axis: Axis

    def needs(self) -> Iterable[Measurement]:
        """Place the answers with the cache as it is, given its own once more, and edited at all sites."""
        every = (self.plain, self.own, self.edited[str(self.spec.sites)])
        return [*self.axis.needs(), *(need for one in every for need in one.readings(self.axis.site))]

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Edit it at every band of sites, and take what is said."""
        every = (self.plain, *self.edited.values())
        return [need for one in every for need in one.needs(self.axis.site)]

    @cached_property
    def own(self) -> FollowUps:
        """Ask with the cache given its own."""
        return self._given(self.plain.conversations.condition, self.spec.sites)

    @cached_property
    def edited(self) -> dict[str, FollowUps]:
        """Ask with the donor's keys and values at every band of sites, by its name."""
        return {str(band): self._given(self.donor, band) for band in self.spec.bands()}

    def sample(self, record: Record, seed: int) -> CacheEditSample:
        """Take the answers."""
        return CacheEditSample(self, record, seed)

    def criteria(self, sample: CacheEditSample) -> Iterator[Criterion]:
        """Yield the law that its own keys and values change nothing, then how far the donor's move it."""
        own = Answers(self.own, sample)
        deviations = relative_deviation(sample.plain.residuals, own.residuals)
        yield law("deviation when given its own", deviations, self.spec.tolerance)
        moved, n = sample.whole.shift, len(sample.scripts)
        why = self.axis.unreliable(sample.scale, sample.seed)
        if (most := self.spec.max_shift) is not None:
            yield over_scripts("shift of the position", moved, n, -most, most, why, key="max_shift")
        if (least := self.spec.min_shift) is not None:
            size = largest([moved])
            yield over_scripts("size of the shift", size, n, least, unreliable=why, key="min_shift")

    def figures(self, sample: CacheEditSample) -> Figures:
        """Show the shift band by band, and the answers that move most."""
        before, edited = sample.plain.rate, sample.whole
        rates = f"a marker is in {before:.0%} of the answers, edited in {edited.rate:.0%}"
        return Figures(
            tables=(self._by_band(sample),),
            probes=tuple(self._furthest(sample)),
            notes=(f"{rates}; {edited.same:.0%} stay the same",),
        )

    def _given(self, donor: Condition, sites: Band) -> FollowUps:
        return replace(self.plain, edit=CacheEdit(donor, sites.sites))

    def _by_band(self, sample: CacheEditSample) -> Table:
        edited = sample.edited.values()
        return table(
            "by band of sites: shift of the position, answers with a marker, answers that stay the same",
            sample.edited,
            {
                **with_interval("shift", [one.shift for one in edited]),
                "markers": [one.rate for one in edited],
                "same answer": [one.same for one in edited],
            },
        )

    def _furthest(self, sample: CacheEditSample) -> Iterator[ProbeNote]:
        moves, texts = (
            sample.whole.moves.ravel(),
            {"as it is": sample.plain.texts, "edited": sample.whole.texts},
        )
        for row in map(int, np.argsort(-np.abs(moves), kind="stable")[:SHOWN]):
            reply = sample.whole.asked.replies[row]
            yield ProbeNote(
                probe=reply.probe.id,
                note=f"the answer to {reply.turns[-1].text!r} moves by {number(moves[row])}",
                replies={name: answers[row] for name, answers in texts.items()},
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
        cases = (
            self._case(persona, regime, scene)
            for persona in cast(self.personas, scene, able.__contains__)
            for regime in regimes
            if (self.donor_persona or persona, self.donor) != (persona, regime)
        )
        return self.at_least_one(cases, f"with a regime beside the donor's, {self.donor}")

    def _case(self, persona: str, regime: Regime, scene: Scene) -> Case:
        talks = Conversations(scene, scene.scripts, scene.condition(persona, regime))
        donor = scene.condition(self.donor_persona or persona, self.donor)
        whose = f"{self.donor_persona}-" if self.donor_persona else ""
        name, plain = f"{regime}-given-{whose}{self.donor}", FollowUps(talks, self.asked)
        axis = Axis.of(scene, persona, self.site)
        return CacheEditCase(persona, name, self, scene, (regime,), plain, donor, axis)
