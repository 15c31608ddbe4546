"""Worst: two personas summed at inference are the adapter trained on their mix, at the worst probe too."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coherence.plan import ClaimName, LawSearch, Scene
from coherence.properties.case import Case
from coherence.properties.eligibility import Couple, require_adapter
from coherence.properties.property import Property
from coherence.properties.ranges import SIZE
from coherence.properties.search_case import SearchCase
from coherence.vocabulary import Regime

CLAIM = "the claim: the next token of the sum is that of the chimera, at every probe and strength"


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
        (Regime.STEERING, Regime.ADAPTER),
        description="Regimes in which to sum; one assertion each.",
    )
    max_kl: Annotated[float, SIZE] = Field(
        gt=0, description="Largest KL(chimera || sum) of the next token at any probe, in nats."
    )
    examples: int = Field(8, ge=1, description="How many examples are drawn; every probe has one more.")

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime; both personas and the adapter must be there."""
        require_adapter(scene, self.adapter)
        return [
            SearchCase(
                persona="+".join(self.of),
                slug=str(regime),
                search=self._search(regime, scene),
                key="max_kl",
                says=CLAIM,
                statistic="KL at the worst probe",
                regimes=(regime,),
            )
            for regime in self.sums
        ]

    def _search(self, regime: Regime, scene: Scene) -> LawSearch:
        chimera = replace(scene.bare, adapters=((self.adapter, 1.0),))
        by_sum = scene.mixture(dict.fromkeys(self.of, 1.0), regime)
        claim = ClaimName.NEXT_TOKEN
        return LawSearch(claim, (chimera, by_sum), scene.probes, self.max_kl, self.examples, scene.seed)
