"""Suites and assertions as pytest sees them: files and test functions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coherence.errors import CoherenceError, Place
from coherence.gate import Gate
from coherence.plugin.options import setting_of
from coherence.reports.grounds import explain
from coherence.results import AssertionResult, sentence_of
from coherence.suite import SUFFIX, Assertion, Overrides, Suite, load_suite
from coherence.vocabulary import Verdict

GATE = pytest.StashKey[Gate]()


class BrokenSuite(pytest.Collector.CollectError):
    """A suite that cannot be read; the message is the sentence."""

    def __init__(self, problem: CoherenceError) -> None:
        super().__init__(str(problem))
        self.problem = problem

    def result(self, file: pytest.Collector) -> AssertionResult:
        """Say it as a result of its own, so that the reports show it."""
        return of_suite(Path(file.name), self.problem.place or Place(file.nodeid), str(self))


def of_suite(path: Path, place: Place, why: str) -> AssertionResult:
    """Say that what a suite asserts is not known, as a result in the place of those of its assertions."""
    name = f"{path.name.removesuffix(SUFFIX)}.suite"
    return AssertionResult(
        id=name,
        persona="suite",
        family="suite",
        suite=place.file,
        line=place.line or 1,
        verdict=Verdict.ERROR,
        raw_verdict=Verdict.ERROR,
        sentence=sentence_of(name, Verdict.ERROR, "pass", None, why),
    )


class InconclusiveWarning(pytest.PytestWarning):
    """An inconclusive verdict that the run's policy lets pass."""


class SuiteCollector(pytest.File):
    """A `*.coherence.yaml` file; `suite` once it has been read."""

    overrides: Overrides
    suite: Suite | None = None

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, overrides: Overrides) -> SuiteCollector:
        """Make the collector of a suite file."""
        file: SuiteCollector = cls.from_parent(parent, path=path)
        file.overrides = overrides
        return file

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item per assertion; no model is loaded."""
        try:
            self.suite = load_suite(self.path, self.overrides)
        except CoherenceError as problem:
            raise BrokenSuite(problem) from None
        for assertion in self.suite.assertions:
            yield AssertionItem.of(self, self.suite, assertion)


class AssertionItem(pytest.Function):
    """One assertion. A function item, so that fixtures, marks and reports work as users expect."""

    suite: Suite
    assertion: Assertion
    result: AssertionResult

    @classmethod
    def of(cls, parent: SuiteCollector, suite: Suite, assertion: Assertion) -> AssertionItem:
        """Make the item of an assertion, marked with its family and persona."""
        item: AssertionItem = cls.from_parent(parent, name=assertion.id, callobj=_nothing)
        item.suite, item.assertion = suite, assertion
        item.add_marker("coherence")
        item.add_marker(assertion.family)
        return item

    def __repr__(self) -> str:
        """Show the tier, where `--collect-only` lists what there is."""
        return f"<{type(self).__name__} {self.name} ({self.assertion.tier})>"

    def setup(self) -> None:
        """Judge. What could not be measured is an error of the set-up, not a failed gate."""
        super().setup()
        self.result = self.config.stash[GATE].judge(self.suite, self.assertion)
        self.user_properties.extend(_properties(self.result))
        if self.result.verdict is Verdict.ERROR:
            pytest.fail(self._explained, pytrace=False)

    def runtest(self) -> None:
        """Fail with the verdict's sentence and its evidence, unless the verdict is the expected one."""
        if self.result.tolerated:
            self.warn(InconclusiveWarning(self.result.sentence))
        if not self.result.green:
            pytest.fail(self._explained, pytrace=False)

    @property
    def _explained(self) -> str:
        return explain(self.result, document=setting_of(self.config, "--coherence-results").value)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Point at the assertion's line in the suite."""
        line = self.assertion.place.line
        # pytest writes the dots of what an id ends in as `::` with -v: that would be an id of nothing.
        return self.path, None if line is None else line - 1, f"{self.name} "


def _nothing() -> None:
    """Stand for the test function: the item's own `setup` and `runtest` do the work."""


def _properties(result: AssertionResult) -> Iterator[tuple[str, Any]]:
    # Exact builtins only: anything else in user_properties breaks pytest-xdist.
    yield "coherence.verdict", result.verdict.value
    yield "coherence.raw_verdict", result.raw_verdict.value
    for criterion in result.evidence.criteria if result.evidence else ():
        estimate = criterion.estimate
        yield f"coherence.{estimate.name}", f"{estimate.value:.6g} [{estimate.low:.6g}, {estimate.high:.6g}]"
        yield f"coherence.{estimate.name}.expected", criterion.threshold
        if criterion.adjusted:
            yield f"coherence.{estimate.name}.p", f"{criterion.p:.3g}"
            yield f"coherence.{estimate.name}.holm", f"{criterion.adjusted.p:.3g}"
    for control in result.evidence.controls if result.evidence else ():
        outcome = control.criterion or control.problem
        yield f"coherence.control.{control.name}", f"{control.verdict.value}: {outcome}"
