"""The gate itself: measures what the selected assertions need, and judges each."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from coherence.baseline import Baseline
from coherence.engine.artefacts.artefacts import Artefacts, Named
from coherence.engine.artefacts.release_remarks import Blessed, ReleaseRemarks
from coherence.engine.engine import Engine
from coherence.engine.executors.executor import MakeExecutor
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import SILENT, Progress
from coherence.engine.executors.spending import Spending
from coherence.errors import ArtefactError, CoherenceError, ExtensionError, UnmeasuredError, in_a_sentence
from coherence.gate.family_wise import among_all
from coherence.gate.outcomes import asked_of, questioned, replay_of, stated
from coherence.gate.release_notes import ReleaseNotes, carried, conditions
from coherence.plan import (
    Measurement,
    Plan,
    Record,
    Reply,
    stream,
)
from coherence.properties.parts import too_few_answers
from coherence.results import AssertionResult, sentence_of
from coherence.store import Store
from coherence.suite import Assertion, Suite
from coherence.vocabulary import (
    ArtefactFiles,
    Evidence,
    Part,
    Policy,
    Verdict,
)
from coherence.vocabulary.allowance import UNLIMITED, Allowance

_DEFAULT = Policy()
_log = logging.getLogger(__name__)


class _Wanted:
    """What an assertion wants measured: for itself, and with its controls; or what was raised instead."""

    def __init__(self, assertion: Assertion) -> None:
        self.problem: CoherenceError | None = None
        try:
            decisive = list(assertion.case.needs())
            self.replies = [one for one in decisive if isinstance(one, Reply)]
            self.needs = [*decisive, *assertion.case.needs_for_figures()]
            self.plan = Plan(chain(self.needs, assertion.control_needs()))
        except Exception as problem:
            self.replies, self.needs, self.plan = [], [], Plan(())
            self.problem = in_a_sentence(problem)

    def refuse(self, problem: CoherenceError) -> None:
        """Leave it unmeasured; what stood in its way before is said before."""
        self.plan = Plan(())
        self.problem = self.problem or problem


class _Measured(NamedTuple):
    """What was measured of a release, notes on that, and the scales of adapters."""

    record: Record
    artefacts: Artefacts
    notes: ReleaseNotes
    scales: Mapping[str, float]


@dataclass(frozen=True)
class _Alone:
    """What an assertion comes to by itself: evidence, or what left it without."""

    suite: Suite
    assertion: Assertion
    evidence: Evidence | None
    problem: CoherenceError | None
    release: dict[str, str]
    scales: dict[str, float]
    seconds: float


class Gate:
    """Judges the assertions that were selected. Nothing is measured before the first verdict is asked for."""

    def __init__(
        self,
        selected: Mapping[Suite, Sequence[Assertion]],
        store: Store,
        progress: Progress = SILENT,
        executor: MakeExecutor = LocalExecutor,
        policy: Policy = _DEFAULT,
        allowance: Allowance = UNLIMITED,
        baseline: Baseline | None = None,
    ) -> None:
        self._selected = selected
        self._store = store
        self._progress = progress
        self._executor = executor
        self._policy = policy
        self._spending = Spending(allowance)
        self._baseline = baseline
        self._remarked: dict[str, None] = {}
        self._artefacts: dict[tuple[str, str], ArtefactFiles] = {}

    @property
    def artefacts(self) -> tuple[ArtefactFiles, ...]:
        """What took part in the assertions that were judged so far, with its files, each once."""
        return tuple(self._artefacts.values())

    def measure(self) -> None:
        """Measure everything that the selected assertions need, now."""
        _ = self._records

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was said of artefacts before they were measured, each with its name and line."""
        return tuple(self._remarked)

    def judge(self, suite: Suite, assertion: Assertion) -> AssertionResult:
        """Give the verdict of one assertion. What could not be measured is an `error`, never an exception.

        All that were selected are judged when the first is asked for, as each verdict depends on how many
        claims there are. What was raised on the way is logged, with its trace, on the level `debug`.
        """
        alone, evidence = self._evidence[suite, assertion.id]
        if alone.problem:
            _log.debug("%s: %s", assertion.id, alone.problem, exc_info=alone.problem)
        return self._result(alone, evidence)

    @cached_property
    def _evidence(self) -> dict[tuple[Suite, str], tuple[_Alone, Evidence | None]]:
        alone = [
            self._judged(suite, assertion)
            for suite, assertions in self._selected.items()
            for assertion in assertions
        ]
        judged = [
            (one.assertion.property, one.assertion.expect, one.evidence) for one in alone if one.evidence
        ]
        adjusted = self._policy.adjust == "holm"
        evidence = iter(among_all(judged) if adjusted else (alone for *_, alone in judged))
        return {
            (one.suite, one.assertion.id): (one, next(evidence) if one.evidence else None) for one in alone
        }

    def _judged(self, suite: Suite, assertion: Assertion) -> _Alone:
        started = time.perf_counter()
        measured = self._records[suite.release_key]
        evidence: Evidence | None = None
        needed = self._wanted[suite, assertion.id]
        problem = needed.problem
        try:
            if problem is None:
                self._require_measured(needed, measured.record)
                controlled = self._controlled(suite, assertion, measured.record)
                for criterion in controlled.criteria:
                    # What reckons with it among all the others must not fail there.
                    assertion.property.could_fail(criterion)
                notes = measured.notes.of(needed.needs, measured.record, suite.scene.decoding)
                probes = questioned(controlled.probes, suite.scene)
                evidence = controlled.model_copy(
                    update={"notes": (*controlled.notes, *notes), "probes": probes}
                )
        except Exception as error:
            problem = in_a_sentence(error)
        release = self._described(needed.needs, measured.artefacts)
        scales = {
            name: measured.scales[name]
            for kind, name in carried(needed.needs, measured.artefacts)
            if kind == "adapters" and name in measured.scales
        }
        seconds = round(time.perf_counter() - started, 3)
        return _Alone(suite, assertion, evidence, problem, release, scales, seconds)

    def _described(self, needs: Iterable[Measurement], artefacts: Artefacts) -> dict[str, str]:
        try:
            used = artefacts.files_in(conditions(needs))
        except CoherenceError as problem:
            return {"base": artefacts.release.base, "problem": problem.sentence}
        self._artefacts |= {(one.name, one.said): one for one in used}
        return {one.name: one.said for one in used}

    def _require_measured(self, wanted: _Wanted, record: Record) -> None:
        """Refuse to judge by a part. What is known to be in the way is said before what was not tried."""
        if not self._spending.allowance.limited:
            return
        problems = [problem for one in wanted.plan if (problem := record.problem(one))]
        lacking = [problem for problem in problems if isinstance(problem, UnmeasuredError)]
        if not lacking:
            return
        own = (record.problem(one) for one in wanted.needs)
        known = next((problem for problem in own if problem and problem not in lacking), None)
        raise known or UnmeasuredError(
            f"{len(lacking)} of its {len(wanted.plan)} measurements are missing, as {lacking[0]}"
        )

    def _controlled(self, suite: Suite, assertion: Assertion, record: Record) -> Evidence:
        # Each assertion has its own stream, so that no other assertion and no order can move its estimate.
        seed = stream(suite.scene.seed, assertion.id)
        evidence: object = assertion.case.judge(record, seed)
        if not isinstance(evidence, Evidence):
            kind = type(evidence).__name__
            raise ExtensionError(f"{assertion.property.word()} was judged by a {kind}; expected Evidence")
        evidence = self._of_answers(suite, assertion, evidence, record)
        if assertion.expect != "pass" or evidence.verdict is not Verdict.PASS:
            return evidence
        return evidence.model_copy(update={"controls": assertion.case.controlled(record, seed)})

    def _of_answers(self, suite: Suite, assertion: Assertion, evidence: Evidence, record: Record) -> Evidence:
        """Decide nothing by answers of which too many are not there."""
        if assertion.case.part is Part.REASONING:
            return evidence
        lacking = too_few_answers(self._wanted[suite, assertion.id].replies, record)
        if lacking is None:
            return evidence
        criteria = (
            one.model_copy(update={"unreliable": one.unreliable or lacking}) for one in evidence.criteria
        )
        return evidence.model_copy(update={"criteria": tuple(criteria)})

    def _result(self, alone: _Alone, evidence: Evidence | None) -> AssertionResult:
        assertion, problem = alone.assertion, str(alone.problem)
        unmeasured = isinstance(alone.problem, UnmeasuredError)
        without = Verdict.INCONCLUSIVE if unmeasured else Verdict.ERROR
        verdict, raw = (evidence.verdict, evidence.raw_verdict) if evidence else (without, without)
        # A known incoherence that was looked for and not shown is no longer known, and a fail stays one: else
        # claims beside it that cannot fail would turn the gate green.
        undecided = unmeasured or (raw is Verdict.INCONCLUSIVE and assertion.expect == "pass")
        return AssertionResult(
            **stated(assertion),
            verdict=verdict,
            raw_verdict=raw,
            tolerated=undecided and self._policy.inconclusive == "warn",
            sentence=sentence_of(assertion.id, verdict, assertion.expect, evidence, problem),
            evidence=evidence,
            replay=replay_of(alone.suite, assertion, evidence) if evidence else None,
            release=alone.release,
            scales=alone.scales,
            asked=asked_of(alone.suite.scene, self._records[alone.suite.release_key].notes.day),
            seconds=alone.seconds,
        )

    @cached_property
    def _wanted(self) -> dict[tuple[Suite, str], _Wanted]:
        return {
            (suite, assertion.id): _Wanted(assertion)
            for suite, assertions in self._selected.items()
            for assertion in assertions
        }

    @cached_property
    def _records(self) -> dict[str, _Measured]:
        groups: dict[str, list[Suite]] = {}
        for suite in self._selected:
            groups.setdefault(suite.release_key, []).append(suite)
        return {key: self._measured(suites) for key, suites in groups.items()}

    def _measured(self, suites: Sequence[Suite]) -> _Measured:
        first = suites[0]
        artefacts = Artefacts.of(first.scene, first.places)
        chosen = [(suite, assertion) for suite in suites for assertion in self._selected[suite]]
        needed = [self._wanted[suite, assertion.id] for suite, assertion in chosen]
        said = ReleaseRemarks(artefacts, self._store, _blessed(self._baseline, chosen))
        self._look_at(needed, artefacts, said)
        needed = [one for one in needed if one.problem is None]
        plan = Plan(chain.from_iterable([*(one.needs for one in needed), *(one.plan for one in needed)]))
        portions = self._portions(chosen) if self._spending.allowance.limited else ()
        try:
            engine = Engine(artefacts, self._store, self._progress, self._executor, self._spending)
            record = Record(engine.measure(plan, portions))
        except Exception as problem:
            record = Record(dict.fromkeys(plan, in_a_sentence(problem)))
        return _Measured(record, artefacts, ReleaseNotes(artefacts, self._store, plan), said.scales)

    def _look_at(self, needed: Sequence[_Wanted], artefacts: Artefacts, said: ReleaseRemarks) -> None:
        """Say what of the artefacts does not go together; refuse what rests on what is wrong, or strictly."""
        involved = carried(chain.from_iterable(one.plan for one in needed), artefacts)
        _fetch(involved, artefacts)
        refused: dict[Named, CoherenceError] = {}
        for kind, name in involved:
            for remark in said.of(kind, name):
                problem = artefacts.blamed(ArtefactError(str(remark)), kind, name)
                self._remarked[str(problem)] = None
                self._progress.warn(str(problem))
                if remark.fatal or self._policy.strict:
                    refused.setdefault((kind, name), problem)
        for one in needed if refused else ():
            wrong = [refused[named] for named in carried(Plan(one.needs), artefacts) if named in refused]
            if wrong:
                one.refuse(wrong[0])

    def _portions(self, chosen: Iterable[tuple[Suite, Assertion]]) -> list[Plan]:
        """One for each assertion, those first of which a budget gives most: smoke, and what needs little."""
        tiers = [(assertion.tier, self._wanted[suite, assertion.id].plan) for suite, assertion in chosen]
        ordered = sorted(tiers, key=lambda portion: (portion[0] != "smoke", len(portion[1])))
        return [plan for _, plan in ordered]


def _fetch(involved: Iterable[Named], artefacts: Artefacts) -> None:
    """See that they are on this machine; where one cannot be had, the verdicts say why."""
    with suppress(CoherenceError):
        _ = artefacts.base
    for kind, name in involved:
        if kind == "adapters":
            with suppress(CoherenceError):
                artefacts.adapter(name)


def _blessed(baseline: Baseline | None, chosen: Iterable[tuple[Suite, Assertion]]) -> Blessed:
    """Take what a baseline says of the artefacts of these suites."""
    files = {assertion.place.file for _, assertion in chosen}
    lines = [suite for name, suite in baseline.suites.items() if name in files] if baseline else []
    return Blessed(
        {name: digest for suite in lines for name, digest in suite.release.items()},
        {name: scale for suite in lines for name, scale in suite.scales.items()},
    )
