"""Behaviour that no list of words names: what a regime makes likely, and whose replies are recognised."""
