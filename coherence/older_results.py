"""Results documents of the formats before: what they said in names is said in fields of its own now."""

from typing import Any, Final

from coherence.vocabulary import Regime

FORMATS: Final = (2, 3, 4)

_Json = dict[str, Any]

_ABSCISSAE: Final[dict[str, _Json]] = {
    "site": {"title": "blocks passed"},
    "weight": {"title": "weight of the mixture", "diagonal": "a linear response"},
    "dose": {"title": "dose"},
    "turn": {"title": "turn"},
    "since": {"title": "turns since release"},
    "start": {"title": "position at release", "diagonal": "where it was released"},
}


def upgraded(document: _Json) -> _Json:
    """Write a document of one of these formats as one of format 5. What is malformed stays as it is."""
    assertions = document.get("assertions")
    newer = list(map(_assertion, assertions)) if isinstance(assertions, list) else assertions
    return {**document, "format": 5, "assertions": newer}


def _assertion(written: object) -> object:
    if not isinstance(written, dict) or str(written.get("id")).count(".") < 2:
        return written
    _, asserted, slug = str(written["id"]).split(".", 2)
    named = {"property": asserted, "slug": slug, "regimes": _regimes(slug)}
    return {**written, **named, "evidence": _evidence(written.get("evidence"))}


def _regimes(slug: str) -> list[str]:
    """Read them from the end of an id, such as `prompt-adapter`."""
    try:
        return [str(Regime.parse(part)) for part in slug.split("-")]
    except ValueError:
        return []


def _evidence(written: object) -> object:
    match written:
        case {"curve": {"axis": "plane", "at": list(at), "columns": dict(columns)}, **rest}:
            return {**rest, "arrows": _arrows(at, columns)}
        case {"curve": {"axis": str(axis), "at": at, "columns": dict(columns)}, **rest}:
            over = _ABSCISSAE.get(axis, {"title": axis})
            return {**rest, "curve": {"over": over, "at": at, **_lines(columns)}}
    return written


def _lines(columns: _Json) -> _Json:
    """Columns `low` and `high` are the interval of the one before them, `region from` and `to` a zone."""
    lines: _Json = {}
    for name, values in columns.items():
        if name in ("low", "high") and lines:
            lines[next(reversed(lines))][name] = values
        elif name not in _ZONE:
            lines[name] = {"values": values}
    low, high = map(columns.get, _ZONE)
    return {"series": lines} | (
        {"zone": {"name": "region", "low": low, "high": high}} if low and high else {}
    )


_ZONE: Final = ("region from", "region to")


def _arrows(at: list[str], columns: _Json) -> _Json:
    x, y, x2, y2 = columns.values()
    return {
        "x": next(iter(columns)).removesuffix(" at release"),
        "y": list(columns)[1].removesuffix(" at release"),
        "begins": "at release",
        "ends": "at the end",
        "start": dict(zip(at, zip(x, y, strict=True), strict=True)),
        "end": dict(zip(at, zip(x2, y2, strict=True), strict=True)),
    }
