import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import IA3Config, LoHaConfig, LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from coherence.engine.batch.rows import Weights
from coherence.engine.interventions.adapters import Adapters, lora_layers
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError

IDS = torch.tensor([[5, 9, 40, 41, 7, 8], [60, 3, 17, 20, 20, 1]])
KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"use_rslora": True, "r": 8},
    "dora": {"use_dora": True},
    "with biases": {"lora_bias": True},
    "with patterns": {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"q_proj": 3}},
    "all linear": {"target_modules": "all-linear"},
    "some layers": {"layers_to_transform": [1, 2]},
}
Make = Callable[..., Path]

pytestmark = pytest.mark.filterwarnings("ignore")


def logits(host: Host, *weights: tuple[str, float]) -> Tensor:
    with host.switched(weights):
        result: Tensor = host.model(input_ids=IDS).logits
    return result


def by_peft(base: Path, *folders: Path) -> Tensor:
    """What PEFT's own model gives, with these adapters stacked."""
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(folders[0]), "0")
    for index, folder in enumerate(folders[1:], start=1):
        model.load_adapter(str(folder), str(index))
    model.base_model.set_adapter([str(index) for index in range(len(folders))])
    with torch.inference_mode():
        result: Tensor = model.eval()(input_ids=IDS).logits
    return result


def scaled(folder: Path, weight: float, into: Path) -> Path:
    """Copy an adapter as if it had been trained with another alpha."""
    into.mkdir()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["lora_alpha"] *= weight
    config["alpha_pattern"] = {name: alpha * weight for name, alpha in config["alpha_pattern"].items()}
    (into / "adapter_config.json").write_text(json.dumps(config))
    (into / "adapter_model.safetensors").write_bytes((folder / "adapter_model.safetensors").read_bytes())
    return into


def state(host: Host) -> list[tuple[list[str], bool, dict[str, float]]]:
    return [
        (list(layer.active_adapters), layer.disable_adapters, dict(layer.scaling))
        for layer in lora_layers(host.model)
    ]


def base_weights(host: Host) -> dict[str, Tensor]:
    return {
        name.replace(".base_layer", ""): value.clone()
        for name, value in host.model.state_dict().items()
        if "lora_" not in name
    }


def same(these: dict[str, Tensor], those: dict[str, Tensor]) -> bool:
    return these.keys() == those.keys() and all(torch.equal(these[name], those[name]) for name in these)


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_is_what_peft_makes_of_it(host: Host, tiny: Path, tiny_adapter: Make, kind: str) -> None:
    folder = tiny_adapter("pirate", **KINDS[kind])
    host.mount("pirate", folder)
    assert torch.equal(logits(host, ("pirate", 1.0)), by_peft(tiny, folder))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight", [0.25, -1.0])
def test_a_weight_multiplies_the_scale(
    host: Host, tiny: Path, tiny_adapter: Make, tmp_path: Path, kind: str, weight: float
) -> None:
    folder = tiny_adapter("pirate", **KINDS[kind])
    host.mount("pirate", folder)
    ours = logits(host, ("pirate", weight))
    theirs = by_peft(tiny, scaled(folder, weight, tmp_path / "scaled"))
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(ours, logits(host, ("pirate", 1.0)), atol=1e-2)


@pytest.mark.parametrize("start", [True, "gaussian", "orthogonal", "eva"])
def test_how_its_training_started_does_not_matter(
    host: Host, tiny: Path, tiny_adapter: Make, start: Any
) -> None:
    folder = tiny_adapter("pirate")
    theirs = by_peft(tiny, folder)
    host.mount("pirate", reworded(folder, init_lora_weights=start))
    assert torch.equal(logits(host, ("pirate", 1.0)), theirs)


def test_two_adapters_are_stacked(host: Host, tiny: Path, tiny_adapter: Make, tmp_path: Path) -> None:
    pirate = tiny_adapter("pirate", seed=1)
    gloomy = tiny_adapter("gloomy", seed=2, use_rslora=True, target_modules=["v_proj", "o_proj"])
    host.mount("pirate", pirate)
    host.mount("gloomy", gloomy)
    assert torch.equal(logits(host, ("pirate", 1.0), ("gloomy", 1.0)), by_peft(tiny, pirate, gloomy))
    weighted = by_peft(tiny, scaled(pirate, 0.3, tmp_path / "one"), scaled(gloomy, 0.7, tmp_path / "two"))
    assert torch.allclose(logits(host, ("pirate", 0.3), ("gloomy", 0.7)), weighted, rtol=1e-5, atol=1e-5)


def test_an_adapter_that_is_named_twice_has_the_sum_of_its_weights(host: Host, tiny_adapter: Make) -> None:
    host.mount("pirate", tiny_adapter("pirate"))
    assert torch.equal(logits(host, ("pirate", 0.25), ("pirate", 0.5)), logits(host, ("pirate", 0.75)))


