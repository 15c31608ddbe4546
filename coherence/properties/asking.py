"""Asking for measurements step by step, so that what would change nothing is not measured."""

import time
from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from coherence.plan import Measurement, Record

_Answer = TypeVar("_Answer")

Asking: TypeAlias = Generator[Sequence[Measurement], Record, _Answer]
"""Yields what is to be measured next, is sent a record that has it, and returns its answer."""


def together(several: Sequence[Asking[_Answer]]) -> Asking[list[_Answer]]:
    """Let several ask at once: what they want next is measured together. Answers are in their order."""
    answers: dict[int, _Answer] = {}
    requested: dict[int, Sequence[Measurement]] = {}
    record: Record | None = None
    while True:
        for place, one in enumerate(several):
            if place not in answers:
                try:
                    requested[place] = next(one) if record is None else one.send(record)
                except StopIteration as end:
                    requested.pop(place, None)
                    answers[place] = end.value
        if not requested:
            return [answers[place] for place in range(len(several))]
        record = yield [measurement for each in requested.values() for measurement in each]


def settled(asking: Asking[_Answer], record: Record) -> _Answer:
    """Answer everything out of one record, which must have all that is asked for."""
    try:
        next(asking)
        while True:
            asking.send(record)
    except StopIteration as end:
        answer: _Answer = end.value
        return answer


def timed(asking: Asking[_Answer]) -> Asking[tuple[_Answer, float]]:
    """Take the time in seconds that is spent on what was asked for; that of measuring it is left out."""
    seconds, record = 0.0, None
    while True:
        started = time.perf_counter()
        try:
            requested = next(asking) if record is None else asking.send(record)
        except StopIteration as end:
            return end.value, seconds + time.perf_counter() - started
        seconds += time.perf_counter() - started
        record = yield requested
