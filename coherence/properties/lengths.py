"""The length of a probe as a covariate: an estimate that goes with it may be about length."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from coherence.statistics.ranks import spearman
from coherence.vocabulary import Estimate, Probe


def by_length(name: str, by_probe: ArrayLike, probes: Sequence[Probe]) -> tuple[str, ...]:
    """Say how a statistic goes with the probes' lengths in characters, if it clearly does.

    Of [probes], or of [probes * samples], probe by probe, whose means over the samples are taken.
    """
    means = np.reshape(np.asarray(by_probe, dtype=np.float64), (len(probes), -1)).mean(1)
    lengths = np.array([len(probe.text) for probe in probes], dtype=np.float64)
    correlation = spearman(lengths, means)
    if not (correlation.low > 0 or correlation.high < 0):
        return ()
    rho = Estimate(
        name="Spearman's rho",
        value=correlation.value,
        low=correlation.low,
        high=correlation.high,
        n=len(probes),
    )
    return (f"{name} {'rises' if correlation.value > 0 else 'falls'} with the length of the probe: {rho}",)
