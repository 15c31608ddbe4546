"""The chart of a curve: a line per column, its interval, a region, a diagonal; or a basin map."""

from math import isfinite

from markupsafe import Markup

from coherence.reports.html import plane
from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.vocabulary import Curve

_TITLES = {
    "site": "blocks passed",
    "weight": "weight of the mixture",
    "dose": "dose",
    "turn": "turn",
    "since": "turns since release",
    "start": "position at release",
}
_BOUNDS = ("low", "high")
_REGION = ("region from", "region to")
_DIAGONALS = {"weight": "a linear response", "start": "where it was released"}
_COLORS = [f"var(--series-{number})" for number in range(1, 7)]
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3]]


def chart(curve: Curve) -> Markup:
    """Draw every column over the axis; `low` and `high` are the interval of the column before them.

    Between `region from` and `region to` the persona is at home.
    """
    if curve.axis == "plane":
        return plane.chart(curve)
    series = [label(name) for name in _drawn(curve)]
    diagonal = _DIAGONALS.get(curve.axis)
    shown = [*series, diagonal] if diagonal else series
    rows = _rows(curve) + (_diagonal(curve, diagonal) if diagonal else [])
    owner = list(curve.columns).index("low") - 1 if "low" in curve.columns else 0
    bands = [
        *_band(curve, _REGION, "var(--pass)", 0.12),
        *_band(curve, _BOUNDS, _COLORS[max(0, owner)], 0.25),
    ]
    return drawn({"width": WIDTH, "height": 180, "layer": [*bands, _lines(curve, rows, shown)]})


def _drawn(curve: Curve) -> list[str]:
    """Columns that are drawn as lines: bounds and regions are bands behind them."""
    return [name for name in curve.columns if name not in (*_BOUNDS, *_REGION)]


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


def _band(curve: Curve, bounds: tuple[str, str], color: str, opacity: float) -> list[Spec]:
    if not set(bounds) <= curve.columns.keys():
        return []
    low, high = (curve.columns[bound] for bound in bounds)
    rows = [
        {"x": x, "low": finite(below), "high": finite(above)}
        for x, below, above in zip(_places(curve), low, high, strict=True)
    ]
    area = {
        "data": {"values": rows},
        "mark": {"type": "area", "color": color, "opacity": opacity},
        "encoding": {
            "x": _horizontal(curve),
            "y": {"field": "low", "type": "quantitative"},
            "y2": {"field": "high"},
        },
    }
    return [area]


def _horizontal(curve: Curve) -> Spec:
    title = _TITLES[curve.axis]
    return {"field": "x", "type": "quantitative", "title": title, "axis": {"tickCount": 6, "grid": False}}


def _rows(curve: Curve) -> list[Spec]:
    return [
        {"x": x, "y": finite(y), "series": label(name)}
        for name in _drawn(curve)
        for x, y in zip(_places(curve), curve.columns[name], strict=True)
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
