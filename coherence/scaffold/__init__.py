"""Drafts: a first suite, proposed from artefacts and a description, for its author to look at."""

from coherence.scaffold.draft import Draft

__all__ = ["Draft"]
