"""A release on its way through the gate: planned, then measured."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from coherence.engine.artefacts.artefacts import Artefacts, Named
from coherence.engine.artefacts.remark import Remark
from coherence.engine.engine import Engine
from coherence.errors import CoherenceError
from coherence.gate.judging import Judgement
from coherence.gate.release_notes import ReleaseNotes
from coherence.plan import Plan, Record
from coherence.plan.workload import Work
from coherence.suite import Assertion, Suite

Chosen: TypeAlias = tuple[Suite, Assertion]
Timed: TypeAlias = tuple[Judgement, float]
"""What came of an assertion, and the seconds that judging took."""
ByAssertion: TypeAlias = dict[tuple[Suite, str], Timed]


class PlannedRelease(NamedTuple):
    """What the claims about a release take, by which engine, scales of adapters, and what is said before."""

    key: str
    chosen: Sequence[Chosen]
    plan: Plan
    engine: Engine
    artefacts: Artefacts
    scales: Mapping[str, float]
    remarks: Mapping[Named, Sequence[Remark]]

    @property
    def has_smoke(self) -> bool:
        """Whether an assertion of the smoke tier is about it."""
        return any(assertion.tier == "smoke" for _, assertion in self.chosen)

    @property
    def lacks(self) -> bool:
        """Whether it has something to be measured; what is in the way of that, its verdicts say."""
        try:
            return bool(self.engine.missing(self.plan))
        except CoherenceError:
            return True

    @property
    def left(self) -> Work:
        """What is to be measured of it."""
        with suppress(CoherenceError):
            return self.engine.left(self.plan)
        return Work()


class MeasuredRelease(NamedTuple):
    """What was measured of a release, what came of its assertions, and what is said of it."""

    record: Record
    judged: ByAssertion
    artefacts: Artefacts
    notes: ReleaseNotes
    scales: Mapping[str, float]
    remarks: Mapping[Named, Sequence[Remark]]
