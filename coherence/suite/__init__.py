"""Suites: YAML files that say what must hold for the personas of a release."""

from coherence.suite.load import SUFFIX, load_scene, load_suite, suites_at
from coherence.suite.overrides import Overrides
from coherence.suite.suite import Assertion, Suite

__all__ = ["SUFFIX", "Assertion", "Overrides", "Suite", "load_scene", "load_suite", "suites_at"]
