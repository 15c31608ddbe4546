"""The properties of a persona, each a module of the same form: a schema, and cases of four parts."""

from coherence.properties.case import Case
from coherence.properties.criterion import held
from coherence.properties.property import Property

__all__ = ["Case", "Property", "held"]
