"""A suite opened in Python: what a test of one's own measures and judges, by the gate's own means."""

from coherence.opened.direction import Direction
from coherence.opened.opening import open_suite
from coherence.opened.suite import OpenSuite

__all__ = ["Direction", "OpenSuite", "open_suite"]
