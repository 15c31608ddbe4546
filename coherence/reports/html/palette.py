"""One colour for a series, whichever chart of the page it is in."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from coherence.results import AssertionResult
from coherence.vocabulary import Curve

_COLORS = tuple(f"var(--series-{number})" for number in range(1, 9))
_DASHES = ((1, 0), (6, 3), (2, 2), (8, 2, 2, 2), (4, 4), (1, 3))


@dataclass(frozen=True)
class Ink:
    """What a line is drawn with: its colour, and dashes for those who do not tell colours apart."""

    color: str
    dash: tuple[int, ...]


Palette = dict[str, Ink]
"""What each series is drawn with, by its name."""


def palette_of(assertions: Iterable[AssertionResult]) -> Palette:
    """Give every series of these its ink, in order of first appearance."""
    curves = (one.evidence.curve for one in assertions if one.evidence)
    return inks([names_of(curve) for curve in curves if curve])


def names_of(curve: Curve) -> list[str]:
    """Name the lines of a curve: its series, and the diagonal."""
    return [*curve.series, *([curve.over.diagonal] if curve.over.diagonal else [])]


def inks(charts: Iterable[Iterable[str]]) -> Palette:
    """Give names their inks: in one chart the colours differ while there are any, then the dashes do."""
    together = [tuple(chart) for chart in charts]
    given: Palette = {}
    for name in dict.fromkeys(name for chart in together for name in chart):
        beside = {other for chart in together if name in chart for other in chart}
        near = Counter(given[other].color for other in beside if other in given)
        everywhere = Counter(ink.color for ink in given.values())
        color = min(_COLORS, key=lambda color: (near[color], everywhere[color]))
        given[name] = Ink(
            color, _DASHES[(everywhere[color] + near[color] + _COLORS.index(color)) % len(_DASHES)]
        )
    return given
