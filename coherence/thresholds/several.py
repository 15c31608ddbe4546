"""What healthy releases show that differ as one training run does from another."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from coherence.statistics import student
from coherence.thresholds.healthy import Healthy


@dataclass(frozen=True)
class Several:
    """One side of one criterion on healthy releases of a suite, by their names: one of them, or several."""

    each: Mapping[str | None, Healthy]

    @property
    def known(self) -> bool:
        """Whether anything can be told from them."""
        return all(one.known for one in self.each.values())

    @property
    def end(self) -> float:
        """The reach of the interval that reaches least."""
        return min(one.end for one in self.each.values())

    def weakest(self, false_alarm: float) -> str | None:
        """Name the release that needs the lowest threshold."""
        return min(self.each, key=lambda name: self.each[name].threshold(false_alarm))

    def threshold(self, false_alarm: float) -> float:
        """Find the reach that each of them misses on other probes with at most this probability.

        So does one more of their kind, if there are several.
        """
        limits = (one.threshold(false_alarm) for one in self.each.values())
        return min(*limits, self._of_another(false_alarm))

    def false_alarm(self, reach: float) -> float:
        """Tell how probable it is that one of them, or one more, misses the reach."""
        from scipy.optimize import brentq

        alone = max(one.false_alarm(reach) for one in self.each.values())
        if not np.isfinite(self._of_another(0.5)):
            return alone
        return max(alone, float(brentq(lambda rate: self._of_another(rate) - reach, 1e-9, 1 - 1e-9)))

    def needed(self, reach: float, power: float) -> float:
        """Give the size of a sample on which all of them pass with this probability."""
        return max(one.needed(reach, power) for one in self.each.values())

    def _of_another(self, false_alarm: float) -> float:
        """Prediction limit for a further release, on a further sample; endless where there is only one.

        Random effects: the end of its interval differs from the mean of these by the sampling of both, on
        probes that these share, and by what lies between releases. Student's quantiles of either are weighted
        by their variances (Cochran and Cox 1950), so that two releases do not seem to tell more than they do.
        """
        ends = {one.end: one for one in self.each.values()}  # what is the same was not trained anew
        if len(ends) < 2 or not self.known:
            return inf
        sampled = 2 * np.mean([one.error**2 for one in ends.values()])
        between = np.var([*ends], ddof=1) * (1 + 1 / len(ends))
        freedom = min(one.freedom for one in ends.values())
        tails = [student.quantile(1 - false_alarm, each) for each in (freedom, len(ends) - 1)]
        quantile = np.average(tails, weights=[sampled, between])
        return float(np.mean([*ends]) - quantile * sqrt(sampled + between))
