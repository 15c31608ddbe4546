"""A bench to run the gate on: suites over the tiny model, most of them warm from the session's store."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import QUESTIONS

# Imported here because pytester forgets what a run inside it imported first, and every run would pay for it.
import coherence.engine.executors.measurer
import coherence.engine.requests.arithmetic
import coherence.plugin.session  # noqa: F401
from coherence.results import Results

PERSONAS = ("pirate", "counsel", "oncall")
COLLINEAR = "property: collinearity, between: [prompt, adapter], personas: [pirate], sites: resid_post.0"
MARKED = "property: markers, personas: [pirate], min_agreement: 1, max_difference: 0.1, min_recovery: 0.5"
# A random model decides none of these: the thresholds do.
ASSERTIONS = {
    "passes": "{property: commutativity, id: passes, laws: [dose-zero], examples: 1}",
    "fails": f"{{id: fails, {COLLINEAR}, min_cosine: 1, min_ceiling: 0}}",
    "unsure": f"{{id: unsure, {COLLINEAR}, min_cosine: 1, min_ceiling: 1}}",
    "fails as expected": "{id: known, property: collinearity, between: [adapter, adapter+steering], "
    "personas: [pirate], sites: resid_post.1..3, min_cosine: 1, min_ceiling: 0, expect: {fail: min_cosine}}",
    "passes unexpectedly": "{property: commutativity, id: mended, laws: [dose-zero], examples: 1, "
    "expect: fail}",
    "steers": "{property: commutativity, id: steers, laws: [vector-inverse], examples: 1}",
    "adapts": "{property: commutativity, id: adapts, laws: [scale-zero], examples: 1}",
    "speaks": f"{{id: speaks, {MARKED}, between: [prompt, adapter]}}",
    "speaks steered": f"{{id: swayed, {MARKED}, between: [prompt, steering]}}",
}
IDS = {
    "passes": "release.passes.dose-zero",
    "fails": "pirate.fails.prompt-adapter",
    "unsure": "pirate.unsure.prompt-adapter",
    "fails as expected": "pirate.known.adapter-adapter+steering",
    "passes unexpectedly": "release.mended.dose-zero",
    "steers": "release.steers.vector-inverse",
    "adapts": "release.adapts.scale-zero",
    "speaks": "pirate.speaks.prompt-adapter",
    "speaks steered": "pirate.swayed.prompt-steering",
}
REST = (
    """\
personas:
  pirate: {prompt: Talk like a pirate., markers: [{text: "[a-m]", kind: regex}]}
  counsel: {prompt: Be formal., markers: [shall]}
  oncall: {prompt: Check the logs., markers: [logs]}
"""
    + QUESTIONS
)


class Bench:
    """A folder with suites, and runs of the gate on it."""

    ids = IDS

    def __init__(self, pytester: pytest.Pytester, release: str, store: Path, python: Path) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.store = store
        self._release = release
        self._python = python

    def suite(self, *assertions: str, name: str = "a", without: str = "nobody") -> dict[str, int]:
        """Write `NAME.coherence.yaml`, `without` somebody's artefacts, and return the assertions' lines."""
        release = [line for line in self._release.splitlines(True) if not line.startswith(f"    {without}:")]
        text = f"coherence: 1\n{''.join(release)}{REST}"
        lines = [f"  - {ASSERTIONS.get(assertion, assertion)}\n" for assertion in assertions]
        path = self.path / f"{name}.coherence.yaml"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text + "".join(lines))
        first = text.count("\n") + 1
        return {assertion: first + index for index, assertion in enumerate(assertions)}

    def edit(self, old: str, new: str, name: str = "a") -> int:
        """Replace a text of a suite, and return its line."""
        path = self.path / f"{name}.coherence.yaml"
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        return text[: text.index(old)].count("\n") + 1

    def run(self, *arguments: str | Path, store: Path | None = None) -> pytest.RunResult:
        """Run the gate in this process."""
        return self.pytester.runpytest(*self._given(store), *arguments)

    def run_apart(self, *arguments: str | Path, store: Path | None = None) -> pytest.RunResult:
        """Run the gate in a process of its own, which has imported torch already."""
        with pytest.MonkeyPatch.context() as changed:
            changed.setattr(sys, "executable", str(self._python))
            return self.run_fresh(*arguments, store=store)

    def run_fresh(self, *arguments: str | Path, store: Path | None = None) -> pytest.RunResult:
        """Run the gate in an interpreter of its own, with nothing imported and another seed of hashes."""
        return self.pytester.runpytest_subprocess(*self._given(store), *arguments)

    def results(self, name: str = "coherence-results.json") -> Results:
        """What the last run wrote."""
        return Results.read(self.path / name)

    def verdicts(self, name: str = "coherence-results.json") -> dict[str, str]:
        """Id to verdict."""
        return {result.id: result.verdict.value for result in self.results(name).assertions}

    def sentence(self, name: str) -> str:
        """The sentence of an assertion, paths shortened to their place in the folder."""
        (found,) = (result for result in self.results().assertions if result.id == IDS.get(name, name))
        return found.sentence.replace(f"{self.path}/", "")

    def _given(self, store: Path | None) -> list[str]:
        # In one word: pytest takes a path that stands alone for one more place to find its root directory by.
        return ["--coherence", f"--coherence-store={store or self.store}"]


@pytest.fixture(scope="session")
def release(tiny: Path, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path]) -> str:
    """The release of a suite, one artefact a line."""
    adapters = [f"    {name}: {tiny_adapter(name, seed=seed)}" for seed, name in enumerate(PERSONAS, 7)]
    vectors = [f"    {name}: {tiny_vector(name, seed=seed)}" for seed, name in enumerate(PERSONAS, 7)]
    lines = ["release:", f"  base: {tiny}", "  adapters:", *adapters, "  vectors:", *vectors]
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that most runs share."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What takes the place of the user's cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def bench(
    pytester: pytest.Pytester,
    release: str,
    store: Path,
    cache: Path,
    warm_python: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    monkeypatch.setenv("COHERENCE_CACHE", str(cache))
    # pytest shortens the last lines less where it knows that people read them in a log.
    monkeypatch.setenv("COLUMNS", "200")
    return Bench(pytester, release, store, warm_python)
