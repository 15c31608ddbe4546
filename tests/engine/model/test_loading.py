import copy as copying
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    T5Config,
)

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.interventions.steering import stack_deltas
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.host import Host
from coherence.engine.model.loading import (
    DTYPES,
    attention,
    available_memory,
    check_memory,
    cpu_quota,
    load_model,
    load_skeleton,
    placement,
    weights_size,
)
from coherence.errors import ArtefactError, CoherenceError
from coherence.plan import NEUTRAL, Condition, NextToken, Plan, Reading, Reply, Steer
from coherence.store import Store
from coherence.vocabulary import Decoding, Probe

WIDTH = 32
IDS = torch.tensor([[5, 9, 40, 11], [60, 3, 17, 200]])
STEERED: list[dict[int, Tensor]] = [{0: torch.ones(WIDTH)}, {2: -torch.ones(WIDTH), 4: torch.ones(WIDTH)}]
# Blocks 1 and 3 stay on the disk, and are fetched by accelerate's hooks whenever they run.
SPREAD = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"} | {
    f"model.layers.{block}": "disk" if block % 2 else "cpu" for block in range(4)
}


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "copy")


def scaled(folder: Path, name: str, factor: float) -> Path:
    weights = load_file(folder / "model.safetensors")
    weights[name] *= factor
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def write_config(folder: Path, **settings: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))


def residuals_and_logits(host: Host, rows: list[dict[int, Tensor]]) -> tuple[Tensor, Tensor]:
    """Of two rows, [2, blocks + 1, tokens, width] and [2, tokens, vocabulary]."""
    deltas = {depth: delta[:, None] for depth, delta in stack_deltas(rows, host.width).items()}
    with (
        torch.inference_mode(),
        host.steered(deltas),
        Taps(host.blocks, lambda hidden, depth: hidden) as taps,
    ):
        logits = host.model(input_ids=IDS).logits
    return taps.stacked(), logits


# --- devices


@pytest.mark.skipif(torch.cuda.is_available(), reason="this is about a machine without an accelerator")
@pytest.mark.parametrize(("wanted", "device"), [("", "cpu"), ("cpu", "cpu"), ("auto", "auto")])
def test_without_an_accelerator(
    monkeypatch: pytest.MonkeyPatch, wanted: str, device: str, tiny: Path
) -> None:
    monkeypatch.setenv("COHERENCE_DEVICE", wanted)
    assert placement(10**15) == device
    model, _ = load_model(tiny, "float32")
    assert {weight.device.type for weight in model.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("cuda:99", "COHERENCE_DEVICE is 'cuda:99', which this machine does not have"),
        ("autom", "COHERENCE_DEVICE is 'autom', which this machine does not have; did you mean 'auto'?"),
        ("disk", "COHERENCE_DEVICE is 'disk', which this machine does not have; expected one of auto, cpu"),
    ],
)
def test_a_device_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, wanted: str, sentence: str, tiny: Path
) -> None:
    monkeypatch.setenv("COHERENCE_DEVICE", wanted)
    with pytest.raises(ArtefactError) as problem:
        Host.load(tiny, "float32")
    assert problem.value.sentence.startswith(sentence)


@pytest.mark.parametrize("rows", [[{}, {}], STEERED])
def test_a_model_that_is_spread_over_devices_gives_the_same_numbers(
    host: Host, tiny: Path, tmp_path: Path, rows: list[dict[int, Tensor]]
) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        tiny, dtype=torch.float32, device_map=SPREAD, offload_folder=tmp_path, attn_implementation="sdpa"
    )
    spread = Host(model, host.tokenizer)
    assert spread.blocks[1].mlp.up_proj.weight.device.type == "meta"
    for found, plain in zip(
        residuals_and_logits(spread, rows), residuals_and_logits(host, rows), strict=True
    ):
        assert torch.equal(found, plain)


# --- dtypes


def test_bfloat16_is_float32_with_fewer_digits(host: Host, tiny: Path) -> None:
    # 8 bits of mantissa: a rounding is 2^-9 at most, and some dozens of them add up on the way.
    coarse = Host.load(tiny, "bfloat16")
    for rows in ([{}, {}], STEERED):
        found, logits = residuals_and_logits(coarse, rows)
        exact, exact_logits = residuals_and_logits(host, rows)
        assert found.dtype == logits.dtype == torch.bfloat16
        assert (found - exact).norm() / exact.norm() < 0.03
        assert (logits - exact_logits).norm() / exact_logits.norm() < 0.05


def apart(one: Any, two: Any) -> float:
    return float(np.linalg.norm(one - two) / np.linalg.norm(two))


