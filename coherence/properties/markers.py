"""Markers: two regimes betray the persona on the same probes, and as often as its prompt does."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.errors import SuiteError, did_you_mean
from coherence.plan import Measurement, Record, Reply, Scene
from coherence.properties.case import Case
from coherence.properties.control import artefact_regime, nothing, random_vectors, stand_ins
from coherence.properties.criterion import faint, held, unevoked
from coherence.properties.eligibility import Between, Pair, cast, pairs, require_probes, slug, supporting
from coherence.properties.lengths import by_length
from coherence.properties.parts import require_reasoning
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, COSINE, SHARE
from coherence.statistics.agreement import (
    Hits,
    chance_disagreements,
    kappa,
    mcnemar_exact,
    mean_share,
    paired_difference,
    recovery,
    relative_difference,
)
from coherence.statistics.alignment import Alignment
from coherence.statistics.intervals import Array, Interval, wilson
from coherence.vocabulary import Criterion, Figures, Marker, Part, ProbeNote, Regime, shown
from coherence.vocabulary.detectors import units

LEAST_PROBES = 8
_LEAST_MARKERS = 8


@dataclass(frozen=True)
class Replies:
    """What the model answered in one regime, and how many distinct markers each answer holds."""

    texts: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, texts: Iterable[str], markers: Sequence[Marker]) -> "Replies":
        """Count the markers that each text shows."""
        replies = tuple(texts)
        return cls(replies, tuple(len(shown(markers, text)) for text in replies))

    @property
    def hits(self) -> Hits:
        """Whether a probe's reply holds a marker."""
        return np.array(self.counts) > 0

    @property
    def rate(self) -> float:
        """Share of replies that are hits: the mean over probes, each with as many replies as the others."""
        return float(self.hits.mean())

    def told(self, of: str, drawn: int) -> str:
        """Say how often markers show, of so many clusters that were drawn."""
        rate = wilson(self.rate * drawn, drawn)
        return (
            f"{of}: markers in {rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}] of replies, "
            f"{np.mean(self.counts):.1f} distinct ones on average"
        )


def untold(first: Hits, second: Hits, sides: str, n: int) -> str | None:
    """Say that the rates of two sides are too extreme to tell agreement from chance; None if they are not.

    From hits [replies] of each, to n probes: several replies to one probe may all be alike.
    """
    apart = chance_disagreements(first, second) * n / len(first)
    if apart >= LEAST_PROBES:
        return None
    return (
        f"agreement beyond chance cannot be told at these rates: independent {sides} would disagree on "
        f"{apart:.1f} of {n} probes, and {LEAST_PROBES} are needed; the other criteria decide"
    )


def by_mcnemar(first: Hits, second: Hits, sides: str, n: int) -> Iterator[str]:
    """Yield McNemar's p between two sides, of which each of n probes has one reply; it is not for more."""
    if len(first) == n:
        yield f"McNemar p = {mcnemar_exact(first, second):.2g} between {sides}"


def positive(markers: Iterable[Marker]) -> list[Marker]:
    """Leave out what a persona never says."""
    return [marker for marker in markers if not marker.absent]


def profile(texts: Iterable[str], markers: Sequence[Marker]) -> Array:
    """Which of the positive markers each text shows, 1 or 0: [texts, positive markers]."""
    columns = positive(markers)
    rows = [set(shown(markers, text)) for text in texts]
    return np.array([[marker in row for marker in columns] for row in rows], dtype=np.float64)


def densities(texts: Iterable[str], markers: Sequence[Marker]) -> list[float]:
    """How many times markers are in 100 words of each text that shows any: see `units` of the detectors."""
    return [
        100 * sum(len(marker.places(text)) for marker in shown(markers, text)) / max(1, len(units(text)))
        for text in texts
    ]


def few_markers(n: int) -> str | None:
    """Say that so many markers make no profile; None where they do."""
    # Noise along a profile does not turn it: of few markers a cosine is too near to 1, and sure of it.
    few = f"{n} markers make no profile, at least {_LEAST_MARKERS} are needed"
    return few if n < _LEAST_MARKERS else None


