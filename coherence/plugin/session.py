"""What happens around the items: measure before the first, judge each, sum up after the last."""

import os
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from coherence import __version__
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.errors import StoreError, SuiteError, listed
from coherence.gate import Gate, results_of
from coherence.plugin.against_baseline import Against, baseline
from coherence.plugin.chosen import allowance, overrides, policy
from coherence.plugin.display import Display, encoding
from coherence.plugin.engines import engine
from coherence.plugin.failed_lines import in_full, in_order, seen
from coherence.plugin.item import GATE, AssertionItem, BrokenSuite, SuiteCollector
from coherence.plugin.message import Message
from coherence.plugin.options import setting_of
from coherence.plugin.outputs import Outputs
from coherence.plugin.provenance import commit, device
from coherence.plugin.signals import Signals
from coherence.plugin.suites import SUITES, Suites
from coherence.plugin.unjudged import Unjudged
from coherence.reports.annotations import annotations
from coherence.reports.controls import controls
from coherence.reports.order import worst_first
from coherence.reports.since_baseline import compared
from coherence.reports.terminal import summary
from coherence.results import AssertionResult, Results
from coherence.store import Lender, Store, store_root
from coherence.suite import SUFFIX, Overrides
from coherence.vocabulary import ArtefactFiles

# What the summary and the failures are laid out for; a log file has no width of its own.
WIDTH = 100


class CoherenceSession:
    """Collects suites, measures what they need and judges, in every process of a run with `--coherence`."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._overrides = overrides(config)
        self._store = Store(setting_of(config, "--coherence-store").value or store_root(), _lender(config))
        self._policy = policy(config)
        self._engine = engine(config)
        self._tier = setting_of(config, "--coherence-tier").value
        self._allowance = allowance(config)
        self._baseline = baseline(config)
        self._left_out: frozenset[tuple[str, str]] = frozenset()
        self._seed = self._overrides.seed
        self._misuse: str | None = None
        self._gate: Gate | None = None
        self._rehash = setting_of(config, "--coherence-rehash").value
        self._files: list[SuiteCollector] = []
        self._suites = config.stash[SUITES] = Suites(
            config.rootpath,
            self._overrides,
            self._store,
            self._engine,
            self._policy,
            self._files,
            self._rehash,
        )

    @property
    def hint(self) -> str:
        """What to do where there is no suite."""
        # Suites are collected by the workers of pytest-xdist, where there are some.
        if self._files or self._config.pluginmanager.hasplugin("dsession"):
            return ""
        return f"; there is no *{SUFFIX} file, and `coherence init` writes a first one"

    @property
    def overrides(self) -> Overrides:
        """What the command line replaces."""
        return self._overrides

    def message(self) -> Message:
        """Say at the end what no report has said."""
        return Message(
            left_out=self._left_out,
            remarks=self._gate.remarks if self._gate else (),
            seed=self._seed,
            device=device(),
            artefacts=(*(self._gate.artefacts if self._gate else ()), *self._suites.artefacts),
            misuse=self._misuse,
        )

    def pytest_report_header(self) -> str:
        """Say where measurements are kept and made, and what the command line replaces."""
        replaced = [f"base {self._overrides.base}"] if self._overrides.base else []
        replaced += [f"adapter {name}={path}" for name, path in self._overrides.adapters.items()]
        replaced += [f"vector {name}={path}" for name, path in self._overrides.vectors.items()]
        replaced += [f"seed {self._overrides.seed}"] if self._overrides.seed is not None else []
        changes = f", with {', '.join(replaced)}" if replaced else ""
        named = setting_of(self._config, "--coherence-engine").value
        lender = setting_of(self._config, "--coherence-store-from").value
        where = f", read-only {lender}" if lender else ""
        where += "" if named == "local" else f", engine {named}"
        where += "" if self._tier == "full" else f", {self._tier} tier"
        where += f", budget {self._allowance}" if self._allowance.limited else ""
        where += "" if self._policy.adjust == "holm" else ", fails not adjusted"
        where += "" if self._policy.inconclusive == "fail" else ", inconclusive verdicts warn"
        looks = self._policy.looks
        where += f", looks after {listed([str(one) for one in looks])} probes" if looks else ""
        where += ", strict" if self._policy.strict else ""
        return f"coherence: {__version__}, store {self._store.root}{where}{changes}"

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect suites."""
        return (
            SuiteCollector.of(parent, file_path, self._overrides) if file_path.name.endswith(SUFFIX) else None
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Turn a broken suite into a result of its own, so that the reports show it."""
        report = yield
        if isinstance(collector, SuiteCollector):
            self._files.append(collector)
        problem = report.call.excinfo.value if report.failed and report.call and report.call.excinfo else None
        if isinstance(problem, BrokenSuite):
            Message(results={report.nodeid: problem.result(collector)}).send_with(report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Refuse what is replaced for nobody, and deselect what is not of the tier that was asked for.

        Not in `pytest_collection_finish`, which follows a collection that broke off as well.
        """
        self._require_used_overrides()
        beyond = [item for item in items if isinstance(item, AssertionItem) and not self._is_asked(item)]
        if not beyond:
            return
        left_out = frozenset(beyond)
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=beyond)
        self._left_out = frozenset((item.assertion.place.file, item.assertion.id) for item in beyond)

    def _is_asked(self, item: AssertionItem) -> bool:
        return self._tier in ("full", item.assertion.tier)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan what the selected assertions need."""
        selected: dict[Any, list[Any]] = {}
        for item in session.items:
            if isinstance(item, AssertionItem):
                selected.setdefault(item.suite, []).append(item.assertion)
        self._display = Display(self._config)
        self._gate = self._config.stash[GATE] = Gate(
            selected,
            self._store,
            self._display,
            self._engine,
            self._policy,
            self._allowance,
            self._baseline,
            self._display.judged,
            setting_of(self._config, "--coherence-served-fresh").value,
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
            self._misuse = str(problem)
            raise pytest.UsageError(self._misuse) from None

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
            if self._rehash:
                for suite in {item.suite for item in session.items if isinstance(item, AssertionItem)}:
                    Artefacts.of(suite.scene, suite.places).forget()
            with self._display:
                self._config.stash[GATE].measure()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the result along with the report, from a worker to the controller too."""
        report = yield
        results = {}
        if isinstance(item, AssertionItem) and hasattr(item, "result") and _tells(report):
            results[report.nodeid] = item.result
            crash = getattr(report.longrepr, "reprcrash", None)
            if crash and call.excinfo and call.excinfo.errisinstance(pytest.fail.Exception):
                # pytest repeats this one in its summary, in CI all lines of it.
                crash.message = seen(item.result)
        Message(results=results, required=self._suites.required(), seed=self._seed).send_with(report)
        return report


