"""The gate: one plan for all assertions of a run, measured once, then a verdict for each."""

from coherence.gate.family_wise import among_all
from coherence.gate.gate import Gate
from coherence.gate.outcomes import results_of, unjudged

__all__ = ["Gate", "among_all", "results_of", "unjudged"]
