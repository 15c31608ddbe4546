"""Chimera: two personas summed at inference are the adapter that was trained on their mix."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import inf, nan
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.plan import Condition, Measurement, NextToken, Record, Reply, Scene
from coherence.properties.cast import Couple, bystanders, marked, require_adapter, require_probes
from coherence.properties.composition.distances import LEAST_KL, next_tokens, replies
from coherence.properties.composition.furthest import furthest
from coherence.properties.control import random_vectors, stand_ins
from coherence.properties.criterion import held, too_noisy, unclear
from coherence.properties.curve import over_depth
from coherence.properties.lengths import by_length
from coherence.properties.markers import Replies
from coherence.properties.property import Case, Property
from coherence.properties.reading import Readings, unmoved
from coherence.properties.tail import Tail, at_worst
from coherence.statistics.agreement import paired_difference
from coherence.statistics.divergence import Explained
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.likeness import Displacement, Likeness
from coherence.vocabulary import (
    Band,
    Criterion,
    Curve,
    Evidence,
    Marker,
    Position,
    ProbeNote,
    Regime,
)
from coherence.vocabulary.evidence import number

ADAPTER = Regime.parse("adapter")
LEAST_PROBES = 8


@dataclass(frozen=True)
class ChimeraCase(Case):
    """The sum of two personas in one regime, held against the adapter trained on their mix."""

    persona: str
    slug: str
    asked: "Chimera"
    scene: Scene
    regime: Regime
    others: tuple[str, ...]
    markers: tuple[Marker, ...]  # of either persona

    def needs(self) -> Iterable[Measurement]:
        """Measure the sum, the chimera and bare in all three ways, and read the others in both regimes."""
        judged = self._judged.values()
        others = (c for regime in (self.regime, ADAPTER) for c in self._others(regime))
        return [
            *(reading for condition in (*judged, *others) for reading in self._readings.of(condition)),
            *(next_token for condition in judged for next_token in self._next_tokens(condition)),
            *(reply for condition in judged for reply in self._replies(condition)),
        ]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge directions, next tokens and markers: each alone can be met by something else."""
        likeness = self._likeness(record)
        band = likeness.at(self._depths(record))
        explained = self._explained(record)
        answers = self._all_answers(record)
        lengths = by_length("KL of the chimera from the sum", explained.left, self.scene.probes)
        return Evidence(
            criteria=tuple(self._criteria(record, band, seed)),
            curve=_curve(likeness, likeness.ceiling(self.scene.clusters, seed)),
            probes=self._furthest(explained, answers),
            notes=(*self._geometry(band, seed), *self._tail(explained).notes(), _rates(answers), *lengths),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the same criteria from the sites of the band alone."""
        return self._criteria(record, self._likeness(record, self._depths(record)), seed)

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Put another persona, or random vectors, in the place of the first of the two.

        Its sum is measured for this alone, so one other persona has a turn.
        """
        first = self.asked.of[0]
        others = (name for name in self.scene.personas if name not in self.asked.of)
        scenes = (
            *islice(stand_ins(self.scene, first, self.regime, others), 1),
            *random_vectors(self.scene, first, (self.regime,)),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    def _criteria(self, record: Record, band: Likeness, seed: int) -> Iterator[Criterion]:
        yield self._direction(band, seed)
        explained = self._explained(record)
        ratio = self._next_token(explained)
        yield ratio
        yield self._tail(explained).criterion(ratio.unreliable)
        yield self._behaviour(self._all_answers(record))

    def _direction(self, band: Likeness, seed: int) -> Criterion:
        undefined = self._undefined(band)
        found = Interval(nan, -inf, inf) if undefined else band.compared(self.scene.clusters).cosine()
        return held(
            "specific cosine",
            found,
            self._n,
            at_least=self.asked.min_cosine,
            unreliable=undefined or too_noisy(self._ceiling(band, seed), self.asked.min_ceiling, self._n),
            key="min_cosine",
        )

    def _ceiling(self, band: Likeness, seed: int) -> float:
        return float(band.ceiling(self.scene.clusters, seed).mean())

    def _undefined(self, band: Likeness) -> str | None:
        sides = f"the sum by {self.slug}", f"the adapter {self.asked.adapter!r}"
        return unmoved(band.still(), sides, self.asked.sites)

    def _next_token(self, explained: Explained) -> Criterion:
        own = float(explained.whole.mean())
        same = (
            f"the chimera's next token is that of bare (KL {own:.2g} of at least {LEAST_KL:g} nat): "
            "there is nothing to explain"
        )
        return held(
            "KL ratio",
            explained.ratio(self.scene.clusters),
            self._n,
            at_most=self.asked.max_kl_ratio,
            unreliable=None if own >= LEAST_KL else same,
            key="max_kl_ratio",
        )

    def _tail(self, explained: Explained) -> Tail:
        worst = at_worst(self.asked.max_worst_kl_ratio, self.asked.max_kl_ratio)
        return Tail("KL ratio", explained.by_probe, self.scene.clusters, worst)

    def _behaviour(self, answers: dict[str, Replies]) -> Criterion:
        chimera, bare = answers["chimera"], answers["bare"]
        difference = paired_difference(chimera.hits, answers["sum"].hits, self.scene.clusters)
        flat = (
            f"the chimera's marker rate {chimera.rate:.2f} is not clearly above the bare rate {bare.rate:.2f}"
        )
        effect = paired_difference(bare.hits, chimera.hits, self.scene.clusters)
        return held(
            "marker rate sum - chimera",
            difference,
            self._n,
            at_least=-self.asked.max_difference,
            at_most=self.asked.max_difference,
            unreliable=unclear(flat, effect, self._n),
            key="max_difference",
        )

    def _furthest(self, explained: Explained, answers: dict[str, Replies]) -> tuple[ProbeNote, ...]:
        def note(row: int) -> str:
            left, whole = explained.left[row], explained.whole[row]
            return f"KL of the chimera from the sum {left:.2g} nat, from bare {whole:.2g} nat"

        texts = {name: replies.texts for name, replies in answers.items()}
        return furthest(self.scene, explained.left, note, texts)

    def _geometry(self, band: Likeness, seed: int) -> tuple[str, ...]:
        if band.still().any():
            return ()
        foreign = band.foreign().mean(-1)
        best = int(np.argmax(foreign))
        ceiling = self._ceiling(band, seed)
        return (
            f"{self.asked.sites}: raw cosine {number(band.raw().mean())}, "
            f"specific {number(band.specific().mean())} before correction for the ceiling {number(ceiling)}, "
            f"random null {number(band.chance(seed).mean())}",
            f"nearest other persona to the chimera: {self.others[best]} ({number(foreign[best])})",
        )

    def _depths(self, record: Record) -> list[int]:
        return self._readings.depths(record, self.asked.sites.sites)

    def _likeness(self, record: Record, depths: Sequence[int] | None = None) -> Likeness:
        by_sum, chimera, _ = self._judged.values()
        sides = [by_sum, *self._others(self.regime)], [chimera, *self._others(ADAPTER)]
        (bare, first), (_, second) = (self._readings.displaced(record, side, depths) for side in sides)
        return Likeness(Displacement(first[0], first[1:]), Displacement(second[0], second[1:]), bare)

    def _explained(self, record: Record) -> Explained:
        by_sum, chimera, bare = (
            np.stack([record.log_probs(each) for each in self._next_tokens(condition)])
            for condition in self._judged.values()
        )
        return Explained.of(chimera, by_sum, bare)

    def _all_answers(self, record: Record) -> dict[str, Replies]:
        return {name: self._answers(record, condition) for name, condition in self._judged.items()}

    def _answers(self, record: Record, condition: Condition) -> Replies:
        texts = (record.reply(reply) for reply in self._replies(condition))
        return Replies.of(texts, self.markers)

    @property
    def _n(self) -> int:
        return len(self.scene.probes)

    @property
    def _judged(self) -> dict[str, Condition]:
        chimera = Condition(self.scene.neutral, adapters=((self.asked.adapter, 1.0),))
        by_sum = self.scene.mixture(dict.fromkeys(self.asked.of, 1.0), self.regime)
        return {"sum": by_sum, "chimera": chimera, "bare": self.scene.bare}

    @property
    def _readings(self) -> Readings:
        return Readings(self.scene, self.asked.position)

    def _others(self, regime: Regime) -> list[Condition]:
        return [self.scene.condition(persona, regime) for persona in self.others]

    def _next_tokens(self, condition: Condition) -> list[NextToken]:
        return next_tokens(self.scene, condition)

    def _replies(self, condition: Condition) -> list[Reply]:
        return replies(self.scene, condition)


def _rates(answers: dict[str, Replies]) -> str:
    rates = ", ".join(f"{name} {replies.rate:.0%}" for name, replies in answers.items())
    return f"replies with a marker of either persona: {rates}"


def _curve(likeness: Likeness, ceiling: Array) -> Curve:
    columns = {
        "raw": likeness.raw(),
        "specific": likeness.specific(),
        "ceiling": ceiling,
        "best foreign": likeness.foreign().max(0),
    }
    return over_depth(columns, np.asarray(likeness.still().any(0)))


class Chimera(Property):
    """Two personas summed at inference are the adapter trained on their mix, inside and in what is said.

    Directions are compared without the generic persona component: the direction of the control personas'
    mean, in the sum's regime for the sum and in the adapter regime for the chimera, is projected out of each.
    """

    family: ClassVar[str] = "commutativity"

    property: Literal["chimera"] = Field(description="Names this property.")
    personas: tuple[str, ...] | None = Field(
        None, description="Control personas; default: all others that have what it takes."
    )
    of: Couple = Field(description="The two personas that are summed.")
    adapter: str = Field(description="Name in the release of the adapter trained on their mix.")
    sums: tuple[Regime, ...] = Field(
        (Regime.parse("steering"), ADAPTER), description="Regimes in which to sum; one assertion each."
    )
    sites: Band = Field(description="Where directions are compared; cosines are averaged over the band.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token directions are read.")
    min_cosine: float = Field(
        ge=-1, le=1, description="Least specific cosine of sum and chimera, divided by its ceiling."
    )
    min_ceiling: float = Field(
        0.6, ge=0, le=1, description="Reliability of the directions below which nothing is decided."
    )
    max_kl_ratio: float = Field(
        ge=0,
        description="Largest KL(chimera || sum) / KL(chimera || bare) of the next token: 0 when the sum "
        "explains all of the chimera, 1 when it does no better than bare.",
    )
    max_worst_kl_ratio: float | None = Field(
        None,
        ge=0,
        description="Largest KL(chimera || sum) at any probe, in units of the mean KL(chimera || bare); "
        "default: ten times `max_kl_ratio`.",
    )
    max_difference: float = Field(
        gt=0, le=1, description="Largest difference, of either sign, in how many replies show a marker."
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime; both personas, the adapter, markers and two controls must be there."""
        require_probes(scene, LEAST_PROBES, "chimera")
        require_adapter(scene, self.adapter)
        return [self._case(regime, scene) for regime in self.sums]

    def _case(self, regime: Regime, scene: Scene) -> Case:
        scene.mixture(dict.fromkeys(self.of, 1.0), regime)  # complains of an artefact that is missing
        markers = marked(scene, self.of, "chimera")
        others = bystanders(self.personas, scene, self.of, (regime, ADAPTER), "chimera")
        return ChimeraCase("+".join(self.of), str(regime), self, scene, regime, others, markers)
