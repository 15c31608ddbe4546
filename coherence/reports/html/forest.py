"""The chart of an assertion's criteria and controls: each estimate, its interval, and what was expected."""

from collections.abc import Iterator
from math import isfinite

from markupsafe import Markup

from coherence.reports.controls import beside
from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.vocabulary import Criterion, Evidence, Verdict

_HEIGHT = 18  # of a row, in CSS pixels
_CONTROL = "var(--muted)"


def chart(evidence: Evidence) -> Markup | None:
    """Draw a row per criterion, with its controls below it; None where there is no interval to draw."""
    rows = list(_rows(evidence))
    if not rows:
        return None
    labels = [{"name": "labels", "value": [row["label"] for row in rows]}]
    numbered = [{**row, "row": place} for place, row in enumerate(rows)]
    return drawn(
        {
            "width": WIDTH - 90,
            "height": {"step": _HEIGHT},
            "params": labels,
            "data": {"values": numbered},
            "encoding": {"y": _vertical(), "color": {"field": "color", "type": "nominal", "scale": None}},
            "layer": _layers(),
        }
    )


def _layers() -> list[Spec]:
    def along(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "title": None, "axis": {"tickCount": 5}}

    def bound(field: str) -> Spec:
        mark = {"type": "tick", "color": "currentColor", "thickness": 2, "size": _HEIGHT - 4}
        return {
            "mark": mark,
            "transform": [{"filter": f"isValid(datum.{field})"}],
            "encoding": {"x": along(field), "color": {"value": "currentColor"}},
        }

    interval = {"x": along("low"), "x2": {"field": "high"}}
    return [
        {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": interval},
        {"mark": {"type": "point", "filled": True, "size": 45}, "encoding": {"x": along("value")}},
        bound("at_least"),
        bound("at_most"),
    ]


def _vertical() -> Spec:
    axis = {"labelExpr": "labels[datum.value]", "grid": False}
    return {"field": "row", "type": "ordinal", "title": None, "axis": axis}


def _rows(evidence: Evidence) -> Iterator[Spec]:
    held = list(beside(evidence))
    for criterion in evidence.criteria:
        if _drawable(criterion):
            yield _row(criterion.estimate.name, f"var(--{criterion.verdict})", criterion)
        for row in held:
            if row.criterion and row.own is criterion and _drawable(row.criterion):
                color = "var(--fail)" if row.control.verdict is Verdict.PASS else _CONTROL
                yield _row(row.control.name, color, row.criterion)


def _drawable(criterion: Criterion) -> bool:
    return isfinite(criterion.estimate.value) and not criterion.law


def _row(name: str, color: str, criterion: Criterion) -> Spec:
    estimate = criterion.estimate
    bounds = {"at_least": finite(criterion.at_least), "at_most": finite(criterion.at_most)}
    interval = {"low": finite(estimate.low), "value": estimate.value, "high": finite(estimate.high)}
    return {"label": label(name), "color": color, **interval, **bounds}
