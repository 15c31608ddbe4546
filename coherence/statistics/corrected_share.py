"""What people would say of replies, by what a judge says of them and how often it is wrong.

A judge that scores replies which meet a rubric `met` on average, and others `unmet`, scores a share x of the
former x met + (1 - x) unmet. Solved for x, that is the estimator of Rogan and Gladen (1978), with scores of
0 to 1 in the place of yes and no. It takes the judge to score replies alike of which people say the same,
wherever they are from. How many of the labelled ones meet the rubric does not matter, as it would for
prediction-powered inference (arXiv 2301.09633), whose labels are drawn from the very replies that are judged.

Three means have intervals of their own. A share is refused where 0 lies outside of the interval of
observed - x met - (1 - x) unmet, made of theirs by the square-and-add rule (Zou and Donner 2008, Statistics
in Medicine 27, 1693): so it has the error of the labels in it, and nothing is divided by what may be 0.
What is observed beyond either of the others, as chance or plainer replies than the labelled ones may have it,
is taken to lie there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import copysign, erfc, hypot, sqrt

from coherence.statistics.intervals import Interval, Z

Weights = Callable[[float], Sequence[float]]
"""How much each of three means counts, when the truth lies at a bound."""


_ROUNDING = 1e-12  # what sums of means that are exact are apart by


def corrected_share(observed: Interval, met: Interval, unmet: Interval) -> Interval:
    """Share of replies that meet a rubric as people say, from a judge's mean scores, of 0 to 1.

    Those are of the replies, and of labelled ones that meet it and that do not.
    Nothing is known (0 to 1) where `met` is not above `unmet`.
    """
    within = _within(observed, unmet.value, met.value)
    return _Corrected((within, met, unmet), lambda x: (1.0, -x, x - 1), 0.0).interval


def corrected_difference(observed: Interval, met: Interval, unmet: Interval) -> Interval:
    """Difference of two such shares, from the difference of the judge's mean scores: -1 to 1."""
    most = met.value - unmet.value
    return _Corrected((_within(observed, -most, most), met, unmet), lambda x: (1.0, -x, x), -1.0).interval


def _within(observed: Interval, low: float, high: float) -> Interval:
    """Move an interval as a whole so that its value is not beyond what it can be."""
    return observed.above(max(0.0, observed.value - high) + min(0.0, observed.value - low))


@dataclass(frozen=True)
class _Corrected:
    means: tuple[Interval, Interval, Interval]
    weights: Weights
    least: float

    @property
    def interval(self) -> Interval:
        observed, met, unmet = (one.value for one in self.means)
        if not met > unmet:
            return Interval(0.5 + self.least / 2, self.least, 1.0)
        level = unmet if self.least == 0 else 0.0
        value = (observed - level) / (met - unmet)
        return Interval(value, self._end(value, self.least), self._end(value, 1.0), self._doubt)

    def _end(self, value: float, most: float) -> float:
        """Go from the value as far towards the most as no share is refused."""
        from scipy.optimize import brentq

        if abs(self._standing(most)) <= 1 or value == most:
            return most
        beyond = copysign(1.0, self._standing(most))
        return float(brentq(lambda x: self._standing(x) - beyond, value, most))

    def _doubt(self, bound: float) -> float:
        return erfc(Z * abs(self._standing(bound)) / sqrt(2)) / 2

    def _standing(self, x: float) -> float:
        """Say how far the sum is from 0, in units of its interval's half on that side: at its ends +-1."""
        weighted = list(zip(self.weights(x), self.means, strict=True))
        total = sum(weight * one.value for weight, one in weighted)
        # Where the sum is too large, what matters is how much smaller each term may be; and the other way.
        side = -copysign(1.0, total)
        reaches = [
            weight * ((one.high if weight * side > 0 else one.low) - one.value) for weight, one in weighted
        ]
        return total / max(hypot(*reaches), _ROUNDING)
