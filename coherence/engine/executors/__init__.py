"""Who runs jobs, and in how many processes at once: here, or on Ray."""
