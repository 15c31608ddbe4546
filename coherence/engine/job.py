"""Jobs: what an executor is handed at a time, cut so that the rows of a condition stay together."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coherence.plan import LawSearch, Measurement, Outcome, Reading

# Large enough to fill batches, small enough to be stored, shown and repeated without pain.
MEASUREMENTS = 256

# Less than that is not worth a batch.
FEWEST = 8


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


def jobs(
    measurements: Iterable[Measurement], known: Mapping[Measurement, Outcome], workers: int = 1
) -> list[Job]:
    """Cut a wave into jobs, whose order does not matter: whole conditions, and each law by itself.

    For several workers, laws are first and jobs get smaller, so that all workers end at about the same time;
    a condition is cut, between prompts, where there is no longer one for each worker.
    """
    groups = _by_condition(measurements) if workers == 1 else _laws_first(_by_condition(measurements))
    left, size = sum(map(len, groups)), 0
    found: list[list[Measurement]] = []
    for members in groups:
        for part in [members] if len(members) <= left // workers else _by_prompt(members):
            alone = isinstance(part[0], LawSearch)
            if not found or alone or isinstance(found[-1][0], LawSearch) or len(found[-1]) >= size:
                found.append([])
                size = _size(left, workers)
            found[-1] += part
            left -= len(part)
    return [Job(tuple(members), _read_by(members, known)) for members in found]


def _size(left: int, workers: int) -> int:
    return MEASUREMENTS if workers == 1 else min(MEASUREMENTS, max(FEWEST, left // (2 * workers)))


def _reads_another(measurement: Measurement, known: Mapping[Measurement, Outcome]) -> bool:
    if not isinstance(measurement, Reading) or measurement.text is None or measurement.text in known:
        return False
    return (measurement.text.condition, measurement.text.probe) != (measurement.condition, measurement.probe)


def _by_condition(measurements: Iterable[Measurement]) -> Collection[list[Measurement]]:
    return _grouped(measurements, lambda one: one if isinstance(one, LawSearch) else one.condition)


def _by_prompt(measurements: Iterable[Measurement]) -> Collection[list[Measurement]]:
    return _grouped(measurements, lambda one: one if isinstance(one, LawSearch) else one.probe)


def _laws_first(groups: Iterable[list[Measurement]]) -> Collection[list[Measurement]]:
    # A law cannot be cut: what takes longest comes first.
    return sorted(groups, key=lambda members: not isinstance(members[0], LawSearch))


def _grouped(
    measurements: Iterable[Measurement], key: Callable[[Measurement], Hashable]
) -> Collection[list[Measurement]]:
    found: dict[Hashable, list[Measurement]] = {}
    for measurement in measurements:
        found.setdefault(key(measurement), []).append(measurement)
    return found.values()


def _read_by(
    measurements: Iterable[Measurement], known: Mapping[Measurement, Outcome]
) -> dict[Measurement, Outcome]:
    texts = [one.text for one in measurements if isinstance(one, Reading) and one.text]
    return {said: known[said] for text in texts for said in text.conversation if said in known}
