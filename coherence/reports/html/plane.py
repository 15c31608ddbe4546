"""The picture of a plane: an arrow from where a conversation is released to where it comes to rest."""

from markupsafe import Markup

from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.vocabulary import Curve

_COLOR = "var(--series-1)"


def chart(curve: Curve) -> Markup:
    """Draw columns x and y at release, and x and y at the end: a line for each row, with a dot at its end."""
    names = [label(name.removesuffix(" at release")) for name in list(curve.columns)[:2]]
    rows = [
        dict(zip(("name", "x", "y", "x2", "y2"), (label(name), *map(finite, row)), strict=True))
        for name, row in zip(curve.at, zip(*curve.columns.values(), strict=True), strict=True)
    ]
    start, end = _at("x", "y", names), _at("x2", "y2", names)
    way = {**start, "x2": {"field": "x2"}, "y2": {"field": "y2"}}
    named = {"type": "text", "align": "left", "dx": 4, "color": "currentColor", "fontSize": 10}
    dot = {"type": "point", "filled": True, "color": _COLOR, "size": 45}
    unmoved = {"type": "point", "shape": "cross", "color": "currentColor"}
    layers: list[Spec] = [
        {"mark": {"type": "rule", "color": _COLOR, "opacity": 0.6}, "encoding": way},
        {"mark": dot, "encoding": end},
        {"mark": named, "encoding": {**start, "text": {"field": "name"}}},
        {"mark": unmoved, "encoding": start, "data": {"values": [{"x": 0, "y": 0}]}},
    ]
    return drawn({"width": WIDTH, "height": WIDTH, "data": {"values": rows}, "layer": layers})


def _at(x: str, y: str, names: list[str]) -> Spec:
    return {
        channel: {"field": field, "type": "quantitative", "title": name, "axis": {"tickCount": 5}}
        for channel, field, name in zip("xy", (x, y), names, strict=True)
    }
