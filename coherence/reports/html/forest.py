"""Charts of criteria and controls: each estimate, its interval, and the range that was expected."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

from markupsafe import Markup

from coherence.reports.controls import beside
from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.vocabulary import Control, Criterion, Evidence, Verdict

_HEIGHT = 20  # of a row, in CSS pixels
_LETTER = 6.6  # about the width of one, in bold
_ROOM = 0.06  # beside what is drawn, as a share of its width
_CONTROL = "var(--muted)"


@dataclass(frozen=True)
class _Row:
    name: str
    color: str
    criterion: Criterion


@dataclass(frozen=True)
class _Panel:
    """A criterion with its controls below it, on an axis of its own: each statistic has its scale."""

    rows: tuple[_Row, ...]

    @property
    def own(self) -> Criterion:
        return self.rows[0].criterion

    @property
    def domain(self) -> tuple[float, float]:
        """What is drawn lies within, and so does every bound."""
        estimates = [row.criterion.estimate for row in self.rows]
        drawn_at = [at for one in estimates for at in (one.low, one.value, one.high) if isfinite(at)]
        bounds = [bound for bound in (self.own.at_least, self.own.at_most) if isfinite(bound)]
        low, high = min(drawn_at + bounds), max(drawn_at + bounds)
        room = (high - low) * _ROOM or abs(high) * _ROOM or 1.0
        return (low - room, high + room) if isfinite(low - room) and isfinite(high + room) else (low, high)

    def __str__(self) -> str:
        own, *others = self.rows
        sentence = f"{own.criterion}: {own.criterion.verdict}."
        if others:
            each = (f"{row.name} {row.criterion.estimate.spread}" for row in others)
            sentence += f" In its place: {'; '.join(each)}."
        return sentence


def chart(evidence: Evidence) -> Markup | None:
    """Draw what decided first, then every other criterion, each with its controls below it.

    None where there is no interval to draw.
    """
    decisive = evidence.decisive
    panels = sorted(_panels(evidence), key=lambda panel: panel.own is not decisive)
    return _drawn(panels)


def decisive(evidence: Evidence) -> Markup | None:
    """Draw what decided alone; None where it has no interval."""
    return _drawn([panel for panel in _panels(evidence) if panel.own is evidence.decisive])


def _drawn(panels: Sequence[_Panel]) -> Markup | None:
    if not panels:
        return None
    longest = max(len(row.name) for panel in panels for row in panel.rows)
    beside_it = min(longest * _LETTER, WIDTH * 0.75)
    specs = [_panel(panel, beside_it) for panel in panels]
    return drawn({"vconcat": specs, "spacing": 14}, " ".join(map(str, panels)))


def _panel(panel: _Panel, extent: float) -> Spec:
    rows = [{**_values(row), "row": place} for place, row in enumerate(panel.rows)]
    along = partial(_along, panel)
    each = {"y": _vertical(panel, extent), "color": {"field": "color", "type": "nominal", "scale": None}}
    own = {"condition": {"test": "datum.row == 0", "value": 3}, "value": 1.5}
    return {
        "width": WIDTH - 80,
        "height": {"step": _HEIGHT},
        "data": {"values": rows},
        "layer": [
            *_expected(panel),
            {
                "mark": {"type": "rule", "strokeCap": "round"},
                "encoding": {**each, "x": along("low"), "x2": {"field": "high"}, "strokeWidth": own},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
                "encoding": {**each, "x": along("value")},
            },
        ],
    }


def _expected(panel: _Panel) -> Iterator[Spec]:
    """Shade what was expected behind the rows, and draw its bounds."""
    low, high = panel.domain
    first, last = max(panel.own.at_least, low), min(panel.own.at_most, high)
    if first <= last:
        yield {
            "data": {"values": [{"from": first, "to": last}]},
            "mark": {"type": "rect", "color": "var(--pass)", "opacity": 0.13},
            "encoding": {"x": _along(panel, "from"), "x2": {"field": "to"}},
        }
    bounds = [{"at": bound} for bound in (panel.own.at_least, panel.own.at_most) if isfinite(bound)]
    yield {
        "data": {"values": bounds},
        "mark": {"type": "rule", "color": "currentColor", "strokeDash": [4, 3]},
        "encoding": {"x": _along(panel, "at")},
    }


def _along(panel: _Panel, field: str) -> Spec:
    scale = {"domain": panel.domain, "nice": False, "zero": False}
    title = f"expected {panel.own.threshold}"
    return {"field": field, "type": "quantitative", "title": title, "axis": {"tickCount": 5}, "scale": scale}


def _vertical(panel: _Panel, extent: float) -> Spec:
    axis = {
        "labelExpr": f"{json.dumps([row.name for row in panel.rows])}[datum.value]",
        "labelFontWeight": {"condition": {"test": "datum.value == 0", "value": "bold"}, "value": "normal"},
        "grid": False,
        "minExtent": extent,
        "maxExtent": extent,
    }
    return {"field": "row", "type": "ordinal", "title": None, "axis": axis}


def _panels(evidence: Evidence) -> Iterator[_Panel]:
    held = list(beside(evidence))
    for criterion in evidence.criteria:
        if _drawable(criterion):
            own = _Row(label(criterion.estimate.name), f"var(--{criterion.verdict})", criterion)
            controls = (
                _Row(label(one.control.name), _color(one.control), one.criterion)
                for one in held
                if one.criterion and one.own is criterion and _drawable(one.criterion)
            )
            yield _Panel((own, *controls))


def _color(control: Control) -> str:
    return "var(--fail)" if control.verdict is Verdict.PASS else _CONTROL


def _drawable(criterion: Criterion) -> bool:
    return isfinite(criterion.estimate.value) and not criterion.law


def _values(row: _Row) -> Spec:
    estimate = row.criterion.estimate
    ends = {"low": finite(estimate.low), "high": finite(estimate.high)}
    return {"color": row.color, "value": estimate.value, **ends}
