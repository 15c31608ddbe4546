"""The probes at which two conditions are furthest apart."""

from collections.abc import Callable, Mapping

import numpy as np

from coherence.plan import Scene
from coherence.statistics.intervals import Array
from coherence.vocabulary import ProbeNote


def furthest(
    scene: Scene, by_probe: Array, note: Callable[[int], str], texts: Mapping[str, tuple[str, ...]]
) -> tuple[ProbeNote, ...]:
    """Three probes with the largest distances [probes], what is to be said of each, and its replies."""
    return tuple(
        ProbeNote(
            probe=scene.probes[row].id,
            note=note(row),
            replies={name: replies[row] for name, replies in texts.items()},
        )
        for row in map(int, np.argsort(-by_probe, kind="stable")[:3])
    )
