"""From an interval to a criterion: the one way in which a property holds an estimate against a range."""

from functools import partial
from math import inf, isinf, isnan

from coherence.statistics.intervals import Interval
from coherence.vocabulary import Criterion, Estimate
from coherence.vocabulary.evidence import Sampled, enough, number


def held(
    name: str,
    found: Interval,
    n: int,
    at_least: float = -inf,
    at_most: float = inf,
    unreliable: str | None = None,
    *,
    key: str | None,
    of: Sampled = "probes",
) -> Criterion:
    """Hold what n of them gave against `[at_least, at_most]`; `unreliable` says why it cannot decide."""
    if isnan(found.value):
        unreliable = unreliable or f"these {n} {of} give it no value"
    elif isinf(found.low) and isinf(found.high):
        unreliable = unreliable or f"these {n} {of} give it no interval"
    return Criterion(
        estimate=Estimate(
            name=name,
            value=found.value,
            low=found.low,
            high=found.high,
            n=n,
            of=of,
            influence=found.influence,
        ),
        at_least=at_least,
        at_most=at_most,
        unreliable=unreliable,
        key=key,
        p=None if unreliable else _p(found, at_least, at_most),
    )


def exact(
    name: str,
    value: float,
    n: int,
    at_most: float,
    unreliable: str | None = None,
    *,
    key: str,
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
    said = f"the ceiling {number(ceiling)} is below {least:g}"
    if not ceiling > 0 or least == 1:
        return f"{said}: {n} probes do not tell these directions from noise"
    # Spearman-Brown: a sample k times as large turns a reliability r into k r / (1 + (k - 1) r).
    return f"{said}: {enough(n, n * least * (1 - ceiling) / (ceiling * (1 - least)))}"


def unclear(said: str, effect: Interval, n: int) -> str | None:
    """Add to `said`, that something has no clear effect, what is missing; None if the effect is above 0."""
    if effect.low > 0:
        return None
    if effect.value <= 0:
        return f"{said}: more probes do not help"
    found = Estimate(name=said, value=effect.value, low=effect.low, high=effect.high, n=n)
    return f"{said}: {found.lacking(0)}"


def _p(found: Interval, at_least: float, at_most: float) -> float | None:
    if at_least <= found.value <= at_most:
        return None
    return float(found.doubt(at_least if found.value < at_least else at_most))