class Summary:
    """Hears what was found, and shows and writes it, in the process that pytest's terminal belongs to."""

    def __init__(
        self, config: pytest.Config, session: CoherenceSession, unjudged: Unjudged, signals: Signals
    ) -> None:
        self._config = config
        self._session = session
        self._unjudged = unjudged
        self._signals = signals
        self._started = datetime.now(UTC)
        self._policy = policy(config)
        self._against = Against(config, self._policy.adjust == "holm")
        self._annotates = setting_of(config, "--coherence-annotations").value
        self._outputs = Outputs(config)
        self._results: dict[str, AssertionResult] = {}
        self._missing: dict[str, AssertionResult] = {}
        self._left_out: set[tuple[str, str]] = set()
        self._remarks: dict[str, None] = {}
        self._seed: int | None = None
        self._device: str | None = None
        self._artefacts: dict[tuple[str, str], ArtefactFiles] = {}

    def hear(self, message: Message) -> None:
        """Take in what was found, here or in another process."""
        self._results.update(message.results)
        for result in message.required:
            name = f"{result.suite} {result.id}"
            self._results[name] = max(self._results.get(name, result), result, key=_badness)
        self._left_out.update(message.left_out)
        self._remarks.update(dict.fromkeys(message.remarks))
        self._seed = message.seed if self._seed is None else self._seed
        self._device = self._device or message.device
        self._artefacts |= {(one.name, one.said): one for one in message.artefacts}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Hear of a broken suite."""
        self.hear(Message.sent_with(report))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hear of a verdict."""
        self.hear(Message.sent_with(report))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports. A run that judged nothing, or cannot say what it judged, is no success."""
        if self._config.option.collectonly:
            return
        with self._signals.held():
            self.hear(self._session.message())
            self._missing = self._unjudged.results(session, self._results.keys())
            self._results.update(self._missing)
            if self._results:
                self._outputs.write(self._document)
                self._order_failures()
        if exitstatus == pytest.ExitCode.OK:
            session.exitstatus = self._exit_code()

    def _order_failures(self) -> None:
        """Have pytest show failures of suites in the order of the reports, what explains others first."""
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is None:
            return
        places = {
            (one.suite, one.id): place for place, one in enumerate(worst_first(self._document.assertions))
        }
        in_order(reporter, {name: places[one.suite, one.id] for name, one in self._results.items()})

    def _exit_code(self) -> pytest.ExitCode:
        if not self._results:
            return pytest.ExitCode.NO_TESTS_COLLECTED
        if self._outputs.problems or self._against.problems:
            return pytest.ExitCode.USAGE_ERROR
        failing = self._missing or (self._document.comparison and self._document.comparison.failing)
        return pytest.ExitCode.TESTS_FAILED if failing else pytest.ExitCode.OK

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table of verdicts and where the reports are."""
        if self._config.option.collectonly:
            return
        in_full(terminalreporter, self._results)
        terminalreporter.section("coherence")
        if not self._results:
            terminalreporter.write_line(
                f"no assertion was judged: the gate has not passed{self._session.hint}"
            )
            return
        writer = self._config.get_terminal_writer()
        width = min(writer.fullwidth, WIDTH) if terminalreporter.isatty else WIDTH
        layout = width, writer.hasmarkup, "utf" not in encoding().lower()
        terminalreporter.write_line(self._shown(*layout))
        if not self._outputs.problems:
            terminalreporter.write_line(f"results: {self._outputs.document}")
        if comparison := self._document.comparison:
            terminalreporter.write_line(f"\n{compared(comparison, *layout)}")
        for note in self._against.notes:
            terminalreporter.write_line(note)
        for sentence in (*self._outputs.problems, *self._against.problems):
            terminalreporter.write_line(sentence, red=True)
        for command in self._annotations:
            terminalreporter.write_line(command)

    def _shown(self, width: int, color: bool, ascii_only: bool) -> str:
        """Lay out the verdicts and, with `-v`, their controls."""
        shown = summary(self._document, width, color, ascii_only, document=self._outputs.document)
        if self._config.option.verbose <= 0:
            return shown
        return "\n\n".join(filter(None, (shown, controls(self._document, width, color, ascii_only))))

    @cached_property
    def _document(self) -> Results:
        """What all reports show, once all results are there."""
        seed = self._unjudged.seed if self._seed is None else self._seed
        results = results_of(
            self._results.values(), self._started, seed or 0, self._policy, self._artefacts.values()
        )
        suite = self._config.invocation_params.dir / next(iter(results.assertions)).suite
        made = {"commit": commit(suite.parent), "device": self._device, "remarks": tuple(self._remarks)}
        passed_over = {(one.suite, one.id) for one in self._missing.values()} | self._left_out
        return self._against.compared(results.model_copy(update=made), passed_over)

    @property
    def _annotations(self) -> Iterable[str]:
        shown = {"auto": os.environ.get("GITHUB_ACTIONS") == "true", "github": True, "none": False}
        root = Path(os.environ.get("GITHUB_WORKSPACE", self._config.invocation_params.dir))
        return annotations(self._document, root) if shown[self._annotates] else ()


def _lender(config: pytest.Config) -> Lender | None:
    lender = setting_of(config, "--coherence-store-from")
    try:
        return lender.value and Lender(lender.value)
    except StoreError as problem:
        raise pytest.UsageError(f"{lender.where}: {problem}") from None


def _badness(result: AssertionResult) -> tuple[bool, int]:
    """Order what is required twice by one id, in one file: no success may hide a failure."""
    return not result.green, result.verdict.severity


def _tells(report: pytest.TestReport) -> bool:
    """Whether it is the report of an item that has the verdict, and no other of the same item."""
    return report.when == "call" or (report.when == "setup" and report.failed)
