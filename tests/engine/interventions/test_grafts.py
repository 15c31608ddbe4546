"""Adapters whose modules take the place of the base's are what PEFT makes of them, and leave no trace."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import KINDS, SCALED, WHOLE, as_in_peft, saved
from torch import Tensor
from transformers import AutoModelForCausalLM

from coherence.engine.model.host import Host
from coherence.errors import MeasurementError
from coherence.plan import Way

IDS = torch.tensor([[1, 9, 40, 41, 2, 8], [60, 3, 17, 20, 2, 1]])
Make = Callable[..., Path]
Saved = Callable[..., Path]

# Where PEFT itself has several at once, in the order in which they are named (of BOFT the last is the first).
TOGETHER = ["ia3", "vera", "loha", "lokr", "oft", "fourierft", "miss"]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def tiny_kind(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Make an adapter of a kind for the tiny model, once: `tiny_kind("ia3", seed=1)`."""
    made: dict[tuple[str, int], Path] = {}

    def make(kind: str, seed: int = 1) -> Path:
        if (kind, seed) not in made:
            made[kind, seed] = saved(kind, tiny, tmp_path_factory.mktemp("kinds") / "adapter", seed)
        return made[kind, seed]

    return make


def logits(host: Host, *weights: tuple[str, float]) -> Tensor:
    with host.switched(weights):
        result: Tensor = host.model(input_ids=IDS).logits
    return result


def by_peft(base: Path, *folders: Path) -> Tensor:
    with torch.inference_mode():
        result: Tensor = as_in_peft(base, *folders)(input_ids=IDS).logits
    return result


def state(host: Host) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in host.model.state_dict().items()}


def same(these: dict[str, Tensor], those: dict[str, Tensor]) -> bool:
    return these.keys() == those.keys() and all(torch.equal(these[name], those[name]) for name in these)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_what_peft_makes_of_it_and_leaves_the_base_bit_for_bit(
    host: Host, tiny: Path, tiny_kind: Saved, kind: str
) -> None:
    before, bare = state(host), logits(host)
    host.mount("pirate", tiny_kind(kind))
    found = logits(host, ("pirate", 1.0))
    assert torch.equal(found, by_peft(tiny, tiny_kind(kind)))
    assert not torch.allclose(found, bare, atol=1e-2)
    assert torch.equal(logits(host), bare)
    assert torch.equal(logits(host, ("pirate", 0.0)), bare)
    assert same(state(host), before)


@pytest.mark.parametrize("kind", SCALED)
def test_a_weight_measures_the_change_out(host: Host, tiny_kind: Saved, kind: str) -> None:
    host.mount("pirate", tiny_kind(kind))
    bare, whole = logits(host), logits(host, ("pirate", 1.0))
    apart = [float((logits(host, ("pirate", weight)) - bare).abs().max()) for weight in (0.5, 1e-2, 1e-4)]
    assert apart[0] > 4 * apart[1] > 40 * apart[2] > 0
    assert torch.equal(logits(host, ("pirate", 0.25), ("pirate", 0.75)), whole)
    assert not torch.allclose(logits(host, ("pirate", -1.0)), whole, atol=1e-2)


@pytest.mark.parametrize("kind", WHOLE)
def test_what_has_no_scale_is_whole_or_not_there(host: Host, tiny_kind: Saved, kind: str) -> None:
    host.mount("pirate", tiny_kind(kind))
    whole = logits(host, ("pirate", 1.0))
    for put in (lambda: logits(host, ("pirate", 0.5)), lambda: host.fit((("pirate", 0.5),), Way.STACKED)):
        with pytest.raises(
            MeasurementError, match=r"adapter 'pirate' cannot be put in 0.5 times: \w+ has no"
        ):
            put()
    assert torch.equal(logits(host, ("pirate", 1.0)), whole)


@pytest.mark.parametrize("kind", TOGETHER)
def test_two_of_a_kind_are_what_peft_makes_of_both(
    host: Host, tiny: Path, tiny_kind: Saved, kind: str
) -> None:
    one, two = tiny_kind(kind), tiny_kind(kind, seed=2)
    host.mount("one", one)
    host.mount("two", two)
    both = logits(host, ("one", 1.0), ("two", 1.0))
    assert torch.allclose(both, by_peft(tiny, one, two), rtol=1e-4, atol=1e-4)
    assert torch.equal(logits(host, ("two", 1.0)), by_peft(tiny, two))