def marks(text: str, markers: Sequence[Marker]) -> tuple[tuple[int, int], ...]:
    """Find where in a text markers are."""
    return tuple(sorted(place for marker in markers for place in marker.places(text)))


@dataclass(frozen=True)
class MarkersSample:
    """What is answered in two regimes, under the prompt and by the bare model."""

    replies: Mapping[Regime, Replies]
    sides: Pair
    clusters: Sequence[str]  # of each reply
    markers: tuple[Marker, ...]
    n: int  # probes

    @property
    def both(self) -> tuple[Replies, Replies]:
        """Replies in either regime."""
        first, second = (self.replies[regime] for regime in self.sides)
        return first, second

    @property
    def hits(self) -> tuple[Hits, Hits]:
        """Hits in either regime."""
        first, second = self.both
        return first.hits, second.hits

    @property
    def untold(self) -> str | None:
        """Say that the rates are too extreme to tell agreement from chance; None if they are not."""
        return untold(*self.hits, "regimes", self.n)

    def relative_count(self) -> Interval:
        """Difference of the mean numbers of distinct markers, as a multiple of the prompt's."""
        return self._relative({regime: replies.counts for regime, replies in self.replies.items()})

    def relative_density(self) -> Interval:
        """Difference of the mean numbers of markers in 100 words, as a multiple of the prompt's."""
        return self._relative(
            {regime: densities(replies.texts, self.markers) for regime, replies in self.replies.items()}
        )

    def never(self, regime: Regime) -> Interval:
        """Share of the replies in a regime that have what the persona never says."""
        never = [marker for marker in self.markers if marker.absent]
        texts = self.replies[regime].texts
        hits = np.array([any(marker.found_in(text) for marker in never) for text in texts], dtype=np.float64)
        return mean_share(hits, self.clusters)

    @property
    def profiles(self) -> Alignment:
        """Rates of each marker above the bare ones: the second side's along the first's."""
        bare, first, second = (
            profile(self.replies[regime].texts, self.markers) for regime in (Regime.BARE, *self.sides)
        )
        return Alignment.of((first - bare)[None], (second - bare)[None], self.clusters)

    def _relative(self, by_regime: Mapping[Regime, Sequence[float]]) -> Interval:
        regimes = list(dict.fromkeys((Regime.PROMPT, *self.sides)))
        counts = np.array([by_regime[regime] for regime in regimes], dtype=np.float64).T
        first, second = map(regimes.index, self.sides)
        return relative_difference(counts, first, second, regimes.index(Regime.PROMPT), self.clusters)


