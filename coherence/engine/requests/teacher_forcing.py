"""Replies scored token by token, teacher-forced: how likely they are, how far two conditions lie apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from coherence.engine.batch.budget import Found
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

_Run = Callable[[Sequence[Row]], Found]


def teacher_forced(builder: RowBuilder, job: Job, run: _Run) -> Found:
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


def _ran(run: _Run, wanted: Iterable[tuple[Measurement, Callable[[], Row]]]) -> Found:
    rows = []
    for measurement, make in wanted:
        try:
            rows.append(replace(make(), log_probs=measurement))
        except Exception as problem:
            yield measurement, in_a_sentence(problem)
    if rows:
        yield from run(rows)


def _by_reference(divergences: Iterable[Divergence]) -> dict[Divergence, list[Divergence]]:
    """Group divergences by what they are compared with: the divergence of the reference from itself."""
    found: dict[Divergence, list[Divergence]] = {}
    for one in divergences:
        found.setdefault(replace(one, condition=one.reference), []).append(one)
    return found


def _likelihood(resolved: Resolved, wanted: Likelihood) -> Row:
    transcript = _transcript(resolved, wanted)
    ids, part = resolved.answer(wanted.text).ids, resolved.spoken(wanted.text, wanted.part)
    said = torch.tensor(ids[part.start : part.stop])
    before = len(transcript.ids) - len(ids)
    row = resolved.row(wanted.condition, wanted.probe, transcript.first(before + part.stop - 1))
    return replace(row, score=Score(len(said), lambda found: found.gather(1, said[:, None])[:, 0]))


def _reference(resolved: Resolved, wanted: Divergence) -> Row:
    return _forced(resolved, wanted, lambda found: found)


def _divergence(resolved: Resolved, wanted: Divergence, clean: Tensor | CoherenceError) -> Row:
    if isinstance(clean, CoherenceError):
        raise clean
    row = replace(_forced(resolved, wanted, partial(_kl, clean)), log_probs=wanted)
    # Much is compared with one reference: all of it that is the same up to where it is changed is run once.
    return replace(row, group=(row.group, row.ids[: row.first_read]))


def _forced(resolved: Resolved, wanted: Divergence, value: Callable[[Tensor], Tensor]) -> Row:
    transcript = _transcript(resolved, wanted)
    said = resolved.part(wanted.text, Part.ANSWER)
    before = len(transcript.ids) - len(said)
    tokens = min(wanted.tokens, len(said) - wanted.given + 1)
    if tokens < 1:
        raise MeasurementError(
            f"the reply to probe {wanted.probe.id!r} has {len(said)} tokens; expected at least {wanted.given}"
        )
    forced = transcript.first(before + wanted.given + tokens - 1)
    row = resolved.row(wanted.condition, wanted.probe, forced)
    return replace(row, score=Score(tokens, value))


def _transcript(resolved: Resolved, wanted: Likelihood | Divergence) -> Transcript:
    said = Beginning.of(wanted.text, len(wanted.text.turns) + 1)
    return resolved.transcript(said, wanted.condition)


def _kl(clean: Tensor, found: Tensor) -> Tensor:
    """KL(clean || found) [tokens] of log-probabilities [tokens, vocabulary]; rounding makes none negative."""
    return (clean.exp() * (clean - found)).sum(dim=-1).clamp_min(0)