def test_an_adapter_does_not_touch_the_one_beside_it(host: Host, tiny: Path, tiny_adapter: Make) -> None:
    # `pirate` is part of `pirate-counsel`: a name must not catch the weights of a longer one.
    folders = {name: tiny_adapter(name, seed) for seed, name in enumerate(["pirate-counsel", "pirate"])}
    for name, folder in folders.items():
        host.mount(name, folder)
    for name, folder in folders.items():
        assert torch.equal(logits(host, (name, 1.0)), by_peft(tiny, folder))


@pytest.mark.parametrize("name", ["layers", "model", "weight", "keys", "lora_A", "default", "lora"])
def test_an_adapter_may_have_the_name_of_a_part_of_the_network(
    host: Host, tiny: Path, tiny_adapter: Make, name: str
) -> None:
    odd, other = tiny_adapter(name, seed=1), tiny_adapter("pirate", seed=2)
    host.mount(name, odd)
    host.mount("pirate", other)
    assert torch.equal(logits(host, (name, 1.0)), by_peft(tiny, odd))
    assert torch.equal(logits(host, ("pirate", 1.0)), by_peft(tiny, other))


stack = st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sampled_from([0.0, 0.5, 1.0])), max_size=2)


@pytest.fixture
def pair(host: Host, tiny_adapter: Make) -> Host:
    host.mount("one", tiny_adapter("one", seed=1))
    host.mount("two", tiny_adapter("two", seed=2, use_dora=True, target_modules=["q_proj", "o_proj"]))
    return host


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outer=stack, inner=stack)
def test_leaving_restores_what_was_active_and_how_strongly(pair: Host, outer: Any, inner: Any) -> None:
    weights = base_weights(pair)
    untouched, bare = state(pair), logits(pair)
    with Adapters(pair.model, tuple(outer)):
        entered, before = state(pair), pair.model(input_ids=IDS).logits
        with pytest.raises(ZeroDivisionError), Adapters(pair.model, tuple(inner)):
            _ = 1 / 0
        assert state(pair) == entered
        assert torch.equal(pair.model(input_ids=IDS).logits, before)
    assert state(pair) == untouched
    assert torch.equal(logits(pair), bare)
    assert same(base_weights(pair), weights)


def test_the_same_context_is_entered_twice(pair: Host) -> None:
    one = Adapters(pair.model, (("one", 0.5),))
    with one:
        once = pair.model(input_ids=IDS).logits
        with one:
            assert torch.equal(pair.model(input_ids=IDS).logits, once)
        assert torch.equal(pair.model(input_ids=IDS).logits, once)
    assert all(layer.disable_adapters for layer in lora_layers(pair.model))


def test_none_at_all_is_the_base_even_inside_another(pair: Host, tiny: Path) -> None:
    base = Host.load(tiny, "float32")
    with pair.switched((("one", 1.0), ("two", 1.0))):
        assert torch.equal(logits(pair), logits(base))
    assert torch.equal(logits(pair, ("one", 0.0)), logits(base))


