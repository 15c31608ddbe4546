"""Cross-regime coherence tests for personas: prompt, adapter and steering, judged by pytest."""

__version__ = "0.1.0"
