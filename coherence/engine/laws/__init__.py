"""Exact laws and claims about every probe, searched for the smallest counterexample."""
