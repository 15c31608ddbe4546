"""Steering vectors from files as people have them.

A reader for each container says what it holds (`content`), without reading values; `entries` finds vectors in
that, by the names that they have there; `layers` says what their numbers count; `declaration` holds all that
against what the suite says, and picks one, which `directions` does for each site;
`vector` is what comes of it.
"""

from coherence.engine.artefacts.vectors.directions import Directions, spread_over
from coherence.engine.artefacts.vectors.vector import Vector, load_vector, save_vector

__all__ = ["Directions", "Vector", "load_vector", "save_vector", "spread_over"]
