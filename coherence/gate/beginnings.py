"""The beginnings of one order of a suite's probes: what is looked at before all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random

from coherence.errors import CoherenceError
from coherence.plan import Scene, stream
from coherence.properties import Case, Property
from coherence.suite import Assertion

_Cases = Mapping[tuple[str, str], Case]


@dataclass(frozen=True)
class Beginnings:
    """A scene with the first of its probes only: all looks are at these, so that they share measurements.

    The order is drawn, as an author may have sorted the probes by subject. Probes of a template count as one.
    """

    scene: Scene
    _known: dict[tuple[int, int], _Cases] = field(default_factory=dict, init=False, repr=False)

    @property
    def of(self) -> int:
        """How many there are in all."""
        return len(self._order)

    def narrowed(self, assertion: Assertion, size: int) -> Case | None:
        """Give the case of an assertion about the first `size`; none if it needs more, or has no probes."""
        if size >= self.of or assertion.case.units != ("probes",):
            return None
        key = id(assertion.property), size
        if key not in self._known:
            self._known[key] = self._cases(assertion.property, size)
        return self._known[key].get((assertion.case.persona, assertion.case.slug))

    def _cases(self, of: Property, size: int) -> _Cases:
        first = frozenset(self._order[:size])
        probes = tuple(probe for probe in self.scene.probes if probe.cluster in first)
        try:
            cases = of.cases(replace(self.scene, probes=probes))
        except CoherenceError:
            return {}
        return {(case.persona, case.slug): case for case in cases}

    @cached_property
    def _order(self) -> list[str]:
        clusters = sorted(self.scene.templates)
        return Random(stream(self.scene.seed, "looks")).sample(clusters, len(clusters))
