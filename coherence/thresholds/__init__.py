"""Thresholds: how strict each criterion of a suite can be without blocking healthy releases."""

from coherence.thresholds.bench import Bench
from coherence.thresholds.proposal import CalibrationTerms, Proposal
from coherence.thresholds.propose import proposals
from coherence.thresholds.rewrite import change, rewrite
from coherence.thresholds.summary import WIDTH, shown

__all__ = ["WIDTH", "Bench", "CalibrationTerms", "Proposal", "change", "proposals", "rewrite", "shown"]
