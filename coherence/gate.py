"""The gate: one plan for all assertions of a run, measured once, then a verdict for each."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version

from coherence.engine.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executor import LocalExecutor, MakeExecutor
from coherence.engine.progress import SILENT, Progress
from coherence.errors import CoherenceError
from coherence.plan import Condition, LawSearch, Measurement, Plan, Record
from coherence.results import AssertionResult, Results, sentence_of
from coherence.store import Store
from coherence.suite import Assertion, Suite
from coherence.vocabulary import Evidence, Verdict

_LIBRARIES = ("pytest-coherence", "torch", "transformers", "peft", "numpy", "scipy", "hypothesis")


class Gate:
    """Judges the assertions that were selected. Nothing is measured before the first verdict is asked for."""

    def __init__(
        self,
        selected: Mapping[Suite, Sequence[Assertion]],
        store: Store,
        progress: Progress = SILENT,
        executor: MakeExecutor = LocalExecutor,
    ) -> None:
        self._selected = selected
        self._store = store
        self._progress = progress
        self._executor = executor

    def measure(self) -> None:
        """Measure everything that the selected assertions need, now."""
        _ = self._records

    def judge(self, suite: Suite, assertion: Assertion) -> AssertionResult:
        """Give the verdict of one assertion. What could not be measured is an `error`, never an exception."""
        started = time.perf_counter()
        record, artefacts = self._records[_release_key(suite)]
        evidence: Evidence | None = None
        problem: str | None = None
        try:
            evidence = assertion.case.judge(record, _seed_of(suite, assertion))
            verdict = evidence.verdict
        except CoherenceError as error:
            verdict, problem = Verdict.ERROR, str(error)
        return AssertionResult(
            id=assertion.id,
            persona=assertion.case.persona,
            family=assertion.family,
            suite=assertion.place.file,
            line=assertion.place.line or 1,
            verdict=verdict,
            expect=assertion.expect,
            sentence=sentence_of(assertion.id, verdict, assertion.expect, evidence, problem),
            evidence=evidence,
            release=_described(assertion, artefacts),
            seconds=round(time.perf_counter() - started, 3),
        )

    @cached_property
    def _records(self) -> dict[str, tuple[Record, Artefacts]]:
        groups: dict[str, list[Suite]] = {}
        for suite in self._selected:
            groups.setdefault(_release_key(suite), []).append(suite)
        return {key: self._measured(suites) for key, suites in groups.items()}

    def _measured(self, suites: Sequence[Suite]) -> tuple[Record, Artefacts]:
        first = suites[0]
        artefacts = Artefacts(first.scene.release, first.scene.extracts, first.places)
        plan = Plan(
            measurement
            for suite in suites
            for assertion in self._selected[suite]
            for measurement in assertion.case.needs()
        )
        try:
            engine = Engine(artefacts, self._store, self._progress, self._executor)
            return Record(engine.measure(plan)), artefacts
        except CoherenceError as problem:
            return Record(dict.fromkeys(plan, problem)), artefacts


def results_of(assertions: Iterable[AssertionResult], started: datetime, seed: int) -> Results:
    """Put the verdicts of a run into one document, in the order of the suites whatever order they came in."""
    return Results(
        started=started.isoformat(timespec="seconds"),
        seconds=round((datetime.now(UTC) - started).total_seconds(), 1),
        seed=seed,
        versions={library: version(library) for library in _LIBRARIES},
        assertions=tuple(sorted(assertions, key=lambda result: (result.suite, result.line, result.id))),
    )


def _release_key(suite: Suite) -> str:
    return f"{suite.scene.release.model_dump_json()} {suite.scene.extracts!r}"


def _seed_of(suite: Suite, assertion: Assertion) -> int:
    # Each assertion has its own stream, so that no other assertion and no order can move its estimate.
    return int.from_bytes(sha256(f"{suite.scene.seed} {assertion.id}".encode()).digest()[:4], "big")


def _described(assertion: Assertion, artefacts: Artefacts) -> dict[str, str]:
    try:
        described = {"base": f"{artefacts.release.base} {artefacts.base_digest[:12]}"}
        for condition in _conditions(assertion.case.needs()):
            for name, digest in artefacts.named_in(condition).items():
                described[name] = digest
    except CoherenceError as problem:
        return {"base": artefacts.release.base, "problem": problem.sentence}
    return described


def _conditions(measurements: Iterable[Measurement]) -> list[Condition]:
    found: dict[Condition, None] = {}
    for measurement in measurements:
        if isinstance(measurement, LawSearch):
            found.update(dict.fromkeys(measurement.conditions))
        else:
            found[measurement.condition] = None
    return list(found)
