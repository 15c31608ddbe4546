"""What happens around the items: measure before the first, report after the last."""

import os
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from coherence import __version__
from coherence.errors import SuiteError
from coherence.gate import Gate, results_of
from coherence.plugin.baseline import Against
from coherence.plugin.display import Display, encoding
from coherence.plugin.engines import engine
from coherence.plugin.item import GATE, AssertionItem, BrokenSuite, SuiteFile
from coherence.plugin.options import asked
from coherence.plugin.outputs import Outputs
from coherence.plugin.policy import allowance, policy
from coherence.plugin.provenance import commit, device
from coherence.plugin.release import overrides
from coherence.plugin.suites import SUITES, Suites
from coherence.reports.annotations import annotations
from coherence.reports.comparison import compared
from coherence.reports.controls import controls
from coherence.reports.terminal import summary
from coherence.results import AssertionResult, Results, sentence_of
from coherence.store import Store, store_root
from coherence.suite import SUFFIX
from coherence.vocabulary import Verdict

# What the summary and the failures are laid out for; a log file has no width of its own.
WIDTH = 100

# Under which a worker of pytest-xdist tells the controller what is wrong with the command line.
_MISUSE = "coherence-misuse"

# Under which it tells which assertions are of another tier than was asked for.
_LEFT_OUT = "coherence-left-out"

# Under which it tells what it measured on.
_DEVICE = "coherence-device"


