"""The picture of a plane: an arrow from where something is released to where it comes to rest."""

from markupsafe import Markup

from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.vocabulary import Arrows
from coherence.vocabulary.evidence import number

_COLOR = "var(--series-1)"


def chart(arrows: Arrows) -> Markup:
    """Draw a line for each from its start to its end, with a dot there."""
    names = [label(arrows.x), label(arrows.y)]
    rows = [
        dict(zip(("name", "x", "y", "x2", "y2"), (label(name), *map(finite, way)), strict=True))
        for name, way in ((name, (*arrows.start[name], *arrows.end[name])) for name in arrows.start)
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
    return drawn({"width": WIDTH, "height": WIDTH, "data": {"values": rows}, "layer": layers}, said(arrows))


def said(arrows: Arrows) -> str:
    """Say what the picture shows: where each arrow begins and where it ends."""
    ways = (
        f"{name} from {_point(arrows.start[name])} to {_point(arrows.end[name])}" for name in arrows.start
    )
    plane = f"{arrows.x} and {arrows.y}, {arrows.begins} and {arrows.ends}"
    return f"{plane}: {'; '.join(ways)}."


def _point(place: tuple[float | None, float | None]) -> str:
    return ", ".join("undefined" if at is None else number(at) for at in place)


def _at(x: str, y: str, names: list[str]) -> Spec:
    return {
        channel: {"field": field, "type": "quantitative", "title": name, "axis": {"tickCount": 5}}
        for channel, field, name in zip("xy", (x, y), names, strict=True)
    }
