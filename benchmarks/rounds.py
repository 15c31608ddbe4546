"""Variants in alternation, checked against the first of them, and their ratios as a table."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

MEANS_TOLERANCE = 1e-4
"""Largest relative error of the means of any condition at any site: the peers' torch is another one."""
TEXTS_TOLERANCE = 0.97
"""Least share of equal replies: rounding may turn a tie between two tokens."""

Variant = Callable[[], tuple[float, Any]]
"""Returns seconds and a result."""
CONSOLE = Console()


def timed(run: Callable[[], Any]) -> Variant:
    """Make a variant of a call."""

    def variant() -> tuple[float, Any]:
        started = time.perf_counter()
        result = run()
        return time.perf_counter() - started, result

    return variant


def alternate(
    variants: Mapping[str, Variant], rounds: int, check: Callable[[Any, Any], str] | None = None
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Run A B C A B C ... after one round to warm up; return seconds by variant, and what `check` said.

    `check` holds every result, in every round, against the first variant's, and exits when they differ.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    said: dict[str, str] = {}
    first = next(iter(variants))
    for turn in range(rounds + 1):
        for name, variant in variants.items():
            with CONSOLE.status(f"{name}, round {turn} of {rounds}"):
                taken, result = variant()
            if name == first:
                expected = result
            elif check:
                said[name] = check(result, expected)
            if turn:
                seconds[name].append(taken)
    return seconds, said


def means_differ(found: np.ndarray, expected: np.ndarray) -> str:
    """Check means [conditions, sites, width]."""
    if found.shape != expected.shape:
        raise SystemExit(f"FAILED: means of shape {found.shape}, the naive loop's are {expected.shape}")
    error = np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    if not error.max() <= MEANS_TOLERANCE:
        where = np.argwhere(~(error <= MEANS_TOLERANCE))[0].tolist()
        raise SystemExit(
            f"FAILED: relative error {error.max():.1e} to the naive loop, at most {MEANS_TOLERANCE:.0e}; "
            f"first at [condition, site] {where}"
        )
    return f"error {error.max():.0e}"


def texts_differ(found: Sequence[str], expected: Sequence[str]) -> str:
    """Check replies."""
    equal = sum(one == other for one, other in zip(found, expected, strict=True))
    if equal < TEXTS_TOLERANCE * len(expected):
        odd = next(pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1])
        raise SystemExit(
            f"FAILED: {equal} of {len(expected)} replies are the naive loop's, "
            f"at least {TEXTS_TOLERANCE:.0%} are expected; first {odd[0]!r} for {odd[1]!r}"
        )
    return f"{equal} of {len(expected)} equal"


def talks_differ(found: tuple[list[str], np.ndarray], expected: tuple[list[str], np.ndarray]) -> str:
    """Check conversations: replies, and the means of those that are equal."""
    said = texts_differ(found[0], expected[0])
    equal = [one == other for one, other in zip(found[0], expected[0], strict=True)]
    return f"{said}, {means_differ(found[1][None, equal], expected[1][None, equal])}"


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median [min, max]."""
    return f"{np.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def ratios(tops: Sequence[float], bottoms: Sequence[float]) -> list[float]:
    """Ratio of each round."""
    return [top / bottom for top, bottom in zip(tops, bottoms, strict=True)]


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> None:
    """Print a table, with a note below it."""
    drawn = Table(*columns, title=title, title_justify="left")
    for row in rows:
        drawn.add_row(*row)
    CONSOLE.print(drawn)
    if note:
        CONSOLE.print(note, style="dim")


def race(
    title: str,
    variants: Mapping[str, Variant],
    rounds: int,
    check: Callable[[Any, Any], str],
    note: str = "",
) -> dict[str, list[float]]:
    """Alternate, check, and print how many times faster than the first variant each was."""
    seconds, said = alternate(variants, rounds, check)
    first = next(iter(seconds))
    rows = [
        (
            name,
            f"{np.median(taken):.2f}",
            spread(ratios(seconds[first], taken)),
            said.get(name, "is the measure"),
        )
        for name, taken in seconds.items()
    ]
    table(title, ("variant", "seconds", f"x {first}", "numbers"), rows, note)
    return seconds
