"""Columns of a curve, as evidence keeps them."""

from collections.abc import Iterable
from math import isfinite


def column(values: Iterable[float]) -> tuple[float | None, ...]:
    """Plain numbers; None where a value is undefined."""
    return tuple(float(value) if isfinite(value) else None for value in values)


def every_site(depths: int) -> tuple[str, ...]:
    """Names of the rows in a stack of residuals, `Site.depth` from 0."""
    return tuple("resid_pre.0" if depth == 0 else f"resid_post.{depth - 1}" for depth in range(depths))
