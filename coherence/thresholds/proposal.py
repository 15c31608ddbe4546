"""Proposals: a threshold that healthy releases pass, how far the controls are from it, and what it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coherence.thresholds.healthy import Healthy
from coherence.thresholds.side import Side
from coherence.thresholds.written_claim import Entry
from coherence.vocabulary import Criterion, Estimate
from coherence.vocabulary.evidence import Sampled

Criteria = Mapping[str, Criterion]


@dataclass(frozen=True)
class CalibrationTerms:
    """What is asked of thresholds: probabilities, how many halves of a sample are drawn, and the seed."""

    false_alarm: float
    power: float
    halves: int
    seed: int

    def __str__(self) -> str:
        rates = f"false alarms {percent(self.false_alarm)}, power {percent(self.power)}"
        return f"{rates}, {self.halves} halves, seed {self.seed}"


@dataclass(frozen=True)
class Halved:
    """What was judged on halves of a sample of so many clusters."""

    judged: Sequence[Criteria]
    clusters: int


@dataclass(frozen=True)
class Trial:
    """Criteria of one assertion by key: under several seeds, on halves by their unit, and of its controls.

    The `release` that it is about is named where there are several. A criterion need not be in all of them:
    a claim may be one only where it can be told.
    """

    entry: Entry
    id: str
    release: str | None
    whole: Sequence[Criteria]
    halves: Mapping[Sampled, Halved]
    controls: Mapping[str, Criteria]

    @property
    def name(self) -> str:
        """The assertion, and the release where there are several."""
        return named(self.id, self.release)

    def criteria(self, key: str) -> list[Criterion]:
        """Return the criterion under the seeds that have it."""
        return [criteria[key] for criteria in self.whole if key in criteria]

    def healthy(self, key: str, side: Side) -> Healthy:
        """Sum up what the release shows on one side of a criterion."""
        whole = self.criteria(key)
        halves = self.halves[whole[0].estimate.of]
        return Healthy.of(side, whole, [criteria.get(key) for criteria in halves.judged], halves.clusters)


@dataclass(frozen=True)
class ControlEstimate:
    """Somebody else in a persona's place, and what a criterion says of it."""

    who: str
    assertion: str
    release: str | None
    estimate: Estimate

    def __str__(self) -> str:
        return f"{self.who} as {named(self.assertion, self.release)}, {self.estimate.spread}"


@dataclass(frozen=True)
class Proposal:
    """One number of a suite: what it is, and what it could be (None: nothing can be proposed).

    `item` is its place in a range of two. On a sample of `needed` a healthy release passes the current
    threshold with the power that was asked for. The `weakest` assertion is that of a `release`, where there
    are several. `notes` are sentences.
    """

    entry: Entry
    key: str
    item: int
    side: Side
    current: float
    proposed: float | None
    weakest: str
    release: str | None
    estimate: Estimate
    control: ControlEstimate | None
    needed: float
    notes: tuple[str, ...]

    @property
    def margin(self) -> float | None:
        """From the proposed threshold to the near end of the best control's interval; below 0: inside it."""
        if self.proposed is None or self.control is None:
            return None
        return self.side.reach_of(self.proposed) - self.side.furthest(self.control.estimate)


def named(name: str, release: str | None) -> str:
    """Say which release is meant, if there are several."""
    return name if release is None else f"{name} ({release})"


def percent(share: float) -> str:
    """Say a share as a reader does: 5 %."""
    return f"{100 * share:g} %"
