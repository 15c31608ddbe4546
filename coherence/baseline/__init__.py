"""Baselines: what a blessed release came to, and what changed since."""

from coherence.baseline.baseline import Baseline
from coherence.baseline.differences import ComparisonTerms, compare

__all__ = ["Baseline", "ComparisonTerms", "compare"]
