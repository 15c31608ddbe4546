"""Figures in numbers: a grid that says what a picture shows."""

from collections.abc import Iterator
from dataclasses import dataclass

from coherence.vocabulary import Arrows, Curve, Figures
from coherence.vocabulary.figures import Column


@dataclass(frozen=True)
class FigureColumns:
    """Named columns of numbers, a row for each place or arrow."""

    title: str
    corner: str
    rows: tuple[str, ...]
    columns: dict[str, Column]


def columns_of(figures: Figures) -> Iterator[FigureColumns]:
    """Yield one for the curve and one for the arrows, where there are such."""
    if curve := figures.curve:
        yield FigureColumns(f"over {curve.over.title}", curve.over.title, curve.at, _of_curve(curve))
    if arrows := figures.arrows:
        title = f"{arrows.x} and {arrows.y}, {arrows.begins} and {arrows.ends}"
        yield FigureColumns(title, "", tuple(arrows.start), _of_arrows(arrows))


def _of_curve(curve: Curve) -> dict[str, Column]:
    """Every series with the ends of its intervals beside it, and those of a zone."""
    columns: dict[str, Column] = {}
    for name, line in curve.series.items():
        columns[name] = line.values
        if line.low is not None and line.high is not None:
            columns |= {f"{name}, low": line.low, f"{name}, high": line.high}
    if zone := curve.zone:
        columns |= {f"{zone.name} from": zone.low, f"{zone.name} to": zone.high}
    return columns


def _of_arrows(arrows: Arrows) -> dict[str, Column]:
    """Both coordinates of either end."""
    return {
        f"{axis} {name}": tuple(points[arrow][place] for arrow in arrows.start)
        for name, points in ((arrows.begins, arrows.start), (arrows.ends, arrows.end))
        for place, axis in enumerate((arrows.x, arrows.y))
    }
