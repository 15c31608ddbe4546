"""Halves of a sample: what the same release would have shown on other probes, scripts or tasks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from coherence.errors import SuiteError
from coherence.plan import Scene, stream
from coherence.properties import Case, Property
from coherence.vocabulary import Probe, Script
from coherence.vocabulary.evidence import Sampled

LEAST_CLUSTERS = 8


@dataclass(frozen=True)
class Sample:
    """What estimates of a property run over: units of the suite, or those that it lists itself."""

    asserted: Property
    scene: Scene
    unit: Sampled

    @property
    def clusters(self) -> list[str]:
        """Name what is independent, in its order: scripts, or the probes or tasks of one template."""
        return list(dict.fromkeys(map(_cluster, self._units)))

    def part(self, clusters: Collection[str]) -> list[Case]:
        """Generate the property's cases on some clusters; a SuiteError says that they are too few."""
        kept: dict[str, Any] = {self.unit: tuple(each for each in self._units if _cluster(each) in clusters)}
        if self._own is None:
            return self.asserted.cases(replace(self.scene, **kept))
        return self.asserted.model_copy(update=kept).cases(self.scene)

    def halves(self, count: int, seed: int) -> list[list[Case]]:
        """Generate the property's cases on random halves, whole clusters at a time, in the suite's order.

        A SuiteError when there are fewer than eight clusters: they have too few halves.
        """
        clusters = self.clusters
        if len(clusters) < LEAST_CLUSTERS:
            raise SuiteError(
                f"has {len(clusters)} independent {self.unit}; "
                f"expected at least {LEAST_CLUSTERS}, so that halves of them tell how estimates vary"
            )
        random = np.random.default_rng(stream(seed, "halves"))
        drawn = (set(random.permutation(clusters)[: size(len(clusters))]) for _ in range(count))
        try:
            return [self.part(half) for half in drawn]
        except SuiteError as problem:
            raise SuiteError(
                f"has {len(self._units)} {self.unit}, of which halves are too few: {problem.sentence}"
            ) from None

    @property
    def _units(self) -> Sequence[Probe | Script | str]:
        listed: Sequence[Probe | Script | str] = self._own or getattr(self.scene, self.unit)
        return listed

    @property
    def _own(self) -> Sequence[Probe | str] | None:
        """The units under the same name in the property, such as the tasks of `factorial`."""
        own: Sequence[Probe | str] | None = getattr(self.asserted, self.unit, None)
        return own


def _cluster(unit: Probe | Script | str) -> str:
    """Name the cluster of a unit; a property lists scripts by their ids."""
    if isinstance(unit, str):
        return unit
    return unit.cluster if isinstance(unit, Probe) else unit.id


def size(clusters: int) -> int:
    """How many clusters are in a half: never below eight, but for the two that at least are left out.

    Of so few clusters intervals are endless that are not so of the whole, and tell nothing of it.
    """
    return max((clusters + 1) // 2, min(LEAST_CLUSTERS, clusters - 2))


def spread_of_whole(clusters: int) -> float:
    """Give the standard error of a whole sample as a multiple of the standard deviation over its halves.

    Halves are drawn without putting back, so means of m of u clusters vary by sigma^2 (1/m - 1/u) around
    that of the whole, which itself varies by sigma^2 / u.
    """
    m = size(clusters)
    return sqrt(m / (clusters - m))
