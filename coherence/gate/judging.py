"""An assertion by itself, judged as soon as all that it rests on is measured."""

from collections.abc import Iterator
from typing import NamedTuple

from coherence.errors import CoherenceError, ExtensionError, UnmeasuredError, in_a_sentence, listed
from coherence.gate.needs import Needs
from coherence.plan import Record, stream
from coherence.properties import Case
from coherence.properties.asking import Asking
from coherence.properties.parts import too_few_answers
from coherence.suite import Assertion, Suite
from coherence.vocabulary import Evidence, Part, Verdict


class Judgement(NamedTuple):
    """What came of an assertion: evidence, or what left it without."""

    evidence: Evidence | None
    problem: CoherenceError | None


class Judging:
    """Judges one assertion; by no part of its claim where not all may be measured (`is_limited`)."""

    def __init__(self, suite: Suite, assertion: Assertion, needs: Needs, is_limited: bool) -> None:
        self._assertion, self._needs, self._is_limited = assertion, needs, is_limited
        # Each assertion has its own stream, so that no other assertion and no order can move its estimate.
        self._seed = stream(suite.scene.seed, assertion.id)

    def asking(self) -> Asking[Judgement]:
        """Ask for what a claim takes and judge it; where it passes, go on to its controls, step by step."""
        if self._needs.problem:
            return Judgement(None, self._needs.problem)
        try:
            record = yield tuple(self._needs.claim)
            if self._is_limited:
                self._require_measured(record)
            evidence = self._of_claim(record)
            for criterion in evidence.criteria:
                # What reckons with it among all the others must not fail there.
                self._assertion.property.could_fail(criterion)
            if self._assertion.expect == "pass":
                evidence = yield from self._controlled(evidence)
        except Exception as error:
            return Judgement(None, in_a_sentence(error))
        return Judgement(evidence, None)

    def _require_measured(self, record: Record) -> None:
        """Refuse to judge by a part. What is known to be in the way is said before what was not tried."""
        problems = [problem for one in self._needs.claim if (problem := record.problem(one))]
        lacking = [problem for problem in problems if isinstance(problem, UnmeasuredError)]
        if not lacking:
            return
        known = next((problem for problem in problems if problem not in lacking), None)
        raise known or UnmeasuredError(
            f"{len(lacking)} of its {len(self._needs.claim)} measurements are missing, as {lacking[0]}"
        )

    def _of_claim(self, record: Record) -> Evidence:
        evidence: object = self._assertion.case.judge(record, self._seed)
        if not isinstance(evidence, Evidence):
            kind, word = type(evidence).__name__, self._assertion.property.word()
            raise ExtensionError(f"{word} was judged by a {kind}; expected Evidence")
        return self._of_answers(evidence, record)

    def _of_answers(self, evidence: Evidence, record: Record) -> Evidence:
        """Decide nothing by answers of which too many are not there."""
        if self._assertion.case.part is Part.REASONING:
            return evidence
        lacking = too_few_answers(self._needs.replies, record)
        if lacking is None:
            return evidence
        criteria = (
            one.model_copy(update={"unreliable": one.unreliable or lacking}) for one in evidence.criteria
        )
        return evidence.model_copy(update={"criteria": tuple(criteria)})

    def _controlled(self, evidence: Evidence) -> Asking[Evidence]:
        """Hold a claim that passes against its controls; of others say that these were left out."""
        case = self._assertion.case
        if evidence.verdict is not Verdict.PASS:
            return evidence.model_copy(update={"notes": (*evidence.notes, *_left_out(case))})
        try:
            controls = yield from case.controlling(self._seed)
        except UnmeasuredError as problem:
            raise UnmeasuredError(
                f"it passes, and measurements of its controls are missing, as {problem}"
            ) from problem
        return evidence.model_copy(update={"controls": controls})


def _left_out(case: Case) -> Iterator[str]:
    if names := list(case.controls()):
        yield f"its controls were not measured, as only a claim that passes needs them: {listed(names)}"