def test_everything_is_measured_in_bfloat16(
    artefacts: Callable[..., Artefacts], tiny_vector: Callable[..., Path], store: Store
) -> None:
    steered = Condition(NEUTRAL, steers=(Steer("pirate", 0.5),))
    probe = Probe(id="order", text="Where is my order?")
    reply = Reply(steered, probe, Decoding(max_new_tokens=8))
    wanted = [Reading(steered, probe), Reading(Condition(NEUTRAL), probe), NextToken(steered, probe)]
    vectors = {"pirate": tiny_vector("pirate")}
    found: list[Any] = []
    for dtype in ("bfloat16", "float32"):
        engine = Engine(artefacts(vectors=vectors, dtype=dtype), store)
        found.append(engine.measure(Plan([reply, *wanted])))
    coarse, exact = found
    assert not any(isinstance(outcome, CoherenceError) for outcome in [*coarse.values(), *exact.values()])
    # On this model residuals of the calibration prompts differ by 0.03 in the median and 0.078 at most;
    # rounding the weights alone, with all else in float32, makes 0.076 of that.
    for measurement in wanted:
        assert 0 < apart(coarse[measurement], exact[measurement]) < 0.1
    with_steering, without = wanted[:2]
    assert apart(exact[with_steering], exact[without]) > 0.2


def test_float16_of_a_model_that_bears_it(host: Host, tiny: Path) -> None:
    found, _ = residuals_and_logits(Host.load(tiny, "float16"), STEERED)
    exact, _ = residuals_and_logits(host, STEERED)
    assert found.dtype == torch.float16
    assert (found - exact).norm() / exact.norm() < 0.005


@pytest.mark.parametrize(
    ("name", "factor", "site"),
    [
        ("model.layers.2.mlp.down_proj.weight", 1e4, "resid_post.2"),
        ("model.embed_tokens.weight", 1e6, "resid_pre.0"),
    ],
)
def test_float16_that_overflows_names_the_first_site(copy: Path, name: str, factor: float, site: str) -> None:
    scaled(copy, name, factor)
    Host.load(copy, "bfloat16")
    with pytest.raises(
        ArtefactError, match=rf"^overflows in float16 at {site}; expected dtype: bfloat16 or float32$"
    ):
        Host.load(copy, "float16")


# --- memory


def huge(folder: Path, elements: int) -> None:
    """A safetensors file of zeros that takes no room on the disk."""
    header = {
        "model.embed_tokens.weight": {"dtype": "BF16", "shape": [elements], "data_offsets": [0, 2 * elements]}
    }
    written = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(written).to_bytes(8, "little") + written)
        file.truncate(8 + len(written) + 2 * elements)


@pytest.mark.parametrize(
    ("dtype", "advice"), [("float32", "dtype: bfloat16, or a"), ("bfloat16", "base, or a")]
)
def test_a_model_that_does_not_fit_is_never_begun(copy: Path, dtype: str, advice: str) -> None:
    elements = psutil.virtual_memory().total
    huge(copy, elements)
    needed = elements * DTYPES[dtype].itemsize
    assert weights_size(copy, dtype) == needed
    with pytest.raises(ArtefactError, match=rf"^needs {needed / 1e9:.1f} GB in {dtype}, but .*{advice}"):
        Host.load(copy, dtype)


@pytest.mark.parametrize("written", [b"", b"\xff" * 100, b"\x08" + bytes(7) + b"{" * 8])
def test_weights_without_a_header(copy: Path, written: bytes) -> None:
    (copy / "model.safetensors").write_bytes(written)
    with pytest.raises(
        ArtefactError, match=r"^cannot be loaded: model.safetensors is not a whole safetensors"
    ):
        Host.load(copy, "float32")


def test_the_sentence_about_memory() -> None:
    check_memory(8_100_000_000, 8_100_000_000, "float32")
    with pytest.raises(ArtefactError) as problem:
        check_memory(14_512_000_000, 8_100_000_000, "float32")
    assert str(problem.value) == (
        "needs 14.5 GB in float32, but 8.1 GB are free; "
        "expected a smaller base, dtype: bfloat16, or a machine with more memory"
    )


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_weights_take_what_their_parameters_take(tiny: Path, dtype: str) -> None:
    model, _ = load_model(tiny, dtype)
    assert weights_size(tiny, dtype) == sum(weight.nbytes for weight in model.parameters())


