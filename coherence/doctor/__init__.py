"""The doctor: whether this installation, and a suite's release on it, can work, and what to do if not."""
