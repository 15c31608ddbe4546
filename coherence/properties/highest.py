"""The second criterion beside a mean of KL: its highest value, and what that says of what was not drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coherence.properties.criterion import exact
from coherence.statistics.heavy_tail import heaviest, unseen_share
from coherence.statistics.intervals import Array
from coherence.vocabulary import Criterion
from coherence.vocabulary.evidence import Sampled, number

TIMES = 10
"""A bound on the highest value that is not written is so many times that on the mean."""


def at_worst(written: float | None, most: float) -> float:
    """Bound on the highest value: as it is written, or else ten times that on the mean.

    See docs/verdicts.md#intervals, The highest.
    """
    return TIMES * most if written is None else written


@dataclass(frozen=True)
class Tail:
    """KL by probe or script, of which there is a mean as well.

    A mean forgives the one question that goes wrong, and a sample that has not drawn it knows nothing of it.
    The highest value is a fact about these probes: it has no interval, and is neither counted nor adjusted
    among the claims of a run. What it says of other questions is said in a note, and holds of such that are
    drawn as these were. See docs/verdicts.md#intervals, The highest.
    """

    what: str  # as in "mean `what`"
    key: str  # of the bound
    values: Array  # [probes] or [scripts]
    clusters: Sequence[str]
    at_most: float
    of: Sampled = "probes"

    def criterion(self, unreliable: str | None = None) -> Criterion:
        """Hold the highest value against its bound; `unreliable` says why it cannot decide."""
        highest, n = float(self.values.max()), len(self.values)
        name = f"highest {self.what}"
        return exact(name, highest, n, self.at_most, unreliable, key=self.key, of=self.of)

    def notes(self) -> Iterator[str]:
        """Say what makes most of the mean, and how many others may be over the bound."""
        heavy = heaviest(self.values, self.clusters)
        if heavy:
            cluster, share = heavy
            yield (
                f"heavy tail: {cluster!r} alone makes {share:.0%} of the mean {self.what}, and other "
                f"{self.of} may hold several such, or none"
            )
        if (self.values <= self.at_most).all():
            most = unseen_share(len(set(self.clusters)))
            yield (
                f"none of {len(self.values)} {self.of} has a {self.what} over {number(self.at_most)}: "
                f"at 97.5 %, fewer than {most:.0%} of all such {self.of} have"
            )
