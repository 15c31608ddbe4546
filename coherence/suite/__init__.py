"""Suites: YAML files that say what must hold for the personas of a release."""

from coherence.suite.load import load_suite
from coherence.suite.overrides import Overrides
from coherence.suite.suite import Assertion, Suite

SUFFIX = ".coherence.yaml"

__all__ = ["SUFFIX", "Assertion", "Overrides", "Suite", "load_suite"]
