"""Curves over the number of probes, as a picture."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

Curves = Mapping[tuple[str, str], Mapping[int, float]]
"""Share by number of probes, by estimate and kind of probes."""

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d")
LEFT, TOP, WIDE, HIGH, LEGEND = 50, 20, 420, 260, 250


def drawn(curves: Curves) -> str:
    """Draw an SVG: full lines for single probes, broken ones for templates."""
    sizes = sorted({n for curve in curves.values() for n in curve})
    kinds = list(dict.fromkeys(kind for kind, _ in curves))
    colours = dict(zip(kinds, COLOURS, strict=False))
    across = {n: LEFT + WIDE * number / (len(sizes) - 1) for number, n in enumerate(sizes)}
    parts = [*_axes(across), *_legend(colours)]
    for (kind, probes), curve in curves.items():
        points = " ".join(f"{across[n]:.0f},{_height(share):.0f}" for n, share in curve.items())
        dash = "" if probes == "single" else ' stroke-dasharray="5 4"'
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colours[kind]}" stroke-width="2"{dash}/>'
        )
    size = f'width="{LEFT + WIDE + LEGEND}" height="{TOP + HIGH + 50}"'
    font = 'font-family="sans-serif" font-size="12"'
    inside = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>\n{inside}\n</svg>\n'


def _height(share: float) -> float:
    return TOP + HIGH * (1 - share)


def _axes(across: Mapping[int, float]) -> list[str]:
    shares, end = (0.0, 0.25, 0.5, 0.75, 1.0), LEFT + WIDE
    lines = [
        f'<line x1="{LEFT}" x2="{end}" y1="{_height(share):.0f}" y2="{_height(share):.0f}" stroke="#ddd"/>'
        for share in shares
    ]
    beside = [
        f'<text x="{LEFT - 8}" y="{_height(share) + 4:.0f}" text-anchor="end">{share:.0%}</text>'
        for share in shares
    ]
    below = [
        f'<text x="{x:.0f}" y="{TOP + HIGH + 18}" text-anchor="middle">{n}</text>' for n, x in across.items()
    ]
    title = f'<text x="{LEFT + WIDE / 2}" y="{TOP + HIGH + 38}" text-anchor="middle">probes</text>'
    return [*lines, *beside, *below, title]


def _legend(colours: Mapping[str, str]) -> list[str]:
    parts = []
    for number, (kind, colour) in enumerate(colours.items()):
        y, x = TOP + 12 + 18 * number, LEFT + WIDE + 20
        parts.append(
            f'<line x1="{x}" x2="{x + 20}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{x + 26}" y="{y}">{escape(kind)}</text>')
    return parts