@dataclass(frozen=True)
class MarkersCase(Case[MarkersSample]):
    """One persona, two regimes, held against its prompt (the ceiling) and the bare model (the floor)."""

    persona: str
    slug: str
    spec: "Markers"
    scene: Scene
    regimes: Pair
    markers: tuple[Marker, ...]

    @property
    def part(self) -> Part:
        """Return that which the suite names."""
        return self.spec.part

    def needs(self) -> Iterable[Measurement]:
        """Let the model answer every probe, bare, prompted and in both regimes."""
        return [reply for regime in self._all_regimes for reply in self._replies(regime)]

    def sample(self, record: Record, seed: int) -> MarkersSample:
        """Count the markers in the part of every reply that is looked at."""
        replies = {regime: self._replies(regime) for regime in self._all_regimes}
        if self.part is Part.REASONING:
            require_reasoning([*chain.from_iterable(replies.values())], record)
        counted = {
            regime: Replies.of((record.reply(reply, self.part) for reply in of_regime), self.markers)
            for regime, of_regime in replies.items()
        }
        clusters = [probe.cluster for probe in self.scene.answered]
        return MarkersSample(counted, self.regimes, clusters, self.markers, len(self.scene.probes))

    def criteria(self, sample: MarkersSample) -> Iterator[Criterion]:
        """Judge agreement by probe, differences of rates and counts, and recovery of the prompt's effect."""
        first, second = sample.hits
        if sample.untold is None:
            agreement = kappa(first, second, sample.clusters)
            yield held("Cohen's kappa", agreement, sample.n, self.spec.min_agreement, key="min_agreement")
        difference = paired_difference(first, second, sample.clusters)
        yield self._between("rate", difference, sample.n, "max_difference")
        yield self._between("relative count", sample.relative_count(), sample.n, "max_count_difference")
        yield self._recovery(sample)
        yield from self._optional(sample)

    def _optional(self, sample: MarkersSample) -> Iterator[Criterion]:
        spec, n = self.spec, sample.n
        if spec.max_density_difference is not None:
            yield self._between("relative density", sample.relative_density(), n, "max_density_difference")
        if spec.min_profile is not None:
            yield self._of_profiles("profile cosine", sample.profiles.cosine(), n, "min_profile")
        if spec.min_slope is not None:
            yield self._of_profiles("profile slope", sample.profiles.strength(), n, "min_slope")
        if spec.max_absent is not None:
            for regime in self.regimes:
                rate = sample.never(regime)
                yield held(f"never said, by {regime}", rate, n, at_most=spec.max_absent, key="max_absent")

    def _of_profiles(self, what: str, interval: Interval, n: int, key: str) -> Criterion:
        name = f"{what}, {self.regimes[1]} on {self.regimes[0]}"
        few = few_markers(len(positive(self.markers)))
        return held(name, interval, n, getattr(self.spec, key), unreliable=few, key=key)

    def figures(self, sample: MarkersSample) -> Figures:
        """Show replies side by side, and every rate."""
        return Figures(
            fact=self._fact(sample),
            cause=faint(sample.replies[Regime.PROMPT].rate, sample.replies[Regime.BARE].rate),
            probes=self._side_by_side(sample),
            notes=tuple(self._notes(sample)),
        )

    def _fact(self, sample: MarkersSample) -> str:
        """Say how often markers are heard and, where that is alike, in what else the regimes differ."""
        both, (first, second) = sample.both, sample.hits
        heard = (
            f"{replies.rate:.0%} by {regime}" for regime, replies in zip(self.regimes, both, strict=True)
        )
        drawn = len(sample.clusters)
        sentence = f"markers of {self.persona} are in {', '.join(heard)}, of {drawn} replies each"
        apart, more = int((first != second).sum()), abs(int(first.sum()) - int(second.sum()))
        if apart > more:
            sentence += f", and {apart} times in one of the two alone"
        if abs(sample.relative_count().value) > self.spec.max_count_difference:
            counts = " and ".join(f"{np.mean(replies.counts):.1f}" for replies in both)
            sentence += f", {counts} distinct ones on average"
        return sentence

    def controls(self) -> Mapping[str, Sequence["MarkersCase"]]:
        """Another persona, or nothing, in the last regime with artefacts, and random vectors.

        A prompt that says nothing is the bare model, which recovery is held against in any case.
        """
        scenes = (
            *nothing(self.scene, self.persona, self.regimes),
            *stand_ins(self.scene, self.persona, artefact_regime(self.regimes), self.scene.personas),
            *random_vectors(self.scene, self.persona, self.regimes),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    def _between(self, what: str, interval: Interval, n: int, key: str) -> Criterion:
        most = getattr(self.spec, key)
        return held(f"{what} {self.regimes[1]} - {self.regimes[0]}", interval, n, -most, most, key=key)

    def _recovery(self, sample: MarkersSample) -> Criterion:
        bare, ceiling = sample.replies[Regime.BARE], sample.replies[Regime.PROMPT]
        worse = min(
            (regime for regime in self.regimes if regime != Regime.PROMPT),
            key=lambda regime: sample.replies[regime].rate,
        )
        recovered = recovery(sample.replies[worse].hits, ceiling.hits, bare.hits, sample.clusters)
        effect = paired_difference(bare.hits, ceiling.hits, sample.clusters)
        return held(
            f"recovery by {worse}",
            recovered,
            sample.n,
            at_least=self.spec.min_recovery,
            unreliable=unevoked(ceiling.rate, bare.rate, effect, sample.n),
            key="min_recovery",
        )

    def _side_by_side(self, sample: MarkersSample) -> tuple[ProbeNote, ...]:
        first, second = sample.hits
        rows = np.argsort(first == second, kind="stable")  # those that disagree come first
        differing = int((first != second).sum())
        return tuple(self._note(row, sample) for row in rows[: min(differing, 2) or 2])

    def _note(self, row: int, sample: MarkersSample) -> ProbeNote:
        sides = dict(zip(map(str, self.regimes), sample.both, strict=True))
        return ProbeNote(
            probe=self.scene.answered[row].id,
            note="markers: " + ", ".join(f"{name} {replies.counts[row]}" for name, replies in sides.items()),
            replies={name: replies.texts[row] for name, replies in sides.items()},
            marks={name: marks(replies.texts[row], self.markers) for name, replies in sides.items()},
        )

    def _notes(self, sample: MarkersSample) -> Iterator[str]:
        drawn = len(set(sample.clusters))
        for regime, replies in sample.replies.items():
            yield replies.told(str(regime), drawn)
        first, second = sample.hits
        yield from by_mcnemar(first, second, f"{self.regimes[0]} and {self.regimes[1]}", sample.n)
        if sample.untold:
            yield sample.untold
        yield from by_length("agreement", first == second, self.scene.probes)

    @property
    def _all_regimes(self) -> tuple[Regime, ...]:
        return tuple(dict.fromkeys((Regime.BARE, Regime.PROMPT, *self.regimes)))

    def _replies(self, regime: Regime) -> list[Reply]:
        bare = regime == Regime.BARE
        condition = self.scene.bare if bare else self.scene.condition(self.persona, regime)
        return self.scene.replies(condition)


class Markers(Property):
    """The persona shows in what the model says: on the same probes, as often and in as many of its words.

    A probe is a hit when its reply holds at least one marker (protocol of arXiv 2605.23147, section 6). Equal
    rates are not agreement, so the regimes are paired by probe. Of several samples each is a hit or none, and
    the first in one regime is paired with the first in the other.
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
    max_density_difference: Annotated[float | None, ANY] = Field(
        None,
        gt=0,
        description="Largest difference of the mean numbers of markers in 100 words, of either sign, as a "
        "multiple of the prompt's. Default: no bound.",
    )
    min_profile: Annotated[float | None, COSINE] = Field(
        None,
        ge=-1,
        le=1,
        description="Least cosine of the two profiles: by how much more often than bare each marker is said. "
        "At least eight markers are needed. Default: no bound.",
    )
    min_slope: Annotated[float | None, ANY] = Field(
        None,
        description="Least slope of the second regime's profile on the first's: 1 where it says all of them "
        "as much more often. At least eight markers are needed. Default: no bound.",
    )
    max_absent: Annotated[float | None, SHARE] = Field(
        None,
        gt=0,
        lt=1,
        description="Largest share of replies, in either regime, with a marker that is `absent`. Default: "
        "they show no marker, and that is all.",
    )
    exclude: tuple[str, ...] = Field(
        (), description="Texts of markers to leave out, such as those in the adapter's training data."
    )
    part: Part = Field(
        Part.ANSWER,
        description="Where markers are looked for: in the answer, the reasoning before it, or both.",
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per pair of regimes and persona that has markers and, for the ceiling, a prompt."""
        require_probes(scene, LEAST_PROBES, "markers")
        self._require_excluded(scene)
        cases = (
            self._case(persona, pair, scene)
            for pair in pairs(self.between, scene)
            for persona in cast(self.personas, scene, self._able(pair, scene).__contains__)
        )
        return self.at_least_one(cases, "with markers, a prompt and two regimes to compare")

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
