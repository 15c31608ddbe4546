"""Baselines: what a blessed release came to, and what changed since."""

from coherence.baseline.comparison import Terms, compare
from coherence.baseline.document import Baseline

__all__ = ["Baseline", "Terms", "compare"]
