"""A condition: everything that is done to the base model before a probe is put to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from coherence.vocabulary import Position, Prompt, Site, Tokens

if TYPE_CHECKING:
    from coherence.plan.measurement import Reading


@dataclass(frozen=True)
class Steer:
    """A vector of the release, added at its own site with a dose (rho, in units of the median |h| there).

    `drawn` is the seed of a random direction that takes its place, at the same site and of the same norm.
    With `among`, names of vectors at the same site, its own among them, its part of their symmetric (Löwdin)
    orthonormalisation takes its place.
    """

    vector: str
    dose: float
    drawn: int | None = None
    among: tuple[str, ...] = ()


class Way(StrEnum):
    """How several adapters are put into the model at once. All but `stacked` make something new of them."""

    STACKED = "stacked"
    CAT = "cat"
    LINEAR = "linear"
    SVD = "svd"
    TIES = "ties"
    TIES_SVD = "ties-svd"
    DARE_LINEAR = "dare-linear"
    DARE_LINEAR_SVD = "dare-linear-svd"
    DARE_TIES = "dare-ties"
    DARE_TIES_SVD = "dare-ties-svd"
    MAGNITUDE_PRUNE = "magnitude-prune"
    MAGNITUDE_PRUNE_SVD = "magnitude-prune-svd"
    MERGED = "merged"
    MERGED_BFLOAT16 = "merged-bfloat16"
    UNMERGED = "unmerged"


@dataclass(frozen=True)
class Patch:
    """A weighted sum of residuals put in the place of those of one token, while the prompt is read.

    At each of the sites the sum is that of the readings there. Source: arXiv 2605.23147.
    """

    sum: tuple[tuple[float, Reading], ...]
    sites: tuple[Site, ...]
    position: Position = Position.PROMPT_LAST


@dataclass(frozen=True)
class Cap:
    """A bound on how far residuals may go along an axis: what lies beyond it is taken away.

    At each of the sites the axis leads from the mean of the `low` readings to that of the `high` ones, and
    the bound lies `at` of the way: h <- h - max(0, h.v - t) v, with v the unit axis (activation capping,
    arXiv 2601.10387).
    """

    low: tuple[Reading, ...]
    high: tuple[Reading, ...]
    sites: tuple[Site, ...]
    at: float
    tokens: Tokens = Tokens.ALL


@dataclass(frozen=True)
class Condition:
    """Prompts, weighted adapters and dosed vectors, by their names in the release. Empty: bare."""

    neutral: str
    prompts: tuple[Prompt, ...] = ()
    adapters: tuple[tuple[str, float], ...] = ()
    steers: tuple[Steer, ...] = ()
    way: Way = Way.STACKED
    patch: Patch | None = None
    cap: Cap | None = None
