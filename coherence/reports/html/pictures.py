"""What there is to look at of one assertion: a chart for each of its figures that has one."""

from collections.abc import Iterator

from markupsafe import Markup

from coherence.reports.figure_columns import FigureColumns, columns_of
from coherence.reports.html import arrows, curve
from coherence.vocabulary import Figures


def pictures(figures: Figures) -> Iterator[tuple[FigureColumns, Markup]]:
    """Yield each chart with its numbers."""
    return zip(columns_of(figures), _charts(figures), strict=True)


def _charts(figures: Figures) -> Iterator[Markup]:
    if figures.curve:
        yield curve.chart(figures.curve)
    if figures.arrows:
        yield arrows.chart(figures.arrows)