def test_weights_in_shards_in_another_format_and_quantized(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    names = [f"model-{part}-of-00002.safetensors" for part in ("00001", "00002")]
    index = {"metadata": {}, "weight_map": dict(zip("ab", names, strict=True))}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    for tensor, name in zip("ab", names, strict=True):
        save_file({tensor: torch.ones(3, 5)}, tmp_path / name)
    save_file({"a": torch.ones(3, 5)}, tmp_path / "consolidated.safetensors")
    assert weights_size(tmp_path, "bfloat16") == 2 * 15 * 2
    for dtype, size in ((torch.int8, 1), (torch.int32, 4)):
        save_file({"b": torch.ones(3, 5, dtype=dtype)}, tmp_path / names[1])
        assert weights_size(tmp_path, "bfloat16") == 15 * 2 + 15 * size
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    torch.save({"a": torch.ones(1000)}, other / "pytorch_model.bin")
    assert weights_size(other, "float32") == (other / "pytorch_model.bin").stat().st_size


def cgroup(folder: Path, limit: str) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text("5000\n")
    (folder / "memory.stat").write_text("anon 2000\ninactive_file 1000\nactive_file 500\n")
    return folder


def test_the_memory_of_a_container(tmp_path: Path) -> None:
    assert available_memory(tmp_path) > 10**8
    assert available_memory(cgroup(tmp_path, "max")) > 10**8
    assert available_memory(cgroup(tmp_path, "9000")) == 9000 - 5000 + 1500
    assert available_memory(cgroup(tmp_path, "3000")) == 0


# --- attention


def small(**settings: Any) -> dict[str, Any]:
    return {
        "vocab_size": 128,
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "pad_token_id": 0,
        **settings,
    }


GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 5}
FAMILIES: dict[str, tuple[PreTrainedConfig, str]] = {
    "llama": (LlamaConfig(**small()), "sdpa"),
    "qwen2": (Qwen2Config(**small(use_sliding_window=True, sliding_window=5, max_window_layers=1)), "sdpa"),
    "qwen3": (Qwen3Config(**small(head_dim=8)), "sdpa"),
    "mistral": (MistralConfig(**small(sliding_window=5)), "sdpa"),
    "gemma2": (Gemma2Config(**small(**GEMMA)), "eager"),
    "gemma3": (Gemma3TextConfig(**small(**GEMMA)), "sdpa"),
    "phi3": (Phi3Config(**small(sliding_window=5)), "sdpa"),
    "neox": (GPTNeoXConfig(**small()), "sdpa"),
    "falcon": (FalconConfig(**small(new_decoder_architecture=True, num_kv_heads=2)), "sdpa"),
    "old falcon": (FalconConfig(**small(new_decoder_architecture=False)), "sdpa"),
    "gpt2": (GPT2Config(vocab_size=128, n_embd=WIDTH, n_layer=3, n_head=4), "sdpa"),
}


def made(config: PreTrainedConfig, implementation: str) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = copying.deepcopy(config)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=implementation).eval()
        for weight in model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.3)
    return model


def logits(model: Any) -> Tensor:
    """Of two rows, one of them padded; longer than any window."""
    ids = torch.arange(3, 35).reshape(2, 16)
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    with torch.inference_mode():
        found: Tensor = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits
    return found[mask.bool()]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_attention_of_a_family(family: str) -> None:
    config, implementation = FAMILIES[family]
    assert attention(config) == implementation
    eager = logits(made(config, "eager"))
    if implementation == "sdpa":
        assert (logits(made(config, "sdpa")) - eager).abs().max() < 1e-4 * eager.abs().max()
    else:
        with pytest.raises(ValueError, match="scaled_dot_product_attention"):
            logits(made(config, "sdpa"))


def test_falcon_adds_its_alibi_once() -> None:
    # The eager Falcon of transformers 5.23 adds it twice, so that here the two do not agree.
    config = FalconConfig(**small(num_hidden_layers=1, alibi=True, multi_query=False))
    assert attention(config) == "sdpa"
    model = made(config, attention(config))
    layer = model.transformer.h[0].self_attention
    seen: list[Tensor] = []
    layer.register_forward_hook(lambda module, args, output: seen.extend([args[0], output[0]]))
    with torch.inference_mode():
        model(input_ids=torch.arange(3, 15)[None])
        query, key, value = (
            part.transpose(1, 2) for part in layer._split_heads(layer.query_key_value(seen[0]))
        )
        slopes = torch.tensor([1 / 4, 1 / 16, 1 / 64, 1 / 256])[:, None, None]
        scores = (query @ key.transpose(-1, -2) + slopes * torch.arange(12)) / 8**0.5
        scores = scores.masked_fill(~torch.ones(12, 12).tril().bool(), -torch.inf)
        by_hand = layer.dense((scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(1, 12, WIDTH))
    assert torch.allclose(seen[1], by_hand, atol=1e-5)


def test_a_family_that_is_no_causal_language_model(copy: Path) -> None:
    T5Config().save_pretrained(copy)
    with pytest.raises(ArtefactError, match=r"^is of the type t5; expected a causal language model$"):
        Host.load(copy, "float32")


# --- folders


@pytest.mark.parametrize("config", [LlamaConfig(**small()), GPT2Config(), Qwen2Config(**small())])
def test_a_base_without_a_tokenizer(copy: Path, config: PreTrainedConfig) -> None:
    # For some families transformers makes an empty one.
    for path in copy.glob("tokenizer*"):
        path.unlink()
    config.save_pretrained(copy)
    with pytest.raises(
        ArtefactError, match=r"^has no tokenizer; expected tokenizer.json beside the weights$"
    ):
        Host.load(copy, "float32")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_hidden_layers": 5}, "its weights lack model.layers.4.input_layernorm.weight"),
        (
            {"num_hidden_layers": 3},
            "its weights hold model.layers.3.input_layernorm.weight, for which a model of this config.json "
            "has no place; expected the two to be of one model",
        ),
        (
            {"intermediate_size": 48},
            "model.layers.0.mlp.down_proj.weight is [32, 64], expected [32, 48] by config.json",
        ),
        (
            {"quantization_config": {"quant_method": "eetq"}},
            "Loading an EETQ quantized model requires kernels",
        ),
        (
            {"quantization_config": {"quant_method": "magic"}},
            "its config.json names the quantization 'magic', which transformers does not know",
        ),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"rope_parameters": [1]}, "Validation error for field 'rope_parameters': TypeError: "),
    ],
)
def test_a_config_of_another_model(copy: Path, settings: dict[str, Any], sentence: str) -> None:
    write_config(copy, **settings)
    with pytest.raises(ArtefactError) as problem:
        Host.load(copy, "float32")
    assert problem.value.sentence.startswith("cannot be loaded: ")
    assert sentence in problem.value.sentence
    assert "\n" not in problem.value.sentence


