"""The gate on the tiny model: one plan, measured once, a verdict for each assertion."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coherence import __version__
from coherence.gate import Gate, results_of
from coherence.store import Store
from coherence.suite import Overrides, Suite, load_suite
from coherence.vocabulary import Verdict

PERSONAS = ("pirate", "counsel", "oncall")
PROBES = ("Where is my order?", "What should I do?", "Who are you?", "Is it open today?")
DIRECTIONS = "property: collinearity, sites: resid_post.2, min_cosine: 1, min_ceiling: 0, personas: [pirate]"
BY_ADAPTER = f"{{{DIRECTIONS}, between: [prompt, adapter]}}"
BY_VECTOR = f"{{{DIRECTIONS}, between: [prompt, steering]}}"
LAW = "{property: commutativity, laws: [adapter-disabled], examples: 1}"

ADAPTER, VECTOR, DISABLED = (
    "pirate.collinearity.prompt-adapter",
    "pirate.collinearity.prompt-steering",
    "release.commutativity.adapter-disabled",
)


class Steps:
    """What a gate measured, by kind."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        self.done[what] = done

    def warn(self, sentence: str) -> None:
        pytest.fail(sentence)


@pytest.fixture(scope="session")
def artefacts(
    tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path]
) -> dict[str, dict[str, Path]]:
    return {
        "adapters": {name: tiny_adapter(name, seed=seed) for seed, name in enumerate(PERSONAS)},
        "vectors": {name: tiny_vector(name, seed=seed) for seed, name in enumerate(PERSONAS)},
    }


@pytest.fixture
def load(tiny: Path, artefacts: dict[str, dict[str, Path]], tmp_path: Path) -> Callable[..., Suite]:
    """Load a suite of assertions; `replaced` takes the place of the pirate's artefacts."""

    def load(*assertions: str, name: str = "a", seed: int = 0, **replaced: str) -> Suite:
        release = [f"  base: {tiny}"]
        for kind, paths in artefacts.items():
            named = {who: str(path) for who, path in paths.items()}
            named |= {"pirate": replaced.get(kind, named["pirate"])}
            release += [f"  {kind}:", *(f"    {who}: {path}" for who, path in named.items())]
        lines = ["coherence: 1", f"seed: {seed}", "release:", *release, "personas:"]
        lines += [f"  {who}: {{prompt: You are {who}.}}" for who in PERSONAS]
        lines += ["probes:", *(f"  - {probe}" for probe in PROBES)]
        lines += ["assertions:", *(f"  - {assertion}" for assertion in assertions)]
        path = tmp_path / f"{name}.coherence.yaml"
        path.write_text("\n".join(lines))
        return load_suite(path, Overrides())

    return load


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def judged(gate, *suites):
    return {
        (suite.path.name[0], assertion.id): gate.judge(suite, assertion)
        for suite in suites
        for assertion in suite.assertions
    }


def selected(*suites):
    return {suite: suite.assertions for suite in suites}


def test_a_verdict_carries_what_it_is_about(load, store, tiny):
    suite = load(BY_ADAPTER, LAW)
    found = judged(Gate(selected(suite), store), suite)
    result = found["a", ADAPTER]
    assert (result.verdict, result.family, result.persona) == (Verdict.FAIL, "collinearity", "pirate")
    assert (result.suite, result.line) == (suite.path.as_posix(), suite.assertions[0].place.line)
    assert result.sentence.startswith(f"{ADAPTER} fails: specific cosine")
    assert result.release["base"].startswith(f"{tiny} ")
    assert set(result.release) == {"base", *(f"adapter {name}" for name in PERSONAS)}
    assert found["a", DISABLED].verdict is Verdict.PASS


def test_nothing_is_measured_before_it_is_asked_for(load, store):
    steps = Steps()
    gate = Gate(selected(load(LAW)), store, steps)
    assert steps.done == {}
    gate.measure()
    assert steps.done == {"loading the model": 1, "laws": 1}


