"""The properties of a persona, each a module of the same form: a schema, what it needs, how it judges."""

from typing import Annotated

from pydantic import Field

from coherence.properties.attractor import Attractor
from coherence.properties.chimera import Chimera
from coherence.properties.collinearity import Collinearity
from coherence.properties.commutativity import Commutativity
from coherence.properties.markers import Markers
from coherence.properties.property import Case, Property

AnyProperty = Annotated[
    Collinearity | Markers | Commutativity | Chimera | Attractor, Field(discriminator="property")
]

__all__ = [
    "AnyProperty",
    "Attractor",
    "Case",
    "Chimera",
    "Collinearity",
    "Commutativity",
    "Markers",
    "Property",
]
