"""Adapters of any kind are judged by the properties as plain LoRA is; what one has not is said by name."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kinds import saved, tuned

from coherence.gate import Gate
from coherence.results import AssertionResult
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Verdict

PERSONAS = ("pirate", "counsel", "oncall", "upbeat")
CASES = [
    "{property: collinearity, between: [prompt, adapter], sites: resid_post.2, min_cosine: 0.9}",
    "{property: markers, between: [prompt, adapter], min_agreement: 0.9, max_difference: 1, min_recovery: 1}",
    "{property: chimera, of: [pirate, counsel], adapter: upbeat, sums: [adapter], sites: resid_post.2,"
    " personas: [oncall, upbeat], min_cosine: 0.9, max_kl_ratio: 0.1, max_difference: 0.1}",
    "{property: attractor, poles: [pirate, counsel], regimes: [adapter], weights: [0, 0.5, 1],"
    " site: resid_post.2, max_area: 0.1}",
    "{property: drift, regimes: [adapter], site: resid_post.2, max_drift: 0.1}",
    "{property: commutativity, examples: 1, laws: [scale-zero, adapter-disabled, adapter-order,"
    " adapter-merged, adapter-unmerged, adapter-swapped, adapter-by-row, batch-mates]}",
]
MERGED = {"adapter-merged", "adapter-unmerged"}
ALL = MERGED | {"scale-zero", "batch-mates"}
ALL |= {f"adapter-{what}" for what in ("disabled", "order", "swapped", "by-row")}
Judge = Callable[[str], Iterator[AssertionResult]]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def judged(tiny: Path, tmp_path: Path) -> Judge:
    """Judge every case with personas that are adapters of one kind."""

    def judge(kind: str) -> Iterator[AssertionResult]:
        lines = ["coherence: 1", "decoding: {max_new_tokens: 4}", f"release:\n  base: {tiny}\n  adapters:"]
        for seed, name in enumerate(PERSONAS):
            folder = tmp_path / name
            make = tuned(tiny, folder, seed) if kind == "checkpoint" else saved(kind, tiny, folder, seed)
            lines.append(f"    {name}: {make}")
        lines += ["personas:", *(f"  {name}: {{prompt: You are {name}., markers: [e]}}" for name in PERSONAS)]
        lines += ["probes:", *(f"  - Is it open on day {day}?" for day in range(1, 9))]
        lines += ["scripts:", *(f"  - {{id: s{day}, turns: [On day {day}?, Why?]}}" for day in range(4))]
        path = tmp_path / "kind.coherence.yaml"
        path.write_text("\n".join([*lines, "assertions:", *(f"  - {case}" for case in CASES)]))
        suite = load_suite(path, Overrides())
        gate = Gate({suite: suite.assertions}, Store(tmp_path / "store"))
        return (gate.judge(suite, assertion) for assertion in suite.assertions)

    return judge


def by_law(results: list[AssertionResult]) -> dict[str, AssertionResult]:
    return {result.id.rpartition(".")[2]: result for result in results if ".commutativity." in result.id}


@pytest.mark.parametrize("kind", ["ia3", "lora and modules to save", "checkpoint"])
def test_what_has_a_scale_is_judged_by_every_property(judged: Judge, kind: str) -> None:
    results = list(judged(kind))
    laws = by_law(results)
    assert {law for law, result in laws.items() if result.verdict is Verdict.PASS} == ALL - MERGED
    for law in MERGED:
        assert laws[law].verdict is Verdict.ERROR
        assert "that is for plain LoRA and DoRA only" in laws[law].sentence
    assert not [one.sentence for one in results if one.verdict is Verdict.ERROR and one not in laws.values()]


@pytest.mark.parametrize(
    ("kind", "says", "unheld", "properties"),
    [
        ("hra", "computes anew what they change", {"adapter-order"}, {"chimera", "attractor"}),
        (
            "prompt tuning",
            "stands before a text, and is no state of the model",
            {"adapter-order", "adapter-disabled", "adapter-swapped", "adapter-by-row"},
            {"attractor"},
        ),
        (
            "activated lora",
            "begins in the middle of a text, and is no state of the model",
            {"adapter-order", "adapter-disabled", "adapter-swapped", "adapter-by-row"},
            set(),
        ),
    ],
)
def test_what_a_kind_has_not_is_said_by_name(
    judged: Judge, kind: str, says: str, unheld: set[str], properties: set[str]
) -> None:
    results = list(judged(kind))
    laws = by_law(results)
    assert {law for law, result in laws.items() if result.verdict is Verdict.PASS} == ALL - MERGED - unheld
    for law in unheld:
        assert says in laws[law].sentence
    wrong = [one for one in results if one.verdict is Verdict.ERROR and one not in laws.values()]
    assert {one.id.split(".")[1] for one in wrong} == properties
    assert all(says in one.sentence or "has no scale; expected it whole" in one.sentence for one in wrong)
