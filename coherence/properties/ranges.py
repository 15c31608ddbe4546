"""Which values a statistic can have: a range that holds all of them claims nothing."""

from math import inf

Possible = tuple[float, float]
"""Least and largest value that the truth can have."""

ANY: Possible = (-inf, inf)
SIZE: Possible = (0.0, inf)
SHARE: Possible = (0.0, 1.0)
COSINE: Possible = (-1.0, 1.0)
"""Of agreement beyond chance and of a change of a share as well."""
