"""Which assertions still wait for a measurement."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from coherence.plan import Measurement, Plan

_Name = TypeVar("_Name")


class Awaited(Generic[_Name]):
    """Knows what each of some plans, by name, still lacks; `nothing` lists those that have none of it."""

    def __init__(self, plans: Mapping[_Name, Plan]) -> None:
        self.nothing = [name for name, plan in plans.items() if not len(plan)]
        self._lacking = {name: len(plan) for name, plan in plans.items()}
        self._waiting: dict[Measurement, list[_Name]] = {}
        for name, plan in plans.items():
            for measurement in plan:
                self._waiting.setdefault(measurement, []).append(name)

    def complete(self, measurement: Measurement) -> Iterator[_Name]:
        """Take in that a measurement is there; yield the plans for which it was the last."""
        for name in self._waiting.pop(measurement, ()):
            self._lacking[name] -= 1
            if not self._lacking[name]:
                yield name
