"""Batches: rows of forward passes, packed or padded, and what they share."""
