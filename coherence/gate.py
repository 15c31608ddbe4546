"""The gate: one plan for all assertions of a run, measured once, then a verdict for each."""

import logging
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from coherence.baseline import Baseline
from coherence.engine.artefacts.artefacts import Artefacts, Named
from coherence.engine.artefacts.keys import adapter_remark_key, template_key, vector_remark_key
from coherence.engine.artefacts.release_remarks import Blessed, ReleaseRemarks
from coherence.engine.engine import Engine
from coherence.engine.executors.executor import MakeExecutor
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import SILENT, Progress
from coherence.engine.executors.spending import Spending
from coherence.errors import ArtefactError, CoherenceError, ExtensionError, UnmeasuredError, in_a_sentence
from coherence.plan import (
    Answer,
    Condition,
    LawName,
    LawSearch,
    Measurement,
    Plan,
    Record,
    Reply,
    Scene,
    conditions_of,
    stream,
)
from coherence.properties import Property
from coherence.properties.parts import too_few_answers, unanswered
from coherence.results import AssertionResult, Results, sentence_of
from coherence.statistics.multiplicity import holm, shares
from coherence.store import Store
from coherence.suite import Assertion, Suite
from coherence.vocabulary import (
    Adjusted,
    ArtefactFiles,
    Criterion,
    Decoding,
    Evidence,
    Expectation,
    Part,
    Policy,
    Verdict,
    fails_as_expected,
)
from coherence.vocabulary.allowance import UNLIMITED, Allowance

_LIBRARIES = ("pytest-coherence", "torch", "transformers", "peft", "numpy", "scipy", "hypothesis")
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
    """What was measured of a release; the day that its chat template is told, and remarks on that.

    Of adapters whose weights are named otherwise than PEFT does, and of vectors whose files hold more than is
    used or that are not just added, a remark each, by kind and name; and the scales of adapters.
    """

    record: Record
    artefacts: Artefacts
    day: str | None
    remarks: tuple[str, ...]
    of_artefacts: Mapping[Named, str]
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
        evidence = iter(among_all(judged) if adjusted else (found for *_, found in judged))
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
                notes = (
                    *controlled.notes,
                    *measured.remarks,
                    *_decoded(needed.needs, suite.scene.decoding, measured.artefacts),
                    *_rounded(needed.needs, measured.artefacts),
                    *_of_artefacts(_carried(needed.needs, measured.artefacts), measured.of_artefacts),
                    *_unlike_answers(needed.needs, measured.record),
                )
                evidence = controlled.model_copy(update={"notes": notes})
        except Exception as error:
            problem = in_a_sentence(error)
        release = self._described(needed.needs, measured.artefacts)
        carried = _carried(needed.needs, measured.artefacts)
        scales = {
            name: measured.scales[name]
            for kind, name in carried
            if kind == "adapters" and name in measured.scales
        }
        seconds = round(time.perf_counter() - started, 3)
        return _Alone(suite, assertion, evidence, problem, release, scales, seconds)

    def _described(self, needs: Iterable[Measurement], artefacts: Artefacts) -> dict[str, str]:
        try:
            used = artefacts.files_in(_conditions(needs))
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
            **_stated(assertion),
            verdict=verdict,
            raw_verdict=raw,
            tolerated=undecided and self._policy.inconclusive == "warn",
            sentence=sentence_of(assertion.id, verdict, assertion.expect, evidence, problem),
            evidence=evidence,
            replay=_replay(alone.suite, assertion, evidence) if evidence else None,
            release=alone.release,
            scales=alone.scales,
            asked=_asked(alone.suite.scene, self._records[alone.suite.release_key].day),
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
        try:
            remarks, of_artefacts = tuple(self._remarks(artefacts)), self._artefact_remarks(plan, artefacts)
            return _Measured(record, artefacts, artefacts.day, remarks, of_artefacts, said.scales)
        except CoherenceError:
            # The verdicts say why there is no base.
            return _Measured(record, artefacts, None, (), {}, {})

    def _look_at(self, needed: Sequence[_Wanted], artefacts: Artefacts, said: ReleaseRemarks) -> None:
        """Say what of the artefacts does not go together; refuse what rests on what is wrong, or strictly."""
        carried = _carried(chain.from_iterable(one.plan for one in needed), artefacts)
        _fetch(carried, artefacts)
        refused: dict[Named, CoherenceError] = {}
        for kind, name in carried:
            for remark in said.of(kind, name):
                problem = artefacts.blamed(ArtefactError(str(remark)), kind, name)
                self._remarked[str(problem)] = None
                self._progress.warn(str(problem))
                if remark.fatal or self._policy.strict:
                    refused.setdefault((kind, name), problem)
        for one in needed if refused else ():
            wrong = [refused[named] for named in _carried(Plan(one.needs), artefacts) if named in refused]
            if wrong:
                one.refuse(wrong[0])

    def _remarks(self, artefacts: Artefacts) -> Iterator[str]:
        """Yield what became of prompts that is not as it is written."""
        if artefacts.day:
            yield f"the chat template writes the date: it is told {artefacts.day}"
        stored = self._store.get(template_key(artefacts))
        if isinstance(stored, Answer):
            yield from stored.text.splitlines()

    def _artefact_remarks(self, plan: Plan, artefacts: Artefacts) -> dict[Named, str]:
        """Say of adapters and vectors that take part what a reader would not expect."""
        remarks = {}
        for named in _carried(plan, artefacts):
            with suppress(CoherenceError):  # the verdicts say why there is no such artefact
                if said := "; ".join(self._said_of(named, artefacts)):
                    remarks[named] = said
        return remarks

    def _said_of(self, named: Named, artefacts: Artefacts) -> Iterator[str]:
        kind, name = named
        if kind == "vectors":
            deployed = artefacts.release.vectors[name].deployed
            yield from [", ".join(f"{what} {how}" for what, how in deployed.items())] if deployed else []
        key = adapter_remark_key if kind == "adapters" else vector_remark_key
        stored = self._store.get(key(name, artefacts))
        if isinstance(stored, Answer):
            yield stored.text

    def _portions(self, chosen: Iterable[tuple[Suite, Assertion]]) -> list[Plan]:
        """One for each assertion, those first of which a budget gives most: smoke, and what needs little."""
        tiers = [(assertion.tier, self._wanted[suite, assertion.id].plan) for suite, assertion in chosen]
        ordered = sorted(tiers, key=lambda portion: (portion[0] != "smoke", len(portion[1])))
        return [plan for _, plan in ordered]


