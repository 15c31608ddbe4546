"""The properties of a persona, each a module of the same form: a schema, what it needs, how it judges."""

from typing import Annotated

from pydantic import Field

from coherence.properties.attractors.attractor import Attractor
from coherence.properties.attractors.basin import Basin
from coherence.properties.attractors.cache import CacheLaw
from coherence.properties.attractors.cache_edit import CacheEdited
from coherence.properties.attractors.capping import Capping
from coherence.properties.attractors.drift import Drift
from coherence.properties.attractors.gap import Gap
from coherence.properties.attractors.handover import Handover
from coherence.properties.collinearity import Collinearity
from coherence.properties.composition.algebra import Algebra
from coherence.properties.composition.chimera import Chimera
from coherence.properties.composition.commutativity import Commutativity
from coherence.properties.composition.dose import Dose
from coherence.properties.composition.equivalence import Equivalence
from coherence.properties.composition.factorial import Factorial
from coherence.properties.composition.worst import Worst
from coherence.properties.criterion import held
from coherence.properties.markers import Markers
from coherence.properties.property import Case, Property

AnyProperty = Annotated[
    Collinearity
    | Markers
    | Commutativity
    | Algebra
    | Chimera
    | Worst
    | Attractor
    | Basin
    | CacheLaw
    | CacheEdited
    | Capping
    | Gap
    | Dose
    | Drift
    | Handover
    | Equivalence
    | Factorial,
    Field(discriminator="property"),
]

__all__ = [
    "Algebra",
    "AnyProperty",
    "Attractor",
    "Basin",
    "CacheEdited",
    "CacheLaw",
    "Capping",
    "Case",
    "Chimera",
    "Collinearity",
    "Commutativity",
    "Dose",
    "Drift",
    "Equivalence",
    "Factorial",
    "Gap",
    "Handover",
    "Markers",
    "Property",
    "Worst",
    "held",
]
