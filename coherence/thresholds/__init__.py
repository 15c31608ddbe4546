"""Thresholds: how strict each criterion of a suite can be without blocking healthy releases."""

from coherence.thresholds.bench import Bench
from coherence.thresholds.proposal import Proposal, Terms
from coherence.thresholds.rewrite import change, rewrite
from coherence.thresholds.table import WIDTH, shown
from coherence.thresholds.weighing import proposals

__all__ = ["WIDTH", "Bench", "Proposal", "Terms", "change", "proposals", "rewrite", "shown"]
