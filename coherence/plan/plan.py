"""All measurements of a run: de-duplicated, dependencies first."""

from collections.abc import Iterable, Iterator

from coherence.plan.measurement import Measurement, rests_on


class Plan:
    """An ordered set of measurements; each brings along what it rests on, before itself."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        ordered: dict[Measurement, None] = {}
        for measurement in measurements:
            _add(measurement, ordered)
        self._measurements = tuple(ordered)

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self._measurements)

    def __len__(self) -> int:
        return len(self._measurements)


def _add(measurement: Measurement, ordered: dict[Measurement, None]) -> None:
    if measurement not in ordered:
        for needed in rests_on(measurement):
            _add(needed, ordered)
        ordered[measurement] = None
