from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from coherence.engine import adapters, host, steering
from coherence.engine.artefacts import Artefacts
from coherence.engine.laws import CALLS_PER_EXAMPLE, search
from coherence.engine.mixed import mixed
from coherence.engine.workshop import Workshop
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import Condition, LawName, LawOutcome, LawSearch, Steer
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
def workshop(
    artefacts: Callable[..., Artefacts], store: Store, shipped: dict[str, dict[str, Path]]
) -> Workshop:
    return Workshop(artefacts(**shipped), store, pytest.fail)


def law(name: LawName, examples: int = 8, seed: int = 0) -> LawSearch:
    return LawSearch(name, CONDITIONS[name], PROBES, 1e-4, examples, seed)


@pytest.mark.parametrize("name", LawName)
def test_all_laws_hold(workshop: Workshop, name: LawName) -> None:
    outcome = search(workshop, law(name))
    assert outcome.counterexample is None
    assert outcome.deviation <= 1e-4
    assert 4 <= outcome.examples <= 8 + len(CONDITIONS[name])


def test_every_artefact_has_its_turn(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make
) -> None:
    one = {"gloomy": tiny_adapter("gloomy", 0), "pirate": tiny_adapter("pirate", 1, use_dora=True)}
    found = broken(
        search(Workshop(artefacts(adapters=one), store, pytest.fail), law(LawName.SCALE_ZERO, examples=1))
    )
    assert found["condition"] == "adapter pirate"


def leak(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    return output + 0.1 * output.mean(dim=(0, 1))


def clipping(hidden: Tensor, delta: Tensor) -> Tensor:
    moved = hidden + delta.to(hidden)
    return moved * (hidden.norm(dim=-1, keepdim=True) / moved.norm(dim=-1, keepdim=True)).clamp(max=1)


def biased(hidden: Tensor, delta: Tensor) -> Tensor:
    return hidden + delta.to(hidden) + 0.01


def broken(outcome: LawOutcome) -> dict[str, Any]:
    assert outcome.deviation > 1e-4
    assert outcome.counterexample is not None
    return outcome.counterexample


def test_batch_mates_may_be_under_other_adapters(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    for condition in ADAPTERS:
        workshop.mount(condition)
    # Every row gets the adapters of its neighbour, which shows in rows of different adapters alone. Mounting
    # would notice.
    monkeypatch.setattr(
        host, "mixed", lambda layers, rows, bounds: mixed(layers, [rows[-1], *rows[:-1]], bounds)
    )
    found = broken(search(workshop, replace(law(LawName.BATCH_MATES), conditions=ADAPTERS)))
    assert {name for name, _ in found["mates"]} - {found["condition"]}


def test_an_adapter_that_rows_cannot_have_alone_is_its_whole_batchs(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make
) -> None:
    dora = {key: tiny_adapter(key, seed, use_dora=True) for seed, key in enumerate(["gloomy", "pirate"])}
    outcome = search(
        Workshop(artefacts(adapters=dora), store, pytest.fail),
        replace(law(LawName.BATCH_MATES), conditions=ADAPTERS),
    )
    assert outcome.counterexample is None


def test_a_batch_that_leaks_is_found_with_one_mate(workshop: Workshop) -> None:
    workshop.host.blocks[1].register_forward_hook(leak)
    found = broken(search(workshop, law(LawName.BATCH_MATES)))
    assert found["probe"] == "p0"
    ((_, mate),) = found["mates"]
    assert mate in {"p0", "p1"}


@pytest.mark.parametrize("name", [LawName.VECTOR_INVERSE, LawName.VECTOR_ORDER])
def test_clipped_norms_are_found(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, name: LawName) -> None:
    monkeypatch.setattr(steering, "_added", clipping)
    assert broken(search(workshop, law(name, examples=20)))["probe"] == "p0"


def test_steering_that_acts_at_dose_zero_is_found_in_its_smallest_form(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "_added", biased)
    found = broken(search(workshop, law(LawName.DOSE_ZERO)))
    assert found == {"probe": "p0", "condition": "vector gloomy", "weight": 0.0}


def test_an_adapter_that_cannot_be_switched_off_is_found(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = adapters._LayerState.apply
    monkeypatch.setattr(
        adapters._LayerState, "apply", lambda state, weights: apply(state, weights) if weights else None
    )
    found = broken(search(workshop, law(LawName.ADAPTER_DISABLED)))
    assert (found["probe"], found["condition"]) == ("p0", "adapter gloomy")
    assert found["weight"] != 0


@pytest.mark.parametrize("name", [LawName.SCALE_ZERO, LawName.ADAPTER_ORDER])
def test_dora_really_breaks_the_laws_of_composition(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make, name: LawName
) -> None:
    # Its magnitudes act whatever the scale, and a second one acts on the result of the first.
    dora = {key: tiny_adapter(key, seed, use_dora=True) for seed, key in enumerate(["gloomy", "pirate"])}
    assert broken(search(Workshop(artefacts(adapters=dora), store, pytest.fail), law(name)))["probe"] == "p0"


def test_the_same_seed_gives_the_same_outcome(workshop: Workshop) -> None:
    workshop.host.blocks[1].register_forward_hook(leak)
    first, again = (search(workshop, law(LawName.BATCH_MATES, seed=7)) for _ in range(2))
    assert first == again


def test_the_budget_bounds_the_shrinking(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    calls = []
    workshop.mount(ADAPTERS[0])
    workshop.mount(ADAPTERS[1])
    for condition in VECTORS:
        workshop.deltas(condition)
    assert workshop.host.packs > 0
    workshop.host.model.register_forward_hook(lambda module, args, output: calls.append(1))
    workshop.host.blocks[1].register_forward_hook(leak)
    outcome = search(workshop, law(LawName.BATCH_MATES, examples=2))
    broken(outcome)
    assert outcome.examples <= 2 * CALLS_PER_EXAMPLE
    assert len(calls) == 2 * outcome.examples
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_an_error_within_the_budget(workshop: Workshop, odd: float) -> None:
    for condition in ADAPTERS:
        workshop.mount(condition)
    workshop.host.blocks[1].register_forward_hook(lambda module, args, output: torch.full_like(output, odd))
    with pytest.raises(
        MeasurementError, match=r"NaN or infinite logits while testing the law adapter-order on .*'p0'"
    ):
        search(workshop, law(LawName.ADAPTER_ORDER))


def test_an_artefact_that_cannot_be_used_is_the_error(
    artefacts: Callable[..., Artefacts], store: Store, tmp_path: Path
) -> None:
    missing = artefacts(adapters={"gloomy": tmp_path, "pirate": tmp_path})
    with pytest.raises(ArtefactError, match=r"adapter '\w+': has no adapter_config.json"):
        search(Workshop(missing, store, pytest.fail), law(LawName.ADAPTER_ORDER))
