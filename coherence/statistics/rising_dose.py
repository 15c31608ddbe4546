"""The answer to a rising dose: how fast markers rise, what it costs the text, and what else is moved."""

from collections.abc import Callable, Sequence
from math import copysign, isfinite, log

import numpy as np

from coherence.statistics.agreement import Hits
from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import TAIL, Interval
from coherence.statistics.jackknife import Jackknife, either
from coherence.statistics.products import Products
from coherence.vocabulary import Influence

HALVINGS = 40  # of the range from 0 to the largest effect, to find the lower end of its interval


def slopes(doses: Sequence[float], hits: Hits) -> Array:
    """Least-squares slope of each probe's hits [doses, probes] on the dose, per unit of dose: [probes].

    sum (d - mean d) hit(d) / sum (d - mean d)^2 over the doses d. See docs/verdicts.md#dose.
    """
    return np.asarray(_contrast(doses) @ hits)


def trend(doses: Sequence[float], hits: Hits, clusters: Sequence[str]) -> Interval:
    """Slope of the share of hits [doses, probes] on the dose, which is the mean of the probes' slopes.

    Small samples that all answer alike have no spread: as in `agreement`, a probe of each kind is added, here
    one that hits above the mean dose, one that hits below it, one that always hits and one that never does.
    It says that the response rises on the whole, not at every step. See docs/verdicts.md#dose.
    """
    if len(doses) < 2:
        return Interval.unknown()
    contrast = _contrast(doses)
    steepest = float(contrast[contrast > 0].sum())
    kinds = np.stack([contrast > 0, contrast < 0, np.ones(len(doses)), np.zeros(len(doses))])
    table, jackknife = Jackknife.enlarged(hits.T.astype(np.float64), kinds, clusters)
    values = jackknife.weights @ (table @ contrast)
    value = float(slopes(doses, hits).mean())
    interval = either(*(jackknife.around(centre, values) for centre in (value, float(values[0]))))
    low, high = max(-steepest, interval.low), min(steepest, interval.high)
    return Interval(value, low, high, interval.doubt, interval.influence)


def _contrast(doses: Sequence[float]) -> Array:
    apart = np.asarray(doses, dtype=np.float64) - np.mean(doses)
    return np.asarray(apart / (apart @ apart))


def geometric_ratio(first: Array, second: Array, clusters: Sequence[str]) -> Interval:
    """exp(mean(first - second)), from logarithms [probes] of each without a NaN, paired by probe.

    It is the ratio of two geometric means; the jackknife and its t are those of the logarithm.
    See docs/verdicts.md#dose.
    """
    if not len(first):
        return Interval.unknown()
    jackknife = Jackknife(clusters)
    apart = first - second
    logarithm = jackknife.around(float(apart.mean()), jackknife.weights @ apart).interval
    with np.errstate(over="ignore"):
        value, low, high = (float(np.exp(end)) for end in (logarithm.value, logarithm.low, logarithm.high))

    def doubt(bound: float) -> float:
        return logarithm.doubt(log(bound)) if bound > 0 else 0.0

    return Interval(value, low, high, doubt, _times(logarithm.influence, value))


def along(displaced: Real, direction: Real, clusters: Sequence[str]) -> Interval:
    """How far a displacement goes along a mean direction, <s, p> / <p, p>, from [probes, width] of each.

    Inner products run over probes of different clusters (`Products`), and the ratio is tested after Fieller
    (1954). See docs/verdicts.md#dose.
    """
    jackknife = Jackknife(clusters)
    above, below = (
        Products.of(side, direction, clusters).across(jackknife.weights)[:, None]
        for side in (displaced, direction)
    )
    return jackknife.ratio(above, below).interval


def largest(effects: Sequence[Interval]) -> Interval:
    """Interval of the size of the largest of several effects, of either sign, whichever that is.

    All must be below a bound for the largest to be, so the least certain decides (intersection-union test);
    one above is enough, so that one of many is above by chance must be allowed for (Bonferroni). Nothing is
    assumed of how they depend on each other. See docs/verdicts.md#dose.
    """
    value = float(np.max([abs(effect.value) for effect in effects]))
    if np.isnan(value):
        return Interval.unknown(value)

    def doubt(bound: float) -> float:
        if bound > value:
            return max(_doubt(effect, bound) for effect in effects)
        return min(1.0, len(effects) * min(_doubt(one, bound) for one in effects if abs(one.value) >= bound))

    most = max(effects, key=lambda one: abs(one.value))
    high = max(max(-one.low, one.high) for one in effects)
    influence = _times(most.influence, copysign(1.0, most.value))
    return Interval(value, _lowest(doubt, value), high, doubt, influence)


def _doubt(effect: Interval, size: float) -> float:
    """One-sided p that an effect is of this size, or of one beyond it as seen from the estimate."""
    if size > abs(effect.value):
        return max(effect.doubt(size), effect.doubt(-size))
    return effect.doubt(copysign(size, effect.value))


def _lowest(doubt: Callable[[float], float], value: float) -> float:
    """Lower end of the interval of a size, whose doubt rises up to its value; 0 when none is refused."""
    # The least of several doubts has no inverse in closed form.
    if doubt(0.0) > TAIL:
        return 0.0
    refused, left = 0.0, value
    for _ in range(HALVINGS):
        middle = (refused + left) / 2
        refused, left = (middle, left) if doubt(middle) <= TAIL else (refused, middle)
    return left


def _times(influence: Influence | None, factor: float) -> Influence | None:
    if influence is None or not isfinite(factor):
        return None
    clusters = {name: factor * adds for name, adds in influence.clusters.items()}
    return Influence(clusters=clusters, added=abs(factor) * influence.added, freedom=influence.freedom)
