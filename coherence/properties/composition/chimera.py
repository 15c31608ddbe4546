"""Chimera: two personas summed at inference are the adapter that was trained on their mix."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.plan import Condition, Measurement, NextToken, Record, Reply, Scene
from coherence.properties.columns import over_depth
from coherence.properties.composition.distances import LEAST_KL, next_tokens, replies
from coherence.properties.composition.furthest import furthest
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held, unclear
from coherence.properties.directed import Directed
from coherence.properties.eligibility import (
    LEAST_BYSTANDERS,
    Couple,
    apart_from,
    bystanders,
    marked,
    require_adapter,
    require_probes,
    units,
)
from coherence.properties.lengths import by_length
from coherence.properties.markers import Replies
from coherence.properties.property import Case
from coherence.properties.ranges import COSINE, SIZE
from coherence.properties.reading import Readings
from coherence.properties.tail import Tail, at_worst
from coherence.statistics.agreement import paired_difference
from coherence.statistics.displacements import Displacements
from coherence.statistics.divergence import Explained
from coherence.vocabulary import Criterion, Curve, Evidence, Marker, ProbeNote, Regime

LEAST_PROBES = 8


@dataclass(frozen=True)
class ChimeraCase(Case):
    """The sum of two personas in one regime, held against the adapter trained on their mix."""

    persona: str
    slug: str
    asked: "Chimera"
    scene: Scene
    regime: Regime
    controls_by_kin: tuple[tuple[str, ...], ...]
    markers: tuple[Marker, ...]  # of either persona

    def needs(self) -> Iterable[Measurement]:
        """Measure the sum, the chimera and bare in all three ways, and read the others in both regimes."""
        judged = self._judged.values()
        others = (one for unit in self._controls for persona in unit for one in persona)
        return [
            *(reading for condition in (*judged, *others) for reading in self._readings.of(condition)),
            *(next_token for condition in judged for next_token in self._next_tokens(condition)),
            *(reply for condition in judged for reply in self._replies(condition)),
        ]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge directions, next tokens and markers: each alone can be met by something else."""
        moved = self._displacements(record)
        band = moved.at(self._depths(record))
        explained = self._explained(record)
        answers = self._all_answers(record)
        lengths = by_length("KL of the chimera from the sum", explained.left, self.scene.probes)
        return Evidence(
            criteria=tuple(self._criteria(record, band, seed)),
            curve=self._curve(moved, seed),
            probes=self._furthest(explained, answers),
            notes=(
                *self.asked.geometry(band, self._sides, seed),
                *self._tail(explained).notes(),
                _rates(answers),
                *lengths,
            ),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the same criteria from the sites of the band alone."""
        return self._criteria(record, self._displacements(record, self._depths(record)), seed)

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Put another persona, nothing, or random vectors, in the place of the first of the two.

        Another's sum is measured for this alone, so one other persona has a turn.
        """
        first = self.asked.of[0]
        scenes = (
            *nothing(self.scene, first, (self.regime,)),
            *random_vectors(self.scene, first, (self.regime,)),
        )
        others = {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}
        return {**dict(islice(self._stand_ins(first), 1)), **others}

    def _stand_ins(self, first: str) -> Iterator[tuple[str, list[Case]]]:
        """Another persona in the first one's place, and then among the controls no more."""
        for name in (name for name in self.scene.personas if name not in self.asked.of):
            rest = apart_from(name, self.controls_by_kin)
            if len(rest) >= LEAST_BYSTANDERS:
                for said, scenes in stand_ins(self.scene, first, self.regime, [name]):
                    yield said, [replace(self, scene=scene, controls_by_kin=rest) for scene in scenes]

    def _criteria(self, record: Record, band: Displacements, seed: int) -> Iterator[Criterion]:
        asked = self.asked
        yield from asked.directions(band, self._sides, self._n, seed, "min_cosine", asked.min_cosine)
        explained = self._explained(record)
        ratio = self._next_token(explained)
        yield ratio
        yield self._tail(explained).criterion(ratio.unreliable)
        yield self._behaviour(self._all_answers(record))

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
        return Tail("KL ratio", "max_worst_kl_ratio", explained.by_probe, self.scene.clusters, worst)

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

    def _curve(self, moved: Displacements, seed: int) -> Curve:
        pair = self._chimera, self._sum
        columns = {
            "raw": moved.raw_cosine(*pair),
            "specific": np.array([cosine.value for cosine in moved.compared(*pair).cosines()]),
            "ceiling": moved.ceiling(*pair, seed),
        }
        return over_depth(columns, np.logical_or(*map(moved.still, pair)))

    def _depths(self, record: Record) -> list[int]:
        return self._readings.depths(record, self.asked.sites.sites)

    def _displacements(self, record: Record, depths: Sequence[int] | None = None) -> Displacements:
        pair = self._chimera, self._sum
        return self._readings.displacements(record, pair, self._controls, depths)

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
    def _chimera(self) -> Condition:
        return Condition(self.scene.neutral, adapters=((self.asked.adapter, 1.0),))

    @property
    def _sum(self) -> Condition:
        return self.scene.mixture(dict.fromkeys(self.asked.of, 1.0), self.regime)

    @property
    def _sides(self) -> dict[str, Condition]:
        return {"the chimera": self._chimera, "the sum": self._sum}

    @property
    def _judged(self) -> dict[str, Condition]:
        return {"sum": self._sum, "chimera": self._chimera, "bare": self.scene.bare}

    @property
    def _controls(self) -> list[list[list[Condition]]]:
        regimes = dict.fromkeys((self.regime, Regime.ADAPTER))
        return [
            [[self.scene.condition(persona, regime) for regime in regimes] for persona in unit]
            for unit in self.controls_by_kin
        ]

    @property
    def _readings(self) -> Readings:
        return Readings(self.scene, self.asked.position)

    def _next_tokens(self, condition: Condition) -> list[NextToken]:
        return next_tokens(self.scene, condition)

    def _replies(self, condition: Condition) -> list[Reply]:
        return replies(self.scene, condition)


def _rates(answers: dict[str, Replies]) -> str:
    rates = ", ".join(f"{name} {replies.rate:.0%}" for name, replies in answers.items())
    return f"replies with a marker of either persona: {rates}"


class Chimera(Directed):
    """Two personas summed at inference are the adapter trained on their mix, inside and in what is said.

    Directions are compared without what the control personas share in the sum's regime and in the adapter's.
    """

    family: ClassVar[str] = "commutativity"

    property: Literal["chimera"] = Field(description="Names this property.")
    personas: tuple[str, ...] | None = Field(
        None, description="Control personas; default: all others that have what it takes."
    )
    of: Couple = Field(description="The two personas that are summed.")
    adapter: str = Field(description="Name in the release of the adapter trained on their mix.")
    sums: tuple[Regime, ...] = Field(
        (Regime.STEERING, Regime.ADAPTER), description="Regimes in which to sum; one assertion each."
    )
    min_cosine: Annotated[float, COSINE] = Field(
        ge=-1, le=1, description="Least specific cosine of sum and chimera, divided by its ceiling."
    )
    max_kl_ratio: Annotated[float, SIZE] = Field(
        ge=0,
        description="Largest KL(chimera || sum) / KL(chimera || bare) of the next token: 0 when the sum "
        "explains all of the chimera, 1 when it does no better than bare.",
    )
    max_worst_kl_ratio: Annotated[float | None, SIZE] = Field(
        None,
        ge=0,
        description="Largest KL(chimera || sum) at any probe, in units of the mean KL(chimera || bare); "
        "default: ten times `max_kl_ratio`.",
    )
    max_difference: Annotated[float, COSINE] = Field(
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
        others = units(bystanders(self.personas, scene, self.of, (regime, Regime.ADAPTER), "chimera"), scene)
        by_kin = tuple(map(tuple, others))
        return ChimeraCase("+".join(self.of), str(regime), self, scene, regime, by_kin, markers)
