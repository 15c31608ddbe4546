"""Suites that tests of one's own open, and what these require of them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from coherence.api import OpenSuite
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import MakeExecutor
from coherence.plugin.item import SuiteCollector
from coherence.results import AssertionResult
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import ArtefactFiles, Policy

SUITES = pytest.StashKey["Suites"]()


class Suites:
    """The fixture `coherence`: opens suites with the store, engine, policy and artefacts of the run."""

    def __init__(
        self,
        root: Path,
        overrides: Overrides,
        store: Store,
        executor: MakeExecutor,
        policy: Policy,
        collected: Sequence[SuiteCollector],
        rehash: bool,
    ) -> None:
        self._root = root
        self._overrides = overrides
        self._with = store, executor, policy
        self._collected = collected
        self._rehash = rehash
        self._opened: dict[Path, OpenSuite] = {}
        self._required: list[AssertionResult] = []

    def __call__(self, path: str | Path) -> OpenSuite:
        """Open a suite, or return it as it was opened; a path is relative to pytest's root directory.

        A SuiteError says what is wrong with it, or which name of the command line no release has.
        """
        place = self._root / path
        if place not in self._opened:
            self._opened[place] = self._open(place)
        for other, suite in self._opened.items():
            if other != place:
                suite.close()  # models of two suites need not fit in memory at once
        return self._opened[place]

    def close(self) -> None:
        """Let the models go."""
        for suite in self._opened.values():
            suite.close()

    @property
    def artefacts(self) -> tuple[ArtefactFiles, ...]:
        """What took part in what was judged, with its files."""
        return tuple(one for suite in self._opened.values() for one in suite.artefacts)

    def required(self) -> tuple[AssertionResult, ...]:
        """Hand over, once, what was required and found since."""
        required = tuple(self._required)
        self._required.clear()
        return required

    def _open(self, path: Path) -> OpenSuite:
        suite = load_suite(path, self._overrides, must_assert=False)
        collected = [file.suite.scene.release for file in self._collected if file.suite]
        self._overrides.require_use([suite.scene.release, *collected])
        if self._rehash:
            Artefacts.of(suite.scene, suite.places).forget()
        return OpenSuite(suite, *self._with, heard=self._required.append)
