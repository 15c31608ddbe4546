"""What to measure: conditions, measurements, and the record that the measurements fill."""

from coherence.plan.calibration import CALIBRATION, NEUTRAL
from coherence.plan.condition import Condition, Steer
from coherence.plan.extract import Extract
from coherence.plan.measurement import LawName, LawSearch, Measurement, NextToken, Reading, Reply
from coherence.plan.plan import Plan
from coherence.plan.recast import Recast
from coherence.plan.record import Answer, LawOutcome, Outcome, Record, Value
from coherence.plan.scene import Scene
from coherence.plan.stream import stream

__all__ = [
    "CALIBRATION",
    "NEUTRAL",
    "Answer",
    "Condition",
    "Extract",
    "LawName",
    "LawOutcome",
    "LawSearch",
    "Measurement",
    "NextToken",
    "Outcome",
    "Plan",
    "Reading",
    "Recast",
    "Record",
    "Reply",
    "Scene",
    "Steer",
    "Value",
    "stream",
]
