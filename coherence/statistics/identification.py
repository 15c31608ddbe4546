"""Which persona a reply is of, told by the nearest of the personas' centroids."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.agreement import mean_share
from coherence.statistics.geometry import Array, Real, cosine
from coherence.statistics.intervals import Interval


def nearest(known: Real, replies: Real, clusters: Sequence[str]) -> NDArray[np.intp]:
    """Tell of each reply whose it is: [personas, probes], by the row of a persona.

    From what the replies are read as, [personas, sites, probes, width] each: `known` are those whose persona
    is known, and `replies` those to be told. It is the persona whose mean over probes of all other clusters
    has the highest cosine with the reply, both less the mean over personas, averaged over sites. A reply is
    therefore never told by one to a question like its own. See docs/verdicts.md#distinct.
    """
    members = np.unique(np.asarray(clusters), return_inverse=True)[1]
    told = np.empty((len(replies), len(members)), np.intp)
    for cluster in range(members.max() + 1):
        inside = members == cluster
        centroids = known[:, :, ~inside].mean(2, dtype=np.float64)
        middle = centroids.mean(0)
        apart = replies[:, :, inside] - middle[:, None]
        cosines = cosine(apart[:, None], (centroids - middle)[:, :, None])
        told[:, inside] = np.nan_to_num(cosines, nan=-1.0).mean(2).argmax(1)
    return told


def confusion(told: NDArray[np.intp]) -> Array:
    """Share of a persona's replies that are told as each one's: [personas, personas], rows have the sum 1."""
    return np.stack([(told == persona).mean(1) for persona in range(len(told))], axis=1)


def identified(told: NDArray[np.intp], clusters: Sequence[str]) -> Interval:
    """Share of replies whose persona is told, of all personas alike; chance gives 1 / personas.

    From whose they were told to be, [personas, probes]. See docs/verdicts.md#distinct.
    """
    return mean_share((told == np.arange(len(told))[:, None]).mean(0), clusters)
