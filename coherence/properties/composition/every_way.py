"""Every way of having two personas against every other, for people to read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from coherence.plan import Condition
from coherence.properties.columns import table
from coherence.properties.composition.blends import CHIMERA, TWIN, Blend
from coherence.properties.composition.distances import ProfileDistances, TokenDistances
from coherence.statistics.displacements import Displacements
from coherence.vocabulary import Band, Table
from coherence.vocabulary.evidence import number


@dataclass(frozen=True, eq=False)
class EveryWay:
    """What was measured of all ways, and of the seed-pair null where there is one."""

    ways: Sequence[Blend]
    null: Sequence[Blend]
    tokens: TokenDistances
    profiles: ProfileDistances
    moved: Displacements  # at the sites of the band
    band: Band

    def tables(self) -> Iterator[Table]:
        """Yield every way against every other by what is compared, and which persona wins in each."""
        yield self._square("next token: KL, nats", self._kl)
        yield self._square("markers: cosine", lambda *pair: self.profiles.cosine(*pair).value)
        yield self._square(f"directions at {self.band}: specific cosine", self._cosine)
        yield self._winners()

    def seed_pair(self) -> Iterator[str]:
        """Say how far two adapters are apart that differ in their seed alone."""
        if not self.null:
            return
        pair = [way.condition for way in self.null]
        yield (
            f"seed-pair null: {CHIMERA} and {TWIN} are {number(self._kl(*pair))} nat apart, "
            f"marker profile cosine {number(self.profiles.cosine(*pair).value)}, "
            f"specific cosine {number(self._cosine(*pair))}"
        )

    def _winners(self) -> Table:
        first, second = of = self.ways[0].of
        scene = self.ways[0].scene
        leans = [self.tokens.lean(way) for way in self.ways]
        shown = {
            f"shows {name}": [
                self.profiles.rate(way.condition, scene.personas[name].markers) for way in self.ways
            ]
            for name in of
        }
        return table(
            "which persona wins",
            [way.slug for way in self.ways],
            {
                "KL from bare": [self._kl(way.condition, scene.bare) for way in self.ways],
                f"KL from {first}": [float(lean.first.mean()) for lean in leans],
                f"KL from {second}": [float(lean.second.mean()) for lean in leans],
                "lean": [lean.value for lean in leans],
                **shown,
            },
        )

    def _kl(self, first: Condition, second: Condition) -> float:
        return float(self.tokens.apart(first, second).mean())

    def _cosine(self, first: Condition, second: Condition) -> float:
        return self.moved.compared(first, second).cosine().value

    def _square(self, name: str, value: Callable[[Condition, Condition], float]) -> Table:
        ways = {way.slug: way.condition for way in self.ways}
        half = {frozenset(pair): value(*pair) for pair in combinations_with_replacement(ways.values(), 2)}
        columns = {
            slug: [half[frozenset((one, other))] for one in ways.values()] for slug, other in ways.items()
        }
        return table(name, ways, columns)
