"""The picture of a scatter: a symbol for each group, and a line between the points of one name."""

from collections import defaultdict

from markupsafe import Markup

from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.reports.html.text import plain
from coherence.vocabulary import Scatter
from coherence.vocabulary.evidence import number

_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
_COLORS = tuple(f"var(--series-{place})" for place in (6, 2, 1, 3, 4, 5))


def chart(scatter: Scatter) -> Markup:
    """Draw all points; those of groups that share names with another are named and joined."""
    groups = list(dict.fromkeys(point.group for point in scatter.points))
    joined = _joined(scatter)
    rows = [
        {
            "name": label(point.name),
            "group": label(point.group),
            "x": x,
            "y": y,
            "joined": point.name in joined,
        }
        for point in scatter.points
        if (x := finite(point.x)) is not None and (y := finite(point.y)) is not None
    ]
    place = {channel: _at(channel, title) for channel, title in (("x", scatter.x), ("y", scatter.y))}
    symbol = {
        channel: {
            "field": "group",
            "type": "nominal",
            "scale": {"domain": list(map(label, groups)), "range": _in_turn(values, len(groups))},
        }
        for channel, values in (("shape", _SYMBOLS), ("color", _COLORS))
    }
    way = {"type": "line", "color": "currentColor", "opacity": 0.4, "strokeWidth": 1}
    mark = {"type": "point", "size": 50, "strokeWidth": 1.5}
    named = {"type": "text", "align": "left", "dx": 6, "color": "currentColor", "fontSize": 10}
    first = {"filter": f"datum.joined && datum.group == '{label(_first(scatter, joined))}'"}
    layers: list[Spec] = [
        {
            "mark": way,
            "transform": [{"filter": "datum.joined"}],
            "encoding": {**place, "detail": {"field": "name"}},
        },
        {"mark": mark, "encoding": {**place, **symbol}},
        {"mark": named, "transform": [first], "encoding": {**place, "text": {"field": "name"}}},
    ]
    return drawn({"width": WIDTH, "height": WIDTH, "data": {"values": rows}, "layer": layers}, said(scatter))


def said(scatter: Scatter) -> str:
    """Say where every joined point is, and where the others are on average."""
    joined, groups = _joined(scatter), defaultdict(list)
    for point in scatter.points:
        groups[point.group].append(point)
    parts = []
    for group, points in groups.items():
        if any(point.name in joined for point in points):
            parts.append(f"{group}: " + "; ".join(f"{one.name} {_place(one.x, one.y)}" for one in points))
        else:
            x, y = (
                sum(values) / len(points) for values in zip(*((one.x, one.y) for one in points), strict=True)
            )
            parts.append(f"{group}, {len(points)} on average at {_place(x, y)}")
    return f"{scatter.x} and {scatter.y}. {'. '.join(parts)}."


def _place(x: float, y: float) -> str:
    return f"{number(x)}, {number(y)}"


def _joined(scatter: Scatter) -> set[str]:
    """Names that are in more than one group."""
    groups = defaultdict(set)
    for point in scatter.points:
        groups[point.name].add(point.group)
    return {name for name, of in groups.items() if len(of) > 1}


def _first(scatter: Scatter, joined: set[str]) -> str:
    return next((point.group for point in scatter.points if point.name in joined), "")


def _in_turn(values: tuple[str, ...], count: int) -> list[str]:
    return [values[place % len(values)] for place in range(count)]


def _at(channel: str, title: str) -> Spec:
    scale = {"zero": False}
    return {
        "field": channel,
        "type": "quantitative",
        "title": plain(title),
        "axis": {"tickCount": 5},
        "scale": scale,
    }
