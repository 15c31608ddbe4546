"""Replies scored token by token, teacher-forced: how likely they are, how far two conditions lie apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from coherence.engine.batch.budget import Outcomes
from coherence.engine.batch.rows import Row, Score
from coherence.engine.requests.job import Job
from coherence.engine.requests.resolved import Beginning, Resolved
from coherence.engine.requests.row_builder import RowBuilder
from coherence.engine.requests.transcript import Transcript
from coherence.errors import CoherenceError, MeasurementError, in_a_sentence
from coherence.plan import Divergence, Likelihood, Measurement
from coherence.vocabulary import Part

# Log-probabilities of references are held until all that is compared with them has been: so many at a time.
REFERENCES = 16

_Run = Callable[[Sequence[Row]], Outcomes]


def teacher_forced(builder: RowBuilder, job: Job, run: _Run) -> Outcomes:
    """Measure the likelihoods and divergences of a job; what cannot be measured is an error of its own."""
    resolved = Resolved(builder, job.known)
    likelihoods = (one for one in job.measurements if isinstance(one, Likelihood))
    yield from _ran(run, [(one, partial(_likelihood, resolved, one)) for one in likelihoods])
    by_reference = _by_reference(one for one in job.measurements if isinstance(one, Divergence))
    references = list(by_reference)
    for first in range(0, len(references), REFERENCES):
        several = references[first : first + REFERENCES]
        clean = dict(_ran(run, [(one, partial(_reference, resolved, one)) for one in several]))
        compared = [
            (divergence, partial(_divergence, resolved, divergence, clean[one]))
            for one in several
            for divergence in by_reference[one]
        ]
        yield from _ran(run, compared)


def _ran(run: _Run, makers: Iterable[tuple[Measurement, Callable[[], Row]]]) -> Outcomes:
    rows = []
    for measurement, make in makers:
        try:
            rows.append(replace(make(), log_probs=measurement))
        except Exception as problem:
            yield measurement, in_a_sentence(problem)
    if rows:
        yield from run(rows)


def _by_reference(divergences: Iterable[Divergence]) -> dict[Divergence, list[Divergence]]:
    """Group divergences by what they are compared with: the divergence of the reference from itself."""
    by_reference: dict[Divergence, list[Divergence]] = {}
    for one in divergences:
        by_reference.setdefault(replace(one, condition=one.reference), []).append(one)
    return by_reference


def _likelihood(resolved: Resolved, likelihood: Likelihood) -> Row:
    transcript = _transcript(resolved, likelihood)
    ids, part = resolved.answer(likelihood.text).ids, resolved.spoken(likelihood.text, likelihood.part)
    targets = torch.tensor(ids[part.start : part.stop])
    before = len(transcript.ids) - len(ids)
    row = resolved.row(likelihood.condition, likelihood.probe, transcript.first(before + part.stop - 1))
    return replace(
        row, score=Score(len(targets), lambda log_probs: log_probs.gather(1, targets[:, None])[:, 0])
    )


def _reference(resolved: Resolved, divergence: Divergence) -> Row:
    return _forced(resolved, divergence, lambda log_probs: log_probs)


def _divergence(resolved: Resolved, divergence: Divergence, clean: Tensor | CoherenceError) -> Row:
    if isinstance(clean, CoherenceError):
        raise clean
    row = replace(_forced(resolved, divergence, partial(_kl, clean)), log_probs=divergence)
    # Much is compared with one reference: all of it that is the same up to where it is changed is run once.
    return replace(row, group=(row.group, row.ids[: row.first_read]))


def _forced(resolved: Resolved, divergence: Divergence, value: Callable[[Tensor], Tensor]) -> Row:
    transcript = _transcript(resolved, divergence)
    answer = resolved.part(divergence.text, Part.ANSWER)
    before = len(transcript.ids) - len(answer)
    tokens = min(divergence.tokens, len(answer) - divergence.given + 1)
    if tokens < 1:
        raise MeasurementError(
            f"the reply to probe {divergence.probe.id!r} has {len(answer)} tokens; "
            f"expected at least {divergence.given}"
        )
    forced = transcript.first(before + divergence.given + tokens - 1)
    row = resolved.row(divergence.condition, divergence.probe, forced)
    return replace(row, score=Score(tokens, value))


def _transcript(resolved: Resolved, measurement: Likelihood | Divergence) -> Transcript:
    beginning = Beginning.of(measurement.text, len(measurement.text.turns) + 1)
    return resolved.transcript(beginning, measurement.condition)


def _kl(clean: Tensor, changed: Tensor) -> Tensor:
    """KL(clean || changed) [tokens] of log-probabilities [tokens, vocabulary]; never negative."""
    return (clean.exp() * (clean - changed)).sum(dim=-1).clamp_min(0)
