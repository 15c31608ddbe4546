"""Measuring for verdicts, step by step: what is asked for at once is measured together."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Generic, TypeVar

from coherence.engine.engine import Engine, Hear, Later
from coherence.errors import in_a_sentence
from coherence.gate.awaited import Awaited
from coherence.plan import Measurement, Outcome, Plan, Record
from coherence.properties.asking import Asking

_Answer = TypeVar("_Answer")

Keep = Callable[[int, _Answer], None]
"""Keeps what came of one of those that ask, by its place among them."""


class Measuring:
    """Answers what is asked for of one release, each measurement once; `record` has all of it so far.

    Progress expects `later` after it, which others measure.
    """

    def __init__(self, engine: Engine, later: Later) -> None:
        self._engine, self._later = engine, later
        self._outcomes: dict[Measurement, Outcome] = {}
        self.record = Record(self._outcomes)

    def answer(self, asking: Sequence[Asking[_Answer]], keep: Keep[_Answer]) -> None:
        """Measure what several ask for until there is an answer for each, which `keep` has at once.

        Those that are listed first come to their end first, as far as that costs no arithmetic.
        """
        left = {place: _Asker(one, self._outcomes, self.record) for place, one in enumerate(asking)}

        def go_on(place: int) -> None:
            if left[place].goes_on():
                return
            keep(place, left.pop(place).answer)

        for place in list(left):
            go_on(place)
        while left:
            self._measure({place: one.lacking for place, one in left.items()}, go_on)

    def _measure(self, lacking: dict[int, Plan], go_on: Callable[[int], None]) -> None:
        """Measure what each lacks, and let it go on as soon as it lacks nothing."""
        places, plans = list(lacking), list(lacking.values())
        awaited, waiting = Awaited(plans), dict.fromkeys(places)

        def hear(measurement: Measurement, outcome: Outcome) -> None:
            # What others rest on is told again: what became of it at first stands.
            self._outcomes.setdefault(measurement, outcome)
            for row in awaited.complete(measurement):
                del waiting[places[row]]
                go_on(places[row])

        self._fill(Plan(chain.from_iterable(plans)), plans, hear)
        for place in waiting:
            go_on(place)

    def _fill(self, plan: Plan, portions: Sequence[Plan], hear: Hear) -> None:
        outcomes: dict[Measurement, Outcome]
        try:
            outcomes = self._engine.measure(plan, portions, hear, self._later)
        except Exception as problem:
            outcomes = dict.fromkeys(plan, in_a_sentence(problem))
        for measurement, outcome in outcomes.items():
            self._outcomes.setdefault(measurement, outcome)


class _Asker(Generic[_Answer]):
    """One that asks, what it lacks, and its answer in the end."""

    def __init__(self, asking: Asking[_Answer], outcomes: dict[Measurement, Outcome], record: Record) -> None:
        self._asking, self._outcomes, self._record = asking, outcomes, record
        self._has_begun = False
        self.lacking = Plan(())
        self.answer: _Answer

    def goes_on(self) -> bool:
        """Let it ask until it lacks something; whether it does."""
        try:
            while True:
                measurements = self._asking.send(self._record) if self._has_begun else next(self._asking)
                self._has_begun = True
                self.lacking = Plan(one for one in measurements if one not in self._outcomes)
                if len(self.lacking):
                    return True
        except StopIteration as end:
            self.answer = end.value
            return False
