"""Many tests at once: how often any of them rejects what is true."""

import numpy as np

from coherence.statistics.intervals import Array


def holm(p: Array) -> Array:
    """Adjust p-values [tests] by stepping down (Holm 1979), under any dependence between the tests.

    Rejecting where the adjusted p is at most a level rejects any true hypothesis at most that often.
    """
    rising = np.argsort(p, kind="stable")
    stepped = p[rising] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[rising] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
