"""A vector added at one site after the other: how far it goes towards what a prompt does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from coherence.plan import Condition, Divergence, Record, Reply, Scene, Steer
from coherence.statistics.geometry import Array
from coherence.statistics.site_effects import SiteEffects
from coherence.vocabulary import Regime, Site, Tokens


@dataclass(frozen=True)
class Swept:
    """A vector at one dose, held against the prompt of a persona at every site.

    It is added where the model is about to answer and from there on: so all sites share what comes before,
    and what is measured is their effect on `tokens` tokens of what the prompted model replies. Without a
    vector nothing is added anywhere.
    """

    scene: Scene
    persona: str
    vector: Steer | None
    sites: Sequence[Site]
    tokens: int

    def needs(self) -> Iterator[Divergence]:
        """Hold bare, and the vector at every site, against the prompt, on every probe."""
        for condition in (self.scene.bare, *self.conditions):
            yield from self._divergences(condition)

    @property
    def conditions(self) -> list[Condition]:
        """The vector at each site."""
        return [replace(self.scene.bare, steers=self._steers(site)) for site in self.sites]

    def effects(self, record: Record) -> SiteEffects:
        """Take the divergences of every site."""
        left = np.array([self._by_probe(record, condition) for condition in self.conditions])
        return SiteEffects(left, self._by_probe(record, self.scene.bare), self.scene.clusters)

    def _steers(self, site: Site) -> tuple[Steer, ...]:
        return () if self.vector is None else (replace(self.vector, at=site, tokens=Tokens.REPLY),)

    def _by_probe(self, record: Record, condition: Condition) -> Array:
        divergences = map(record.divergence, self._divergences(condition))
        return np.array([values.mean(dtype=np.float64) for values in divergences])

    def _divergences(self, condition: Condition) -> list[Divergence]:
        prompted = self.scene.condition(self.persona, Regime.PROMPT)
        replies = (Reply(prompted, probe, self.scene.decoding) for probe in self.scene.probes)
        return [Divergence(condition, reply.probe, prompted, reply, self.tokens) for reply in replies]
