"""Commutativity: the exact laws of composition, which hold for a release or are broken."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coherence.errors import SuiteError
from coherence.plan import Condition, LawName, LawSearch, Scene
from coherence.properties.case import Case
from coherence.properties.property import Property
from coherence.properties.ranges import SIZE
from coherence.properties.search_case import SearchCase
from coherence.vocabulary import Operation, Regime


@dataclass(frozen=True)
class Statement:
    """What a law says, and how many conditions, drawn from which regimes, are needed to pose it.

    One that is about sums holds for vectors that are `added`, and for no others.
    """

    says: str
    regimes: tuple[Regime, ...]
    needs: int
    added: bool = False

    def conditions(self, scene: Scene, personas: Iterable[str]) -> tuple[Condition, ...]:
        """One condition per artefact that may take part; personas that share an artefact count once."""
        able = (
            scene.condition(persona, regime)
            for persona in personas
            for regime in self.regimes
            if scene.supports(persona, regime)
        )
        posed = (condition for condition in able if not self.added or _adds(scene, condition))
        return tuple({_artefacts(condition): condition for condition in posed}.values())


def _adds(scene: Scene, condition: Condition) -> bool:
    vectors = (scene.release.vectors[steer.vector] for steer in condition.steers)
    return all(vector.operation is Operation.ADD for vector in vectors)


def _artefacts(condition: Condition) -> tuple[str, ...]:
    adapters = (f"adapter {name}" for name, _ in condition.adapters)
    return (*adapters, *(f"vector {steer.vector}" for steer in condition.steers))


LAWS: dict[str, Statement] = {
    LawName.VECTOR_ORDER: Statement(
        "two vectors added in either order equal their sum", (Regime.STEERING,), 2, added=True
    ),
    LawName.VECTOR_INVERSE: Statement(
        "a vector added and taken away again leaves the base model", (Regime.STEERING,), 1, added=True
    ),
    LawName.DOSE_ZERO: Statement(
        "a vector at dose 0 leaves the base model", (Regime.STEERING,), 1, added=True
    ),
    LawName.SCALE_ZERO: Statement("an adapter at scale 0 leaves the base model", (Regime.ADAPTER,), 1),
    LawName.ADAPTER_DISABLED: Statement("a disabled adapter leaves the base model", (Regime.ADAPTER,), 1),
    LawName.ADAPTER_ORDER: Statement(
        "two adapters stacked in either order are the same model", (Regime.ADAPTER,), 2
    ),
    LawName.ADAPTER_MERGED: Statement("an adapter merged into the base is the adapter", (Regime.ADAPTER,), 1),
    LawName.ADAPTER_UNMERGED: Statement(
        "an adapter merged and unmerged leaves the base model", (Regime.ADAPTER,), 1
    ),
    LawName.ADAPTER_SWAPPED: Statement("another adapter and back changes nothing", (Regime.ADAPTER,), 2),
    LawName.ADAPTER_BY_ROW: Statement(
        "adapters mixed in one batch by row are each by itself", (Regime.ADAPTER,), 2
    ),
    LawName.BATCH_MATES: Statement(
        "a row does not depend on its batch mates or padding",
        (Regime.BARE, Regime.ADAPTER, Regime.STEERING),
        1,
    ),
}


class Commutativity(Property):
    """The exact laws: vectors and adapters commute, nothing at strength zero acts, rows are independent."""

    family: ClassVar[str] = "commutativity"

    property: Literal["commutativity"] = Field(description="Names this property.")
    laws: tuple[LawName, ...] | None = Field(
        None, description="Laws that must hold; default: all that the release has the artefacts for."
    )
    tolerance: Annotated[float, SIZE] = Field(
        1e-4,
        gt=0,
        description="Largest relative deviation of the logits; the default is for float32 weights.",
    )
    examples: int = Field(
        8, ge=1, description="How many examples are drawn per law; every artefact has one more."
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per law; a law that is asked for by name and cannot be posed is a SuiteError."""
        posed = {
            law: LAWS[law].conditions(scene, self.personas or scene.personas) for law in self.laws or LawName
        }
        return [
            SearchCase(
                persona="release",
                slug=law.value,
                search=LawSearch(law, conditions, scene.probes, self.tolerance, self.examples, scene.seed),
                key="tolerance",
                says=f"the law: {LAWS[law].says}",
                statistic="deviation",
            )
            for law, conditions in posed.items()
            if self._can_be_posed(law, len(conditions))
        ]

    def _can_be_posed(self, law: LawName, there: int) -> bool:
        needed = LAWS[law].needs
        if there < needed and self.laws:
            added = " that is added" if LAWS[law].added else ""
            kind = "an adapter" if Regime.ADAPTER in LAWS[law].regimes else f"a vector{added}"
            raise SuiteError(
                f"the law {law.value!r} needs {needed} personas with {kind} in the release; found {there}"
            )
        return there >= needed
