"""Which plans still lack a measurement."""

from collections.abc import Iterator, Sequence

from coherence.plan import Measurement, Plan


class Awaited:
    """Knows how much each of some plans still lacks."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._lacking = [len(plan) for plan in plans]
        self._empty = [place for place, lacking in enumerate(self._lacking) if not lacking]
        self._waiting: dict[Measurement, list[int]] = {}
        for place, plan in enumerate(plans):
            for measurement in plan:
                self._waiting.setdefault(measurement, []).append(place)

    def complete(self, measurement: Measurement) -> Iterator[int]:
        """Take in that a measurement is there; yield the places of plans for which it was the last.

        With the first one come those that want nothing.
        """
        while self._empty:
            yield self._empty.pop(0)
        for place in self._waiting.pop(measurement, ()):
            self._lacking[place] -= 1
            if not self._lacking[place]:
                yield place
