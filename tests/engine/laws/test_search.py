import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.batch.layout import Layout
from coherence.engine.batch.rows import Row
from coherence.engine.interventions import adapters, steering
from coherence.engine.interventions.lora_rows import mixed
from coherence.engine.laws.search import CALLS_PER_EXAMPLE, deviation, read_example, search
from coherence.engine.model import host
from coherence.engine.running.runner import Runner
from coherence.errors import ArtefactError, CoherenceError, MeasurementError
from coherence.plan import Answer, Condition, LawName, LawOutcome, LawSearch, Steer
from coherence.plan.measurement import LAW_TOKENS
from coherence.plan.workload import Workload
from coherence.store import Store
from coherence.vocabulary import Probe

NEUTRAL = "You are a helpful assistant."
PROBES = tuple(Probe(id=f"p{n}", text=text) for n, text in enumerate(["Why?", "Where is my order?", "No."]))
ADAPTERS = tuple(Condition(NEUTRAL, adapters=((name, 1.0),)) for name in ("gloomy", "pirate"))
VECTORS = tuple(Condition(NEUTRAL, steers=(Steer(name, 0.5),)) for name in ("gloomy", "pirate"))
ALL = (Condition(NEUTRAL), *ADAPTERS, *VECTORS)
CONDITIONS = {
    LawName.VECTOR_ORDER: VECTORS,
    LawName.VECTOR_INVERSE: VECTORS,
    LawName.DOSE_ZERO: VECTORS,
    LawName.SCALE_ZERO: ADAPTERS,
    LawName.ADAPTER_DISABLED: ADAPTERS,
    LawName.ADAPTER_ORDER: ADAPTERS,
    LawName.ADAPTER_MERGED: ADAPTERS,
    LawName.ADAPTER_UNMERGED: ADAPTERS,
    LawName.ADAPTER_SWAPPED: ADAPTERS,
    LawName.ADAPTER_BY_ROW: ADAPTERS,
    LawName.BATCH_MATES: ALL,
}
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def shipped(tiny_adapter: Make, tiny_vector: Make) -> dict[str, dict[str, Path]]:
    return {
        "adapters": {name: tiny_adapter(name, seed) for seed, name in enumerate(["gloomy", "pirate"])},
        "vectors": {
            "gloomy": tiny_vector("gloomy", 3, "resid_post.1"),
            "pirate": tiny_vector("pirate", 4, "resid_pre.0"),
        },
    }


@pytest.fixture
def runner(artefacts: Callable[..., Artefacts], store: Store, shipped: dict[str, dict[str, Path]]) -> Runner:
    return Runner(artefacts(**shipped), store, pytest.fail)


def law(name: LawName, examples: int = 8, seed: int = 0) -> LawSearch:
    return LawSearch(name, CONDITIONS[name], PROBES, 1e-4, examples, seed)


@pytest.mark.parametrize("name", LawName)
def test_all_laws_hold(runner: Runner, name: LawName) -> None:
    outcome = search(runner, law(name))
    assert outcome.counterexample is None
    assert outcome.largest.deviation <= 1e-4
    assert 4 <= outcome.examples <= 8 + len(CONDITIONS[name])


@pytest.mark.parametrize("name", LawName)
def test_as_many_rows_are_run_as_are_reckoned_with(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, name: LawName
) -> None:
    laid_out, rows = host.Host.laid_out, []

    def counted(self: host.Host, several: Sequence[Row]) -> Layout:
        rows.extend(several)
        return laid_out(self, several)

    monkeypatch.setattr(host.Host, "laid_out", counted)
    runner.host.logits(runner.host.laid_out([runner.builder.row(CONDITIONS[name][0], PROBES[0])]))
    rows.clear()
    tried = search(runner, law(name)).examples - len(CONDITIONS[name])
    assert (max(len(row.ids) for row in rows) <= LAW_TOKENS) is (name is not LawName.BATCH_MATES)
    reckoned = Workload(lambda condition, probe: ".", blocks=4).added(law(name, tried)).read
    assert 0.6 * reckoned <= len(rows) <= 1.3 * reckoned


