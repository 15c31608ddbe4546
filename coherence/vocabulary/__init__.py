"""The words of the domain, each in a file of its own; everything else is said with them."""

from coherence.vocabulary.artefact_files import ArtefactFiles
from coherence.vocabulary.bound import Bound
from coherence.vocabulary.cause import Cause
from coherence.vocabulary.comparison import Change, Comparison, Difference
from coherence.vocabulary.decoding import Decoding
from coherence.vocabulary.evidence import (
    Adjusted,
    Control,
    Criterion,
    Estimate,
    Evidence,
)
from coherence.vocabulary.expectation import Expectation, Incoherence, fails_as_expected
from coherence.vocabulary.figures import (
    Abscissa,
    Arrows,
    Curve,
    Figures,
    Point,
    ProbeNote,
    Scatter,
    Series,
    Table,
    Threshold,
    Zone,
)
from coherence.vocabulary.influence import Influence
from coherence.vocabulary.judge import Judge, Labelled, Rubric
from coherence.vocabulary.marker import Marker, shown
from coherence.vocabulary.operation import Operation
from coherence.vocabulary.other_model import OtherModel
from coherence.vocabulary.persona import Example, Persona, Prompt
from coherence.vocabulary.policy import Policy
from coherence.vocabulary.probe import Probe
from coherence.vocabulary.regime import REGIMES, Regime
from coherence.vocabulary.release import Extraction, Name, Release, VectorSource
from coherence.vocabulary.script import Kind, Script, ScriptTurn
from coherence.vocabulary.site import Band, Position, Site
from coherence.vocabulary.templating import Templating
from coherence.vocabulary.thinking import Part, Thinking
from coherence.vocabulary.tokens import Tokens
from coherence.vocabulary.user import User
from coherence.vocabulary.verdict import Verdict

__all__ = [
    "REGIMES",
    "Abscissa",
    "Adjusted",
    "Arrows",
    "ArtefactFiles",
    "Band",
    "Bound",
    "Cause",
    "Change",
    "Comparison",
    "Control",
    "Criterion",
    "Curve",
    "Decoding",
    "Difference",
    "Estimate",
    "Evidence",
    "Example",
    "Expectation",
    "Extraction",
    "Figures",
    "Incoherence",
    "Influence",
    "Judge",
    "Kind",
    "Labelled",
    "Marker",
    "Name",
    "Operation",
    "OtherModel",
    "Part",
    "Persona",
    "Point",
    "Policy",
    "Position",
    "Probe",
    "ProbeNote",
    "Prompt",
    "Regime",
    "Release",
    "Rubric",
    "Scatter",
    "Script",
    "ScriptTurn",
    "Series",
    "Site",
    "Table",
    "Templating",
    "Thinking",
    "Threshold",
    "Tokens",
    "User",
    "VectorSource",
    "Verdict",
    "Zone",
    "fails_as_expected",
    "shown",
]