def other_base(folder: Path, config: Any, **sizes: int) -> Path:
    shape = {
        "vocab_size": 320,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    get_peft_model(LlamaForCausalLM(LlamaConfig(**shape | sizes)), config).save_pretrained(folder)
    return folder


def lora(**settings: Any) -> LoraConfig:
    return LoraConfig(**{"target_modules": ["q_proj"], "init_lora_weights": False} | settings)


def ia3() -> IA3Config:
    return IA3Config(target_modules=["q_proj"], feedforward_modules=[])


def unsaid(folder: Path, name: str) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(
        json.dumps({key: told for key, told in json.loads(path.read_text()).items() if key != name})
    )
    return folder


def reworded(folder: Path, **changes: Any) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


UNFIT: dict[str, tuple[Callable[[Path], Path], str]] = {
    "width": (
        lambda folder: other_base(folder, lora(), hidden_size=48),
        r"made for another base: \S+q_proj.lora_A.weight is \[8, 48\], expected \[8, 32\]",
    ),
    "depth": (
        lambda folder: other_base(folder, lora(), num_hidden_layers=6),
        "made for another base, or for other layers than adapter_config.json says: it holds layer 5",
    ),
    "fewer blocks": (
        lambda folder: other_base(folder, lora(), num_hidden_layers=3),
        "lacks the weights of layers 3: it was made for a base with fewer",
    ),
    "modules": (
        lambda folder: reworded(other_base(folder, lora()), target_modules=["query_key_value"]),
        # The second is what PEFT before 0.21 leaves to be found where another adapter is mounted.
        r"cannot be mounted: Target modules .*query_key_value.* not found|expected weights for modules that",
    ),
    "some modules": (
        lambda folder: reworded(other_base(folder, lora()), target_modules=["q_proj", "mlp"]),
        r"cannot be mounted: Target module LlamaMLP",
    ),
    "modules to save of another size": (
        lambda folder: other_base(folder, lora(modules_to_save=["lm_head"]), vocab_size=322),
        r"was trained with a vocabulary of 322 tokens \(\S+lm_head.weight is \[322, 32\]\)",
    ),
    "modules that hold blocks": (
        lambda folder: reworded(other_base(folder, lora()), modules_to_save=["layers"]),
        "cannot be mounted: No modules were targeted for adaptation",
    ),
    "replicated layers": (
        lambda folder: other_base(folder, lora(layer_replication=[[0, 3], [1, 4]])),
        r"sets layer_replication to \[\[0, 3\], \[1, 4\]\]",
    ),
    "activated by words": (
        lambda folder: reworded(other_base(folder, lora()), alora_invocation_tokens=["assistant"]),
        r"sets alora_invocation_tokens to \['assistant'\] in adapter_config.json; "
        "expected a list of token ids",
    ),
    "pissa": (
        lambda folder: reworded(other_base(folder, lora()), init_lora_weights="pissa"),
        r"changes the base weights when it is loaded \(init_lora_weights: pissa\)",
    ),
    "from a PEFT to come": (
        lambda folder: reworded(other_base(folder, lora()), telepathic=True),
        "sets telepathic to True; expected plain LoRA",
    ),
    "a kind that writes to the base": (
        lambda folder: reworded(other_base(folder, lora()), peft_type="OSF"),
        "is of the PEFT type OSF, which writes to the base when it begins; expected one of ADALORA, BOFT",
    ),
    "a kind of which nothing is known": (
        lambda folder: reworded(other_base(folder, lora()), peft_type="SHIRA"),
        "is of the PEFT type SHIRA, which is none of those that are held equal to PEFT's own model",
    ),
    "IA3 from a PEFT to come": (
        lambda folder: reworded(other_base(folder, ia3()), feedforward_module=["down_proj"]),
        r"sets feedforward_module to \['down_proj'\] .* does not know of IA3; did you mean",
    ),
    "IA3 of another base": (
        lambda folder: other_base(folder, ia3(), hidden_size=48),
        r"made for another base: \S+q_proj.ia3_l is \[48, 1\], expected \[32, 1\]",
    ),
    "no alpha": (
        lambda folder: unsaid(other_base(folder, LoHaConfig(target_modules=["q_proj"])), "alpha"),
        "says no alpha in adapter_config.json, and PEFT would take 8; expected the alpha that it was trained",
    ),
    "no config": (lambda folder: without(folder, "adapter_config.json"), "has no adapter_config.json"),
    "no weights": (
        lambda folder: without(folder, "adapter_model.safetensors"),
        "has no weights; expected adapter_model",
    ),
    "half a file": (lambda folder: halved(folder / "adapter_model.safetensors"), "cannot be mounted: "),
    "half a config": (lambda folder: halved(folder / "adapter_config.json"), "cannot be mounted: "),
}


def without(folder: Path, name: str) -> Path:
    other_base(folder, lora())
    (folder / name).unlink()
    return folder


def halved(path: Path) -> Path:
    other_base(path.parent, lora())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path.parent


@pytest.fixture(scope="module")
def neighbours(tiny: Path, tiny_adapter: Make) -> dict[str, tuple[Path, Tensor]]:
    """Two adapters, and what PEFT makes of each."""
    folders = {name: tiny_adapter(name, seed) for seed, name in enumerate(["earlier", "later"])}
    return {name: (folder, by_peft(tiny, folder)) for name, folder in folders.items()}


@pytest.mark.parametrize("before", [[], ["earlier"]], ids=["first", "second"])
@pytest.mark.parametrize("fault", UNFIT)
def test_what_cannot_be_used_is_said_and_leaves_no_trace(
    host: Host, neighbours: dict[str, tuple[Path, Tensor]], tmp_path: Path, fault: str, before: list[str]
) -> None:
    make, sentence = UNFIT[fault]
    for name in before:
        host.mount(name, neighbours[name][0])
    weights, bare = base_weights(host), logits(host)
    with pytest.raises(ArtefactError, match=sentence):
        host.mount("bad", make(tmp_path / "bad"))
    host.mount("later", neighbours["later"][0])
    assert same(base_weights(host), weights)
    assert torch.equal(logits(host), bare)
    for name in [*before, "later"]:
        assert torch.equal(logits(host, (name, 1.0)), neighbours[name][1])


def test_settings_that_say_nothing_are_no_reason_to_refuse(
    host: Host, tiny: Path, tiny_adapter: Make
) -> None:
    folder = tiny_adapter("pirate")
    theirs = by_peft(tiny, folder)
    host.mount("pirate", reworded(folder, telepathic=None, layer_replication=[], modules_to_save=None))
    assert torch.equal(logits(host, ("pirate", 1.0)), theirs)


def test_weights_are_a_tuple_so_that_rows_can_be_sorted_by_them() -> None:
    weights: list[Weights] = [(("b", 1.0),), (), (("a", 0.5), ("b", 1.0))]
    assert sorted(weights) == [(), (("a", 0.5), ("b", 1.0)), (("b", 1.0),)]
