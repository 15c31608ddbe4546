"""The picture of a matrix: a cell for each row and column, darker where its number is larger."""

import json

from markupsafe import Markup

from coherence.reports.html.charts import WIDTH, Spec, drawn, finite, label
from coherence.vocabulary import Table
from coherence.vocabulary.evidence import number

_HEIGHT = 24  # of a row, in CSS pixels
_DARKEST = 0.7  # opacity of the largest number, which is still read on it
_POSITIVE, _NEGATIVE = "var(--series-1)", "var(--series-2)"


def chart(table: Table) -> Markup:
    """Draw each number in its cell: the colour says its sign, and how dark it is its size."""
    cells = [
        (row, column, value)
        for row, values in enumerate(table.cells)
        for column, value in enumerate(map(finite, values))
        if value is not None
    ]
    most = max((abs(value) for *_, value in cells), default=0.0) or 1.0
    rows = [
        {
            "row": row,
            "column": column,
            "number": f"{value:.2f}",
            "color": _NEGATIVE if value < 0 else _POSITIVE,
            "size": _DARKEST * abs(value) / most,
        }
        for row, column, value in cells
    ]
    place = {"y": _axis("row", table.rows, "left"), "x": _axis("column", table.columns, "top")}
    filled = {
        "color": {"field": "color", "type": "nominal", "scale": None},
        "opacity": {"field": "size", "type": "quantitative", "scale": None},
    }
    layers: list[Spec] = [
        {"mark": {"type": "rect", "stroke": None}, "encoding": {**place, **filled}},
        {
            "mark": {"type": "text", "color": "currentColor", "fontSize": 10},
            "encoding": {**place, "text": {"field": "number"}},
        },
    ]
    spec: Spec = {
        "width": max(WIDTH - 60, 30 * len(table.columns)),
        "height": {"step": _HEIGHT},
        "data": {"values": rows},
        "layer": layers,
    }
    return drawn(spec, said(table))


def said(table: Table) -> str:
    """Say what the picture shows, row by row."""
    rows = (
        f"{name} {', '.join(_cells(table.columns, cells))}"
        for name, cells in zip(table.rows, table.cells, strict=True)
    )
    return f"{table.name}: {'; '.join(rows)}."


def _cells(columns: tuple[str, ...], cells: tuple[float | None, ...]) -> list[str]:
    return [
        f"{column} {'undefined' if cell is None else number(cell)}"
        for column, cell in zip(columns, cells, strict=True)
    ]


def _axis(field: str, names: tuple[str, ...], orient: str) -> Spec:
    axis = {
        "labelExpr": f"{json.dumps([label(name) for name in names])}[datum.value]",
        "orient": orient,
        "labelAngle": -40 if orient == "top" else 0,
        "grid": False,
    }
    scale = {"domain": list(range(len(names)))}
    return {"field": field, "type": "ordinal", "title": None, "axis": axis, "scale": scale}
