"""How far two runs of what should be the same residuals are apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.intervals import Array


def relative_deviation(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> Array:
    """|first - second| over the median |first| at that depth: [readings, depths].

    From residuals [readings, depths, width] of each; the median is over the readings, and the norms are
    Euclidean. See docs/verdicts.md#cache.
    """
    apart = np.linalg.norm(second.astype(np.float64) - first, axis=2)
    return np.asarray(apart / np.median(np.linalg.norm(first.astype(np.float64), axis=2), axis=0))
