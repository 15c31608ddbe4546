"""Cross-regime coherence tests for personas: prompt, adapter and steering, judged by pytest."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coherence.api import Direction, OpenSuite, open_suite

__version__ = "0.1.0"

__all__ = ["Direction", "OpenSuite", "open_suite"]


def __getattr__(name: str) -> object:
    # Imported when asked for: every plain pytest run imports this package, and must stay light.
    if name in __all__:
        return getattr(import_module("coherence.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
