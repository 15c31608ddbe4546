"""Markers: two regimes betray the persona on the same probes, and as often as its prompt does."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.errors import SuiteError, did_you_mean
from coherence.plan import Condition, Measurement, Record, Reply, Scene
from coherence.properties.control import artefact_regime, nothing, random_vectors, stand_ins
from coherence.properties.criterion import held, unclear
from coherence.properties.eligibility import Between, Pair, cast, pairs, require_probes, slug, supporting
from coherence.properties.lengths import by_length
from coherence.properties.property import Case, Property
from coherence.properties.ranges import ANY, COSINE
from coherence.statistics.agreement import (
    Hits,
    chance_disagreements,
    kappa,
    mcnemar_exact,
    paired_difference,
    recovery,
    relative_difference,
)
from coherence.statistics.intervals import wilson
from coherence.vocabulary import Criterion, Evidence, Marker, ProbeNote, Regime

LEAST_PROBES = 8


@dataclass(frozen=True)
class Replies:
    """What the model answered in one regime, and how many distinct markers each answer holds."""

    texts: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, texts: Iterable[str], markers: Sequence[Marker]) -> "Replies":
        """Count the markers that each text shows."""
        said = tuple(texts)
        return cls(said, tuple(sum(marker.found_in(text) for marker in markers) for text in said))

    @property
    def hits(self) -> Hits:
        """Whether a probe's reply holds a marker."""
        return np.array(self.counts) > 0

    @property
    def rate(self) -> float:
        """Share of probes that are hits."""
        return float(self.hits.mean())


