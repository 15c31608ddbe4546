"""Whether a response slides like a line or switches like a logistic curve: both have two parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from coherence.statistics.geometry import Array

Shape = Callable[[Array], Array]
"""From weights to positions."""

STEEPEST = 200.0  # of a logistic curve, beyond which steps between any weights look the same
STARTS = (2.0, 8.0, 32.0)  # steepness at which the search for the nearest curve starts


def line(at: Array, positions: Array) -> Shape:
    """Find the line nearest to positions at weights, [weights] each, by least squares.

    See docs/verdicts.md#attractor, `steepness`.
    """
    slope, start = np.polyfit(at, positions, 1)
    return lambda weights: start + slope * weights


@dataclass(frozen=True)
class Logistic:
    """The curve 1 / (1 + exp(-k (w - c))) from 0 to 1, with c the `middle` and k the `steepness`.

    See docs/verdicts.md#attractor.
    """

    middle: float
    steepness: float

    @classmethod
    def nearest(cls, at: Array, positions: Array) -> Self:
        """Find the one with the smallest squared error, from positions at weights, [weights] each."""
        from scipy.optimize import least_squares

        def error(parameters: Array) -> Array:
            return cls(*parameters)(at) - positions

        # Squared error has more than one valley: the search starts half way up, at three steepnesses.
        half = float(at[np.argmin(np.abs(positions - 0.5))])
        fits = [
            least_squares(error, (half, start), bounds=((-1.0, 0.0), (2.0, STEEPEST))) for start in STARTS
        ]
        return cls(*map(float, min(fits, key=lambda one: one.cost).x))

    def __call__(self, at: Array) -> Array:
        """Positions on the curve at weights, in their shape: 1/2 at the middle."""
        # The same curve by tanh, which does not overflow where it is steep.
        return np.asarray(0.5 + 0.5 * np.tanh(self.steepness * (at - self.middle) / 2))

    @property
    def slope(self) -> float:
        """How fast it rises at its middle; a linear response rises by 1."""
        return self.steepness / 4
