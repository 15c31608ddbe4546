"""The properties of a persona, each a module of the same form: a schema, what it needs, how it judges."""

from typing import Annotated

from pydantic import Field

from coherence.properties.algebra import Algebra
from coherence.properties.attractor import Attractor
from coherence.properties.basin import Basin
from coherence.properties.cache import CacheLaw
from coherence.properties.cache_edit import CacheEdited
from coherence.properties.capping import Capping
from coherence.properties.chimera import Chimera
from coherence.properties.collinearity import Collinearity
from coherence.properties.commutativity import Commutativity
from coherence.properties.criterion import held
from coherence.properties.dose import Dose
from coherence.properties.drift import Drift
from coherence.properties.equivalence import Equivalence
from coherence.properties.factorial import Factorial
from coherence.properties.gap import Gap
from coherence.properties.handover import Handover
from coherence.properties.markers import Markers
from coherence.properties.property import Case, Property
from coherence.properties.worst import Worst

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
