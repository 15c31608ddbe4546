"""The baseline that an option names: read before anything is measured, compared at the end."""

from collections.abc import Collection
from pathlib import Path

import pytest

from coherence.baseline import Baseline, ComparisonTerms, compare
from coherence.errors import CoherenceError
from coherence.plugin.options import setting_of
from coherence.results import Results


def baseline(config: pytest.Config) -> Baseline | None:
    """Read what `--coherence-baseline` names; None where nothing is named, or nothing is there yet.

    A UsageError where it must be there, or cannot be read.
    """
    path, where, _ = setting_of(config, "--coherence-baseline")
    if path is None:
        return None
    if not path.exists():
        if setting_of(config, "--coherence-baseline-missing").value == "fail":
            raise pytest.UsageError(
                f"{where} {path}: there is no such file; "
                f"`coherence bless RESULTS.json --out {path}` makes it, "
                "--coherence-baseline-missing=record makes it of the first green run, and =warn goes on"
            )
        return None
    try:
        return Baseline.read(path)
    except CoherenceError as problem:
        raise pytest.UsageError(f"{where} {problem}") from None


class Against:
    """What a run is compared with; nothing where the option is not given."""

    def __init__(self, config: pytest.Config, adjusted: bool) -> None:
        self._missing = setting_of(config, "--coherence-baseline-missing").value
        self._terms = ComparisonTerms(
            tolerance=setting_of(config, "--coherence-baseline-tolerance").value,
            fails_on=setting_of(config, "--coherence-baseline-fail").value,
            adjusted=adjusted,
            anyway=setting_of(config, "--coherence-baseline-anyway").value,
        )
        setting = setting_of(config, "--coherence-baseline")
        self._where = setting.where
        self._path: Path | None = setting.value
        self._baseline = baseline(config)
        self.problems: list[str] = []
        self.notes: list[str] = []

    def compared(self, results: Results, left_out: Collection[tuple[str, str]] = ()) -> Results:
        """Put the comparison into the results; `problems` say why there is none, `notes` what was done.

        `left_out` are suite and id of assertions that are not of the tier that was asked for. They have not
        vanished, nor has what the budget left unmeasured.
        """
        if self._path is None:
            return results
        if self._baseline is None:
            self._first(self._path, results)
            return results
        passed_over = {*left_out, *((one.suite, one.id) for one in results.assertions if one.unmeasured)}
        before = _without(self._baseline, passed_over)
        try:
            now = Baseline.of(results)
            if passed_over and not (before.size and now.size):
                self.notes.append(f"nothing of the baseline {self._path} was measured: nothing was compared")
                return results
            comparison = compare(str(self._path), before, now, self._terms)
        except CoherenceError as problem:
            self.problems.append(f"{self._where} {self._path}: {problem}")
            return results
        return results.model_copy(update={"comparison": comparison})

    def _first(self, path: Path, results: Results) -> None:
        if self._missing == "warn":
            self.notes.append(f"there is no baseline {path}: nothing was compared")
        elif any(result.unmeasured for result in results.assertions):
            self.notes.append(f"there is no baseline {path}, and none is recorded of a part of a run")
        elif not all(result.green for result in results.assertions):
            self.notes.append(f"there is no baseline {path}, and none is recorded of a run that is not green")
        else:
            self._record(path, results)

    def _record(self, path: Path, results: Results) -> None:
        try:
            baseline = Baseline.of(results)
            baseline.write(path.absolute())
        except (OSError, CoherenceError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            self.problems.append(f"{self._where} {path} cannot be written: {reason or problem}")
            return
        self.notes.append(f"recorded as the baseline {path}, of {baseline.size} criteria: commit it")


def _without(baseline: Baseline, passed_over: Collection[tuple[str, str]]) -> Baseline:
    suites = {
        name: suite.model_copy(
            update={
                "criteria": tuple(one for one in suite.criteria if (name, one.assertion) not in passed_over)
            }
        )
        for name, suite in baseline.suites.items()
    }
    return baseline.model_copy(update={"suites": suites})
