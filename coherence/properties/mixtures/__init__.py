"""Mixtures of two contradictory poles, and where between them a persona stands."""
