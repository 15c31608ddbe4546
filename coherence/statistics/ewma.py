"""A control chart: exponentially weighted moving averages of ranks among values of a process in control.

Averages after Roberts (1959), with properties of Lucas and Saccucci (Technometrics 32, 1990); of ranks after
Hackl and Ledolter (Journal of Quality Technology 23, 1991).
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

import numpy as np
from scipy.signal import lfilter
from scipy.stats import norm

from coherence.statistics.intervals import Array

WEIGHT = 0.1
"""Of the newest conversation (lambda)."""

_TAIL = 100  # simulated streams beyond the limit, by which it is told: to a tenth of its rate
_VALUES = 2_000_000  # simulated at a time


def scores(values: Array, home: Array) -> Array:
    """Return the normal score of the rank of each value among those of the process in control, [values].

    Values that are equal have the rank in their middle. Nothing but the order counts, so that the scores of
    a process in control have the same law whatever the values are. NaN stays NaN.
    """
    ordered = np.sort(home)
    below, upto = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    ranks = (below + upto + 1) / (2 * (len(ordered) + 1))
    return np.asarray(np.where(np.isnan(values), np.nan, norm.ppf(ranks)))


def averages(scored: Array, members: Sequence[int]) -> Array:
    """Return the moving average at each of the scores [turns], from 0 on; a NaN leaves it where it is.

    `members` says how many turns the conversation of each has, [turns]: together they weigh as much as the
    only turn of another. Turns of one conversation are alike, and would be counted as so many witnesses.
    """
    weights = 1 - (1 - WEIGHT) ** (1 / np.asarray(members, dtype=np.float64))
    average, found = 0.0, np.empty(len(scored))
    for turn, (score, weight) in enumerate(zip(scored, weights, strict=True)):
        if not np.isnan(score):
            average += weight * (score - average)
        found[turn] = average
    return found


@lru_cache(maxsize=64)
def limit(home: int, conversations: int, level: float, two_sided: bool, seed: int) -> float:
    """Return how far an average may go before that is an alarm.

    Of processes that stay in control, a share of at most `level` goes further within so many conversations.
    That is of `home` values and as many new ones drawn from the same continuous law, whatever it is: the
    values that the process is known by are drawn anew with it, as limits that are taken to be known give
    false alarms more often than they say (Jones, Champ and Rigdon, Technometrics 43, 2001). By simulation, of
    a rank that makes the rate hold in spite of it (Barnard 1963; Dwass 1957).
    """
    streams = ceil(_TAIL / level)
    generator, table = np.random.default_rng(seed), norm.ppf((np.arange(home + 1) + 0.5) / (home + 1))
    furthest: list[float] = []
    at_once = max(1, _VALUES // conversations)
    for first in range(0, streams, at_once):
        ranks = _ranks(generator, min(at_once, streams - first), home, conversations)
        went = lfilter([WEIGHT], [1, WEIGHT - 1], table[ranks], axis=1)
        furthest += (np.abs(went) if two_sided else -went).max(axis=1).tolist()
    return float(np.sort(furthest)[-int(level * (streams + 1))])


def _ranks(generator: np.random.Generator, streams: int, home: int, values: int) -> np.ndarray:
    """How many of the values at home lie below each new one, [streams, values]."""
    known = np.sort(generator.random((streams, home)), axis=1)
    drawn = generator.random((streams, values))
    return np.stack([np.searchsorted(one, new) for one, new in zip(known, drawn, strict=True)])


def onset(average: Array, alarm: int, sign: float) -> int:
    """Return the turn from which on an average left home on the way to an alarm.

    That is the one after the last at which it was not on the alarm's side (Nishina 1992).
    """
    home = np.flatnonzero(sign * average[: alarm + 1] <= 0)
    return int(home[-1]) + 1 if len(home) else 0
