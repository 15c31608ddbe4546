"""The gate itself: measures what the selected assertions need, and judges each."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from coherence.baseline import Baseline
from coherence.engine.artefacts.artefacts import Artefacts, Named
from coherence.engine.artefacts.release_remarks import Blessed, ReleaseRemarks
from coherence.engine.artefacts.remark import Remark
from coherence.engine.engine import Engine
from coherence.engine.executors.executor import MakeExecutor
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import SILENT, Progress
from coherence.engine.executors.spending import Spending
from coherence.errors import (
    ArtefactError,
    CoherenceError,
    ExtensionError,
    UnmeasuredError,
    in_a_sentence,
    listed,
)
from coherence.gate.causes import Bearing, likely_causes
from coherence.gate.family_wise import among_all
from coherence.gate.measuring import Measuring
from coherence.gate.outcomes import asked_of, questioned, replay_of, stated
from coherence.gate.release_notes import ReleaseNotes, carried, conditions
from coherence.plan import (
    Measurement,
    Plan,
    Record,
    Reply,
    stream,
)
from coherence.plan.workload import Work
from coherence.properties import Case
from coherence.properties.asking import Asking, timed
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

Heard: TypeAlias = Callable[[AssertionResult, int, int], None]
"""Hears a verdict before the run has ended, as it stands by itself: the how manieth it is, of how many."""

_Chosen: TypeAlias = tuple[Suite, Assertion]

_DEFAULT = Policy()
_log = logging.getLogger(__name__)


class _Wanted:
    """What an assertion wants measured: its claim, and at most with its controls; or what was raised."""

    def __init__(self, assertion: Assertion) -> None:
        self.problem: CoherenceError | None = None
        try:
            decisive = list(assertion.case.needs())
            self.replies = [one for one in decisive if isinstance(one, Reply)]
            self.needs = [*decisive, *assertion.case.needs_for_figures()]
            self.claim = Plan(self.needs)
            self.plan = Plan(chain(self.needs, assertion.control_needs()))
        except Exception as problem:
            self.replies, self.needs, self.claim, self.plan = [], [], Plan(()), Plan(())
            self.problem = in_a_sentence(problem)

    def refuse(self, problem: CoherenceError) -> None:
        """Leave it unmeasured; what stood in its way before is said before."""
        self.plan = Plan(())
        self.problem = self.problem or problem


class _Planned(NamedTuple):
    """What the claims about a release take, by which engine, scales of adapters, and what is said before."""

    chosen: Sequence[tuple[Suite, Assertion]]
    plan: Plan
    engine: Engine
    artefacts: Artefacts
    scales: Mapping[str, float]
    remarks: Mapping[Named, Sequence[Remark]]


class _Judged(NamedTuple):
    """What came of an assertion: evidence, or what left it without."""

    evidence: Evidence | None
    problem: CoherenceError | None


_Timed: TypeAlias = tuple[_Judged, float]
_ByAssertion: TypeAlias = dict[tuple[Suite, str], _Timed]


class _Measured(NamedTuple):
    """What was measured of a release, what came of its assertions and in how many seconds, and the rest."""

    record: Record
    judged: _ByAssertion
    artefacts: Artefacts
    notes: ReleaseNotes
    scales: Mapping[str, float]
    remarks: Mapping[Named, Sequence[Remark]]


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
        heard: Heard | None = None,
    ) -> None:
        self._selected = selected
        self._store = store
        self._progress = progress
        self._executor = executor
        self._policy = policy
        self._spending = Spending(allowance)
        self._baseline = baseline
        self._heard = heard
        self._told = 0
        self._untold: list[tuple[Assertion, _Judged]] = []
        self._remarked: dict[str, None] = {}
        self._artefacts: dict[tuple[str, str], ArtefactFiles] = {}

    @property
    def artefacts(self) -> tuple[ArtefactFiles, ...]:
        """What took part in the assertions that were judged so far, with its files, each once."""
        return tuple(self._artefacts.values())

    def measure(self) -> None:
        """Measure everything that the selected assertions need, now.

        Where something is measured, `heard` is told each verdict as soon as all that it rests on is there, as
        it stands by itself: how many claims fail together is not known by then.
        """
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
        alone, _ = self._evidence[suite, assertion.id]
        if alone.problem:
            _log.debug("%s: %s", assertion.id, alone.problem, exc_info=alone.problem)
        return self._results[suite, assertion.id]

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
        evidence = iter(among_all(judged) if adjusted else (one for *_, one in judged))
        return {
            (one.suite, one.assertion.id): (one, next(evidence) if one.evidence else None) for one in alone
        }

    def _judged(self, suite: Suite, assertion: Assertion) -> _Alone:
        measured = self._records[suite.release_key]
        needed = self._wanted[suite, assertion.id]
        (evidence, problem), judging = measured.judged[suite, assertion.id]
        started = time.perf_counter()
        try:
            if evidence:
                notes = measured.notes.of(needed.needs, measured.record, suite.scene.decoding)
                probes = questioned(evidence.probes, suite.scene)
                evidence = evidence.model_copy(update={"notes": (*evidence.notes, *notes), "probes": probes})
        except Exception as error:
            evidence, problem = None, in_a_sentence(error)
        release = self._described(needed.needs, measured.artefacts)
        scales = {
            name: measured.scales[name]
            for kind, name in carried(needed.needs, measured.artefacts)
            if kind == "adapters" and name in measured.scales
        }
        seconds = round(judging + time.perf_counter() - started, 3)
        return _Alone(suite, assertion, evidence, problem, release, scales, seconds)

    def _described(self, needs: Iterable[Measurement], artefacts: Artefacts) -> dict[str, str]:
        try:
            used = artefacts.files_in(conditions(needs))
        except CoherenceError as problem:
            return {"base": artefacts.release.base, "problem": problem.sentence}
        self._artefacts |= {(one.name, one.said): one for one in used}
        return {one.name: one.said for one in used}

    def _judging(self, suite: Suite, assertion: Assertion) -> Asking[_Judged]:
        """Ask for what a claim takes and judge it; where it passes, go on to its controls, step by step."""
        wanted = self._wanted[suite, assertion.id]
        if wanted.problem:
            return _Judged(None, wanted.problem)
        # Each assertion has its own stream, so that no other assertion and no order can move its estimate.
        seed = stream(suite.scene.seed, assertion.id)
        try:
            record = yield tuple(wanted.claim)
            self._require_measured(wanted, record)
            evidence = self._of_claim(suite, assertion, record, seed)
            for criterion in evidence.criteria:
                # What reckons with it among all the others must not fail there.
                assertion.property.could_fail(criterion)
            if assertion.expect == "pass":
                evidence = yield from _controlled(assertion, evidence, seed)
        except Exception as error:
            return _Judged(None, in_a_sentence(error))
        return _Judged(evidence, None)

    def _require_measured(self, wanted: _Wanted, record: Record) -> None:
        """Refuse to judge by a part. What is known to be in the way is said before what was not tried."""
        if not self._spending.allowance.limited:
            return
        problems = [problem for one in wanted.claim if (problem := record.problem(one))]
        lacking = [problem for problem in problems if isinstance(problem, UnmeasuredError)]
        if not lacking:
            return
        known = next((problem for problem in problems if problem not in lacking), None)
        raise known or UnmeasuredError(
            f"{len(lacking)} of its {len(wanted.claim)} measurements are missing, as {lacking[0]}"
        )

    def _of_claim(self, suite: Suite, assertion: Assertion, record: Record, seed: int) -> Evidence:
        evidence: object = assertion.case.judge(record, seed)
        if not isinstance(evidence, Evidence):
            kind = type(evidence).__name__
            raise ExtensionError(f"{assertion.property.word()} was judged by a {kind}; expected Evidence")
        return self._of_answers(suite, assertion, evidence, record)

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
        return AssertionResult(
            **self._verdict(alone.assertion, evidence, alone.problem),
            replay=replay_of(alone.suite, alone.assertion, evidence) if evidence else None,
            release=alone.release,
            scales=alone.scales,
            asked=asked_of(alone.suite.scene, self._records[alone.suite.release_key].notes.day),
            seconds=alone.seconds,
        )

    def _verdict(
        self, assertion: Assertion, evidence: Evidence | None, problem: CoherenceError | None
    ) -> dict[str, Any]:
        """Return what a result says of its verdict."""
        unmeasured = isinstance(problem, UnmeasuredError)
        without = Verdict.INCONCLUSIVE if unmeasured else Verdict.ERROR
        verdict, raw = (evidence.verdict, evidence.raw_verdict) if evidence else (without, without)
        # A known incoherence that was looked for and not shown is no longer known, and a fail stays one: else
        # claims beside it that cannot fail would turn the gate green.
        undecided = unmeasured or (raw is Verdict.INCONCLUSIVE and assertion.expect == "pass")
        return stated(assertion) | {
            "verdict": verdict,
            "raw_verdict": raw,
            "tolerated": undecided and self._policy.inconclusive == "warn",
            "sentence": sentence_of(assertion.id, verdict, assertion.expect, evidence, str(problem)),
            "evidence": evidence,
        }

    @cached_property
    def _results(self) -> dict[tuple[Suite, str], AssertionResult]:
        """All results, each red one with what it is likely red because of."""
        found = {key: self._result(*judged) for key, judged in self._evidence.items()}
        for release_key, measured in self._records.items():
            if any(remark.explains for remark in chain.from_iterable(measured.remarks.values())):
                of_release = [key for key in found if key[0].release_key == release_key]
                bearings = [self._bearing(*key, found[key]) for key in of_release]
                for key, cause in zip(of_release, likely_causes(bearings, measured.remarks), strict=True):
                    found[key] = found[key].model_copy(update={"cause": cause})
        return found

    def _bearing(self, suite: Suite, name: str, result: AssertionResult) -> Bearing:
        wanted, artefacts = self._wanted[suite, name], self._records[suite.release_key].artefacts
        return Bearing.of(
            result, suite.scene, carried(wanted.needs, artefacts), carried(wanted.plan, artefacts)
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
        planned = {key: self._planned(suites) for key, suites in groups.items()}
        live = self._heard is not None and any(map(_lacks, planned.values()))
        ordered = sorted(planned, key=lambda key: not any(map(_is_smoke, planned[key].chosen)))
        found = {}
        for place, key in enumerate(ordered):
            others = [planned[other] for other in ordered[place + 1 :]]
            found[key] = self._measured(planned[key], others, live)
        return found

    def _planned(self, suites: Sequence[Suite]) -> _Planned:
        first = suites[0]
        artefacts = Artefacts.of(first.scene, first.places)
        chosen = [(suite, assertion) for suite in suites for assertion in self._selected[suite]]
        needed = [self._wanted[suite, assertion.id] for suite, assertion in chosen]
        said = ReleaseRemarks(artefacts, self._store, _blessed(self._baseline, chosen))
        remarks = self._look_at(needed, artefacts, said)
        needed = [one for one in needed if one.problem is None]
        plan = Plan(chain.from_iterable(one.claim for one in needed))
        engine = Engine(artefacts, self._store, self._progress, self._executor, self._spending)
        return _Planned(chosen, plan, engine, artefacts, said.scales, remarks)

    def _measured(self, planned: _Planned, others: Sequence[_Planned], live: bool) -> _Measured:
        """Measure a release, before others; while it is `live`, judge each assertion as soon as it can be."""
        judged: _ByAssertion = {}
        measuring = Measuring(planned.engine, partial(_left, others))
        with planned.engine:
            for several in self._portions(planned.chosen):
                # Who waited for another process, and found everything, tells nothing early.
                keep = partial(self._keep, several, judged, lambda: live and planned.engine.is_measuring)
                measuring.answer([timed(self._judging(*one)) for one in several], keep)
        notes = ReleaseNotes(planned.artefacts, self._store, planned.plan)
        return _Measured(measuring.record, judged, planned.artefacts, notes, planned.scales, planned.remarks)

    def _keep(
        self,
        several: Sequence[_Chosen],
        judged: _ByAssertion,
        is_live: Callable[[], bool],
        place: int,
        answer: _Timed,
    ) -> None:
        suite, assertion = several[place]
        judged[suite, assertion.id] = answer
        self._untold.append((assertion, answer[0]))
        while is_live() and self._untold:
            self._tell(*self._untold.pop(0))

    def _tell(self, assertion: Assertion, judged: _Judged) -> None:
        """Tell who hears of it what an assertion comes to by itself, before the others are judged."""
        self._told += 1
        result = AssertionResult(**self._verdict(assertion, judged.evidence, judged.problem))
        if self._heard is not None:
            self._heard(result, self._told, sum(map(len, self._selected.values())))

    def _look_at(
        self, needed: Sequence[_Wanted], artefacts: Artefacts, said: ReleaseRemarks
    ) -> dict[Named, list[Remark]]:
        """Say what of the artefacts does not go together; refuse what rests on what is wrong, or strictly."""
        involved = carried(chain.from_iterable(one.plan for one in needed), artefacts)
        _fetch(involved, artefacts)
        refused: dict[Named, CoherenceError] = {}
        remarks = {named: said.of(*named) for named in involved}
        for (kind, name), found in remarks.items():
            for remark in found:
                problem = artefacts.blamed(ArtefactError(str(remark)), kind, name)
                self._remarked[str(problem)] = None
                self._progress.warn(str(problem))
                if remark.fatal or self._policy.strict:
                    refused.setdefault((kind, name), problem)
        for one in needed if refused else ():
            wrong = [refused[named] for named in carried(Plan(one.needs), artefacts) if named in refused]
            if wrong:
                one.refuse(wrong[0])
        return remarks

    def _portions(self, chosen: Sequence[_Chosen]) -> list[Sequence[_Chosen]]:
        """Split what is measured together: all of it, or one by one under a budget.

        Those come first of which most come soon: smoke, and what needs little.
        """

        def cost(one: _Chosen) -> tuple[bool, int]:
            suite, assertion = one
            return not _is_smoke(one), len(self._wanted[suite, assertion.id].plan)

        ordered = sorted(chosen, key=cost)
        return [[one] for one in ordered] if self._spending.allowance.limited else [ordered]


def _controlled(assertion: Assertion, evidence: Evidence, seed: int) -> Asking[Evidence]:
    """Hold a claim that passes against its controls; of others say that these were left out."""
    if evidence.verdict is not Verdict.PASS:
        return evidence.model_copy(update={"notes": (*evidence.notes, *_left_out(assertion.case))})
    try:
        controls = yield from assertion.case.controlling(seed)
    except UnmeasuredError as problem:
        raise UnmeasuredError(
            f"it passes, and measurements of its controls are missing, as {problem}"
        ) from problem
    return evidence.model_copy(update={"controls": controls})


def _left_out(case: Case) -> Iterator[str]:
    if names := list(case.controls()):
        yield f"its controls were not measured, as only a claim that passes needs them: {listed(names)}"


def _lacks(planned: _Planned) -> bool:
    """Whether a release has something to be measured; what is in the way of that, its verdicts say."""
    try:
        return bool(planned.engine.missing(planned.plan))
    except CoherenceError:
        return True


def _left(planned: Iterable[_Planned]) -> Work:
    """Count what is to be measured of releases."""
    work = Work()
    for one in planned:
        with suppress(CoherenceError):
            work += one.engine.left(one.plan)
    return work


def _is_smoke(one: tuple[Suite, Assertion]) -> bool:
    return one[1].tier == "smoke"


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
