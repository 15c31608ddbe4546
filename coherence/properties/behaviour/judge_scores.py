"""What a judge makes of replies, asked with its options in either order, and what of it is no score."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coherence.errors import CoherenceError, UnmeasuredError
from coherence.plan import Measurement, Rating, Record, Reply, Unread
from coherence.statistics.agreement import mean_share
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Judge, Probe

UNREAD = 0.1  # share of replies without a score from which on nothing is decided
_UNANSWERED = "no answer"


@dataclass(frozen=True)
class JudgedTexts:
    """Replies to probes, the model's own or texts that are there, and who judges them by which rubric."""

    judge: Judge
    rubric: str
    texts: tuple[tuple[Probe, Reply | str], ...]
    turn: int = 0

    @cached_property
    def ratings(self) -> list[tuple[Rating, Rating]]:
        """What the judge is asked of each, in either order of its options."""
        return [
            (self._rating(probe, text, False), self._rating(probe, text, True)) for probe, text in self.texts
        ]

    def needs(self) -> Iterator[Measurement]:
        """Yield the model's own replies, and all that the judge is asked."""
        yield from (text for _, text in self.texts if isinstance(text, Reply))
        for both in self.ratings:
            yield from both

    def scores(self, record: Record) -> "JudgeScores":
        """Read what it answered; where it answers nothing at all, its error is raised."""
        for _, text in self.texts:
            if isinstance(text, Reply):
                record.reply(text)  # raises what is in the way of it
        return JudgeScores.of(self.ratings, record)

    def _rating(self, probe: Probe, text: Reply | str, turned: bool) -> Rating:
        return Rating(self.judge, self.rubric, probe, text, turned, self.turn)


@dataclass(frozen=True, eq=False)
class JudgeScores:
    """Scores of 0 to 1, [replies, orders], NaN where an answer has none; why, and how often."""

    by_order: Array
    unread: Counter[str]

    @classmethod
    def of(cls, ratings: Sequence[tuple[Rating, Rating]], record: Record) -> "JudgeScores":
        """Gather what is in the record."""
        unread: Counter[str] = Counter()
        problems: list[CoherenceError] = []

        def score(rating: Rating) -> float:
            problem = record.problem(rating)
            if isinstance(problem, UnmeasuredError):
                raise problem
            if problem:
                problems.append(problem)
                unread[_UNANSWERED] += 1
                return np.nan
            opinion = record.opinion(rating)
            if opinion.unread:
                unread[str(opinion.unread)] += 1
            return np.nan if opinion.score is None else opinion.score

        rows = [[score(one) for one in both] for both in ratings]
        if problems and len(problems) == 2 * len(ratings):
            raise problems[0]
        return cls(np.array(rows, dtype=np.float64).reshape(-1, 2), unread)

    @property
    def values(self) -> Array:
        """The mean of both orders, [replies]; NaN where one of them has no score."""
        return np.asarray(self.by_order.mean(1))

    @property
    def is_read(self) -> NDArray[np.bool_]:
        """Which replies have a score, [replies]."""
        return ~np.isnan(self.values)

    def between(self) -> tuple[Array, Array]:
        """Scores with 0, and with 1, in the place of those that are missing: the truth lies in between."""
        return np.nan_to_num(self.values, nan=0.0), np.nan_to_num(self.values, nan=1.0)

    def mean(self, clusters: Sequence[str]) -> Interval:
        """Mean score, with an interval wide enough for whatever is missing."""
        low, high = (mean_share(side, clusters) for side in self.between())
        value = float(np.mean(self.values[self.is_read])) if self.is_read.any() else 0.5
        return Interval(value, min(low.low, value), max(high.high, value))

    @property
    def splits(self) -> bool:
        """Whether the judge writes numbers digit by digit: its first tokens are then no scores."""
        return self.unread[str(Unread.SPLIT)] > 0

    def missing(self, of: str) -> str | None:
        """Say how many replies have no score, and why; None where all have one."""
        lost = int((~self.is_read).sum())
        if not lost:
            return None
        kinds = ", ".join(f"{why} {count} times" for why, count in sorted(self.unread.items()))
        return f"the judge gives no score to {lost} of {len(self.values)} {of}: {kinds}"

    @property
    def too_many_missing(self) -> bool:
        """Whether so many are missing that nothing is decided."""
        return bool((~self.is_read).mean() > UNREAD)
