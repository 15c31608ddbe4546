"""At which dose an effect is found again: on the curve of the same effect at several doses."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from coherence.statistics.geometry import Array

STEPS = 64
"""Doses that are looked at between two that were measured."""


def dose_of(effect: Array, curve: Mapping[float, Array]) -> float:
    """Dose whose effect is nearest to this one, by least squares over all tokens: from 0 to the highest.

    `effect` [tokens] in nats; `curve` has the effects [tokens] that were measured at each dose above 0.
    Between doses effects are interpolated, and at 0 there is none: what a dose does is not linear, so that a
    slope alone misjudges large ones. ValueError where no dose was measured.
    """
    if not curve:
        raise ValueError("no dose was measured")
    doses = [0.0, *sorted(curve)]
    effects = [np.zeros(len(effect)), *(np.asarray(curve[dose], np.float64) for dose in doses[1:])]
    tried = [
        (float(np.square(effect - (1 - share) * low - share * high).sum()), start + share * (end - start))
        for (start, end), (low, high) in zip(pairwise(doses), pairwise(effects), strict=True)
        for share in np.linspace(0, 1, STEPS + 1)
    ]
    return float(min(tried)[1])
