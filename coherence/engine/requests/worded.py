"""A job whose conversations have all words in them: what users answered stands where nothing was written."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, Self

from coherence.engine.requests.job import Job
from coherence.errors import CoherenceError, MeasurementError
from coherence.plan import Answer, Divergence, Likelihood, Measurement, Outcome, Reading, Reply, UserTurn

_OfText = Reading | Likelihood | Divergence
_Known = Mapping[Measurement, Outcome]


class Worded(NamedTuple):
    """A job as rows are made of it, what its measurements are called, and why some cannot be made."""

    job: Job
    named: Mapping[Measurement, Measurement]
    problems: Mapping[Measurement, CoherenceError]

    @classmethod
    def of(cls, job: Job) -> Self:
        """Write what users answered into every conversation of a job, and of what was measured before."""
        named, problems = _worded(job.measurements, job.known)
        # What cannot be written is of a conversation that cannot be measured either.
        before, _ = _worded(job.known, job.known)
        known = {whole: job.known[one] for whole, one in before.items()}
        return cls(Job(tuple(named), known), named, problems)


def _worded(
    measurements: Iterable[Measurement], known: _Known
) -> tuple[dict[Measurement, Measurement], dict[Measurement, CoherenceError]]:
    """Find each measurement by its whole text, and what stands in the way of one."""
    named: dict[Measurement, Measurement] = {}
    problems: dict[Measurement, CoherenceError] = {}
    for one in measurements:
        try:
            named[_whole(one, known)] = one
        except CoherenceError as problem:
            problems[one] = problem
    return named, problems


def _whole(measurement: Measurement, known: _Known) -> Measurement:
    if isinstance(measurement, Reply):
        return said(measurement, known)
    if not (isinstance(measurement, _OfText) and measurement.text):
        return measurement
    whole = said(measurement.text, known)
    return measurement if whole is measurement.text else replace(measurement, text=whole)


def said(reply: Reply, known: _Known) -> Reply:
    """Write what users answered into a conversation; what went wrong with it is raised again."""
    if not any(turn.user for turn in reply.turns):
        return reply
    texts = iter([text_of(one, known) for one in reply.user_turns])
    turns = tuple(replace(turn, text=next(texts)) if turn.user else turn for turn in reply.turns)
    return replace(reply, turns=turns)


def text_of(spoken: Reply | UserTurn, known: _Known) -> str:
    """Look up what was said; what went wrong with it is raised again."""
    what = "the reply" if isinstance(spoken, Reply) else "what the user answers"
    outcome = known.get(spoken, MeasurementError(f"{what} was not measured"))
    if isinstance(outcome, CoherenceError):
        raise outcome
    assert isinstance(outcome, Answer)
    return outcome.text
