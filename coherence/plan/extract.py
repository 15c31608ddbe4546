"""How a vector is made by the suite itself instead of read from a file."""

from dataclasses import dataclass

from coherence.plan.measurement import Condition
from coherence.vocabulary import Position, Site


@dataclass(frozen=True)
class Extract:
    """Mean over the calibration questions of h(positive) - h(negative), on the base or under an adapter.

    Source: arXiv 2507.21509, section 2; here with one prompt on each side, and without filtering.
    """

    positive: Condition
    negative: Condition
    site: Site
    position: Position
