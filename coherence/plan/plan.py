"""All measurements of a run: de-duplicated, dependencies first."""

from collections.abc import Iterable, Iterator

from coherence.plan.measurement import Measurement, Reading


class Plan:
    """An ordered set of measurements; a reading of a reply brings the reply along, before itself."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        ordered: dict[Measurement, None] = {}
        for measurement in measurements:
            if isinstance(measurement, Reading) and measurement.text is not None:
                ordered.setdefault(measurement.text)
            ordered.setdefault(measurement)
        self._measurements = tuple(ordered)

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self._measurements)

    def __len__(self) -> int:
        return len(self._measurements)
