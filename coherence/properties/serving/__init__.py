"""Properties of where a persona runs, and in which form: whether that is what was measured."""
