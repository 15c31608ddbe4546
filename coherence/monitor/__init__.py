"""What was said elsewhere, held against the personas of a suite: read, charted over time, judged."""
