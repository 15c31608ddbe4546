"""What was selected and came to no verdict: an error each in the reports, which says why."""

from collections.abc import Collection, Generator, Mapping
from pathlib import Path

import pytest

from coherence.errors import Place, SuiteError, first_line
from coherence.gate import unjudged
from coherence.plugin.item import AssertionItem, of_suite
from coherence.plugin.xdist import is_controller
from coherence.results import AssertionResult
from coherence.suite import SUFFIX, Assertion, Overrides, load_suite


class Unjudged:
    """Knows what was selected, and hears what became of it and of the run."""

    def __init__(self, config: pytest.Config, overrides: Overrides) -> None:
        self._config = config
        self._overrides = overrides
        # By node id; None where several processes collect, of which nothing else is known in this one.
        self._selected: dict[str, Assertion | None] = {}
        self._is_collected = False
        self._reasons: dict[str, str] = {}
        self._ended: str | None = None
        self.seed: int | None = None
        """Of the first suite that was read for what was not judged; None where none was."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Hear what was selected, where this process collects; a collection that broke off ends before.

        Around the session, which measures inside: a run that ends meanwhile has selected all of it.
        """
        if not is_controller(self._config):
            items = [item for item in session.items if isinstance(item, AssertionItem)]
            self.select({item.nodeid: item.assertion for item in items})
        return (yield)

    def select(self, assertions: Mapping[str, Assertion | None]) -> None:
        """Take in what was selected, by node id; what belongs to no suite is passed over."""
        self._is_collected = True
        self._selected |= {name: one for name, one in assertions.items() if _file(name).endswith(SUFFIX)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hear what kept one from its verdict: a fixture, a skip, a worker that crashed."""
        if report.nodeid in self._selected and not report.passed and report.when != "teardown":
            self._reasons.setdefault(report.nodeid, _said(report))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Hear why the run ended early: a signal, a test that ended it, `-x`."""
        self._ended = first_line(excinfo.value)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Hear what broke pytest."""
        self._ended = f"{excinfo.typename}: {first_line(excinfo.value)}"

    def results(self, session: pytest.Session, judged: Collection[str]) -> dict[str, AssertionResult]:
        """Map what was selected and is not among the node ids of what was judged to an error each.

        Where the run ended before it was known what is selected, that is an error too.
        """
        if self._config.option.setuponly:
            return {}
        ended = self._ended or session.shouldfail or session.shouldstop
        early = "the run ended before it was judged" + (f": {ended}" if ended else "")
        missing = [node_id for node_id in self._selected if node_id not in judged]
        stated = self._stated(missing)
        results = {name: unjudged(one, self._reasons.get(name, early)) for name, one in stated.items()}
        for file in {_file(node_id) for node_id in missing if node_id not in stated}:
            results[file] = of_suite(Path(file), Place(file), early)
        if self._ended and not self._is_collected:
            first = _file(self._config.args[0])
            results[first] = of_suite(Path(first), Place(first), early)
        return results

    def _stated(self, node_ids: Collection[str]) -> dict[str, Assertion]:
        """Find the assertions; the suites of those that other processes collected are read for it."""
        results = {node_id: one for node_id in node_ids if (one := self._selected[node_id])}
        for file in {_file(node_id) for node_id in node_ids if node_id not in results}:
            try:
                suite = load_suite(self._config.rootpath / file, self._overrides)
            except SuiteError:  # it was written to since it was collected
                continue
            self.seed = suite.scene.seed if self.seed is None else self.seed
            of_file = {f"{file}::{assertion.id}": assertion for assertion in suite.assertions}
            results |= {node_id: of_file[node_id] for node_id in node_ids if node_id in of_file}
        return results


def _file(node_id: str) -> str:
    return node_id.partition("::")[0]


def _said(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):  # of a skip: path, line and reason
        return report.longrepr[2]
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)
