"""The chart of a curve: a line per series, its intervals, a zone, a diagonal, and what is judged of it."""

import re
from collections.abc import Iterator
from math import isfinite

from markupsafe import Markup

from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.reports.html.palette import Ink, Palette, inks, names_of
from coherence.vocabulary import Curve, Series, Site
from coherence.vocabulary.evidence import number
from coherence.vocabulary.figures import Column

_HEIGHT = 180  # of the plot, in CSS pixels


def chart(curve: Curve, palette: Palette | None = None) -> Markup:
    """Draw every series over the abscissa, with its intervals, and behind them what the verdict is about.

    That is the band of places that are judged, the zone and, dashed, the thresholds; the lines are drawn in
    the inks of the palette, by default those of a page with this chart alone.
    """
    shown = palette or inks([names_of(curve)])
    layers = [
        *_judged(curve),
        *_zone(curve),
        *_intervals(curve, shown),
        *_thresholds(curve, shown),
        _lines(curve, shown),
    ]
    return drawn({"width": WIDTH, "height": _HEIGHT, "layer": layers}, said(curve))


def said(curve: Curve) -> str:
    """Say what the chart of a curve shows: of each series where it begins and ends, and its extremes."""
    parts = [f"{curve.value or 'Values'} over {curve.over.title}."]
    parts += [f"{name}: {_course(curve, line)}." for name, line in curve.series.items()]
    if curve.judged:
        parts.append(f"Judged from {curve.judged[0]} to {curve.judged[1]}.")
    parts += [f"Expected: {threshold}." for threshold in curve.thresholds]
    if curve.zone:
        parts.append(f"A band shows the {curve.zone.name}.")
    return " ".join(parts)


def _course(curve: Curve, line: Series) -> str:
    there = [
        (at, value) for at, value in zip(curve.at, line.values, strict=True) if finite(value) is not None
    ]
    if not there:
        return "no values"
    low, high = (extreme(there, key=lambda point: point[1] or 0.0) for extreme in (min, max))
    ends = f"from {number(there[0][1] or 0.0)} to {number(there[-1][1] or 0.0)}"
    lowest, highest = (f"{number(value or 0.0)} at {at}" for at, value in (low, high))
    return f"{ends}, lowest {lowest}, highest {highest}"


def _judged(curve: Curve) -> Iterator[Spec]:
    if curve.judged is None:
        return
    places = dict(zip(curve.at, _places(curve), strict=True))
    first, last = sorted(places[end] for end in curve.judged)
    # A single place is a band as well: half a step to each side.
    values = [{"x": first - 0.5, "x2": last + 0.5}]
    yield {
        "data": {"values": values},
        "mark": {"type": "rect", "color": "currentColor", "opacity": 0.07},
        "encoding": {"x": _horizontal(curve), "x2": {"field": "x2"}},
    }
    yield {
        "data": {"values": [{"x": (first + last) / 2, "text": "judged"}]},
        "mark": {"type": "text", "baseline": "bottom", "dy": -3, "color": "var(--muted)", "fontSize": 10},
        "encoding": {"x": _horizontal(curve), "y": {"value": 0}, "text": {"field": "text"}},
    }


def _zone(curve: Curve) -> Iterator[Spec]:
    if curve.zone:
        yield _area(curve, curve.zone.low, curve.zone.high, "var(--pass)", 0.12)


def _intervals(curve: Curve, palette: Palette) -> Iterator[Spec]:
    for name, line in curve.series.items():
        if line.low is not None and line.high is not None:
            yield _area(curve, line.low, line.high, palette[name].color, 0.2)


def _thresholds(curve: Curve, palette: Palette) -> Iterator[Spec]:
    for threshold in curve.thresholds:
        if not isfinite(threshold.value):
            continue
        color, least = palette[threshold.series].color, threshold.kind == "at least"
        text = f"{'≥' if least else '≤'} {threshold.value:g}"
        data = {"values": [{"y": threshold.value, "text": text}]}
        rule = {"type": "rule", "color": color, "strokeDash": [5, 4], "strokeWidth": 1.2}
        written = {"type": "text", "align": "right", "baseline": "bottom" if least else "top"}
        yield {"data": data, "mark": rule, "encoding": {"y": _vertical(curve, "y")}}
        yield {
            "data": data,
            "mark": {**written, "dx": -2, "dy": -2 if least else 3, "color": color, "fontSize": 10},
            "encoding": {"x": {"value": WIDTH}, "y": _vertical(curve, "y"), "text": {"field": "text"}},
        }


def _lines(curve: Curve, palette: Palette) -> Spec:
    names = [label(name) for name in names_of(curve)]
    own: list[Ink] = [palette[name] for name in names_of(curve)]

    def scale(values: list[object]) -> Spec:
        return {"domain": names, "range": values}

    return {
        "data": {"values": _rows(curve) + _diagonal(curve)},
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {
            "x": _horizontal(curve),
            "y": _vertical(curve, "y"),
            "color": {"field": "series", "type": "nominal", "scale": scale([ink.color for ink in own])},
            "strokeDash": {
                "field": "series",
                "type": "nominal",
                "scale": scale([[*ink.dash] for ink in own]),
            },
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
        "encoding": {"x": _horizontal(curve), "y": _vertical(curve, "low"), "y2": {"field": "high"}},
    }


def _horizontal(curve: Curve) -> Spec:
    axis = {"tickCount": 6, "grid": False}
    scale = {"nice": False, "zero": False}
    title = label(curve.over.title)
    return {"field": "x", "type": "quantitative", "title": title, "axis": axis, "scale": scale}


def _vertical(curve: Curve, field: str) -> Spec:
    title = label(curve.value) if curve.value else None
    return {"field": field, "type": "quantitative", "title": title, "axis": {"tickCount": 5}}


def _rows(curve: Curve) -> list[Spec]:
    return [
        {"x": x, "y": finite(y), "series": label(name)}
        for name, line in curve.series.items()
        for x, y in zip(_places(curve), line.values, strict=True)
    ]


def _diagonal(curve: Curve) -> list[Spec]:
    if not curve.over.diagonal:
        return []
    places, name = _places(curve), label(curve.over.diagonal)
    return [{"x": x, "y": x, "series": name} for x in places[:1] + places[-1:]]


def _places(curve: Curve) -> list[float]:
    """Where the rows lie: at their number or depth, or else at how many rows are before them."""
    try:
        places = [_place(row) for row in curve.at]
    except ValueError:
        places = []
    return places if all(map(isfinite, places)) and places else [float(row) for row in range(len(curve.at))]


def _place(row: str) -> float:
    return float(Site.parse(row).depth if re.fullmatch(Site.pattern, row) else row)
