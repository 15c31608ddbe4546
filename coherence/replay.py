"""Replay: one example of a law or claim, measured again on the release of a suite."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.errors import SuiteError, did_you_mean
from coherence.properties.search_case import SearchCase, in_words
from coherence.store import Store
from coherence.suite import Overrides, Suite, load_suite


@dataclass(frozen=True)
class Replay:
    """What came of an example: how far the two sides are apart, which may be NaN."""

    says: str
    example: str
    deviation: float
    tolerance: float

    @property
    def broken(self) -> bool:
        """Whether the law or claim does not hold for this example."""
        return not self.deviation <= self.tolerance


def replay(
    path: Path, assertion: str, example: str, overrides: Overrides, store: Store, warn: Callable[[str], None]
) -> Replay:
    """Measure an example that is written in JSON; a CoherenceError when the assertion has no such example."""
    # Imported here because torch takes seconds, which no other command should wait for.
    from coherence.engine.laws.search import deviation, read_example
    from coherence.engine.running.runner import Runner

    suite = load_suite(path, overrides)
    overrides.require_use([suite.scene.release])
    case = _case(suite, assertion)
    tried = read_example(case.search, example)
    runner = Runner(Artefacts.of(suite.scene, suite.places), store, warn)
    measured = deviation(runner, case.search, tried)
    return Replay(case.says, in_words(tried), measured, case.search.tolerance)


def _case(suite: Suite, assertion: str) -> SearchCase:
    searches = {one.id: one.case for one in suite.assertions if isinstance(one.case, SearchCase)}
    if assertion in searches:
        return searches[assertion]
    if assertion in {one.id for one in suite.assertions}:
        raise SuiteError(
            f"{suite.path}: {assertion} has no examples: it is no law{did_you_mean(assertion, searches)}"
        )
    raise SuiteError(f"{suite.path} has no assertion {assertion!r}{did_you_mean(assertion, searches)}")
