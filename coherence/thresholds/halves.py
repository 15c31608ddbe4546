"""Halves of a suite's probes: what the same release would have shown on other probes."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from coherence.errors import SuiteError
from coherence.plan import Scene, stream
from coherence.vocabulary import Probe

LEAST_CLUSTERS = 8


def halves(scene: Scene, count: int, seed: int) -> list[Scene]:
    """Draw random halves of the scene's probes, whole clusters at a time, in the suite's order.

    A SuiteError when there are fewer than eight clusters: they have too few halves.
    """
    clusters = names(scene.probes)
    if len(clusters) < LEAST_CLUSTERS:
        raise SuiteError(
            f"the suite has {len(clusters)} independent probes (those of one template count once); "
            f"expected at least {LEAST_CLUSTERS}, so that halves of them tell how estimates vary"
        )
    random = np.random.default_rng(stream(seed, "halves"))
    drawn = (set(random.permutation(clusters)[: size(len(clusters))]) for _ in range(count))
    return [
        replace(scene, probes=tuple(probe for probe in scene.probes if probe.cluster in half))
        for half in drawn
    ]


def names(probes: Sequence[Probe]) -> list[str]:
    """Name the clusters, in the order of the probes."""
    return list(dict.fromkeys(probe.cluster for probe in probes))


def size(clusters: int) -> int:
    """How many clusters are in a half."""
    return (clusters + 1) // 2


def spread_of_whole(clusters: int) -> float:
    """Give the standard error of a whole sample as a multiple of the standard deviation over its halves.

    Halves are drawn without putting back, so means of m of u clusters vary by sigma^2 (1/m - 1/u) around
    that of the whole, which itself varies by sigma^2 / u.
    """
    m = size(clusters)
    return sqrt(m / (clusters - m))
