"""The properties of a persona, each a module of the same form: a schema, what it needs, how it judges."""

from typing import Annotated

from pydantic import Field

from coherence.properties.collinearity import Collinearity
from coherence.properties.composition.algebra import Algebra
from coherence.properties.composition.chimera import Chimera
from coherence.properties.composition.commutativity import Commutativity
from coherence.properties.composition.dose import Dose
from coherence.properties.composition.equivalence import Equivalence
from coherence.properties.composition.factorial import Factorial
from coherence.properties.composition.worst import Worst
from coherence.properties.conversations.basin import Basin
from coherence.properties.conversations.cache import CacheLaw
from coherence.properties.conversations.cache_edit import CacheEdited
from coherence.properties.conversations.capping import Capping
from coherence.properties.conversations.drift import Drift
from coherence.properties.conversations.handover import Handover
from coherence.properties.criterion import held
from coherence.properties.markers import Markers
from coherence.properties.mixtures.attractor import Attractor
from coherence.properties.mixtures.gap import Gap
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