def among_all(judged: Sequence[tuple[Property, Expectation, Evidence]]) -> list[Evidence]:
    """Adjust the p-values of all claims of a run (Holm 1979), so that they fail together as one would alone.

    Every family has the same share of the level, and its criteria that could fail divide it: many claims of
    one cost the others no more than one does. A criterion without a p, whose estimate is inside its range or
    unreliable, does not fail and counts. A fail that is expected closes no gate, so that no false alarm can
    come of it: such a criterion is neither counted nor adjusted, and neither is a law.
    """

    def counts(expect: Expectation, criterion: Criterion) -> bool:
        return not criterion.law and not fails_as_expected(expect, criterion)

    claims = [
        (asked, one) for asked, expect, evidence in judged for one in evidence.criteria if counts(expect, one)
    ]
    families = [asked.family if asked.could_fail(one) else None for asked, one in claims]
    sizes = Counter(family for family in families if family is not None)
    p = np.array([1.0 if one.p is None else one.p for _, one in claims])
    adjusted = iter(
        Adjusted(p=float(p), among=sizes[family] if family else 0, families=len(sizes))
        for p, family in zip(holm(p, shares(families)), families, strict=True)
    )

    def among(expect: Expectation, criterion: Criterion) -> Criterion:
        if not counts(expect, criterion):
            return criterion
        claim = next(adjusted)
        return criterion if criterion.p is None else criterion.model_copy(update={"adjusted": claim})

    return [
        evidence.model_copy(update={"criteria": tuple(among(expect, one) for one in evidence.criteria)})
        for _, expect, evidence in judged
    ]


def results_of(
    assertions: Iterable[AssertionResult],
    started: datetime,
    seed: int,
    policy: Policy = _DEFAULT,
    artefacts: Iterable[ArtefactFiles] = (),
) -> Results:
    """Put the verdicts of a run into one document, in the order of the suites whatever order they came in.

    Of the artefacts it has those that evidence is about.
    """
    ordered = sorted(assertions, key=lambda result: (result.suite, result.line, result.id))
    named = {pair for result in ordered if result.evidence for pair in result.release.items()}
    used = {(one.name, one.said): one for one in artefacts if (one.name, one.said) in named}
    return Results(
        started=started.isoformat(timespec="seconds"),
        seconds=round((datetime.now(UTC) - started).total_seconds(), 1),
        seed=seed,
        policy=policy,
        versions={library: version(library) for library in _LIBRARIES},
        assertions=tuple(ordered),
        artefacts=tuple(used[pair] for pair in sorted(used, key=lambda pair: (pair[0] != "base", pair))),
    )


