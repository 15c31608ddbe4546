"""Which mistake of a server a dose other than 1 is likely to be, by the adapter's own numbers."""

from collections.abc import Iterator
from math import isnan, log, sqrt
from typing import NamedTuple

_ALIKE = 1.15  # doses whose ratio is smaller are not told apart by the curve


class Numbers(NamedTuple):
    """Rank, alpha and scale of an adapter; NaN where its config has none."""

    rank: float
    alpha: float
    scale: float


def likely(
    dose: float, slope: float, most: float, numbers: Numbers | None, kind: str = "an adapter"
) -> str | None:
    """Name what makes a served effect that of another dose; None where nothing is known to.

    `dose` is where it stands on the curve up to `most`, `slope` that of the effects.
    `kind` says what the persona is put into the model by.
    """
    if slope < -0.1:
        return "its sign is turned round"
    if dose < 0.1:
        return f"the base is served in its place, as where {kind} is ignored or not loaded"
    if dose >= most:
        return f"it acts {most:g} times as strongly or more{as_where_far_too_large(most, numbers)}"
    near = [mistake for factor, mistake in _mistakes(numbers) if abs(log(dose / factor)) < log(_ALIKE)]
    return f"it acts {dose:.2g} times as strongly, as where {' or '.join(near)}" if near else None


def as_where_far_too_large(most: float, numbers: Numbers | None) -> str:
    """Go on to say which mistake makes a scale so many times too large, where one does."""
    beyond = [mistake for factor, mistake in _mistakes(numbers) if factor >= most]
    return f", as where {beyond[0]}" if beyond else ""


def _mistakes(numbers: Numbers | None) -> Iterator[tuple[float, str]]:
    """Yield factors that are told apart from 1, and what makes each."""
    yield 2.0, "it is applied twice"
    yield 0.5, "half of it is applied"
    if numbers is None or isnan(numbers.scale) or not numbers.scale:
        return
    rank, alpha, scale = numbers
    wrong = {
        "its scale is taken to be alpha / r, and that it is rsLoRA is passed over": alpha / rank,
        "its scale is taken to be alpha / sqrt(r), as that of rsLoRA": alpha / sqrt(rank),
        "its scale is taken to be alpha": alpha,
        "its scale is taken to be alpha times r": alpha * rank,
        "its scale is taken to be 1": 1.0,
    }
    for mistake, taken in wrong.items():
        if taken > 0 and abs(log(taken / scale)) > log(_ALIKE):
            yield taken / scale, mistake