class CoherenceSession:
    """The plugin of one run with `--coherence`, in every worker and in the controller."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._started = datetime.now(UTC)
        self._overrides = overrides(config)
        self._store = Store(asked(config, "--coherence-store").value or store_root())
        self._policy = policy(config)
        self._against = Against(config, self._policy.adjust == "holm")
        self._annotates = asked(config, "--coherence-annotations").value
        self._engine = engine(config)
        self._tier = asked(config, "--coherence-tier").value
        self._allowance = allowance(config)
        self._left_out: set[tuple[str, str]] = set()
        self._seed = self._overrides.seed or 0
        self._files: list[SuiteFile] = []
        self._results: dict[str, AssertionResult] = {}
        self._outputs = Outputs(config)
        self._suites = config.stash[SUITES] = Suites(
            config.rootpath, self._overrides, self._store, self._engine, self._policy, self._files
        )
        self._device: str | None = None

    def pytest_report_header(self) -> str:
        """Say where measurements are kept and made, and what the command line replaces."""
        replaced = [f"base {self._overrides.base}"] if self._overrides.base else []
        replaced += [f"adapter {name}={path}" for name, path in self._overrides.adapters.items()]
        replaced += [f"vector {name}={path}" for name, path in self._overrides.vectors.items()]
        replaced += [f"seed {self._overrides.seed}"] if self._overrides.seed is not None else []
        changes = f", with {', '.join(replaced)}" if replaced else ""
        named = asked(self._config, "--coherence-engine").value
        where = "" if named == "local" else f", engine {named}"
        where += "" if self._tier == "full" else f", {self._tier} tier"
        where += f", budget {self._allowance}" if self._allowance.limited else ""
        where += "" if self._policy.adjust == "holm" else ", fails not adjusted"
        where += "" if self._policy.inconclusive == "fail" else ", inconclusive verdicts warn"
        return f"coherence: {__version__}, store {self._store.root}{where}{changes}"

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect suites."""
        return SuiteFile.of(parent, file_path, self._overrides) if file_path.name.endswith(SUFFIX) else None

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Turn a broken suite into a result of its own, so that the reports show it."""
        report = yield
        if isinstance(collector, SuiteFile):
            self._files.append(collector)
        problem = report.call.excinfo.value if report.failed and report.call and report.call.excinfo else None
        if isinstance(problem, BrokenSuite):
            report.coherence = _broken(collector, problem).model_dump(mode="json")  # type: ignore[attr-defined]
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the result of a broken suite."""
        self._keep(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect what is not of the tier that was asked for."""
        beyond = [item for item in items if isinstance(item, AssertionItem) and not self._is_asked(item)]
        if not beyond:
            return
        items[:] = [item for item in items if item not in beyond]
        config.hook.pytest_deselected(items=beyond)
        self._left_out = {(item.assertion.place.file, item.assertion.id) for item in beyond}
        if _is_worker(config):
            config.workeroutput[_LEFT_OUT] = [list(key) for key in self._left_out]  # type: ignore[attr-defined]

    def _is_asked(self, item: AssertionItem) -> bool:
        return self._tier in ("full", item.assertion.tier)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan what the selected assertions need."""
        self._require_used_overrides()
        selected: dict[Any, list[Any]] = {}
        for item in session.items:
            if isinstance(item, AssertionItem):
                selected.setdefault(item.suite, []).append(item.assertion)
        self._display = Display(self._config)
        self._config.stash[GATE] = Gate(
            selected, self._store, self._display, self._engine, self._policy, self._allowance
        )
        self._seed = next((suite.scene.seed for suite in selected), self._seed)

    def _require_used_overrides(self) -> None:
        # A suite that could not be read, or that --lf passed over, may have the name.
        releases = [file.suite.scene.release for file in self._files if file.suite]
        if not releases or len(releases) < len(self._files):
            return
        try:
            self._overrides.require_use(releases)
        except SuiteError as problem:
            if _is_worker(self._config):
                self._config.workeroutput[_MISUSE] = str(problem)  # type: ignore[attr-defined]
            raise pytest.UsageError(str(problem)) from None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take in the controller of pytest-xdist what its workers found, wrong with the command line too."""
        found = getattr(node, "workeroutput", None) or {}
        self._device = self._device or found.get(_DEVICE)
        self._left_out.update((suite, assertion) for suite, assertion in found.get(_LEFT_OUT, ()))
        if sentence := found.get(_MISUSE):
            raise pytest.UsageError(sentence)

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        """Name the releases under test and their seeds."""
        suites = {item.suite for item in items if isinstance(item, AssertionItem)}
        lines = {
            f"release: {suite.scene.release.base} in {suite.scene.release.dtype}, "
            f"adapters {', '.join(suite.scene.release.adapters) or 'none'}, "
            f"vectors {', '.join(suite.scene.release.vectors) or 'none'}; seed {suite.scene.seed}"
            for suite in suites
        }
        return sorted(lines)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Measure everything before the first assertion is judged."""
        if session.items and not self._config.option.collectonly:
            with self._display:
                self._config.stash[GATE].measure()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the result along with the report, from a worker to the controller too."""
        report = yield
        report.coherence_required = self._suites.required()  # type: ignore[attr-defined]
        if not (isinstance(item, AssertionItem) and hasattr(item, "result")):
            return report
        if report.when == "call" or (report.when == "setup" and report.failed):
            report.coherence = item.result.model_dump(mode="json")  # type: ignore[attr-defined]
            crash = getattr(report.longrepr, "reprcrash", None)
            if crash and call.excinfo and call.excinfo.errisinstance(pytest.fail.Exception):
                # pytest repeats this one in its summary, in CI all lines of it.
                crash.message = item.result.sentence
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the result."""
        self._keep(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports. A run that judged nothing, or cannot say what it judged, is no success."""
        if _is_worker(self._config):
            self._config.workeroutput[_DEVICE] = device()  # type: ignore[attr-defined]
            return
        if self._config.option.collectonly:
            return
        if self._results:
            self._outputs.write(self._document)
        if exitstatus == pytest.ExitCode.OK and not self._results:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        elif exitstatus == pytest.ExitCode.OK and (self._outputs.problems or self._against.problems):
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif (
            exitstatus == pytest.ExitCode.OK
            and self._document.comparison
            and self._document.comparison.failing
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table of verdicts and where the reports are."""
        if self._config.option.collectonly:
            return
        terminalreporter.section("coherence")
        if not self._results:
            terminalreporter.write_line("no assertion was judged: the gate has not passed")
            return
        writer = self._config.get_terminal_writer()
        plain = "utf" not in encoding().lower()
        width = min(writer.fullwidth, WIDTH) if terminalreporter.isatty else WIDTH
        views = (summary, controls) if terminalreporter.verbosity > 0 else (summary,)
        shown = (view(self._document, width, writer.hasmarkup, plain) for view in views)
        terminalreporter.write_line("\n\n".join(filter(None, shown)))
        if not self._outputs.problems:
            terminalreporter.write_line(f"results: {self._outputs.document}")
        if found := self._document.comparison:
            terminalreporter.write_line(f"\n{compared(found, width, writer.hasmarkup, ascii_only=plain)}")
        for note in self._against.notes:
            terminalreporter.write_line(note)
        for sentence in (*self._outputs.problems, *self._against.problems):
            terminalreporter.write_line(sentence, red=True)
        for command in self._annotations:
            terminalreporter.write_line(command)

    @cached_property
    def _document(self) -> Results:
        """What all reports show, once all results are there."""
        results = results_of(self._results.values(), self._started, self._seed, self._policy)
        suite = self._config.invocation_params.dir / next(iter(results.assertions)).suite
        made = {"commit": commit(suite.parent), "device": device() or self._device}
        return self._against.compared(results.model_copy(update=made), self._left_out)

    @property
    def _annotations(self) -> Iterable[str]:
        asked = {"auto": os.environ.get("GITHUB_ACTIONS") == "true", "github": True, "none": False}
        root = Path(os.environ.get("GITHUB_WORKSPACE", self._config.invocation_params.dir))
        return annotations(self._document, root) if asked[self._annotates] else ()

    def _keep(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        said = getattr(report, "coherence", None)
        if said is not None:
            result = AssertionResult.model_validate(said)
            self._results[report.nodeid] = result
        for required in getattr(report, "coherence_required", ()):
            result = AssertionResult.model_validate(required)
            name = f"{result.suite} {result.id}"
            self._results[name] = max(self._results.get(name, result), result, key=_badness)


def _badness(result: AssertionResult) -> tuple[bool, int]:
    """Order what is required twice by one id, in one file: no success may hide a failure."""
    return not result.green, result.verdict.severity


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _broken(collector: pytest.Collector, problem: BrokenSuite) -> AssertionResult:
    name = f"{Path(collector.name).name.removesuffix(SUFFIX)}.suite"
    place = problem.problem.place
    return AssertionResult(
        id=name,
        persona="suite",
        family="suite",
        suite=place.file if place else collector.nodeid,
        line=(place.line if place else None) or 1,
        verdict=Verdict.ERROR,
        raw_verdict=Verdict.ERROR,
        sentence=sentence_of(name, Verdict.ERROR, "pass", None, str(problem)),
    )
