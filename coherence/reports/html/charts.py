"""Charts as static SVG: Vega-Lite draws them, the style of the page colours them, and no script runs."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import vl_convert
from markupsafe import Markup

from coherence.reports.html.svg import compacted
from coherence.reports.html.text import plain

Spec = dict[str, Any]

WIDTH = 290  # of the plot, in CSS pixels: with its axis it fits on a phone

_LABEL = 32  # characters; Vega's own limit, switched off below, would cut a character in two

_TEXT = {"labelColor": "currentColor", "titleColor": "var(--muted)", "titleFontWeight": "normal"}
_CONFIG: Spec = {
    "aria": False,  # each is described in words as a whole, and has its numbers in a table
    "background": None,
    "view": {"stroke": None},
    "padding": {"left": 12, "right": 12, "top": 6, "bottom": 6},  # browsers' fonts may be wider
    "axis": {
        **_TEXT,
        "gridColor": "var(--line)",
        "domain": False,
        "ticks": False,
        "labelPadding": 5,
        "labelFontSize": 11,
        "labelLimit": 0,
        "titleFontSize": 11,
        "titleLimit": 0,
        "titlePadding": 8,
    },
    "legend": {
        **_TEXT,
        "orient": "bottom",
        "direction": "horizontal",
        "title": None,
        "columns": 2,
        "labelFontSize": 11,
        "labelLimit": 0,
        "symbolSize": 220,
        "symbolStrokeWidth": 2,
    },
}


def drawn(spec: Mapping[str, Any], said: str) -> Markup:
    """Draw a Vega-Lite chart, with what it shows `said` in words for those who do not see it.

    Colours may be `currentColor` and `var(--name)`; text is escaped.
    """
    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG, **spec}
    return compacted(vl_convert.vegalite_to_svg(whole, vl_version="6.1"), plain(said))


def finite(value: float | None) -> float | None:
    """Return the value, or None where there is nothing to draw."""
    return value if value is not None and isfinite(value) else None


def label(name: str) -> str:
    """Cut a name to what fits beside a chart; the tables have all of it."""
    written = plain(name)
    return written if len(written) <= _LABEL else f"{written[:_LABEL]}…"
