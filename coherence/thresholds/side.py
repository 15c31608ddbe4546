"""Which ends of an interval a threshold bounds."""

from decimal import Decimal
from enum import StrEnum
from math import floor

from coherence.vocabulary import Criterion, Estimate


class Side(StrEnum):
    """A threshold from below, from above, or from both sides at once.

    Of reaches, more is safer: a criterion passes when its `reach` is at least that of the threshold.
    """

    AT_LEAST = ">="
    AT_MOST = "<="
    WITHIN = "within +-"

    def reach(self, estimate: Estimate) -> float:
        """How strict a threshold the whole interval passes."""
        return self._reach(estimate.low, estimate.high)

    def expected(self, estimate: Estimate) -> float:
        """How strict a threshold the value alone passes: the reach of an interval without width."""
        return self._reach(estimate.value, estimate.value)

    def furthest(self, estimate: Estimate) -> float:
        """Strictness beyond which the whole interval is outside, so that the criterion fails."""
        if self is Side.WITHIN:
            return -max(estimate.low, -estimate.high, 0.0)
        return estimate.high if self is Side.AT_LEAST else -estimate.low

    def other_fails(self, criterion: Criterion) -> bool:
        """Tell whether the whole interval lies beyond the end of a range that this side does not bound."""
        low, high = criterion.estimate.low, criterion.estimate.high
        beyond = {Side.AT_LEAST: low > criterion.at_most, Side.AT_MOST: high < criterion.at_least}
        return beyond.get(self, False)

    def reach_of(self, threshold: float) -> float:
        """Turn a threshold, as it is written in a suite, into a reach; and back."""
        return threshold if self is Side.AT_LEAST else 0.0 - threshold

    def _reach(self, low: float, high: float) -> float:
        return {Side.AT_LEAST: low, Side.AT_MOST: -high, Side.WITHIN: min(low, -high)}[self]


def sides(criterion: Criterion, written: object) -> tuple[Side, ...]:
    """One side per number that is written under the criterion's key."""
    if isinstance(written, tuple):
        return Side.AT_LEAST, Side.AT_MOST
    if criterion.at_least > -float("inf") and criterion.at_most < float("inf"):
        return (Side.WITHIN,)
    return (Side.AT_LEAST if criterion.at_least > -float("inf") else Side.AT_MOST,)


def plain(threshold: float) -> str:
    """Write a threshold as every reader of YAML takes it for a number: 0.00001, and not 1e-05."""
    return format(Decimal(f"{threshold:.12g}"), "f")


def decimals(threshold: float) -> int:
    """How many decimals a number has that takes the place of this one: as many, and two at least."""
    exponent = Decimal(repr(threshold)).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(2, -exponent)


def outward(reach: float, places: int = 2) -> float:
    """Round to so many decimals, to the lenient side."""
    scale = 10.0**places
    return floor(round(scale * reach, 9)) / scale
