"""Rows run on a loaded model: measurements with their outcomes, vectors at the size of its residuals."""
