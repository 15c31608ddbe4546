"""The words of the domain, each in a file of its own; everything else is said with them."""

from coherence.vocabulary.decoding import Decoding
from coherence.vocabulary.evidence import Criterion, Curve, Estimate, Evidence, ProbeNote
from coherence.vocabulary.persona import Example, Marker, Persona, Prompt
from coherence.vocabulary.probe import Probe
from coherence.vocabulary.regime import BARE, Regime
from coherence.vocabulary.release import Extraction, Name, Release, VectorSource
from coherence.vocabulary.site import Band, Position, Site
from coherence.vocabulary.verdict import Verdict

__all__ = [
    "BARE",
    "Band",
    "Criterion",
    "Curve",
    "Decoding",
    "Estimate",
    "Evidence",
    "Example",
    "Extraction",
    "Marker",
    "Name",
    "Persona",
    "Position",
    "Probe",
    "ProbeNote",
    "Prompt",
    "Regime",
    "Release",
    "Site",
    "VectorSource",
    "Verdict",
]
