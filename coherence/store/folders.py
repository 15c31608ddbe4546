"""Where things are kept when nobody says where."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_root() -> Path:
    """Return the folder of what can be made again: `COHERENCE_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("COHERENCE_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("coherence", appauthor=False)


def store_root() -> Path:
    """Return the folder of the store when `--coherence-store` names no other."""
    return cache_root() / "store"
