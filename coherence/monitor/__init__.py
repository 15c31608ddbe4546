"""What was said elsewhere, held against what the suite's personas are: read, charted over time, and judged."""