def test_a_part_that_text_does_without_may_be_there(copy: Path, host: Host) -> None:
    weights = load_file(copy / "model.safetensors")
    more = {"v_head.weight": torch.ones(3), "model.visual.blocks.0.weight": torch.ones(3)}
    save_file(weights | more, copy / "model.safetensors", {"format": "pt"})
    found = Host.load(copy, "float32").model.state_dict()
    assert all(torch.equal(weight, found[name]) for name, weight in host.model.state_dict().items())


@pytest.mark.parametrize("key", ["model.layers.0.self_attn.q_norm.weight", "lm_head.bias", "model.norm.bias"])
def test_weights_that_a_layer_has_no_place_for(copy: Path, key: str) -> None:
    weights = load_file(copy / "model.safetensors")
    save_file(weights | {key: torch.ones(3)}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ArtefactError, match=rf"its weights hold {key}, for which"):
        Host.load(copy, "float32")


def test_tied_weights_need_only_be_there_once(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ArtefactError, match=r"^cannot be loaded: its weights lack lm_head.weight$"):
        Host.load(copy, "float32")
    write_config(copy, tie_word_embeddings=True)
    model = Host.load(copy, "float32").model
    assert torch.equal(model.lm_head.weight, weights["model.embed_tokens.weight"])


def test_code_that_a_model_brings_is_never_run(copy: Path) -> None:
    ran = copy / "ran"
    (copy / "own.py").write_text(f"open({str(ran)!r}, 'w')\n")
    write_config(copy, model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})
    with pytest.raises(
        ArtefactError, match=r"^brings code of its own, which is never run; expected a model type"
    ):
        Host.load(copy, "float32")
    assert not ran.exists()


def test_a_known_family_that_brings_code_is_loaded_without_it(copy: Path) -> None:
    write_config(copy, auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})
    assert type(Host.load(copy, "float32").model).__name__ == "LlamaForCausalLM"


# --- threads


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("150000 100000\n", 2),
        ("200000 100000\n", 2),
        ("1000 100000", 1),
        ("400000", 4),
    ],
)
def test_the_cores_of_a_container(text: str, cores: int | None) -> None:
    assert cpu_quota(text) == cores


@given(quota=st.integers(1, 10**8), period=st.integers(1000, 10**6))
def test_a_quota_is_rounded_up(quota: int, period: int) -> None:
    cores = cpu_quota(f"{quota} {period}\n")
    assert cores is not None
    assert (cores - 1) * period < quota <= cores * period


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"num_hidden_layers": 10**9},
            "sets num_hidden_layers to 1,000,000,000, and its weights are 39 tensors",
        ),
        (
            {"vocab_size": 10**9},
            r"speaks of [0-9,]+ parameters, and its weights have [0-9,]+ bytes; expected",
        ),
        ({"intermediate_size": 10**7}, "speaks of [0-9,]+ parameters, and its weights have"),
    ],
)
def test_a_config_is_believed_only_as_far_as_its_weights_go(
    copy: Path, settings: dict[str, Any], sentence: str
) -> None:
    config = copy / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    for load in (load_skeleton, lambda folder: load_model(folder, "float32")):
        with pytest.raises(ArtefactError, match=f"cannot be loaded: its config.json {sentence}"):
            load(copy)