@pytest.mark.parametrize("name", [LawName.VECTOR_ORDER, LawName.VECTOR_INVERSE, LawName.DOSE_ZERO])
def test_sums_are_sums_at_several_sites_and_whichever_tokens_are_steered(
    artefacts: Callable[..., Artefacts], store: Store, shipped: dict[str, dict[str, Path]], name: LawName
) -> None:
    how = {"gloomy": {"sites": "all", "tokens": "assistant"}, "pirate": {"sites": "resid_pre.0..2"}}
    vectors = {name: {"path": str(path), **how[name]} for name, path in shipped["vectors"].items()}
    outcome = search(Runner(artefacts(vectors=vectors), store, pytest.fail), law(name))
    assert outcome.counterexample is None
    assert outcome.largest.deviation <= 1e-4


def test_every_artefact_has_its_turn(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make
) -> None:
    one = {"gloomy": tiny_adapter("gloomy", 0), "pirate": tiny_adapter("pirate", 1, use_dora=True)}
    found = broken(
        search(Runner(artefacts(adapters=one), store, pytest.fail), law(LawName.SCALE_ZERO, examples=1))
    )
    assert found["condition"] == "adapter pirate"


def leak(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    return output + 0.1 * output.mean(dim=(0, 1))


def clipping(delta: Tensor, hidden: Tensor) -> Tensor:
    moved = hidden + delta.to(hidden)
    return moved * (hidden.norm(dim=-1, keepdim=True) / moved.norm(dim=-1, keepdim=True)).clamp(max=1)


def biased(delta: Tensor, hidden: Tensor) -> Tensor:
    return hidden + delta.to(hidden) + 0.01


def broken(outcome: LawOutcome) -> dict[str, Any]:
    assert outcome.counterexample is not None
    assert outcome.largest.deviation >= outcome.counterexample.deviation > 1e-4
    return outcome.counterexample.example


def test_batch_mates_may_be_under_other_adapters(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for condition in ADAPTERS:
        runner.builder.mounted.mount(condition)
    # Every row gets the adapters of its neighbour, which shows in rows of different adapters alone. Mounting
    # would notice.
    monkeypatch.setattr(
        host, "mixed", lambda layers, rows, bounds: mixed(layers, [rows[-1], *rows[:-1]], bounds)
    )
    found = broken(search(runner, replace(law(LawName.BATCH_MATES), conditions=ADAPTERS)))
    assert {name for name, _ in found["mates"]} - {found["condition"]}


def test_an_adapter_that_rows_cannot_have_alone_is_its_whole_batchs(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make
) -> None:
    dora = {key: tiny_adapter(key, seed, use_dora=True) for seed, key in enumerate(["gloomy", "pirate"])}
    outcome = search(
        Runner(artefacts(adapters=dora), store, pytest.fail),
        replace(law(LawName.BATCH_MATES), conditions=ADAPTERS),
    )
    assert outcome.counterexample is None


def test_a_batch_that_leaks_is_found_with_one_mate(runner: Runner) -> None:
    runner.host.blocks[1].register_forward_hook(leak)
    found = broken(search(runner, law(LawName.BATCH_MATES)))
    assert found["probe"] == "p0"
    ((_, mate),) = found["mates"]
    assert mate in {"p0", "p1"}


@pytest.mark.parametrize("name", [LawName.VECTOR_INVERSE, LawName.VECTOR_ORDER])
def test_clipped_norms_are_found(runner: Runner, monkeypatch: pytest.MonkeyPatch, name: LawName) -> None:
    monkeypatch.setattr(steering, "_added", clipping)
    assert broken(search(runner, law(name, examples=20)))["probe"] == "p0"


def test_steering_that_acts_at_dose_zero_is_found_in_its_smallest_form(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "_added", biased)
    found = broken(search(runner, law(LawName.DOSE_ZERO)))
    assert found == {"probe": "p0", "condition": "vector gloomy", "weight": 0.0}


def test_an_adapter_that_cannot_be_switched_off_is_found(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = adapters._LayerState.apply
    monkeypatch.setattr(
        adapters._LayerState, "apply", lambda state, weights: apply(state, weights) if weights else None
    )
    found = broken(search(runner, law(LawName.ADAPTER_DISABLED)))
    assert (found["probe"], found["condition"]) == ("p0", "adapter gloomy")
    assert found["weight"] != 0


@pytest.mark.parametrize("name", [LawName.SCALE_ZERO, LawName.ADAPTER_ORDER])
def test_dora_really_breaks_the_laws_of_composition(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make, name: LawName
) -> None:
    # Its magnitudes act whatever the scale, and a second one acts on the result of the first.
    dora = {key: tiny_adapter(key, seed, use_dora=True) for seed, key in enumerate(["gloomy", "pirate"])}
    assert broken(search(Runner(artefacts(adapters=dora), store, pytest.fail), law(name)))["probe"] == "p0"


@pytest.mark.parametrize("name", [LawName.ADAPTER_MERGED, LawName.ADAPTER_UNMERGED])
def test_merging_drifts_in_bfloat16(
    artefacts: Callable[..., Artefacts], store: Store, shipped: dict[str, dict[str, Path]], name: LawName
) -> None:
    brain = Runner(artefacts(**shipped, dtype="bfloat16"), store, pytest.fail)
    assert broken(search(brain, law(name, examples=2)))["condition"] == "adapter gloomy"


@pytest.mark.parametrize(
    "name",
    [LawName.ADAPTER_MERGED, LawName.ADAPTER_UNMERGED, LawName.ADAPTER_SWAPPED, LawName.ADAPTER_BY_ROW],
)
def test_dora_can_be_merged_and_swapped(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make, name: LawName
) -> None:
    dora = {key: tiny_adapter(key, seed, use_dora=True) for seed, key in enumerate(["gloomy", "pirate"])}
    outcome = search(Runner(artefacts(adapters=dora), store, pytest.fail), law(name, examples=3))
    assert outcome.counterexample is None


def test_an_adapter_that_does_not_come_back_is_found(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for condition in ADAPTERS:
        runner.builder.mounted.mount(condition)
    monkeypatch.setattr(adapters._LayerState, "restore", lambda state: None)
    assert broken(search(runner, law(LawName.ADAPTER_SWAPPED)))["probe"] == "p0"


def test_adapters_that_rows_exchange_are_found(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for condition in ADAPTERS:
        runner.builder.mounted.mount(condition)
    monkeypatch.setattr(
        host, "mixed", lambda layers, rows, bounds: mixed(layers, [rows[-1], *rows[:-1]], bounds)
    )
    assert broken(search(runner, law(LawName.ADAPTER_BY_ROW)))["probe"] == "p0"


def test_an_adapter_that_cannot_be_merged_is_the_error(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make
) -> None:
    biased = {key: tiny_adapter(key, seed, lora_bias=True) for seed, key in enumerate(["gloomy", "pirate"])}
    with pytest.raises(MeasurementError, match="cannot be merged into the base"):
        search(Runner(artefacts(adapters=biased), store, pytest.fail), law(LawName.ADAPTER_MERGED))


def test_the_same_seed_gives_the_same_outcome(runner: Runner, tmp_path: Path) -> None:
    runner.host.blocks[1].register_forward_hook(leak)
    first = search(runner, law(LawName.BATCH_MATES, seed=7))
    runner.examples = tmp_path / "elsewhere"
    assert search(runner, law(LawName.BATCH_MATES, seed=7)) == first


def test_the_budget_bounds_the_shrinking(runner: Runner, capfd: pytest.CaptureFixture[str]) -> None:
    calls = []
    runner.builder.mounted.mount(ADAPTERS[0])
    runner.builder.mounted.mount(ADAPTERS[1])
    for condition in VECTORS:
        runner.builder.deltas(condition)
    assert runner.host.packs > 0
    runner.host.model.register_forward_hook(lambda module, args, output: calls.append(1))
    runner.host.blocks[1].register_forward_hook(leak)
    outcome = search(runner, law(LawName.BATCH_MATES, examples=2))
    broken(outcome)
    # Every condition has its turn beyond the budget.
    assert outcome.examples <= 2 * CALLS_PER_EXAMPLE + len(CONDITIONS[LawName.BATCH_MATES])
    assert len(calls) == 2 * outcome.examples
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_an_error_within_the_budget(runner: Runner, odd: float) -> None:
    for condition in ADAPTERS:
        runner.builder.mounted.mount(condition)
    runner.host.blocks[1].register_forward_hook(lambda module, args, output: torch.full_like(output, odd))
    with pytest.raises(
        MeasurementError, match=r"NaN or infinite logits while testing the law adapter-order on .*'p0'"
    ):
        search(runner, law(LawName.ADAPTER_ORDER))


def test_an_artefact_that_cannot_be_used_is_the_error(
    artefacts: Callable[..., Artefacts], store: Store, tmp_path: Path
) -> None:
    missing = artefacts(adapters={"gloomy": tmp_path, "pirate": tmp_path})
    with pytest.raises(ArtefactError, match=r"adapter '\w+': .* holds no model and no adapter"):
        search(Runner(missing, store, pytest.fail), law(LawName.ADAPTER_ORDER))


def kept(store: Store) -> list[dict[str, Any]]:
    """Every counterexample that is kept, whatever the search; Hypothesis keeps its keys beside them."""
    found = (json.loads(path.read_bytes()) for path in store.examples.glob("*/*"))
    return [example for example in found if isinstance(example, dict)]


@pytest.fixture
def releases(artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make) -> Callable[..., Runner]:
    """Make a runner of a release whose pirate breaks laws as DoRA does, or of one that is mended."""

    def made(seed: int, mended: bool = False) -> Runner:
        pirate = tiny_adapter("pirate", seed, use_dora=not mended)
        return Runner(
            artefacts(adapters={"gloomy": tiny_adapter("gloomy"), "pirate": pirate}), store, pytest.fail
        )

    return made


def test_a_counterexample_is_kept_and_tried_first_on_the_next_release(
    releases: Callable[..., Runner], store: Store
) -> None:
    first = search(releases(1), law(LawName.SCALE_ZERO))
    assert first.examples > 1
    assert kept(store) == [broken(first)]
    runner, calls = releases(2), []
    runner.builder.mounted.mount(ADAPTERS[0])
    runner.builder.mounted.mount(ADAPTERS[1])
    runner.host.model.register_forward_hook(lambda module, args, output: calls.append(1))
    again = search(runner, law(LawName.SCALE_ZERO))
    assert broken(again) == broken(first)
    # Nothing is drawn: it is that one, and every adapter at full weight, all held against the base once.
    assert (again.examples, len(calls)) == (3, 4)
    assert again.counterexample != first.counterexample


def test_a_counterexample_of_a_law_that_is_mended_is_forgotten(
    releases: Callable[..., Runner], store: Store
) -> None:
    broken(search(releases(1), law(LawName.SCALE_ZERO)))
    assert search(releases(2, mended=True), law(LawName.SCALE_ZERO)).counterexample is None
    assert kept(store) == []


def test_a_counterexample_is_of_its_own_law_and_artefacts(
    releases: Callable[..., Runner], store: Store
) -> None:
    broken(search(releases(1), law(LawName.SCALE_ZERO)))
    mended = releases(2, mended=True)
    for other in (law(LawName.ADAPTER_DISABLED), replace(law(LawName.SCALE_ZERO), conditions=ADAPTERS[:1])):
        assert search(mended, other).counterexample is None
    assert len(kept(store)) == 1


def test_a_counterexample_on_a_probe_that_is_gone_is_forgotten(
    releases: Callable[..., Runner], store: Store
) -> None:
    broken(search(releases(1), law(LawName.SCALE_ZERO)))
    outcome = search(releases(2), replace(law(LawName.SCALE_ZERO), probes=PROBES[1:]))
    assert broken(outcome)["probe"] == "p1"
    assert kept(store) == [broken(outcome)]


def test_logits_that_are_not_finite_are_met_first_too(runner: Runner) -> None:
    runner.builder.mounted.mount(ADAPTERS[0])
    runner.builder.mounted.mount(ADAPTERS[1])
    calls: list[int] = []
    runner.host.blocks[1].register_forward_hook(
        lambda module, args, output: torch.full_like(output, torch.nan)
    )
    runner.host.model.register_forward_hook(lambda module, args, output: calls.append(1))
    for _ in range(2):
        calls.clear()
        with pytest.raises(MeasurementError, match="NaN or infinite logits"):
            search(runner, law(LawName.ADAPTER_ORDER))
    assert len(calls) == 4


def test_a_folder_that_cannot_be_written_costs_no_verdict(
    releases: Callable[..., Runner], tmp_path: Path
) -> None:
    runner = releases(1)
    (tmp_path / "file").touch()
    runner.examples = tmp_path / "file" / "examples"
    assert broken(search(runner, law(LawName.SCALE_ZERO)))["condition"] == "adapter pirate"


def test_kept_counterexamples_are_no_entries_of_the_store(
    releases: Callable[..., Runner], store: Store
) -> None:
    store.put({"kind": "Reply"}, Answer("Yes.", (1,)))
    broken(search(releases(1), law(LawName.SCALE_ZERO)))
    assert len(store.entries()) == 1
    assert list(store.damaged()) == []
    store.prune(0)
    assert len(kept(store)) == 1


@pytest.mark.parametrize("name", LawName)
def test_a_counterexample_is_measured_again_as_it_is_written(runner: Runner, name: LawName) -> None:
    strict = replace(law(name), tolerance=-1.0)
    outcome = search(runner, strict)
    assert outcome.counterexample is not None
    for seen in (outcome.counterexample, outcome.largest):
        example = read_example(strict, json.dumps(seen.example))
        assert deviation(runner, strict, example) == seen.deviation


@pytest.mark.parametrize(
    ("name", "written", "sentence"),
    [
        (LawName.DOSE_ZERO, "p0", "Invalid JSON"),
        (LawName.DOSE_ZERO, "[]", "Input should be an object"),
        (LawName.DOSE_ZERO, '{"probe": "p0", "condition": "vector pirate"}', "weight: this key is missing"),
        (
            LawName.DOSE_ZERO,
            '{"probe": "p9", "condition": "vector pirate", "weight": 1}',
            "probe: found 'p9'; expected one of p0, p1, p2",
        ),
        (
            LawName.DOSE_ZERO,
            '{"probe": "p0", "condition": "vector pirat", "weight": 1}',
            "condition: found 'vector pirat'; did you mean 'vector pirate'?",
        ),
        (
            LawName.DOSE_ZERO,
            '{"probe": "p0", "condition": "vector pirate", "weight": NaN}',
            "weight: Input should be a finite number",
        ),
        (
            LawName.DOSE_ZERO,
            '{"probe": "p0", "condition": "vector pirate", "weight": 1, "mates": []}',
            "mates: there is no such key",
        ),
        (
            LawName.BATCH_MATES,
            '{"probe": "p0", "condition": "bare", "mates": [["bare", "p9"]]}',
            "mates: 0: 1: found 'p9'; expected one of p0, p1, p2",
        ),
    ],
)
def test_what_is_no_example_of_a_law_is_a_sentence(name: LawName, written: str, sentence: str) -> None:
    with pytest.raises(CoherenceError) as refused:
        read_example(law(name), written)
    assert str(refused.value).startswith(sentence)
    assert "; expected JSON such as {" in str(refused.value)
