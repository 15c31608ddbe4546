"""Interim looks: which level each look at a growing sample has, so that all together err as often as one."""

from collections.abc import Sequence
from itertools import pairwise

RISING = 2.0
"""Power of the spending function: the first looks, which know least, have least of the level."""


def look_levels(sizes: Sequence[int], level: float) -> tuple[float, ...]:
    """Divide a level over looks at samples of rising sizes, the last of which is the whole sample.

    Up to the share t of the sample level * t^2 is spent, and a look has what is spent since the one before it
    (Lan and DeMets 1983; the power family is that of Kim and DeMets 1987). The levels add up to all of it, so
    that any look errs at most that often, whatever the looks have in common (Bonferroni): that they share
    probes, which would allow a little more, is not reckoned with. See docs/verdicts.md#looks.
    """
    spent = [level * (size / sizes[-1]) ** RISING for size in (0, *sizes)]
    return tuple(after - before for before, after in pairwise(spent))
