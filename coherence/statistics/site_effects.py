"""What a vector does at each site where it is added: how much of the way to a prompted model it brings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife, Pivot, smallest


@dataclass(frozen=True, eq=False)
class SiteEffects:
    """KL of the prompted model's next tokens from those under a vector at each site, and from bare: in nats.

    The effect at a site is 1 - mean left / mean whole: 1 where the vector makes the next token what the
    prompt makes it, 0 where it brings nothing, below 0 where it leads away. It is the mean gain in
    log-likelihood of what the prompted model says, in units of what there is to be gained. A ratio of means
    over probes, tested after Fieller (1954). Clusters are taken to be drawn independently.
    See docs/verdicts.md#gateway.
    """

    left: Array  # [sites, probes]
    whole: Array  # [probes]
    clusters: Sequence[str]

    @property
    def by_site(self) -> list[Interval]:
        """Effect at each site, not adjusted for how many there are; NaN where the prompt does nothing."""
        return [self._ratio(self._gained(site), self.whole).interval for site in self._sites]

    @cached_property
    def means(self) -> Array:
        """Mean gain at each site in nats, [sites]: where the effect is largest, this is."""
        return np.asarray((self.whole - self.left).mean(1))

    def peak(self, among: Sequence[int] | None = None) -> int:
        """Place of the site with the largest effect, of all or of some."""
        places = list(self._sites if among is None else among)
        return places[int(self.means[places].argmax())]

    @property
    def largest(self) -> Interval:
        """Effect where it is largest, whichever site that is: above a bound if it is at one of them."""
        return -smallest([self._ratio(-self._gained(site), self.whole) for site in self._sites])

    def lead(self, within: Sequence[int]) -> Interval:
        """Effect at the best of some sites less that at any other, whichever of these has the largest."""
        own = self._gained(self.peak(within))
        others = (site for site in self._sites if site not in within)
        return smallest([self._ratio(own - self._gained(site), self.whole) for site in others])

    def left_over(self, among: Iterable[int]) -> Interval:
        """Effect at the best of some sites as a share of that at the peak: below a bound only if all are."""
        most = self._gained(self.peak())
        return -smallest([self._ratio(-self._gained(site), most) for site in among])

    def loss(self, at: int) -> Interval:
        """How much larger the effect is at the best of all other sites than at this one."""
        own = self._gained(at)
        others = (site for site in self._sites if site != at)
        return -smallest([self._ratio(own - self._gained(site), self.whole) for site in others])

    @property
    def _sites(self) -> range:
        return range(len(self.left))

    def _gained(self, site: int) -> Array:
        return np.asarray(self.whole - self.left[site])

    def _ratio(self, above: Array, below: Array) -> Pivot:
        jackknife = self._jackknife
        return jackknife.ratio(*((jackknife.weights @ side)[:, None] for side in (above, below)))

    @cached_property
    def _jackknife(self) -> Jackknife:
        return Jackknife(self.clusters)
