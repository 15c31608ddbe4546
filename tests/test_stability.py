"""The same release has the same verdicts, whatever should not matter; intervals say where estimates move."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from coherence.gate import Gate
from coherence.results import AssertionResult
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Verdict

PERSONAS = ("pirate", "counsel", "oncall")
DAYS = tuple(range(1, 13))
ASSERTIONS = """
decoding: {max_new_tokens: 6}
assertions:
  - property: collinearity
    between: [prompt, adapter]
    sites: resid_post.2
    min_cosine: -0.9
    min_ceiling: 0
  - property: markers
    between: [prompt, adapter]
    min_agreement: 0.9
    max_difference: 1
    min_recovery: 0
  - property: attractor
    poles: [pirate, counsel]
    regimes: [adapter, steering]
    site: resid_post.3
    max_area: 2
    min_separation: 0.01
  - property: commutativity
    laws: [adapter-disabled]
    examples: 1
"""

Found = dict[str, AssertionResult]
Judge = Callable[..., Found]


@pytest.fixture(scope="module")
def judge(
    tiny: Path,
    tiny_adapter: Callable[..., Path],
    tiny_vector: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Judge:
    """Judge a suite, with a store of its own unless one is named."""
    release = [f"  base: {tiny}"]
    for kind, make in (("adapters", tiny_adapter), ("vectors", tiny_vector)):
        release += [f"  {kind}:", *(f"    {name}: {make(name, seed=n)}" for n, name in enumerate(PERSONAS))]

    kept = tmp_path_factory.mktemp("kept")

    def judge(seed: int = 0, dtype: str = "float32", days: tuple[int, ...] = DAYS, store: str = "") -> Found:
        folder = tmp_path_factory.mktemp("stability")
        path = folder / "a.coherence.yaml"
        personas = [f"  {who}: {{prompt: You are {who}., markers: [a, {who}]}}" for who in PERSONAS]
        probes = [f"  - {{id: day-{day}, text: Is it open on day {day}?}}" for day in days]
        head = ["coherence: 1", f"seed: {seed}", "release:", *release, f"  dtype: {dtype}", "personas:"]
        path.write_text("\n".join([*head, *personas, "probes:", *probes]) + ASSERTIONS)
        suite = load_suite(path, Overrides())
        gate = Gate({suite: suite.assertions}, Store(kept / store if store else folder / "store"))
        return {one.id: gate.judge(suite, one) for one in suite.assertions}

    return judge


@pytest.fixture(scope="module")
def usual(judge: Judge) -> Found:
    found = judge(store="usual")
    assert {Verdict.PASS, Verdict.FAIL} <= {result.verdict for result in found.values()}
    return found


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def numbers(found: Found) -> dict[tuple[str, str], tuple[float, ...]]:
    return {
        (name, criterion.estimate.name): (
            criterion.estimate.value,
            criterion.estimate.low,
            criterion.estimate.high,
        )
        for name, result in found.items()
        if result.evidence
        for criterion in result.evidence.criteria
    }


def assert_the_same(found: Found, usual: Found) -> None:
    assert {name: result.verdict for name, result in found.items()} == {
        name: result.verdict for name, result in usual.items()
    }
    for name, (value, _, _) in numbers(found).items():
        expected, low, high = numbers(usual)[name]
        assert value == pytest.approx(expected, abs=min(0.05, 0.15 * (high - low) + 1e-6), nan_ok=True), name


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_rows_in_a_batch(judge: Judge, usual: Found, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coherence.engine.batch.budget.ROWS", rows)
    assert_the_same(judge(), usual)


@pytest.mark.parametrize("count", [1, 2])
def test_threads(judge: Judge, usual: Found, count: int) -> None:
    with threads(count):
        assert_the_same(judge(), usual)


def test_the_order_of_the_probes(judge: Judge, usual: Found) -> None:
    assert_the_same(judge(days=DAYS[::-1], store="usual"), usual)


def test_ten_seeds(judge: Judge, usual: Found) -> None:
    for seed in range(1, 10):
        assert_the_same(judge(seed=seed, store="usual"), usual)


def test_half_precision_stays_within_the_intervals(judge: Judge, usual: Found) -> None:
    expected = numbers(usual)
    for name, (_, low, high) in numbers(judge(dtype="bfloat16")).items():
        assert low <= expected[name][2], name
        assert expected[name][1] <= high, name
