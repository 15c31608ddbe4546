"""What a run writes: the results document, and the reports that options ask for."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from coherence.errors import CoherenceError
from coherence.plugin.options import setting_of
from coherence.reports.html import write_html
from coherence.reports.junit import write_junit
from coherence.reports.markdown import write_markdown
from coherence.reports.views import require_views, write_view
from coherence.results import Results

_FILES = ("--coherence-results", "--coherence-junit", "--coherence-markdown", "--coherence-html")


class Outputs:
    """Files to write at the end; `problems` say which could not be written."""

    def __init__(self, config: pytest.Config) -> None:
        self._files = {flag: setting_of(config, flag) for flag in _FILES}
        self._strict = setting_of(config, "--coherence-junit-strict").value
        self._views = setting_of(config, "--coherence-report")
        self._require_views()
        self.problems: list[str] = []

    @property
    def document(self) -> Path:
        """Where the results document is."""
        return Path(self._files["--coherence-results"].value)

    def write(self, results: Results) -> None:
        """Write all of them; one that cannot be written is no reason to lose the others."""
        self._write("--coherence-results", results.write)
        self._write("--coherence-junit", partial(write_junit, results, strict=self._strict))
        self._write("--coherence-markdown", partial(write_markdown, results))
        self._write("--coherence-html", partial(write_html, results))
        for name, path in self._views.value.items():
            where = f"{self._views.where} {name}={path}"
            self._write_to(where, self._views.folder / path, partial(write_view, name, results))

    def _require_views(self) -> None:
        try:
            require_views(self._views.value)
        except CoherenceError as problem:
            raise pytest.UsageError(f"{self._views.where}: {problem}") from None

    def _write(self, flag: str, write: Callable[[Path], None]) -> None:
        path, where, _ = self._files[flag]
        if path is not None:
            self._write_to(f"{where} {path}", path, write)

    def _write_to(self, where: str, path: Path, write: Callable[[Path], None]) -> None:
        try:
            write(path.absolute())
        except OSError as problem:
            self.problems.append(f"{where} cannot be written: {problem.strerror or problem}")
        except CoherenceError as problem:
            self.problems.append(f"{where} cannot be written: {problem}")
