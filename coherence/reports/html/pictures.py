"""What there is to look at of one assertion: a chart for each of its figures, or else of what decided."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from coherence.reports.html import arrows, curve, forest, heat_map, scatter
from coherence.reports.html.palette import Palette
from coherence.vocabulary import Evidence, Scatter


@dataclass(frozen=True)
class Picture:
    """A chart, and what the values in it are over; one that is `folded` is seen when it is asked for."""

    title: str
    drawn: Markup
    folded: bool = False


def pictures(evidence: Evidence, palette: Palette) -> Iterator[Picture]:
    """Yield the charts of what it shows; where it shows nothing, of the criterion that decided."""
    if evidence.curve:
        title = f"{evidence.curve.value or 'values'} over {evidence.curve.over.title}"
        yield Picture(title, curve.chart(evidence.curve, palette))
    if evidence.arrows:
        yield Picture(f"{evidence.arrows.x} and {evidence.arrows.y}", arrows.chart(evidence.arrows))
    if evidence.scatter:
        yield from _planes(evidence.scatter)
    matrices = [table for table in evidence.tables if table.matrix]
    for table in matrices:
        yield Picture(table.name, heat_map.chart(table))
    drawn_already = evidence.curve or evidence.arrows or evidence.scatter or matrices
    if not drawn_already and (drawn := forest.decisive(evidence)):
        yield Picture("what decided", drawn)


def _planes(shown: Scatter) -> Iterator[Picture]:
    """Yield the plane of the first two axes, and folded that of every other two."""
    for plane in (shown, *shown.planes):
        yield Picture(f"{plane.x} and {plane.y}", scatter.chart(plane), folded=plane is not shown)
