"""Replies as the bare model reads them, and what is learnt from them: whose a reply is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coherence.errors import MeasurementError
from coherence.plan import Condition, Reading, Record, Reply, Scene
from coherence.properties.reading import within_reach
from coherence.statistics.geometry import Array
from coherence.statistics.logistic_regression import Labels, LogisticRegression
from coherence.vocabulary import Band, Position, Probe

NOBODY = -1  # whose a reply without a word is


@dataclass(frozen=True)
class ReadReplies:
    """What a condition replies to some questions, and how the bare model reads that at a band of sites.

    It replies once to each question, or with `sampled` as often as the suite says, question by question.
    """

    scene: Scene
    questions: tuple[Probe, ...]
    sites: Band
    condition: Condition
    sampled: bool = False

    @cached_property
    def replies(self) -> list[Reply]:
        """Reply to every question."""
        draws = self.scene.draws if self.sampled else (self.scene.decoding,)
        return [Reply(self.condition, question, draw) for question in self.questions for draw in draws]

    @cached_property
    def readings(self) -> list[Reading]:
        """Read every reply by nothing but the bare model: the text decides alone."""
        last = self.sites.sites[-1]
        return [
            Reading(self.scene.bare, reply.probe, Position.RESPONSE_MEAN, reply, last)
            for reply in self.replies
        ]

    def texts(self, record: Record) -> list[str]:
        """Return each reply."""
        return [record.reply(reply) for reply in self.replies]

    def worded(self, record: Record) -> NDArray[np.bool_]:
        """Tell which replies have a word, [replies]: others are not read."""
        return np.array([bool(text.split()) for text in self.texts(record)])

    def residuals(self, record: Record) -> Array:
        """Residuals of those that have, [sites, replies, width]."""
        read = zip(self.readings, self.worded(record), strict=True)
        stacks = [record.residuals(reading) for reading, worded in read if worded]
        depths = [within_reach(site, len(stacks[0])).depth for site in self.sites.sites]
        return np.stack([by_depth[depths] for by_depth in stacks], axis=1).astype(np.float64)

    def lengths(self, record: Record) -> Array:
        """Logarithm of the number of words of each, [replies, 1]."""
        words = (len(text.split()) for text in self.texts(record))
        return np.log([[count] for count in words if count])


@dataclass(frozen=True, eq=False)
class Lesson:
    """What replies of several speakers to held-out questions teach: whose a reply is, read or counted."""

    speakers: Mapping[str, ReadReplies]
    record: Record = field(repr=False)

    def by_reading(self, replies: ReadReplies) -> Labels:
        """Tell whose each reply is by how it reads: the place of a speaker, or NOBODY, [replies]."""
        worded = replies.worded(self.record)
        if not worded.any():
            return np.full(len(worded), NOBODY)
        recogniser, spreads = self._reader
        return _placed(worded, recogniser.told(_side_by_side(replies.residuals(self.record), spreads)))

    def log_odds(self, residuals: Array) -> Array:
        """Log-odds that replies are the first speaker's, by residuals [sites, replies, width]: [replies]."""
        recogniser, spreads = self._reader
        told = recogniser.log_probabilities(_side_by_side(residuals, spreads))
        return np.asarray(told[:, 0] - np.logaddexp.reduce(told[:, 1:], axis=1))

    def by_length(self, replies: ReadReplies) -> Labels:
        """Tell the same by nothing but the number of its words."""
        worded = replies.worded(self.record)
        if not worded.any():
            return np.full(len(worded), NOBODY)
        return _placed(worded, self._counter.told(replies.lengths(self.record)))

    @cached_property
    def _labels(self) -> Labels:
        """Whose each worded reply is, [replies]; a MeasurementError when a speaker hardly has any."""
        counts = {name: int(one.worded(self.record).sum()) for name, one in self.speakers.items()}
        for name, count in counts.items():
            asked = len(self.speakers[name].questions)
            if 2 * count < asked:
                raise MeasurementError(
                    f"{name} replies with a word to {count} of {asked} held-out questions: too few"
                )
        return np.repeat(np.arange(len(counts)), list(counts.values()))

    @cached_property
    def _questions(self) -> list[str]:
        return [
            question.id
            for one in self.speakers.values()
            for question, worded in zip(one.questions, one.worded(self.record), strict=True)
            if worded
        ]

    @cached_property
    def _reader(self) -> tuple[LogisticRegression, Array]:
        """Who reads, and how far residuals at each site are spread, [sites]: all sites count alike."""
        labels = self._labels
        residuals = np.concatenate([one.residuals(self.record) for one in self.speakers.values()], axis=1)
        apart = residuals - residuals.mean(1, keepdims=True)
        spreads = np.maximum(np.sqrt(np.square(apart).sum(2).mean(1)), np.finfo(np.float64).tiny)
        rows = _side_by_side(residuals, spreads)
        return LogisticRegression.cross_validated(rows, labels, self._questions), spreads

    @cached_property
    def _counter(self) -> LogisticRegression:
        lengths = np.concatenate([one.lengths(self.record) for one in self.speakers.values()])
        return LogisticRegression.cross_validated(lengths, self._labels, self._questions)


def _side_by_side(residuals: Array, spreads: Array) -> Array:
    """Put sites [sites, replies, width] into one row per reply, each in units of its spread."""
    scaled = residuals / spreads[:, None, None]
    return np.asarray(scaled.transpose(1, 0, 2).reshape(residuals.shape[1], -1))


def _placed(worded: NDArray[np.bool_], told: Labels) -> Labels:
    """Put what is told of worded replies where they are among all, [replies]."""
    placed = np.full(len(worded), NOBODY)
    placed[worded] = told
    return placed
