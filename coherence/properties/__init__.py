"""The properties of a persona, each a module of the same form: a schema, what it needs, how it judges."""

from coherence.properties.criterion import held
from coherence.properties.property import Case, Property

__all__ = ["Case", "Property", "held"]
