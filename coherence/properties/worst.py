"""Worst: two personas summed at inference are the adapter trained on their mix, at the worst probe too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from coherence.errors import SuiteError, did_you_mean
from coherence.plan import ClaimName, Condition, LawSearch, Measurement, Record, Scene
from coherence.properties.cast import Couple
from coherence.properties.commutativity import counterexample
from coherence.properties.property import Case, Property
from coherence.vocabulary import Criterion, Estimate, Evidence, Regime

CLAIM = "the next token of the sum is that of the chimera, at every probe and strength"


@dataclass(frozen=True)
class WorstCase(Case):
    """The sum of two personas in one regime, held against the adapter trained on their mix."""

    persona: str
    slug: str
    search: LawSearch

    def needs(self) -> Iterable[Measurement]:
        """One search for a counterexample."""
        return [self.search]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Say the claim, and the smallest example that breaks it."""
        found = record.law(self.search).counterexample
        broken = counterexample(found) if found else None
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            probes=(broken,) if broken else (),
            notes=(f"the claim: {CLAIM}", *([broken.note] if broken else [])),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Hold the largest KL against the bound; it is that of these very probes, and has no interval."""
        outcome = record.law(self.search)
        seen = outcome.deviation
        estimate = Estimate(name="KL at the worst probe", value=seen, low=seen, high=seen, n=outcome.examples)
        yield Criterion(estimate=estimate, at_most=self.search.tolerance, law=True)


class Worst(Property):
    """Two personas summed at inference say what the adapter trained on their mix says, at every probe.

    An average over probes forgives the one question that goes wrong; this does not.
    """

    family: ClassVar[str] = "commutativity"

    property: Literal["worst"] = Field(description="Names this property.")
    personas: None = Field(None, description="Not used here: `of` names the two.")
    of: Couple = Field(description="The two personas that are summed.")
    adapter: str = Field(description="Name in the release of the adapter trained on their mix.")
    sums: tuple[Regime, ...] = Field(
        (Regime.parse("steering"), Regime.parse("adapter")),
        description="Regimes in which to sum; one assertion each.",
    )
    max_kl: float = Field(
        gt=0, description="Largest KL(chimera || sum) of the next token at any probe, in nats."
    )
    examples: int = Field(8, ge=1, description="How many examples are drawn; every probe has one more.")

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime; both personas and the adapter must be there."""
        if self.adapter not in scene.release.adapters:
            raise SuiteError(
                f"no adapter of the release is named {self.adapter!r}"
                f"{did_you_mean(self.adapter, scene.release.adapters)}"
            )
        return [
            WorstCase("+".join(self.of), str(regime), self._search(regime, scene)) for regime in self.sums
        ]

    def _search(self, regime: Regime, scene: Scene) -> LawSearch:
        chimera = Condition(scene.neutral, adapters=((self.adapter, 1.0),))
        by_sum = scene.mixture(dict.fromkeys(self.of, 1.0), regime)
        claim = ClaimName.NEXT_TOKEN
        return LawSearch(claim, (chimera, by_sum), scene.probes, self.max_kl, self.examples, scene.seed)
