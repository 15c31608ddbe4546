"""The chart of a curve: a line per column, its interval, and the diagonal of a mixture."""

from math import isfinite

from markupsafe import Markup

from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.vocabulary import Curve

_TITLES = {"site": "blocks passed", "weight": "weight of the mixture", "dose": "dose"}
_BOUNDS = ("low", "high")
_DIAGONAL = "a linear response"
_COLORS = [f"var(--series-{number})" for number in range(1, 7)]
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3]]


def chart(curve: Curve) -> Markup:
    """Draw every column over the axis; `low` and `high` are the interval of the column before them."""
    series = [label(name) for name in curve.columns if name not in _BOUNDS]
    mixture = curve.axis == "weight"
    shown = [*series, _DIAGONAL] if mixture else series
    rows = _rows(curve) + (_diagonal(curve) if mixture else [])
    return drawn({"width": WIDTH, "height": 180, "layer": [*_interval(curve), _lines(curve, rows, shown)]})


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


def _interval(curve: Curve) -> list[Spec]:
    if not set(_BOUNDS) <= curve.columns.keys():
        return []
    low, high = (curve.columns[bound] for bound in _BOUNDS)
    owner = max(0, list(curve.columns).index("low") - 1)
    rows = [
        {"x": x, "low": finite(below), "high": finite(above)}
        for x, below, above in zip(_places(curve), low, high, strict=True)
    ]
    area = {
        "data": {"values": rows},
        "mark": {"type": "area", "color": _COLORS[owner], "opacity": 0.25},
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
        for name, column in curve.columns.items()
        if name not in _BOUNDS
        for x, y in zip(_places(curve), column, strict=True)
    ]


def _diagonal(curve: Curve) -> list[Spec]:
    places = _places(curve)
    return [{"x": x, "y": x, "series": _DIAGONAL} for x in places[:1] + places[-1:]]


def _places(curve: Curve) -> list[float]:
    """Where the rows lie: at their number, or else at how many rows are before them."""
    try:
        places = [float(row) for row in curve.at]
    except ValueError:
        places = []
    return places if all(map(isfinite, places)) and places else [float(row) for row in range(len(curve.at))]
