"""What a curved statistic does to Student's t: it leans to the side on which its spread is smaller.

To second order, a studentised U-statistic of curvature c is below t as often as Student's t is below
t + c (t^2 + 1) / 2 (Helmers 1991; docs/verdicts.md#intervals). The third moment of the influences, the
other term of that order, is left out: told from a dozen clusters it is mostly noise. Far from 0 the square
goes over into a line, so that t stays in order.
"""

from math import isinf, sqrt
from typing import overload

import numpy as np

from coherence.statistics.intervals import Array

FEWEST = 7  # clusters; told from fewer, a curvature is noise
FLAT = 1e-9  # a curvature below it is rounding


@overload
def straightened(t: float, curvature: float) -> float: ...
@overload
def straightened(t: Array, curvature: Array) -> Array: ...
def straightened(t: float | Array, curvature: float | Array) -> float | Array:
    """Give the t that is Student's, for a statistic of curvature c: near 0 it is t + c (t^2 + 1) / 2.

    Source: Helmers 1991, to second order. It rises with t, at half to one and a half times its speed. Both
    are numbers, or arrays of one shape. See docs/verdicts.md#intervals.
    """
    if isinstance(t, float) and isinf(t):
        return t
    # Near 0 the root is 1. Further out it bends the square into a line, without which t would turn back.
    return t + curvature * t**2 / (1 + np.sqrt(1 + 4 * (curvature * t) ** 2)) + curvature / 2


def bent(t: float, curvature: float) -> float:
    """Give the t that `straightened` turns into this one: its inverse, in closed form.

    It makes ends of intervals of Student's quantiles. See docs/verdicts.md#intervals.
    """
    if abs(curvature) < FLAT:
        return t
    along = curvature * (t - curvature / 2)
    return (4 * along + 1 - sqrt(4 * along**2 + 2 * along + 1)) / (3 * curvature)
