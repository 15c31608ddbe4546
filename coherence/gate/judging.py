"""An assertion by itself, judged as soon as all that it rests on is measured."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from coherence.errors import CoherenceError, ExtensionError, UnmeasuredError, in_a_sentence, listed
from coherence.gate.beginnings import Beginnings
from coherence.gate.looks import Look, looks_at_controls
from coherence.gate.needs import Needs
from coherence.plan import Record, stream
from coherence.properties import Case
from coherence.properties.asking import Asking
from coherence.properties.parts import too_few_answers
from coherence.vocabulary import Evidence, Part, Verdict


class Judgement(NamedTuple):
    """What came of an assertion: evidence, or what left it without, and what its claim took."""

    evidence: Evidence | None
    problem: CoherenceError | None
    needs: Needs


class Judging:
    """Judges one assertion, look by look; by no part of its claim where not all may be measured."""

    def __init__(self, looks: Sequence[Look], beginnings: Beginnings, is_limited: bool) -> None:
        """With `is_limited` where a budget may leave a part unmeasured."""
        self._looks, self._beginnings, self._is_limited = looks, beginnings, is_limited
        # Each assertion has its own stream, so that no other assertion and no order can move its estimate.
        self._seed = stream(beginnings.scene.seed, looks[-1].assertion.id)

    def asking(self) -> Asking[Judgement]:
        """Ask for what a claim takes and judge it; where it passes, go on to its controls, step by step.

        Of several looks the first that is clear is the last.
        """
        *early, last = self._looks
        for look in early:
            if (yield from self._is_clear(look)):
                return (yield from self._judged(look))
        return (yield from self._judged(last))

    def _is_clear(self, look: Look) -> Asking[bool]:
        """Ask for what decides at an early look. What goes wrong there shows again at the last."""
        record = yield look.needs.decisive
        case = look.assertion.case
        try:
            lacking = _lacking_answers(look, record)
            return not lacking and look.is_clear(case.criteria(case.sample(record, self._seed)))
        except Exception:
            return False

    def _judged(self, look: Look) -> Asking[Judgement]:
        if look.needs.problem:
            return Judgement(None, look.needs.problem, look.needs)
        try:
            record = yield tuple(look.needs.claim)
            if self._is_limited:
                _require_measured(look.needs, record)
            evidence = look.weighed(_of_claim(look, record, self._seed))
            if not look.is_as_expected(evidence):
                evidence = yield from self._explained(look, evidence)
            for criterion in evidence.criteria:
                # What reckons with it among all the others must not fail there.
                look.assertion.property.could_fail(criterion)
            if look.assertion.expect == "pass":
                evidence = yield from self._controlled(look, evidence)
        except Exception as error:
            return Judgement(None, in_a_sentence(error), look.needs)
        return Judgement(evidence, None, look.needs)

    def _explained(self, look: Look, evidence: Evidence) -> Asking[Evidence]:
        """Judge again with what tells why. What is in the way of that does not change what was found."""
        wanted = tuple(look.assertion.case.needs_to_explain())
        if not wanted:
            return evidence
        record = yield wanted
        if not all(map(record.has, wanted)):
            return evidence
        return look.weighed(_of_claim(look, record, self._seed))

    def _controlled(self, look: Look, evidence: Evidence) -> Asking[Evidence]:
        """Hold a claim that passes against its controls; of others say that these were left out."""
        case = look.assertion.case
        if evidence.verdict is not Verdict.PASS:
            return evidence.model_copy(update={"notes": (*evidence.notes, *_left_out(case))})
        try:
            controls = yield from case.controlling(self._seed, looks_at_controls(look, self._beginnings))
        except UnmeasuredError as problem:
            raise UnmeasuredError(
                f"it passes, and measurements of its controls are missing, as {problem}"
            ) from problem
        return evidence.model_copy(update={"controls": controls})


def _require_measured(needs: Needs, record: Record) -> None:
    """Refuse to judge by a part. What is known to be in the way is said before what was not tried."""
    problems = [problem for one in needs.claim if (problem := record.problem(one))]
    lacking = [problem for problem in problems if isinstance(problem, UnmeasuredError)]
    if not lacking:
        return
    known = next((problem for problem in problems if problem not in lacking), None)
    raise known or UnmeasuredError(
        f"{len(lacking)} of its {len(needs.claim)} measurements are missing, as {lacking[0]}"
    )


def _of_claim(look: Look, record: Record, seed: int) -> Evidence:
    evidence: object = look.assertion.case.judge(record, seed)
    if not isinstance(evidence, Evidence):
        kind, word = type(evidence).__name__, look.assertion.property.word()
        raise ExtensionError(f"{word} was judged by a {kind}; expected Evidence")
    return _of_answers(look, evidence, record)


def _of_answers(look: Look, evidence: Evidence, record: Record) -> Evidence:
    """Decide nothing by answers of which too many are not there."""
    lacking = _lacking_answers(look, record)
    if lacking is None:
        return evidence
    criteria = (one.model_copy(update={"unreliable": one.unreliable or lacking}) for one in evidence.criteria)
    return evidence.model_copy(update={"criteria": tuple(criteria)})


def _lacking_answers(look: Look, record: Record) -> str | None:
    if look.assertion.case.part is Part.REASONING:
        return None
    return too_few_answers(look.needs.replies, record)


def _left_out(case: Case) -> Iterator[str]:
    if names := list(case.controls()):
        yield f"its controls were not measured, as only a claim that passes needs them: {listed(names)}"
