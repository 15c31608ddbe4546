"""Made-up worlds: scenes without files, and models that measure what a test wants them to."""

from worlds.controlled import by_key, controlled
from worlds.scenes import persona, personas, probes, release, scene, scripts
from worlds.world import World

__all__ = ["World", "by_key", "controlled", "persona", "personas", "probes", "release", "scene", "scripts"]
