"""Made-up worlds: scenes without files, and models that measure what a test wants them to."""

from worlds.scenes import persona, personas, probes, release, scene, scripts
from worlds.world import World

__all__ = ["World", "persona", "personas", "probes", "release", "scene", "scripts"]
