"""Jobs: what an executor is handed at a time, cut so that the rows of a condition stay together."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

from coherence.plan import Alone, Divergence, Measurement, Outcome, Reading, rests_on

# Large enough to fill batches, small enough to be stored, shown and repeated without pain.
MEASUREMENTS = 256

# Enough for a batch or two: rounds of so few measurements leave hardly more batches half empty.
ROUND = 96

# What a budget may be overspent by: about a batch.
BUDGETED = 32

# Less than that is not worth a batch.
FEWEST = 8


@dataclass(frozen=True)
class Job:
    """Measurements, and what was measured before that some of them rest on."""

    measurements: tuple[Measurement, ...]
    known: Mapping[Measurement, Outcome]

    def first(self, most: int | None) -> Self:
        """Cut it short. What rests on others stands behind them, so that nothing loses its ground."""
        return replace(self, measurements=self.measurements[:most])


def waves(missing: Sequence[Measurement]) -> Iterator[list[Measurement]]:
    """Split measurements by dependence: what rests on others comes after them.

    A reply and the mean over it under its own prompt go together: the mean is taken while it is said.
    """
    left = dict.fromkeys(missing)
    while left:
        now = [one for one in left if not any(needed in left for needed in _before(one))]
        yield now
        for one in now:
            del left[one]


def rounds(
    missing: Sequence[Measurement], portions: Iterable[Iterable[Measurement]], least: int = ROUND
) -> Iterator[list[Measurement]]:
    """Split measurements into waves so that one portion after the other comes to its end, at no arithmetic.

    What is measured under a condition goes together whoever wants it, as its rows share prompts and their
    beginning; only what rests on something that is not measured by then waits. Portions are gathered
    until there are `least` measurements, which fill batches. What no portion has comes at the end. Portions
    and `missing` have what others rest on before these, as plans have.
    """
    depth = {one: number for number, wave in enumerate(waves(missing)) for one in wave}
    groups = _grouped(missing, lambda one: (depth[one], _belongs(one)))
    together = {one: members for members in groups for one in members}
    begun: set[Measurement] = set()
    now: dict[Measurement, None] = {}

    def is_ready(one: Measurement) -> bool:
        return all(needed in begun or needed in now or needed not in depth for needed in _before(one))

    for portion in chain(portions, [missing]):
        for one in portion:
            if one in together and one not in begun and one not in now:
                others = (other for other in together[one] if other not in begun and is_ready(other))
                now |= dict.fromkeys(others)
        if len(now) >= least:
            yield from waves([*now])
            begun |= now.keys()
            now = {}
    yield from waves([*now])


def jobs(
    measurements: Iterable[Measurement],
    known: Mapping[Measurement, Outcome],
    workers: int = 1,
    most: int = MEASUREMENTS,
) -> list[Job]:
    """Cut a wave into jobs, whose order does not matter: whole conditions, and what is measured by itself.

    For several workers, the latter come first and jobs get smaller, so that all workers end at about the same
    time; a condition is cut, between prompts, where there is no longer one for each worker.
    """
    groups = _by_condition(measurements) if workers == 1 else _alone_first(_by_condition(measurements))
    left, size = sum(map(len, groups)), 0
    parts: list[list[Measurement]] = []
    for members in groups:
        for part in [members] if len(members) <= left // workers else _by_prompt(members):
            alone = isinstance(part[0], Alone)
            if not parts or alone or isinstance(parts[-1][0], Alone) or len(parts[-1]) >= size:
                parts.append([])
                size = _size(left, workers, most)
            parts[-1] += part
            left -= len(part)
    return [Job(tuple(members), _rested_on(members, known)) for members in parts]


def _size(left: int, workers: int, most: int) -> int:
    return most if workers == 1 else min(most, max(FEWEST, left // (2 * workers)))


def _before(measurement: Measurement) -> list[Measurement]:
    return [needed for needed in rests_on(measurement) if not _captured(measurement, needed)]


def _captured(measurement: Measurement, needed: Measurement) -> bool:
    """Whether it is taken while the text is said."""
    if not (isinstance(measurement, Reading) and measurement.text and measurement.is_captured):
        return False
    return needed in measurement.text.conversation and needed not in measurement.text.known


def _by_condition(measurements: Iterable[Measurement]) -> Collection[list[Measurement]]:
    return _grouped(measurements, _belongs)


def _belongs(measurement: Measurement) -> Hashable:
    if isinstance(measurement, Divergence):
        # What is compared with one reference goes together, so that the reference is run once.
        return measurement.reference, measurement.probe
    return measurement if isinstance(measurement, Alone) else measurement.condition


def _by_prompt(measurements: Iterable[Measurement]) -> Collection[list[Measurement]]:
    return _grouped(measurements, _prompted)


def _prompted(measurement: Measurement) -> Hashable:
    return getattr(measurement, "probe", measurement)


def _alone_first(groups: Iterable[list[Measurement]]) -> Collection[list[Measurement]]:
    # It cannot be cut: what takes longest comes first.
    return sorted(groups, key=lambda members: not isinstance(members[0], Alone))


def _grouped(
    measurements: Iterable[Measurement], key: Callable[[Measurement], Hashable]
) -> Collection[list[Measurement]]:
    groups: dict[Hashable, list[Measurement]] = {}
    for measurement in measurements:
        groups.setdefault(key(measurement), []).append(measurement)
    return groups.values()


def _rested_on(
    measurements: Iterable[Measurement], known: Mapping[Measurement, Outcome]
) -> dict[Measurement, Outcome]:
    needed = (before for one in measurements for before in rests_on(one))
    return {before: known[before] for before in needed if before in known}
