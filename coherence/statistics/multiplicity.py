"""Many tests at once: how often any of them rejects what is true."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from coherence.statistics.intervals import Array


def shares(groups: Sequence[str | None]) -> Array:
    """Divide a level: every group has the same share, and its tests divide it evenly; [tests], 0 for None.

    1 / (number of groups x tests of the group). See docs/verdicts.md#many-assertions-one-gate.
    """
    tests = Counter(group for group in groups if group is not None)
    return np.array([0.0 if group is None else 1 / (len(tests) * tests[group]) for group in groups])


def holm(p: Array, weights: Array | None = None) -> Array:
    """Adjust p-values [tests] by stepping down (Holm 1979), under any dependence between the tests.

    In the order of p / weight, each is p / weight x the weight of itself and those after it, and no less than
    any before. Rejecting where that is at most a level rejects any true hypothesis at most that often. With
    weights [tests], of any sum, a test has its share of the level (section 4 there); without, all have the
    same. One of weight 0 has none of it: it is never rejected, and costs the others nothing.
    See docs/verdicts.md#many-assertions-one-gate.
    """
    weights = np.ones(len(p)) if weights is None else weights
    has = weights > 0
    # By p over weight, as what is rejected first leaves its share to the others. Weight 0 comes last.
    by_share = np.divide(p, weights, out=np.full(len(p), np.inf), where=has)
    rising = np.argsort(by_share, kind="stable")
    waiting = np.cumsum(weights[rising][::-1])[::-1]  # the weight of those that have not been rejected yet
    stepped = np.where(has[rising], p[rising] * waiting, 1.0) / np.where(has, weights, 1.0)[rising]
    adjusted = np.empty(len(p))
    # None is rejected before those ahead of it: its share counts on theirs.
    adjusted[rising] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
