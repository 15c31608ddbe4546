"""Mixtures of two poles, placed on the axis between the prompted ones."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import isnan

import numpy as np

from coherence.plan import Condition, Record
from coherence.properties.columns import interval_columns, table
from coherence.properties.criterion import held, unclear
from coherence.properties.mixtures.poles import Mixed
from coherence.properties.reading import Residuals, at_site
from coherence.statistics.intervals import Interval
from coherence.statistics.response import Response
from coherence.vocabulary import Table


@dataclass(frozen=True, eq=False)
class Placed:
    """The mixtures of one way, from residuals of a condition: [probes, width]."""

    way: Mixed
    residuals: Callable[[Condition], Residuals]
    record: Record

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.way.readings.scene.probes)

    @cached_property
    def response(self) -> Response:
        """How the position answers the weight."""
        return self._answered(self.way.mixtures)

    @cached_property
    def poles(self) -> Response:
        """The same of the poles alone, without what is between them: it takes less."""
        return self._answered(self.way.poles)

    @cached_property
    def positions(self) -> dict[float, Interval]:
        """m(w) by weight."""
        return dict(zip(self.way.mixtures, self.response.position, strict=True))

    @cached_property
    def without_axis(self) -> str | None:
        """Say why the prompts give no axis; None if they do."""
        axis = self.poles.axis
        if isnan(axis.value):
            return "the prompts of both poles do the same: there is no axis between them"
        return unclear("the prompted poles do not lie apart", axis, self.n)

    @cached_property
    def together(self) -> str | None:
        """Say why nothing can be placed between the poles; None if it can."""
        separation = self.poles.separation
        if self.without_axis or separation.low > 0 or separation.high < 0:
            return self.without_axis
        poles = held("separation", separation, self.n, key=None)
        missing = poles.unreliable or poles.estimate.lacking(0)
        return f"the poles do not lie apart under {self.way.slug}: {poles.estimate}; {missing}"

    def _answered(self, weights: Iterable[float]) -> Response:
        at = tuple(weights)
        positive, negative = map(self.residuals, self.way.prompted)
        mixed = [np.mean([*map(self.residuals, self.way.mixtures[weight])], axis=0) for weight in at]
        return Response(at, np.stack(mixed), positive - negative, self.way.readings.scene.clusters)


def placed(ways: Sequence[Mixed], record: Record) -> list[Placed]:
    """Place the mixtures of ways that share their readings; what several have in common is read once."""
    readings, site = ways[0].readings, ways[0].site

    @cache
    def residuals(condition: Condition) -> Residuals:
        return at_site(record, readings.of(condition), site)

    return [Placed(way, residuals, record) for way in ways]


def intervals(name: str, what: str, by_row: Mapping[str, Interval]) -> Table:
    """Make a table of estimates with their intervals."""
    return table(name, by_row, interval_columns(what, [*by_row.values()]))
