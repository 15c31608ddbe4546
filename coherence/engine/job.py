"""Jobs: what an executor is handed at a time, cut so that the rows of a condition stay together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coherence.plan import Condition, LawSearch, Measurement, Outcome, Reading

# Large enough to fill batches, small enough to be stored, shown and repeated without pain.
MEASUREMENTS = 256


@dataclass(frozen=True)
class Job:
    """Measurements, and the replies measured before that some of them read."""

    measurements: tuple[Measurement, ...]
    known: Mapping[Measurement, Outcome]


def waves(
    missing: Sequence[Measurement], known: Mapping[Measurement, Outcome]
) -> Iterator[list[Measurement]]:
    """Split measurements by dependence: what reads a reply of another condition comes after that reply.

    A reply and the readings of its own condition go together: they are taken while it is said.
    """
    later = [measurement for measurement in missing if _reads_another(measurement, known)]
    yield [measurement for measurement in missing if not _reads_another(measurement, known)]
    yield later


def jobs(measurements: Iterable[Measurement], known: Mapping[Measurement, Outcome]) -> list[Job]:
    """Cut a wave into jobs, whose order does not matter: whole conditions, and each law by itself."""
    found: list[list[Measurement]] = []
    for members in _by_condition(measurements):
        alone = isinstance(members[0], LawSearch)
        if not found or alone or isinstance(found[-1][0], LawSearch) or len(found[-1]) >= MEASUREMENTS:
            found.append([])
        found[-1] += members
    return [Job(tuple(members), _read_by(members, known)) for members in found]


def _reads_another(measurement: Measurement, known: Mapping[Measurement, Outcome]) -> bool:
    if not isinstance(measurement, Reading) or measurement.text is None or measurement.text in known:
        return False
    return (measurement.text.condition, measurement.text.probe) != (measurement.condition, measurement.probe)


def _by_condition(measurements: Iterable[Measurement]) -> Iterable[list[Measurement]]:
    found: dict[Condition | LawSearch, list[Measurement]] = {}
    for measurement in measurements:
        key = measurement if isinstance(measurement, LawSearch) else measurement.condition
        found.setdefault(key, []).append(measurement)
    return found.values()


def _read_by(
    measurements: Iterable[Measurement], known: Mapping[Measurement, Outcome]
) -> dict[Measurement, Outcome]:
    texts = [measurement.text for measurement in measurements if isinstance(measurement, Reading)]
    return {text: known[text] for text in texts if text is not None and text in known}
