"""Properties of persona space: where a persona stands among all others, in each regime."""
