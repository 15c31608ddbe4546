"""A model that is made up: what measurements of it give."""

from typing import Any

from coherence.plan import (
    Divergence,
    Likelihood,
    Measurement,
    NextToken,
    Reading,
    Record,
    Reply,
    WeightError,
)
from coherence.properties import Case
from coherence.vocabulary import Evidence

METHODS = {
    Reading: "reading",
    Reply: "reply",
    NextToken: "next_token",
    Likelihood: "likelihood",
    Divergence: "divergence",
    WeightError: "weight_error",
}


class World:
    """Measures whatever a case asks for, by a method for each kind of measurement that a subclass has."""

    case: Case

    def value(self, measurement: Measurement) -> Any:
        """Measure one thing."""
        return getattr(self, METHODS[type(measurement)])(measurement)

    def record(self, *cases: Case) -> Record:
        """Measure what cases need, by default its own."""
        needs = (need for case in cases or (self.case,) for need in case.measurements())
        return Record({need: self.value(need) for need in dict.fromkeys(needs)})

    def judged(self, *others: Case) -> Evidence:
        """Judge its own case where others are measured, too."""
        return self.case.judge(self.record(self.case, *others), seed=0)
