"""Attractors and time: mixtures, conversations, caps, and what a cache holds."""
