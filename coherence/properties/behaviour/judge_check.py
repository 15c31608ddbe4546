"""How good a judge is, found before it judges: agreement with people, biases, whether it repeats itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coherence.plan import Measurement, Record
from coherence.properties.behaviour.judge_scores import JudgeScores
from coherence.properties.behaviour.labelled_scores import LABELLED, LabelledReplies, LabelledScores
from coherence.statistics.agreement import mean_share, paired_difference
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.statistics.ranks import spearman
from coherence.vocabulary import Judge, Labelled

_LEAST_READ = 4


@dataclass(frozen=True)
class JudgeCheck:
    """A judge, all wordings of a persona's rubric, and the labels that it is held against."""

    judge: Judge
    persona: str
    rubric: tuple[str, ...]
    labels: tuple[Labelled, ...]
    least: float  # kappa below which it decides nothing

    def needs(self) -> Iterator[Measurement]:
        """Yield what the judge is asked: by every wording, and by the first once more."""
        for one in (*self._worded, self._again):
            yield from one.needs()

    def checked(self, record: Record) -> "CheckedJudge":
        """Read what it answered; an error of its is raised where it answers nothing."""
        worded = [one.scores(record) for one in self._worded]
        return CheckedJudge(self, worded, self._again.scores(record).scores)

    @cached_property
    def _worded(self) -> list[LabelledReplies]:
        return [LabelledReplies(self.judge, wording, self.labels) for wording in self.rubric]

    @property
    def _again(self) -> LabelledReplies:
        return LabelledReplies(self.judge, self.rubric[0], self.labels, turn=1)


@dataclass(frozen=True, eq=False)
class CheckedJudge:
    """What came of it: `worded` by every wording of the rubric, `again` by the first once more."""

    check: JudgeCheck
    worded: Sequence[LabelledScores]
    again: JudgeScores

    @property
    def first(self) -> LabelledScores:
        """By the wording that it judges by."""
        return self.worded[0]

    @property
    def unfit(self) -> str | None:
        """Say why it would decide nothing; None where it would."""
        scores = self.first.scores
        if scores.too_many_missing:
            return scores.missing(LABELLED)
        return self.first.below(self.check.least)

    @cached_property
    def by_position(self) -> Interval:
        """How much higher its scores are with the options in the first order, paired by reply."""
        if self._too_few:
            return Interval.unknown()
        first, turned = self.first.scores.by_order[self._is_read].T
        return paired_difference(turned, first, self._clusters)

    @cached_property
    def by_length(self) -> Interval:
        """Spearman's rho of its scores and the words of a reply, among those that people say the same of."""
        if self._too_few:
            return Interval.unknown()
        met, values = self.first.met[self._is_read], self.first.scores.values[self._is_read]
        apart = values - np.where(met, values[met].mean(), values[~met].mean())
        words = [len(one.reply.split()) for one in self.check.labels]
        return spearman(np.array(words, dtype=np.float64)[self._is_read], apart)

    @cached_property
    def consistency(self) -> Interval | None:
        """Share of replies of which it says the same by every wording; None where there is one."""
        if len(self.worded) == 1:
            return None
        verdicts = np.array([_verdicts(one.scores) for one in self.worded])
        return mean_share((verdicts == verdicts[0]).all(0).astype(np.float64), self.first.clusters)

    @property
    def changed(self) -> int:
        """Of how many replies it says something else when it is asked again."""
        return int((_verdicts(self.first.scores) != _verdicts(self.again)).sum())

    @property
    def _is_read(self) -> NDArray[np.bool_]:
        return self.first.scores.is_read

    @property
    def _too_few(self) -> bool:
        """Whether hardly any reply of either kind has a score, so that scores show no bias."""
        read = self.first.met[self._is_read]
        return min(int(read.sum()), int((~read).sum())) < _LEAST_READ

    @property
    def _clusters(self) -> list[str]:
        return [one for one, is_read in zip(self.first.clusters, self._is_read, strict=True) if is_read]


def _verdicts(scores: JudgeScores) -> Array:
    """Return what it says of each reply: 1 for yes, 0 for no, -1 where there is no score."""
    return np.where(scores.is_read, scores.values >= 0.5, -1)
