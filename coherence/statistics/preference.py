"""Whose replies a regime makes likelier: gains of a persona's own over those of others, by probe."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.statistics.agreement import Hits, mean_share, paired_difference
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import mean, ratio_of_means


@dataclass(frozen=True, eq=False)
class Preference:
    """Gains of replies [probes, personas], the persona's own first: mean over tokens of log p - log p_bare.

    In nats per token. Less the bare model's, what any reader finds likely in a text is not counted for who
    said it, and a long text counts as much as a short one. Clusters of probes are taken to be independent.
    See docs/verdicts.md#voice.
    """

    gains: Array
    clusters: Sequence[str]

    @cached_property
    def leads(self) -> Array:
        """How far the own reply's gain is above the mean of the others', [probes]."""
        return np.asarray(self.gains[:, 0] - self.gains[:, 1:].mean(1))

    @cached_property
    def hits(self) -> Hits:
        """Whether the own reply gains most of all, [probes]; not where another gains as much."""
        return np.asarray(self.gains[:, 0] > self.gains[:, 1:].max(1))

    @property
    def lead(self) -> Interval:
        """Mean lead, in nats per token."""
        return mean(self.leads, self.clusters)

    @property
    def accuracy(self) -> Interval:
        """Share of probes whose own reply gains most; by chance 1 / personas."""
        return mean_share(self.hits.astype(np.float64), self.clusters)

    def over(self, other: int) -> Interval:
        """Mean lead over one of the others alone, by its place among them."""
        return mean(self.gains[:, 0] - self.gains[:, 1 + other], self.clusters)

    def share_of(self, ceiling: "Preference") -> Interval:
        """Mean lead as a share of that of another regime on the same probes, with Fieller's interval (1954).

        NaN where that regime has no lead at all.
        """
        return ratio_of_means(self.leads[None], ceiling.leads[None], self.clusters)

    def gap_to(self, ceiling: "Preference") -> Interval:
        """Accuracy of another regime less this one's, paired by probe."""
        return paired_difference(self.hits, ceiling.hits, self.clusters)
