"""A judge held against people: how often it says what they say of labelled replies."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coherence.plan import Measurement, Record
from coherence.properties.behaviour.judge_scores import JudgedTexts, JudgeScores
from coherence.statistics.agreement import kappa
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Estimate, Judge, Labelled, Probe
from coherence.vocabulary.evidence import ranged
from coherence.vocabulary.probe import slug, wording

LABELLED = "labelled replies"


@dataclass(frozen=True)
class LabelledReplies:
    """Replies with what people say of them, as a judge is asked of them by one wording of a rubric."""

    judge: Judge
    rubric: str
    labels: tuple[Labelled, ...]
    turn: int = 0

    @cached_property
    def texts(self) -> JudgedTexts:
        """What is judged."""
        texts = tuple((Probe(id=slug(one.question), text=one.question), one.reply) for one in self.labels)
        return JudgedTexts(self.judge, self.rubric, texts, self.turn)

    def needs(self) -> list[Measurement]:
        """List what the judge is asked."""
        return list(self.texts.needs())

    def scores(self, record: Record) -> "LabelledScores":
        """Put what it answered beside the labels."""
        return LabelledScores(self.labels, self.texts.scores(record))


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """Scores of labelled replies; one without a score counts as a disagreement with people."""

    labels: tuple[Labelled, ...]
    scores: JudgeScores

    @cached_property
    def met(self) -> NDArray[np.bool_]:
        """Which replies meet the rubric, as people say, [replies]."""
        return np.array([one.met for one in self.labels])

    @cached_property
    def clusters(self) -> list[str]:
        """Replies to one question belong together."""
        return [wording(one.question) for one in self.labels]

    @cached_property
    def agreement(self) -> Interval:
        """Cohen's kappa of the judge, who says yes from a score of one half on, and people."""
        says = np.where(self.scores.is_read, self.scores.values >= 0.5, ~self.met)
        return kappa(self.met, says, self.clusters)

    def mean_of(self, met: bool) -> Interval:
        """Mean score of those that meet the rubric, or of those that do not."""
        chosen = self.met == met
        scores = JudgeScores(self.scores.by_order[chosen], self.scores.unread)
        return scores.mean([one for one, is_one in zip(self.clusters, chosen, strict=True) if is_one])

    def below(self, least: float) -> str | None:
        """Say that its agreement is not clearly as high as `least`, and what is missing; None where it is."""
        kappa = self.agreement
        if kappa.low >= least:
            return None
        sentence = (
            f"the judge agrees with people on {len(self.labels)} {LABELLED} by a kappa of "
            f"{ranged(kappa.value, kappa.low, kappa.high)}, and {least:g} is expected"
        )
        if not kappa.value > least:
            return f"{sentence}: more probes do not help; another judge or a clearer rubric is missing"
        estimate = Estimate(
            name="kappa", value=kappa.value, low=kappa.low, high=kappa.high, n=len(self.labels)
        )
        return f"{sentence}: {estimate.lacking(least).replace('probes', LABELLED)}"


def of_persona(labels: Sequence[Labelled], persona: str) -> tuple[Labelled, ...]:
    """Choose the labels that are about a persona's rubric."""
    return tuple(one for one in labels if one.persona == persona)