def test_suites_of_one_release_share_their_measurements(load, store):
    first, second = load(BY_ADAPTER), load(BY_ADAPTER, LAW, name="b")
    steps = Steps()
    found = judged(Gate(selected(first, second), store, steps), first, second)
    # Bare, and each persona in two regimes: every probe once.
    assert steps.done["residuals"] == (1 + 2 * 3) * len(PROBES)
    assert steps.done["loading the model"] == 1
    assert found["a", ADAPTER].evidence == found["b", ADAPTER].evidence


def test_each_release_is_judged_on_its_own_artefacts(load, store, tiny_adapter):
    first, second = load(BY_ADAPTER), load(BY_ADAPTER, name="b", adapters=tiny_adapter("newer", seed=9))
    found = judged(Gate(selected(first, second), store), first, second)
    old, new = (found[suite, ADAPTER] for suite in "ab")
    assert old.release["base"] == new.release["base"]
    assert old.release["adapter pirate"] != new.release["adapter pirate"]
    assert old.evidence.curve != new.evidence.curve


def test_only_what_was_selected_is_measured(load, store):
    suite = load(BY_ADAPTER, LAW)
    steps = Steps()
    gate = Gate({suite: suite.assertions[1:]}, store, steps)
    assert gate.judge(suite, suite.assertions[1]).verdict is Verdict.PASS
    assert "residuals" not in steps.done


def test_an_estimate_does_not_depend_on_what_else_is_judged(load, store):
    alone, together = load(BY_ADAPTER), load(LAW, BY_VECTOR, BY_ADAPTER, name="b")
    found = judged(Gate(selected(together, alone), store), alone, together)
    assert found["a", ADAPTER].evidence == found["b", ADAPTER].evidence


def test_the_seed_moves_the_resampling_and_not_the_estimate(load, store):
    first, second = load(BY_ADAPTER), load(BY_ADAPTER, name="b", seed=1)
    found = judged(Gate(selected(first, second), store), first, second)
    one, other = (result.evidence.criteria for result in found.values())
    assert one[1].estimate.value == other[1].estimate.value
    assert one != other


def test_an_artefact_that_cannot_be_used_spoils_only_what_needs_it(load, store):
    suite = load(BY_ADAPTER, BY_VECTOR, LAW, vectors="./lost.safetensors")
    found = judged(Gate(selected(suite), store), suite)
    assert {name: result.verdict for (_, name), result in found.items()} == {
        ADAPTER: Verdict.FAIL,
        VECTOR: Verdict.ERROR,
        DISABLED: Verdict.PASS,
    }
    lost = found["a", VECTOR]
    assert lost.evidence is None
    assert f"{suite.places['release.vectors.pirate']}: vector 'pirate': " in lost.sentence
    assert lost.release["problem"] in lost.sentence


def unreadable(root: Path) -> None:
    root.touch()


def unwritable(root: Path) -> None:
    (root / "v1" / "measuring.lock").mkdir(parents=True)


@pytest.mark.parametrize("spoil", [unreadable, unwritable])
def test_a_store_that_fails_is_an_error_of_every_assertion(load, tmp_path, spoil):
    suite = load(BY_ADAPTER, LAW)
    spoil(tmp_path / "store")
    found = judged(Gate(selected(suite), Store(tmp_path / "store")), suite)
    assert {result.verdict for result in found.values()} == {Verdict.ERROR}
    assert all("give another folder with --coherence-store" in result.sentence for result in found.values())


def test_a_second_gate_measures_nothing_and_judges_the_same(load, store):
    suite, steps = load(BY_ADAPTER, LAW), Steps()
    before = judged(Gate(selected(suite), store), suite)
    after = judged(Gate(selected(suite), store, steps), suite)
    assert steps.done == {}
    assert [r.model_copy(update={"seconds": 0.0}) for r in after.values()] == [
        r.model_copy(update={"seconds": 0.0}) for r in before.values()
    ]


def test_results_are_in_the_order_of_the_suites(load, store):
    first, second = load(LAW, BY_ADAPTER), load(LAW, name="b")
    found = list(judged(Gate(selected(first, second), store), first, second).values())
    results = results_of(reversed(found), datetime.now(UTC), seed=3)
    assert list(results.assertions) == found
    assert results.seed == 3
    assert results.versions["pytest-coherence"] == __version__
    assert set(results.versions) >= {"torch", "transformers", "peft", "numpy"}
