"""The claim that the same weight of a mixture gives the same position, searched over weights and regimes."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from itertools import combinations

import numpy as np
from hypothesis import strategies as st

from coherence.engine.laws.examples import Example, Form, name_of
from coherence.engine.laws.premises import Premises
from coherence.engine.running.runner import Runner
from coherence.plan import Condition, LawSearch, Measurement, Outcome, Reading
from coherence.statistics.geometry import Array
from coherence.statistics.response import Response

Ends = tuple[Condition, Condition]
"""The positive pole and the negative one."""


class PositionExamples:
    """Examples of the claim: two regimes and the weight of the positive pole in both."""

    def __init__(self, law_search: LawSearch) -> None:
        self._search = law_search
        self._prompted, *regimes = zip(law_search.conditions[::2], law_search.conditions[1::2], strict=True)
        self._regimes: dict[str, Ends] = {" against ".join(map(name_of, ends)): ends for ends in regimes}

    @property
    def identity(self) -> list[str]:
        """What stays the same from release to release."""
        return [self._search.law, *self._regimes]

    @property
    def form(self) -> Form:
        """The keys and regimes that an example may name, to read one that was written down."""
        return Form(self.one_of_each()[0], (), self._regimes)

    def examples(self) -> st.SearchStrategy[Example]:
        """Hypothesis strategy: smaller means earlier regimes and a rounder weight."""
        weights = st.floats(0, 1, width=16).map(lambda weight: round(weight, 3))
        return st.fixed_dictionaries({"pair": st.sampled_from(self._pairs), "weight": weights})

    def one_of_each(self) -> list[Example]:
        """Every two regimes, half and half."""
        return [{"pair": pair, "weight": 0.5} for pair in self._pairs]

    @property
    def _pairs(self) -> list[tuple[str, str]]:
        return list(combinations(self._regimes, 2))


class PositionClaim(PositionExamples):
    """The claim that both regimes of an example stand at the same place between their poles."""

    def __init__(
        self, runner: Runner, law_search: LawSearch, known: Mapping[Measurement, Outcome] | None = None
    ) -> None:
        super().__init__(law_search)
        self._premises = Premises(runner, known or {})
        self._read: dict[Condition, Array] = {}

    def deviation(self, example: Example) -> float:
        """How far the two positions are apart, the poles of each regime being 0 and 1."""
        first, second = (self._position(self._regimes[name], example["weight"]) for name in example["pair"])
        return abs(first - second)

    def _position(self, ends: Ends, weight: float) -> float:
        if weight in (0, 1):
            return float(weight)
        positive, negative = ends
        mixed = np.stack([self._residuals(each) for each in (negative, _mixed(ends, weight), positive)])
        clusters = [probe.cluster for probe in self._search.probes]
        return Response((0.0, weight, 1.0), mixed, self._axis, clusters).position[1].value

    @cached_property
    def _axis(self) -> Array:
        positive, negative = map(self._residuals, self._prompted)
        return positive - negative

    def _residuals(self, condition: Condition) -> Array:
        if condition not in self._read:
            assert self._search.read
            site, position = self._search.read
            readings = [Reading(condition, probe, position, through=site) for probe in self._search.probes]
            record = self._premises.record(readings)
            self._read[condition] = np.stack([record.residuals(each)[site.depth] for each in readings])
        return self._read[condition]


def _mixed(ends: Ends, weight: float) -> Condition:
    positive, negative = ends
    shares = (positive, weight), (negative, 1 - weight)
    return replace(
        positive,
        adapters=tuple((name, share * scale) for end, share in shares for name, scale in end.adapters),
        steers=tuple(
            replace(steer, dose=share * steer.dose) for end, share in shares for steer in end.steers
        ),
    )