def test_lora_lies_beneath_a_graft_in_the_same_place(
    host: Host, tiny: Path, tiny_kind: Saved, tiny_adapter: Make
) -> None:
    lora, loha = tiny_adapter("lora"), tiny_kind("loha")
    host.mount("loha", loha)
    host.mount("lora", lora)
    both = logits(host, ("lora", 1.0), ("loha", 1.0))
    assert torch.equal(both, logits(host, ("loha", 1.0), ("lora", 1.0)))
    model = as_in_peft(tiny, lora)
    merged = model.merge_and_unload()
    with torch.inference_mode():
        expected = type(model).from_pretrained(merged, str(loha)).eval()(input_ids=IDS).logits
    assert torch.allclose(both, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(logits(host, ("lora", 1.0)), by_peft(tiny, lora))


def test_what_computes_a_module_anew_lies_beneath_what_passes_it_on(
    host: Host, tiny: Path, tiny_kind: Saved
) -> None:
    host.mount("hra", tiny_kind("hra"))
    host.mount("loha", tiny_kind("loha"))
    both = logits(host, ("loha", 1.0), ("hra", 1.0))
    assert torch.equal(both, logits(host, ("hra", 1.0), ("loha", 1.0)))
    model = as_in_peft(tiny, tiny_kind("hra"))
    merged = model.merge_and_unload()
    with torch.inference_mode():
        expected = type(model).from_pretrained(merged, str(tiny_kind("loha"))).eval()(input_ids=IDS).logits
    assert torch.allclose(both, expected, rtol=1e-3, atol=1e-3)


def test_two_that_change_one_parameter_are_refused(host: Host, tiny_kind: Saved, tiny_adapter: Make) -> None:
    host.mount("one", tiny_kind("lora on parameters"))
    host.mount("two", tiny_kind("lora on parameters", seed=2))
    host.mount("plain", tiny_adapter("plain"))
    bare, alone = logits(host), logits(host, ("one", 1.0))
    with pytest.raises(
        MeasurementError, match=r"another that changes the same parameter \(down_proj.weight, by"
    ):
        logits(host, ("one", 1.0), ("two", 1.0))
    assert torch.equal(logits(host), bare)
    assert torch.equal(logits(host, ("one", 1.0)), alone)
    # LoRA on the module itself is beside it in any order.
    both = logits(host, ("one", 1.0), ("plain", 1.0))
    assert torch.equal(both, logits(host, ("plain", 1.0), ("one", 1.0)))
    assert not torch.allclose(both, alone, atol=1e-2)


@pytest.mark.parametrize(("kind", "beside"), [("hra", "lora"), ("hra", "another")])
def test_two_that_compute_one_module_anew_are_refused(
    host: Host, tiny_kind: Saved, tiny_adapter: Make, kind: str, beside: str
) -> None:
    other = tiny_adapter("other") if beside == "lora" else tiny_kind(kind, seed=2)
    host.mount("one", tiny_kind(kind))
    host.mount("two", other)
    bare, alone = logits(host), logits(host, ("one", 1.0))
    with pytest.raises(MeasurementError, match="cannot be put in beside others: it computes anew what they"):
        logits(host, ("one", 1.0), ("two", 1.0))
    assert torch.equal(logits(host), bare)
    assert torch.equal(logits(host, ("one", 1.0)), alone)


@pytest.mark.parametrize(
    "kind", ["lora and modules to save", "lora and trainable tokens", "trainable tokens", "layer norms"]
)
def test_what_two_train_of_the_base_adds_up(host: Host, tiny: Path, tiny_kind: Saved, kind: str) -> None:
    folders = tiny_kind(kind), tiny_kind(kind, seed=2)
    host.mount("one", folders[0])
    host.mount("two", folders[1])
    both = logits(host, ("one", 0.5), ("two", 0.5))
    assert torch.allclose(both, logits(host, ("two", 0.5), ("one", 0.5)), rtol=1e-3, atol=1e-3)
    base = AutoModelForCausalLM.from_pretrained(tiny)
    own = {name: value.clone() for name, value in base.state_dict().items()}
    for folder in folders:
        merged = as_in_peft(tiny, folder).merge_and_unload().state_dict()
        with torch.no_grad():
            for name, value in base.state_dict().items():
                value += 0.5 * (merged[name] - own[name])
    with torch.inference_mode():
        expected = base(input_ids=IDS).logits
    assert torch.allclose(both, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("way", [Way.MERGED, Way.UNMERGED, Way.LINEAR])
def test_ways_that_are_of_lora_are_refused_by_name(host: Host, tiny_kind: Saved, way: Way) -> None:
    host.mount("pirate", tiny_kind("ia3"))
    with pytest.raises(
        MeasurementError, match=rf"adapter 'pirate' \(IA3\) cannot be put in by {way}: that is for plain LoRA"
    ):
        host.fit((("pirate", 1.0),), way)


stack = st.lists(
    st.tuples(st.sampled_from(["ia3", "loha", "head", "lora"]), st.sampled_from([0.0, 0.5, 1.0])), max_size=3
)


@pytest.fixture
def several(host: Host, tiny_kind: Saved, tiny_adapter: Make) -> Host:
    host.mount("ia3", tiny_kind("ia3"))
    host.mount("lora", tiny_adapter("lora", target_modules=["q_proj", "up_proj"]))
    host.mount("loha", tiny_kind("loha"))
    host.mount("head", tiny_kind("lora and modules to save"))
    return host


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outer=stack, inner=stack)
def test_leaving_restores_what_was_in_the_model(
    several: Host, outer: list[tuple[str, float]], inner: list[tuple[str, float]]
) -> None:
    before, bare = state(several), logits(several)
    alone = logits(several, *inner)
    with several.switched(tuple(outer)):
        entered = several.model(input_ids=IDS).logits
        assert torch.equal(logits(several), bare)
        with several.switched(tuple(inner)):
            assert torch.equal(several.model(input_ids=IDS).logits, alone)
        with pytest.raises(ZeroDivisionError), several.switched(tuple(inner)):
            _ = 1 / 0
        assert torch.equal(several.model(input_ids=IDS).logits, entered)
    assert torch.equal(logits(several), bare)
    assert same(state(several), before)