@dataclass(frozen=True)
class MarkersCase(Case):
    """One persona, two regimes, held against its prompt (the ceiling) and the bare model (the floor)."""

    persona: str
    slug: str
    asked: "Markers"
    scene: Scene
    regimes: Pair
    markers: tuple[Marker, ...]

    def needs(self) -> Iterable[Measurement]:
        """Let the model answer every probe, bare, prompted and in both regimes."""
        return [
            self._reply(regime, row) for regime in self._all_regimes for row in range(len(self.scene.probes))
        ]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge agreement by probe, differences of rates and counts, and recovery of the prompt's effect."""
        replies = self._all_replies(record)
        return Evidence(
            criteria=tuple(self._criteria(replies)),
            probes=self._side_by_side(replies),
            notes=self._notes(replies),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the same criteria alone."""
        return self._criteria(self._all_replies(record))

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Another persona, or nothing, in the last regime with artefacts, and random vectors.

        A prompt that says nothing is the bare model, which recovery is held against in any case.
        """
        scenes = (
            *nothing(self.scene, self.persona, self.regimes),
            *stand_ins(self.scene, self.persona, artefact_regime(self.regimes), self.scene.personas),
            *random_vectors(self.scene, self.persona, self.regimes),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    def _criteria(self, replies: Mapping[Regime, Replies]) -> Iterator[Criterion]:
        first, second = (replies[regime].hits for regime in self.regimes)
        if self._untold(first, second) is None:
            yield held(
                "Cohen's kappa",
                kappa(first, second, self.scene.clusters),
                self._n,
                at_least=self.asked.min_agreement,
                key="min_agreement",
            )
        most = self.asked.max_difference
        yield held(
            f"rate {self.regimes[1]} - {self.regimes[0]}",
            paired_difference(first, second, self.scene.clusters),
            self._n,
            -most,
            most,
            key="max_difference",
        )
        yield self._count_difference(replies)
        yield self._recovery(replies)

    def _untold(self, first: Hits, second: Hits) -> str | None:
        """Say that the rates are too extreme to tell agreement from chance; None if they are not."""
        apart = chance_disagreements(first, second)
        if apart >= LEAST_PROBES:
            return None
        return (
            "agreement beyond chance cannot be told at these rates: independent regimes would disagree on "
            f"{apart:.1f} of {self._n} probes, and {LEAST_PROBES} are needed; the other criteria decide"
        )

    def _count_difference(self, replies: Mapping[Regime, Replies]) -> Criterion:
        sides = list(dict.fromkeys((Regime.PROMPT, *self.regimes)))
        counts = np.array([replies[regime].counts for regime in sides], dtype=np.float64).T
        first, second = map(sides.index, self.regimes)
        most = self.asked.max_count_difference
        return held(
            f"relative count {self.regimes[1]} - {self.regimes[0]}",
            relative_difference(counts, first, second, sides.index(Regime.PROMPT), self.scene.clusters),
            self._n,
            -most,
            most,
            key="max_count_difference",
        )

    @property
    def _all_regimes(self) -> tuple[Regime, ...]:
        return tuple(dict.fromkeys((Regime.BARE, Regime.PROMPT, *self.regimes)))

    @property
    def _units(self) -> int:
        return len(set(self.scene.clusters))

    @property
    def _n(self) -> int:
        return len(self.scene.probes)

    def _recovery(self, replies: Mapping[Regime, Replies]) -> Criterion:
        bare, ceiling = replies[Regime.BARE], replies[Regime.PROMPT]
        worse = min(
            (regime for regime in self.regimes if regime != Regime.PROMPT),
            key=lambda regime: replies[regime].rate,
        )
        found = recovery(replies[worse].hits, ceiling.hits, bare.hits, self.scene.clusters)
        effect = paired_difference(bare.hits, ceiling.hits, self.scene.clusters)
        flat = f"the prompt's rate {ceiling.rate:.2f} is not clearly above the bare rate {bare.rate:.2f}"
        return held(
            f"recovery by {worse}",
            found,
            self._n,
            at_least=self.asked.min_recovery,
            unreliable=unclear(flat, effect, self._n),
            key="min_recovery",
        )

    def _side_by_side(self, replies: dict[Regime, Replies]) -> tuple[ProbeNote, ...]:
        first, second = (replies[regime] for regime in self.regimes)
        rows = np.argsort(first.hits == second.hits, kind="stable")  # those that disagree come first
        differing = int((first.hits != second.hits).sum())
        shown = rows[: min(differing, 2) or 2]
        return tuple(
            ProbeNote(
                probe=self.scene.probes[row].id,
                note=self._counted(row, first, second),
                replies={str(regime): replies[regime].texts[row] for regime in self.regimes},
                marks={str(regime): self._marks(replies[regime].texts[row]) for regime in self.regimes},
            )
            for row in shown
        )

    def _marks(self, text: str) -> tuple[tuple[int, int], ...]:
        return tuple(sorted(place for marker in self.markers for place in marker.places(text)))

    def _counted(self, row: int, first: Replies, second: Replies) -> str:
        counts = (first.counts[row], second.counts[row])
        return "markers: " + ", ".join(
            f"{regime} {count}" for regime, count in zip(self.regimes, counts, strict=True)
        )

    def _notes(self, replies: dict[Regime, Replies]) -> tuple[str, ...]:
        rates = tuple(self._rate(regime, found) for regime, found in replies.items())
        first, second = (replies[regime].hits for regime in self.regimes)
        p = mcnemar_exact(first, second)
        between = f"McNemar p = {p:.2g} between {self.regimes[0]} and {self.regimes[1]}"
        untold = filter(None, [self._untold(first, second)])
        return (*rates, between, *untold, *by_length("agreement", first == second, self.scene.probes))

    def _rate(self, regime: Regime, found: Replies) -> str:
        rate = wilson(found.rate * self._units, self._units)
        return (
            f"{regime}: markers in {rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}] of replies, "
            f"{np.mean(found.counts):.1f} distinct ones on average"
        )

    def _all_replies(self, record: Record) -> dict[Regime, Replies]:
        return {regime: self._replies(record, regime) for regime in self._all_regimes}

    def _replies(self, record: Record, regime: Regime) -> Replies:
        texts = tuple(record.reply(self._reply(regime, row)) for row in range(len(self.scene.probes)))
        return Replies.of(texts, self.markers)

    def _reply(self, regime: Regime, row: int) -> Reply:
        return Reply(self._condition(regime), self.scene.probes[row], self.scene.decoding)

    def _condition(self, regime: Regime) -> Condition:
        return self.scene.bare if regime == Regime.BARE else self.scene.condition(self.persona, regime)


class Markers(Property):
    """The persona shows in what the model says: on the same probes, as often and in as many of its words.

    A probe is a hit when its reply holds at least one marker (protocol of arXiv 2605.23147, section 6). Equal
    rates are not agreement, so the regimes are paired by probe.
    """

    family: ClassVar[str] = "markers"

    property: Literal["markers"] = Field(description="Names this property.")
    between: Between = None
    min_agreement: Annotated[float, COSINE] = Field(
        ge=-1,
        le=1,
        description="Least Cohen's kappa of which probes are hits. It is no criterion where the rates are so "
        f"extreme that independent regimes disagree on fewer than {LEAST_PROBES} probes; a note says so.",
    )
    max_difference: Annotated[float, COSINE] = Field(
        gt=0, le=1, description="Largest difference of the two hit rates, of either sign."
    )
    max_count_difference: Annotated[float, ANY] = Field(
        0.5,
        gt=0,
        description="Largest difference of the mean numbers of distinct markers in a reply, of either sign, "
        "as a multiple of the prompt's.",
    )
    min_recovery: Annotated[float, ANY] = Field(
        ge=0,
        description="Least (rate - bare) / (prompt - bare); where neither regime is prompt, of the worse.",
    )
    exclude: tuple[str, ...] = Field(
        (), description="Texts of markers to leave out, such as those in the adapter's training data."
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per pair of regimes and persona that has markers and, for the ceiling, a prompt."""
        require_probes(scene, LEAST_PROBES, "markers")
        self._require_excluded(scene)
        found = [
            self._case(persona, pair, scene)
            for pair in pairs(self.between, scene)
            for persona in cast(self.personas, scene, self._able(pair, scene).__contains__)
        ]
        if not found:
            raise SuiteError("markers found no persona with markers, a prompt and two regimes to compare")
        return found

    def _able(self, pair: Pair, scene: Scene) -> Sequence[str]:
        return [
            persona
            for persona in supporting(pair, scene)
            if self._kept(persona, scene) and scene.supports(persona, Regime.PROMPT)
        ]

    def _case(self, persona: str, pair: Pair, scene: Scene) -> Case:
        for regime in (Regime.PROMPT, *pair):
            scene.condition(persona, regime)  # complains of an artefact that is missing
        markers = self._kept(persona, scene)
        if not markers:
            raise SuiteError(f"persona {persona!r} has no markers, or all of them are excluded")
        return MarkersCase(persona, slug(pair), self, scene, pair, markers)

    def _kept(self, persona: str, scene: Scene) -> tuple[Marker, ...]:
        return tuple(m for m in scene.personas[persona].markers if m.text not in self.exclude)

    def _require_excluded(self, scene: Scene) -> None:
        known = {marker.text for persona in scene.personas.values() for marker in persona.markers}
        for text in self.exclude:
            if text not in known:
                raise SuiteError(f"no marker reads {text!r}{did_you_mean(text, known)}")
