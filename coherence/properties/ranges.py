"""Which values a statistic can have: a range that holds all of them claims nothing."""

from math import inf
from typing import NamedTuple


class Possible(NamedTuple):
    """Least and largest value that the truth of a statistic can have; annotates the key that bounds it."""

    least: float
    most: float


ANY = Possible(-inf, inf)
SIZE = Possible(0.0, inf)
SHARE = Possible(0.0, 1.0)
COSINE = Possible(-1.0, 1.0)
"""Of agreement beyond chance and of a change of a share as well."""
DIFFERENCE = Possible(-2.0, 2.0)
"""Of two cosines."""
RECOVERED = Possible(-inf, 1.0)
"""Of a share of what is there to be recovered."""
