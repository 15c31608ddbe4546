"""Long upper tails: what a sample of values that are never negative, such as KL, may not have shown yet.

A few large values make the mean of a KL, and a sample that has drawn none of them is too low and too sure of
it. Nothing in that sample says so: what stands in for them here is assumed, and named.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.intervals import TAIL, Array

UNSEEN = "\0unseen"  # name of a cluster that was not drawn; no other has one like it
MUCH = 1 / 3  # of a sum: what a cluster must make of it for the mean to hang on it
UNEVEN = 2  # times its even share, too: of a few clusters each makes much


def with_unseen(values: Array, clusters: Sequence[str]) -> tuple[Array, list[str]]:
    """Add one cluster to values [probes], as far above the highest as that is above the median one.

    Heights are means of clusters, and it has as many probes as they have on average. That is the assumption:
    one more cluster may lie beyond all that were drawn, by as much as these are spread. So it follows their
    tail, adds nothing where all are alike, and is the same in any unit. See docs/verdicts.md#intervals.
    """
    _, sums, sizes = _by_cluster(values, clusters)
    means = sums / sizes
    probes = round(float(sizes.mean()))
    height = 2 * means.max() - np.median(means)
    return np.append(values, np.full(probes, height)), [*clusters, *[UNSEEN] * probes]


def heaviest(values: Array, clusters: Sequence[str]) -> tuple[str, float] | None:
    """Name the cluster that makes most of the sum of values [probes], and its share of it.

    None where that is no more than a third, or no more than twice its even share.
    See docs/verdicts.md#intervals, The highest.
    """
    names, sums, _ = _by_cluster(values, clusters)
    whole, row = float(sums.sum()), int(np.argmax(sums))
    share = float(sums[row]) / whole if whole > 0 else 0.0
    return (names[row], share) if share > max(MUCH, UNEVEN / len(names)) else None


def unseen_share(clusters: int) -> float:
    """Share of all clusters that may break a bound, at 97.5 %, where none of these, drawn at random, does.

    1 - 0.025^(1 / n) (Clopper and Pearson 1934); about 3.7 / n, as the rule of three says 3 / n at 95 %.
    See docs/verdicts.md#intervals, The highest.
    """
    return float(1 - TAIL ** (1 / clusters))


def _by_cluster(values: Array, clusters: Sequence[str]) -> tuple[list[str], Array, NDArray[np.int_]]:
    """Names, sums and numbers of probes: [clusters] each."""
    names, members = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.asarray(np.bincount(members, weights=values), np.float64)
    return list(map(str, names)), sums, np.bincount(members)
