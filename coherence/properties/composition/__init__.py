"""Composition: what several personas come to when they are put into the model at once."""
