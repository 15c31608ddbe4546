"""The chart of a curve: a line per series, its intervals, a zone, a diagonal."""

from collections.abc import Iterator
from itertools import cycle
from math import isfinite

from markupsafe import Markup

from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.vocabulary import Curve
from coherence.vocabulary.figures import Column

_COLORS = [f"var(--series-{number})" for number in range(1, 7)]
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3]]


def chart(curve: Curve) -> Markup:
    """Draw every series over the abscissa, with its intervals, a zone behind them and a diagonal."""
    series = [label(name) for name in curve.series]
    diagonal = curve.over.diagonal
    shown = [*series, label(diagonal)] if diagonal else series
    rows = _rows(curve) + (_diagonal(curve, label(diagonal)) if diagonal else [])
    zone = [_area(curve, curve.zone.low, curve.zone.high, "var(--pass)", 0.12)] if curve.zone else []
    return drawn(
        {"width": WIDTH, "height": 180, "layer": [*zone, *_intervals(curve), _lines(curve, rows, shown)]}
    )


def _intervals(curve: Curve) -> Iterator[Spec]:
    for line, color in zip(curve.series.values(), cycle(_COLORS), strict=False):
        if line.low is not None and line.high is not None:
            yield _area(curve, line.low, line.high, color, 0.25)


def _lines(curve: Curve, rows: list[Spec], series: list[str]) -> Spec:
    def scale(values: list[object]) -> Spec:
        return {"domain": series, "range": values}

    return {
        "data": {"values": rows},
        "mark": {"type": "line", "strokeWidth": 1.8},
        "encoding": {
            "x": _horizontal(curve),
            "y": {"field": "y", "type": "quantitative", "title": None, "axis": {"tickCount": 5}},
            "color": {"field": "series", "type": "nominal", "scale": scale([*_COLORS])},
            "strokeDash": {"field": "series", "type": "nominal", "scale": scale([*_DASHES])},
        },
    }


def _area(curve: Curve, low: Column, high: Column, color: str, opacity: float) -> Spec:
    rows = [
        {"x": x, "low": finite(below), "high": finite(above)}
        for x, below, above in zip(_places(curve), low, high, strict=True)
    ]
    return {
        "data": {"values": rows},
        "mark": {"type": "area", "color": color, "opacity": opacity},
        "encoding": {
            "x": _horizontal(curve),
            "y": {"field": "low", "type": "quantitative"},
            "y2": {"field": "high"},
        },
    }


def _horizontal(curve: Curve) -> Spec:
    title = label(curve.over.title)
    return {"field": "x", "type": "quantitative", "title": title, "axis": {"tickCount": 6, "grid": False}}


def _rows(curve: Curve) -> list[Spec]:
    return [
        {"x": x, "y": finite(y), "series": label(name)}
        for name, line in curve.series.items()
        for x, y in zip(_places(curve), line.values, strict=True)
    ]


def _diagonal(curve: Curve, name: str) -> list[Spec]:
    places = _places(curve)
    return [{"x": x, "y": x, "series": name} for x in places[:1] + places[-1:]]


def _places(curve: Curve) -> list[float]:
    """Where the rows lie: at their number, or else at how many rows are before them."""
    try:
        places = [float(row) for row in curve.at]
    except ValueError:
        places = []
    return places if all(map(isfinite, places)) and places else [float(row) for row in range(len(curve.at))]
