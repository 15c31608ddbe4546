"""From an interval to a criterion: the one way in which a property holds an estimate against a range."""

from functools import partial
from math import inf, isfinite, isinf, isnan

from coherence.statistics.intervals import Interval
from coherence.vocabulary import Criterion, Estimate
from coherence.vocabulary.evidence import Sampled, enough, number

_FAINT = 0.25  # what a prompt adds to the rate of markers is a quarter at least wherever it is a persona's


def held(
    name: str,
    interval: Interval,
    n: int,
    at_least: float = -inf,
    at_most: float = inf,
    unreliable: str | None = None,
    *,
    key: str | None,
    of: Sampled = "probes",
) -> Criterion:
    """Hold what n of them gave against `[at_least, at_most]`; `unreliable` says why it cannot decide."""
    if isnan(interval.value):
        unreliable = unreliable or f"these {n} {of} give it no value"
    elif isinf(interval.low) and isinf(interval.high):
        unreliable = unreliable or f"these {n} {of} give it no interval"
    return Criterion(
        estimate=Estimate(
            name=name,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            n=n,
            of=of,
            influence=interval.influence,
        ),
        at_least=at_least,
        at_most=at_most,
        unreliable=unreliable,
        key=key,
        p=None if unreliable else _p(interval, at_least, at_most),
        p_outside=None if unreliable else _p_outside(interval, at_least, at_most),
    )


def exact(
    name: str,
    value: float,
    n: int,
    at_most: float,
    unreliable: str | None = None,
    *,
    key: str | None,
    of: Sampled = "probes",
) -> Criterion:
    """Hold a law, or a fact about these n: it has no interval, and there is nothing to adjust."""
    return Criterion(
        estimate=Estimate(name=name, value=value, low=value, high=value, n=n, of=of),
        at_most=at_most,
        unreliable=unreliable,
        key=key,
        law=True,
    )


over_scripts = partial(held, of="scripts")
"""Hold what n scripts gave against a range."""


def too_noisy(ceiling: float, least: float, n: int) -> str | None:
    """Say that directions of this ceiling decide nothing and about how many probes would; None if they do."""
    if ceiling >= least:
        return None
    below = f"the ceiling {number(ceiling)} is below {least:g}"
    if not ceiling > 0 or least == 1:
        return f"{below}: {n} probes do not tell these directions from noise"
    # Spearman-Brown: a sample k times as large turns a reliability r into k r / (1 + (k - 1) r).
    return f"{below}: {enough(n, n * least * (1 - ceiling) / (ceiling * (1 - least)))}"


def unclear(claim: str, effect: Interval, n: int) -> str | None:
    """Add to `said`, that something has no clear effect, what is missing; None if the effect is above 0."""
    if effect.low > 0:
        return None
    if effect.value <= 0:
        return f"{claim}: more probes do not help"
    estimate = Estimate(name=claim, value=effect.value, low=effect.low, high=effect.high, n=n)
    return f"{claim}: {estimate.lacking(0)}"


def faint(prompted: float, bare: float) -> str | None:
    """Say that a prompt hardly raises the share of replies with a marker; None where it does by a quarter."""
    if prompted - bare >= _FAINT:
        return None
    replies = f"markers in {prompted:.0%} of its replies, {bare:.0%} without it"
    return f"the prompt itself hardly evokes the persona: {replies}"


def unevoked(prompted: float, bare: float, effect: Interval, n: int) -> str | None:
    """Say that a prompt's rate is not clearly above the bare one, and whether more probes mend it.

    `effect` is the difference of the rates. None where all of its interval is above 0.
    """
    if effect.low > 0:
        return None
    if hardly := faint(prompted, bare):
        return f"{hardly}; more probes do not help"
    return unclear(
        f"the prompt's rate {prompted:.2f} is not clearly above the bare rate {bare:.2f}", effect, n
    )


def _p(interval: Interval, at_least: float, at_most: float) -> float | None:
    if at_least <= interval.value <= at_most:
        return None
    return float(interval.doubt(at_least if interval.value < at_least else at_most))


def _p_outside(interval: Interval, at_least: float, at_most: float) -> float | None:
    if not at_least <= interval.value <= at_most:
        return None
    bounds = (bound for bound in (at_least, at_most) if isfinite(bound))
    return max((float(interval.doubt(bound)) for bound in bounds), default=0.0)
