"""The gate itself: measures what the selected assertions need, and judges each."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain

from coherence.baseline import Baseline
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.release_remarks import ReleaseRemarks
from coherence.engine.engine import Engine
from coherence.engine.executors.executor import MakeExecutor
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import SILENT, Progress
from coherence.engine.executors.spending import Spending
from coherence.errors import CoherenceError, in_a_sentence
from coherence.gate.beginnings import Beginnings
from coherence.gate.causes import Bearing, likely_causes
from coherence.gate.family_wise import among_all
from coherence.gate.inspection import Inspection, blessed
from coherence.gate.judging import Judgement, Judging
from coherence.gate.looks import looks_at
from coherence.gate.measuring import Measuring
from coherence.gate.needs import Needs
from coherence.gate.outcomes import asked_of, questioned, replay_of, verdict_of
from coherence.gate.provisional import Heard, ProvisionalVerdicts
from coherence.gate.release_notes import ReleaseNotes, carried, conditions
from coherence.gate.release_stages import ByAssertion, Chosen, MeasuredRelease, PlannedRelease, Timed
from coherence.gate.united_releases import artefacts_of, united
from coherence.plan import Measurement, Plan
from coherence.plan.workload import Work
from coherence.properties.asking import Asking, timed
from coherence.results import AssertionResult
from coherence.store import Store
from coherence.suite import Assertion, Suite
from coherence.vocabulary import ArtefactFiles, Evidence, Policy
from coherence.vocabulary.allowance import UNLIMITED, Allowance

_DEFAULT = Policy()
_log = logging.getLogger(__name__)


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
        served_fresh: bool = False,
    ) -> None:
        """With `served_fresh` a server is asked for what it answered before, too."""
        self._selected = selected
        self._served_fresh = served_fresh
        self._store = store
        self._progress = progress
        self._executor = executor
        self._policy = policy
        self._spending = Spending(allowance)
        self._baseline = baseline
        self._early = ProvisionalVerdicts(heard, policy, sum(map(len, selected.values())))
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
        (evidence, problem, of_claim), judging = measured.judged[suite, assertion.id]
        needs = of_claim.measurements
        started = time.perf_counter()
        try:
            if evidence:
                notes = measured.notes.of(needs, measured.record, suite.scene)
                probes = questioned(evidence.probes, suite.scene)
                evidence = evidence.model_copy(update={"notes": (*evidence.notes, *notes), "probes": probes})
        except Exception as error:
            evidence, problem = None, in_a_sentence(error)
        release = self._described(needs, measured.artefacts)
        scales = {
            name: measured.scales[name]
            for kind, name in carried(needs, measured.artefacts)
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

    def _result(self, alone: _Alone, evidence: Evidence | None) -> AssertionResult:
        return AssertionResult(
            **verdict_of(alone.assertion, evidence, alone.problem, self._policy),
            replay=replay_of(alone.suite, alone.assertion, evidence) if evidence else None,
            release=alone.release,
            scales=alone.scales,
            asked=asked_of(alone.suite.scene, self._records[alone.suite.release_key].notes.day),
            seconds=alone.seconds,
        )

    @cached_property
    def _results(self) -> dict[tuple[Suite, str], AssertionResult]:
        """All results, each red one with what it is likely red because of."""
        results = {key: self._result(*judged) for key, judged in self._evidence.items()}
        for release_key, measured in self._records.items():
            if any(remark.explains for remark in chain.from_iterable(measured.remarks.values())):
                of_release = [key for key in results if key[0].release_key == release_key]
                bearings = [self._bearing(*key, results[key]) for key in of_release]
                for key, cause in zip(of_release, likely_causes(bearings, measured.remarks), strict=True):
                    results[key] = results[key].model_copy(update={"cause": cause})
        return results

    def _bearing(self, suite: Suite, name: str, result: AssertionResult) -> Bearing:
        needs, artefacts = self._needs[suite, name], self._records[suite.release_key].artefacts
        rests_on, controls = carried(needs.measurements, artefacts), carried(needs.plan, artefacts)
        return Bearing.of(result, suite.scene, rests_on, controls)

    @cached_property
    def _needs(self) -> dict[tuple[Suite, str], Needs]:
        return {
            (suite, assertion.id): Needs(assertion)
            for suite, assertions in self._selected.items()
            for assertion in assertions
        }

    @cached_property
    def _beginnings(self) -> dict[Suite, Beginnings]:
        return {suite: Beginnings(suite.scene) for suite in self._selected}

    @cached_property
    def _records(self) -> dict[str, MeasuredRelease]:
        """What was measured of each release; those that one loaded model serves come one after the other."""
        served = [self._served(suites) for suites in united(self._selected)]
        live = self._early.are_heard and any(one.lacks for one in chain.from_iterable(served))
        ordered = sorted(served, key=lambda releases: not releases[0].has_smoke)
        measured = {}
        for place, releases in enumerate(ordered):
            others = list(chain.from_iterable(ordered[place + 1 :]))
            with releases[0].engine:
                for turn, one in enumerate(releases):
                    measured[one.key] = self._measured(one, [*releases[turn + 1 :], *others], live)
        return measured

    def _served(self, suites: Sequence[Suite]) -> list[PlannedRelease]:
        """Plan the releases of suites that one engine measures, first those that are judged in a hurry."""
        groups: dict[str, list[Suite]] = {}
        for suite in suites:
            groups.setdefault(suite.release_key, []).append(suite)
        artefacts = artefacts_of(suites)
        engine = Engine(
            artefacts, self._store, self._progress, self._executor, self._spending, self._served_fresh
        )
        planned = [self._planned(key, of_release, engine) for key, of_release in groups.items()]
        return sorted(planned, key=lambda one: not one.has_smoke)

    def _planned(self, key: str, suites: Sequence[Suite], engine: Engine) -> PlannedRelease:
        first = suites[0]
        artefacts = Artefacts.of(first.scene, first.places)
        chosen = [(suite, assertion) for suite in suites for assertion in self._selected[suite]]
        needs = [self._needs[suite, assertion.id] for suite, assertion in chosen]
        last = blessed(self._baseline, (assertion.place.file for _, assertion in chosen))
        remarks = ReleaseRemarks(artefacts, self._store, last)
        inspection = Inspection(needs, artefacts, remarks, [suite.scene for suite in suites])
        self._warn(inspection)
        inspection.refuse(self._policy.strict)
        plan = Plan(chain.from_iterable(one.claim for one in needs if one.problem is None))
        return PlannedRelease(key, chosen, plan, engine, artefacts, remarks.scales, inspection.remarks)

    def _warn(self, inspection: Inspection) -> None:
        for sentence in inspection.sentences():
            self._remarked[sentence] = None
            self._progress.warn(sentence)

    def _measured(
        self, planned: PlannedRelease, others: Sequence[PlannedRelease], live: bool
    ) -> MeasuredRelease:
        """Measure a release, before others; while it is `live`, judge each assertion as soon as it can be."""
        judged: ByAssertion = {}
        measuring = Measuring(planned.engine, lambda: Work.sum(one.left for one in others))

        def keep(several: Sequence[Chosen], place: int, answer: Timed) -> None:
            suite, assertion = several[place]
            judged[suite, assertion.id] = answer
            self._early.keep(assertion, answer[0])
            # Who waited for another process, and found everything, tells nothing early.
            if live and planned.engine.is_measuring:
                self._early.tell()

        for several in self._portions(planned.chosen):
            measuring.answer([timed(self._judging(*one)) for one in several], partial(keep, several))
        notes = ReleaseNotes(planned.artefacts, self._store, planned.plan)
        return MeasuredRelease(
            measuring.record, judged, planned.artefacts, notes, planned.scales, planned.remarks
        )

    def _judging(self, suite: Suite, assertion: Assertion) -> Asking[Judgement]:
        needs = self._needs[suite, assertion.id]
        beginnings = self._beginnings[suite]
        looks = looks_at(assertion, beginnings, needs, self._policy.looks)
        return Judging(looks, beginnings, self._spending.allowance.limited).asking()

    def _portions(self, chosen: Sequence[Chosen]) -> list[Sequence[Chosen]]:
        """Split what is measured together: all of it, or one by one under a budget.

        Those come first of which most come soon: smoke, and what needs little.
        """

        def cost(one: Chosen) -> tuple[bool, int]:
            suite, assertion = one
            return assertion.tier != "smoke", len(self._needs[suite, assertion.id].plan)

        ordered = sorted(chosen, key=cost)
        return [[one] for one in ordered] if self._spending.allowance.limited else [ordered]
