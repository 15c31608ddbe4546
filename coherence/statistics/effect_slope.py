"""How much of a persona's effect another form of it has, and whether it is that effect: token by token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite, isnan

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife, ratio_of_means


@dataclass(frozen=True, eq=False)
class Effects:
    """What two forms of a persona do to the same tokens of fixed replies, summed up by probe, [probes] each.

    The effect on a token is log p(token | persona) - log p(token | bare), in nats. The sums are over the
    tokens of a probe: of form * reference, reference^2 and form^2. A probe without tokens adds nothing.
    Clusters are taken to be drawn independently of each other. See docs/verdicts.md#export.
    """

    between: Array
    reference: Array
    form: Array
    clusters: Sequence[str]

    @classmethod
    def of(cls, form: Sequence[Real], reference: Sequence[Real], clusters: Sequence[str]) -> "Effects":
        """From effects on the tokens of each probe: [probes] arrays of [tokens], of as many in both forms.

        ValueError where they are not as many. Every token must be finite.
        """
        pairs = [
            (np.asarray(here, np.float64), np.asarray(there, np.float64))
            for here, there in zip(form, reference, strict=True)
        ]
        sums = np.array([(here @ there, there @ there, here @ here) for here, there in pairs])
        between, own, others = sums.reshape(-1, 3).T
        return cls(between, own, others, clusters)

    @cached_property
    def slope(self) -> Interval:
        """Share of the reference's effect that the form has, sum of form * reference / sum of reference^2.

        1: the same dose; 0: bare, or something that has nothing to do with it. It is the least-squares line
        through the origin over all tokens, for where the one has no effect, the other has none either
        (Eisenhauer 2003, Teaching Statistics 25); an intercept would take the mean effect away, which is
        most of what a persona does to its own replies. The reference is taken to be free of noise. A ratio of
        means over probes, whose interval is Fieller's (1954); where that is endless, as one probe has most
        of the effect, the jackknife's of the ratio itself, for the sum of squares below is never nothing
        (MacKinnon and White 1985). NaN where the reference has no effect.
        """
        fieller = ratio_of_means(self.between[None], self.reference[None], self.clusters)
        return self._with_ends(fieller, lambda weights: weights @ self.reference)

    @cached_property
    def cosine(self) -> Interval:
        """Whether it is the same effect, whatever its size: the cosine of both over all tokens.

        -1 to 1, and 0 where one says nothing of the other; NaN where either has no effect. A ratio that is
        curved in the weights of the probes (Helmers 1991), with the ends of a slope where it is endless.
        """
        jackknife = Jackknife(self.clusters)

        def terms(weights: Array) -> tuple[Array, Array]:
            lengths = np.sqrt((weights @ self.reference) * (weights @ self.form))
            return (weights @ self.between)[:, None], lengths[:, None]

        interval = self._with_ends(jackknife.curved(terms).interval, lambda weights: terms(weights)[1][:, 0])
        return replace(interval, low=max(interval.low, -1.0), high=min(interval.high, 1.0))

    def _with_ends(self, interval: Interval, below: Callable[[Array], Array]) -> Interval:
        """Give an endless interval the ends of the jackknife of the ratio itself."""
        if isfinite(interval.high - interval.low) or isnan(interval.value):
            return interval
        jackknife = Jackknife(self.clusters)
        under = below(jackknife.weights)
        ratios = (jackknife.weights @ self.between) / np.where(under > 0, under, np.nan)
        return jackknife.around(interval.value, ratios).interval

    @cached_property
    def slopes(self) -> Array:
        """Slope of each probe by itself, [probes]; NaN where the reference has no effect on it."""
        return np.asarray(self.between / np.where(self.reference > 0, self.reference, np.nan))


def effect_slope(form: Sequence[Real], reference: Sequence[Real], clusters: Sequence[str]) -> Interval:
    """Slope of a form's effects on those of the reference, [probes] arrays of [tokens]: see `Effects`."""
    return Effects.of(form, reference, clusters).slope
