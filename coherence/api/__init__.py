"""A suite opened in Python: what a test of one's own measures and judges, by the gate's own means."""

from coherence.api.direction import Direction
from coherence.api.opened import OpenSuite
from coherence.api.opening import open_suite

__all__ = ["Direction", "OpenSuite", "open_suite"]
