"""Figures in numbers: the columns of a table that says what a picture shows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite

from coherence.vocabulary import Arrows, Curve, Figures
from coherence.vocabulary.figures import Column


@dataclass(frozen=True)
class FigureColumns:
    """Columns of numbers with their names, a row for each place, arrow or point."""

    title: str
    rows: tuple[str, ...]
    names: tuple[str, ...]
    columns: tuple[Column, ...]


def columns_of(figures: Figures) -> Iterator[FigureColumns]:
    """Yield those of the curve, the arrows and the scatter, where there are such."""
    if curve := figures.curve:
        names, columns = zip(*_of_curve(curve), strict=True)
        yield FigureColumns(f"over {curve.over.title}", curve.at, names, columns)
    if arrows := figures.arrows:
        names, columns = zip(*_of_arrows(arrows), strict=True)
        title = f"{arrows.x} and {arrows.y}, {arrows.begins} and {arrows.ends}"
        yield FigureColumns(title, tuple(arrows.start), names, columns)
    if scatter := figures.scatter:
        rows = tuple(f"{point.name}, {point.group}" for point in scatter.points)
        columns = (
            _numbers(point.x for point in scatter.points),
            _numbers(point.y for point in scatter.points),
            *map(_numbers, scatter.further.values()),
        )
        names = (scatter.x, scatter.y, *scatter.further)
        yield FigureColumns(f"{scatter.x} and {scatter.y}", rows, names, columns)


def _numbers(values: Iterable[float]) -> Column:
    return tuple(value if isfinite(value) else None for value in values)


def _of_curve(curve: Curve) -> Iterator[tuple[str, Column]]:
    """Every series with the ends of its intervals behind it, and those of a zone."""
    for name, line in curve.series.items():
        yield name, line.values
        if line.low is not None and line.high is not None:
            yield "low", line.low
            yield "high", line.high
    if zone := curve.zone:
        yield f"{zone.name} from", zone.low
        yield f"{zone.name} to", zone.high


def _of_arrows(arrows: Arrows) -> Iterator[tuple[str, Column]]:
    """Both coordinates of either end."""
    for name, points in ((arrows.begins, arrows.start), (arrows.ends, arrows.end)):
        for place, axis in enumerate((arrows.x, arrows.y)):
            yield f"{axis} {name}", tuple(points[arrow][place] for arrow in arrows.start)
