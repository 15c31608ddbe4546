"""What there is to look at of one assertion: a chart for each of its figures, or else of what decided."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from markupsafe import Markup

from coherence.reports.html import arrows, curve, forest, heat_map, scatter
from coherence.reports.html.palette import Palette
from coherence.vocabulary import Evidence, Scatter


@dataclass(frozen=True)
class Picture:
    """A chart, with a title where its axes do not say what it is."""

    drawn: Markup
    title: str | None = None
    planes: tuple["Picture", ...] = ()
    """Of a space: this plane and all others, of which a reader chooses one."""


def pictures(evidence: Evidence, palette: Palette) -> Iterator[Picture]:
    """Yield the charts of what it shows; where it shows nothing, of the criterion that decided."""
    if evidence.curve:
        yield Picture(curve.chart(evidence.curve, palette))
    if evidence.arrows:
        yield Picture(arrows.chart(evidence.arrows))
    if evidence.scatter:
        yield _space(evidence.scatter)
    matrices = [table for table in evidence.tables if table.matrix]
    for table in matrices:
        yield Picture(heat_map.chart(table), table.name)
    drawn_already = evidence.curve or evidence.arrows or evidence.scatter or matrices
    if not drawn_already and (drawn := forest.decisive(evidence)):
        yield Picture(drawn)


def _space(shown: Scatter) -> Picture:
    first, *others = (Picture(scatter.chart(plane), _axes(plane)) for plane in (shown, *shown.planes))
    return replace(first, planes=(first, *others)) if others else first


def _axes(plane: Scatter) -> str:
    """Name both axes, without what is said of their units."""
    return " and ".join(re.split("[,:]", axis)[0] for axis in (plane.x, plane.y))
