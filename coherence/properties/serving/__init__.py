"""Properties of where a persona runs: whether what is served is what was measured."""
