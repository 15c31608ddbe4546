"""Records that count how often each measurement is taken out of them."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from coherence.plan import Measurement, Record
from coherence.properties import Case


class Looked(Record):
    """A part of another record, and how often it is looked into for each measurement."""

    def __init__(self, record: Record, needs: Iterable[Measurement]) -> None:
        super().__init__({need: record._values[need] for need in needs})
        self.taken = Counter[Measurement]()

    def _get(self, measurement: Measurement, kind: type[Any]) -> Any:
        self.taken[measurement] += 1
        return super()._get(measurement, kind)


def takes_what_it_needs(case: Case, record: Record) -> None:
    """Require that criteria take all of `needs` and nothing else, and that nothing is looked up twice."""
    alone, whole = Looked(record, case.needs()), Looked(record, case.measurements())
    criteria = tuple(case.criteria(case.sample(alone, 0)))
    assert alone.taken.keys() == {*case.needs()}
    assert case.judge(whole, 0).criteria == criteria
    assert {*alone.taken.values(), *whole.taken.values()} == {1}
