"""What to measure: conditions, measurements, and the record that the measurements fill."""

from coherence.plan.calibration import CALIBRATION, NEUTRAL
from coherence.plan.extract import Extract
from coherence.plan.measurement import (
    Alone,
    Cache,
    CacheEdit,
    Cap,
    ClaimName,
    Condition,
    Divergence,
    LawName,
    LawSearch,
    Likelihood,
    Measurement,
    NextToken,
    Patch,
    Reading,
    Reply,
    Steer,
    Turn,
    Way,
    WeightError,
    conditions_of,
    rests_on,
)
from coherence.plan.plan import Plan
from coherence.plan.recast import Recast
from coherence.plan.record import AbsentError, Answer, LawOutcome, Outcome, Reasoning, Record, Seen, Value
from coherence.plan.scene import Scene
from coherence.plan.stream import stream

__all__ = [
    "CALIBRATION",
    "NEUTRAL",
    "AbsentError",
    "Alone",
    "Answer",
    "Cache",
    "CacheEdit",
    "Cap",
    "ClaimName",
    "Condition",
    "Divergence",
    "Extract",
    "LawName",
    "LawOutcome",
    "LawSearch",
    "Likelihood",
    "Measurement",
    "NextToken",
    "Outcome",
    "Patch",
    "Plan",
    "Reading",
    "Reasoning",
    "Recast",
    "Record",
    "Reply",
    "Scene",
    "Seen",
    "Steer",
    "Turn",
    "Value",
    "Way",
    "WeightError",
    "conditions_of",
    "rests_on",
    "stream",
]