def unjudged(assertion: Assertion, why: str) -> AssertionResult:
    """Say of an assertion that came to no verdict why: an error in the place of one."""
    return AssertionResult(
        **_stated(assertion),
        verdict=Verdict.ERROR,
        raw_verdict=Verdict.ERROR,
        sentence=sentence_of(assertion.id, Verdict.ERROR, assertion.expect, None, why),
    )


def _stated(assertion: Assertion) -> dict[str, Any]:
    """Return what a result says of its assertion, whatever became of it."""
    return {
        "id": assertion.id,
        "persona": assertion.case.persona,
        "property": assertion.property.word(),
        "slug": assertion.case.slug,
        "regimes": assertion.case.regimes,
        "family": assertion.family,
        "suite": assertion.place.file,
        "line": assertion.place.line or 1,
        "expect": assertion.expect,
        "tier": assertion.tier,
    }


def _replay(suite: Suite, assertion: Assertion, evidence: Evidence) -> str | None:
    example = next((probe.example for probe in evidence.probes if probe.example), None)
    if example is None:
        return None
    arguments = [assertion.place.file, assertion.id, example, *suite.overrides.options]
    return shlex.join(["coherence", "replay", *arguments])


def _asked(scene: Scene, day: str | None) -> dict[str, str]:
    written = {
        "probes": "\n".join(probe.model_dump_json() for probe in scene.probes),
        "neutral prompt": "no system turn" if scene.neutral is None else scene.neutral,
        "decoding": scene.decoding.model_dump_json(),
    }
    digests = {name: sha256(text.encode()).hexdigest()[:12] for name, text in written.items()}
    templating = {
        "dtype": str(scene.release.dtype),
        "system": "folded" if scene.templating.fold else "auto",
        "thinking": scene.thinking,
    }
    return digests | templating | ({"date": day} if day else {})


def _unlike_answers(needs: Iterable[Measurement], record: Record) -> Iterator[str]:
    replies = [one for one in needs if isinstance(one, Reply)]
    if lacking := unanswered(replies, record):
        yield lacking
    if ran_on := sum(map(record.ran_on, replies)):
        yield f"{ran_on} of {len(replies)} replies run on into a turn of the user, and are cut there"


def _decoded(needs: Iterable[Measurement], decoding: Decoding, artefacts: Artefacts) -> Iterator[str]:
    """Yield what becomes of the base's own settings, where replies are among what is needed."""
    if any(isinstance(one, Reply) for one in Plan(needs)):
        remark = artefacts.generation.remark(decoding)
        if remark:
            yield remark


def _rounded(needs: Iterable[Measurement], artefacts: Artefacts) -> Iterator[str]:
    """Yield what laws hold to on this base, where one is held to less."""
    for one in needs:
        if isinstance(one, LawSearch) and isinstance(one.law, LawName):
            remark = artefacts.rounding(one.tolerance)
            if remark:
                yield remark


def _of_artefacts(carried: Iterable[Named], remarks: Mapping[Named, str]) -> Iterator[str]:
    named = ((kind.removesuffix("s"), name, remarks.get((kind, name))) for kind, name in carried)
    return (f"{kind} {name!r}: {said}" for kind, name, said in named if said)


def _conditions(measurements: Iterable[Measurement]) -> list[Condition]:
    return list(dict.fromkeys(chain.from_iterable(map(conditions_of, measurements))))


def _carried(measurements: Iterable[Measurement], artefacts: Artefacts) -> list[Named]:
    """List the artefacts that take part, the base apart."""
    return sorted(set(chain.from_iterable(map(artefacts.carried_by, _conditions(measurements)))))


def _fetch(carried: Iterable[Named], artefacts: Artefacts) -> None:
    """See that they are on this machine; where one cannot be had, the verdicts say why."""
    with suppress(CoherenceError):
        _ = artefacts.base
    for kind, name in carried:
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
