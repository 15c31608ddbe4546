"""What a classifier of prompted replies makes of the same personas in another regime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from coherence.plan import Condition, Reading, Record
from coherence.properties.reading import Readings, Residuals
from coherence.statistics.agreement import mean_share, paired_difference
from coherence.statistics.intervals import Interval
from coherence.statistics.linear_classifier import CrossFitted, Recognition
from coherence.vocabulary import Band


@dataclass(frozen=True)
class Cast:
    """A persona and the others that it is told from, by name; the bare model is the last of them."""

    persona: str
    own: Condition
    others: Mapping[str, Condition]

    @property
    def conditions(self) -> list[Condition]:
        """All of them, the persona first."""
        return [self.own, *self.others.values()]


@dataclass(frozen=True)
class Taught:
    """The cast that a classifier is trained on, and where and over which text residuals are read.

    With `shuffled`, a seed, it is drawn for each question which of the cast is taken for the persona.
    """

    cast: Cast
    readings: Readings
    shuffled: int | None = None

    def needs(self, *casts: Cast) -> list[Reading]:
        """Read the cast, and others that the classifier is tried on, on every probe."""
        conditions = dict.fromkeys(one for cast in (self.cast, *casts) for one in cast.conditions)
        return [reading for condition in conditions for reading in self.readings.of(condition)]

    def residuals(self, record: Record, cast: Cast, depths: Sequence[int] | None) -> Residuals:
        """Residuals of a cast at a run of depths, or all: [depths, cast, probes, width]."""
        read = [self.readings.residuals(record, condition, depths) for condition in cast.conditions]
        return np.stack(read, axis=1)

    def labelled(self, residuals: Residuals) -> Residuals:
        """Put what is taken for the persona first: itself, unless labels are shuffled."""
        return shuffled(residuals, self.shuffled)


@dataclass(frozen=True, eq=False)
class Recognised:
    """How a classifier reads the prompted cast on questions that it has not seen, and a cast in a regime."""

    taught: Taught
    tried: Cast
    record: Record = field(repr=False)
    band: Band

    @property
    def clusters(self) -> list[str]:
        """The cluster of each probe."""
        return self.taught.readings.scene.clusters

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.clusters)

    @cached_property
    def at_band(self) -> tuple[Recognition, Recognition]:
        """Prompted and in the regime at the sites that are judged: [sites, probes], others in between."""
        return self._read(self.taught.readings.depths(self.record, self.band.sites))

    @cached_property
    def everywhere(self) -> tuple[Recognition, Recognition]:
        """The same at every site, [depths, probes]."""
        return self._read(None)

    @cached_property
    def prompted(self) -> Interval:
        """Balanced accuracy on prompted replies, averaged over the band."""
        return mean_share(self.at_band[0].accuracy, self.clusters)

    @cached_property
    def transferred(self) -> Interval:
        """Balanced accuracy in the regime, averaged over the band."""
        return mean_share(self.at_band[1].accuracy, self.clusters)

    @cached_property
    def gap(self) -> Interval:
        """What is lost of the accuracy from prompted replies to those in the regime, paired by probe."""
        prompted, transferred = (side.accuracy for side in self.at_band)
        return paired_difference(transferred, prompted, self.clusters)

    @cached_property
    def by_site(self) -> tuple[list[Interval], list[Interval]]:
        """Balanced accuracy at every site, prompted and in the regime."""
        prompted, transferred = (
            [mean_share(accuracy, self.clusters) for accuracy in side.accuracy_by_site]
            for side in self.everywhere
        )
        return prompted, transferred

    @cached_property
    def mistaken(self) -> tuple[dict[str, float], dict[str, float]]:
        """Share of replies that is taken for the persona, by whose they are: prompted, and in the regime."""
        prompted, tried = self.at_band
        return _taken(prompted, self.taught.cast), _taken(tried, self.tried)

    def _read(self, depths: Sequence[int] | None) -> tuple[Recognition, Recognition]:
        prompted, tried = (
            self.taught.residuals(self.record, cast, depths) for cast in (self.taught.cast, self.tried)
        )
        pairs = [
            _recognition(CrossFitted(labelled[0], labelled[1:], self.clusters), prompted[site], tried[site])
            for site, labelled in enumerate(self.taught.labelled(prompted))
        ]
        first, second = (Recognition.stacked([pair[side] for pair in pairs]) for side in (0, 1))
        return first, second


def _recognition(classifier: CrossFitted, *casts: Residuals) -> list[Recognition]:
    read = map(classifier.probability, casts)
    return [Recognition(probability[0], probability[1:]) for probability in read]


def _taken(recognition: Recognition, cast: Cast) -> dict[str, float]:
    own, others = recognition.taken
    return {cast.persona: own, **dict(zip(cast.others, others, strict=True))}


def shuffled(residuals: Residuals, seed: int | None) -> Residuals:
    """Draw whose residuals are whose, question by question: [depths, classes, probes, width]."""
    if seed is None:
        return residuals
    drawn = np.random.default_rng(seed)
    turned = drawn.permuted(np.tile(np.arange(residuals.shape[1]), (residuals.shape[2], 1)), axis=1).T
    return np.take_along_axis(residuals, turned[None, :, :, None], axis=1)
