from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from tiny import tokenizer
from torch import Tensor
from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM
from worlds.plain import apart

from coherence.engine.batch.layout import Padded
from coherence.engine.batch.rows import Row, Weights
from coherence.engine.model.host import Host

TOLERANCE = 1e-5  # float32, relative to the largest logit
ADAPTERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True, "r": 8, "target_modules": ["v_proj", "o_proj"]},
    "patterns": {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"q_proj": 3}},
    "some layers": {"layers_to_transform": [1, 2], "target_modules": ["k_proj", "up_proj"]},
}
OTHERS: dict[str, dict[str, Any]] = {
    "dora": {"use_dora": True},
    "biases": {"lora_bias": True},
}
Make = Callable[..., Path]

pytestmark = pytest.mark.filterwarnings("ignore")

stacks = st.lists(
    st.tuples(st.sampled_from(list(ADAPTERS)), st.sampled_from([-1.0, 0.0, 0.25, 1.0])), max_size=3
).map(tuple)
ids = st.lists(st.integers(3, 300), min_size=4, max_size=4).map(tuple)


@pytest.fixture
def mounted(host: Host, tiny_adapter: Make) -> Host:
    for seed, (name, lora) in enumerate(ADAPTERS.items()):
        host.mount(name, tiny_adapter(name, seed, **lora))
    return host


def together(host: Host, rows: list[Row]) -> Tensor:
    """Logits [rows, tokens, vocabulary] of rows of one length."""
    layout = Padded.of(rows, host.pad, host.device)
    with host.switched(()), host.put(rows, layout):
        logits: Tensor = host.model(**layout.inputs()).logits
    return logits


def switched(host: Host, ids: tuple[int, ...], weights: Weights) -> Tensor:
    with host.switched(weights):
        logits: Tensor = host.model(input_ids=torch.tensor([ids])).logits
    return logits[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.tuples(ids, stacks), min_size=1, max_size=5))
def test_every_row_is_under_its_own_adapters_as_peft_has_them(
    mounted: Host, kinds: list[tuple[tuple[int, ...], Weights]]
) -> None:
    found = together(mounted, [Row(ids, weights) for ids, weights in kinds])
    for logits, (ids, weights) in zip(found, kinds, strict=True):
        assert apart(logits, switched(mounted, ids, weights)) < TOLERANCE


def test_a_bare_row_beside_adapters_is_the_base(mounted: Host) -> None:
    ids = (5, 9, 40)
    found = together(mounted, [Row(ids, (("plain", 1.0),)), Row(ids)])
    assert apart(found[1], switched(mounted, ids, ())) < TOLERANCE
    assert apart(found[0], switched(mounted, ids, ())) > 0.01


def test_leaving_removes_the_hooks_also_after_an_exception(mounted: Host) -> None:
    rows = [Row((5,), (("plain", 1.0),))]
    with pytest.raises(ZeroDivisionError), mounted.put(rows, mounted.laid_out(rows)):
        _ = 1 / 0
    assert not any(module._forward_hooks for module in mounted.model.modules())


@pytest.mark.parametrize("name", OTHERS)
def test_more_than_plain_lora_is_switched_for_the_whole_batch(
    mounted: Host, tiny_adapter: Make, measure: Callable[..., dict[Any, Any]], name: str
) -> None:
    mounted.mount(name, tiny_adapter(name, **OTHERS[name]))
    assert mounted.by_row((("plain", 1.0),))
    assert mounted.by_row(())
    assert not mounted.by_row(((name, 1.0),))
    weights: Weights = (("plain", 0.5), (name, 0.7))
    assert not mounted.by_row(weights)
    ids = (5, 9, 40)
    rows = [Row(ids, switched=weights, log_probs="switched"), Row(ids, weights[:1], log_probs="by row")]
    found = measure(mounted, rows)
    for wanted, under in [("switched", weights), ("by row", weights[:1])]:
        expected = switched(mounted, ids, under)[-1].log_softmax(dim=-1)
        assert apart(found[wanted], expected) < TOLERANCE


def test_a_layer_that_sees_no_rows_is_found_out(tmp_path: Path) -> None:
    # The shared expert is handed the tokens of all rows in one long row.
    words = tokenizer()
    config = Qwen2MoeConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=32,
        num_experts=4,
        num_experts_per_tok=2,
        initializer_range=0.3,
    )
    model = Qwen2MoeForCausalLM(config)
    model.save_pretrained(tmp_path / "base")
    words.save_pretrained(tmp_path / "base")
    host = Host.load(tmp_path / "base", "float32")
    for name, module in [("routed", "shared_expert.up_proj"), ("plain", "q_proj")]:
        lora = LoraConfig(r=4, target_modules=rf".*\.{module}", init_lora_weights=False)
        get_peft_model(Qwen2MoeForCausalLM.from_pretrained(tmp_path / "base"), lora).save_pretrained(
            tmp_path / name
        )
        host.mount(name, tmp_path / name)
    assert host.by_row((("plain", 1.0),))
    assert not host.by_row((("routed", 1.0),))
