import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from peft import LoraConfig, get_peft_model
from quantized import by_bitsandbytes, by_compressed_tensors, fp8, wide
from torch import Tensor
from transformers import LlamaForCausalLM

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import key_of
from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.batch.rows import Row, Weights
from coherence.engine.interventions.adapters import lora_layers
from coherence.engine.model import quantization
from coherence.engine.model.host import Host
from coherence.engine.model.loading import weights_size
from coherence.engine.model.quantization import Quantization
from coherence.engine.model.rounding import rounding
from coherence.engine.model.trial import agree
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import NEUTRAL, Condition, NextToken, Way
from coherence.vocabulary import Probe

W8A8 = {"config_groups": {"group_0": {"weights": {}, "input_activations": {"num_bits": 8}}}}
W4A16 = {"config_groups": {"group_0": {"weights": {}, "input_activations": None}}}
PIRATE = (("pirate", 1.0),)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wide(tmp_path_factory.mktemp("wide") / "base")


@pytest.fixture(scope="module")
def pirate(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter") / "pirate"
    config = LoraConfig(
        task_type="CAUSAL_LM",
        init_lora_weights=False,
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "v_proj", "down_proj"],
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        get_peft_model(LlamaForCausalLM.from_pretrained(plain), config).save_pretrained(folder)
    return folder


def told(method: str, **settings: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": method} | settings}


# --- kinds


@pytest.mark.parametrize(
    ("config", "kind", "bound"),
    [
        ({}, None, 1e-4),
        ({"quantization_config": None}, None, 1e-4),
        (told("bitsandbytes", load_in_4bit=True), Quantization("bitsandbytes", False), 1e-2),
        (told("bitsandbytes", load_in_8bit=True), Quantization("bitsandbytes", True), 1e-1),
        ({"quantization_config": {"load_in_8bit": True}}, Quantization("bitsandbytes", True), 1e-1),
        (told("gptq", bits=4), Quantization("gptq", False), 1e-2),
        (told("awq", bits=4), Quantization("awq", False), 1e-2),
        (told("compressed-tensors", **W8A8), Quantization("compressed-tensors", True), 1e-1),
        (told("compressed-tensors", **W4A16), Quantization("compressed-tensors", False), 1e-2),
        (told("fp8"), Quantization("fp8", True), 1e-1),
    ],
    ids=str,
)
def test_what_a_config_says(config: dict[str, Any], kind: Quantization | None, bound: float) -> None:
    assert Quantization.of(config) == kind
    assert rounding("float32", kind) == bound
    assert rounding("bfloat16", kind) == max(bound, 3e-2)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            told("bitsandbytes", load_in_4bit=True),
            "its weights are quantized (bitsandbytes), which takes bitsandbytes: "
            "pip install 'pytest-coherence[bitsandbytes]'",
        ),
        (
            told("gptq", bits=4),
            "(gptq), which takes gptqmodel and optimum: pip install 'pytest-coherence[gptq]'",
        ),
        (told("awq", bits=4), "(awq), which takes gptqmodel: pip install 'pytest-coherence[awq]'"),
        (
            told("compressed-tensors", **W8A8),
            "which takes compressed-tensors: pip install 'pytest-coherence[compressed-tensors]'",
        ),
    ],
    ids=str,
)
def test_a_library_that_is_missing(
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    sentence: str,
    pytestconfig: pytest.Config,
) -> None:
    monkeypatch.setattr(quantization, "_version", lambda name: None)
    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))
    for load in (lambda: Host.load(folder, "float32"), lambda: Skeleton(folder)):
        with pytest.raises(ArtefactError) as problem:
            load()
        assert problem.value.sentence.startswith("cannot be loaded: ")
        assert problem.value.sentence.endswith(sentence)
    extra = sentence.rpartition("[")[2].partition("]")[0]
    assert f"\n{extra} = [" in (pytestconfig.rootpath / "pyproject.toml").read_text()


def test_the_key_names_the_libraries_that_read_the_weights(
    artefacts: Callable[..., Artefacts], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = NextToken(Condition(NEUTRAL), Probe(id="order", text="Where is my order?"))
    assert key_of(wanted, artefacts())["libraries"].keys() == {"torch", "transformers", "peft"}
    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | told("gptq", bits=4)))
    monkeypatch.setattr(quantization, "_version", {"gptqmodel": "7.7.0", "optimum": "2.3.0"}.get)
    libraries = key_of(wanted, artefacts(base=str(folder)))["libraries"]
    assert libraries.items() >= {("gptqmodel", "7.7.0"), ("optimum", "2.3.0")}


# --- on the CPU

IDS = (1, 9, 40, 11, 60, 3, 17, 200)


def logits(host: Host, adapters: Weights = ()) -> Tensor:
    with host.switched(adapters):
        return host.called(IDS)


def require_adapters(host: Host, pirate: Path) -> None:
    """Rows of one batch are under an adapter or none, as PEFT's switching has it."""
    host.mount("pirate", pirate)
    assert host.by_row(PIRATE)
    rows = [host.arranged(Row(IDS, PIRATE)), host.arranged(Row(IDS))]
    layout = host.laid_out(rows)
    with host.switched(()), host.put(rows, layout):
        found = host.logits(layout)
    expected = torch.cat([logits(host, PIRATE), logits(host)])[:, -1]
    assert agree(found, expected, host.quantization)
    assert not agree(expected[:1], expected[1:], host.quantization)
    # What is added to what comes out of a layer is what the adapter says, whatever its weights are in.
    layer: Any = next(lora_layers(host.model))
    given = torch.randn(1, 5, 128, generator=torch.Generator().manual_seed(2))
    plain = layer.get_base_layer()(given)
    factors = (layer.lora_A["adapter-pirate"].weight, layer.lora_B["adapter-pirate"].weight)
    with host.switched(PIRATE):
        added = layer(given) - plain
    assert torch.allclose(
        added, 2 * given @ factors[0].T @ factors[1].T, atol=1e-3 * float(plain.abs().max())
    )


def refuses_to_merge(host: Host) -> bool:
    with pytest.raises(MeasurementError, match="cannot be merged into the base: its weights are quantized"):
        host.fit(PIRATE, Way.MERGED)
    with pytest.raises(MeasurementError, match="its weights are quantized"):
        host.weight_errors(PIRATE, Way.LINEAR)
    return True


@pytest.mark.skipif(torch.cuda.is_available(), reason="this is about a machine without an accelerator")
def test_8_bit_floats_are_dequantized_without_an_accelerator(
    plain: Path, pirate: Path, tmp_path: Path
) -> None:
    coarse, rounded = fp8(plain, tmp_path)
    host = Host.load(coarse, "float32")
    assert torch.equal(logits(host), logits(Host.load(rounded, "float32")))
    assert host.quantization is None
    assert weights_size(coarse, "float32") >= sum(weight.nbytes for weight in host.model.parameters())
    require_adapters(host, pirate)
    assert host.fit(PIRATE, Way.MERGED) == (PIRATE, Way.MERGED)
    # What is not quantized keeps its type before transformers 5.24, and would else be reported in another.
    keeps = Version(transformers.__version__) < Version("5.24")
    kept = r"^is computed in float32, and not in bfloat16: .*dtype: float32$"
    with pytest.raises(ArtefactError, match=kept) if keeps else nullcontext():
        asked = Host.load(coarse, "bfloat16")
        assert {weight.dtype for weight in asked.model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("bits", [{"load_in_4bit": True}, {"load_in_8bit": True}], ids=str)
def test_bitsandbytes(plain: Path, pirate: Path, tmp_path: Path, bits: dict[str, bool]) -> None:
    pytest.importorskip("bitsandbytes")
    host = Host.load(by_bitsandbytes(plain, tmp_path / "coarse", **bits), "float32")
    assert host.quantization == Quantization("bitsandbytes", "load_in_8bit" in bits)
    assert host.packs > 0
    require_adapters(host, pirate)
    assert refuses_to_merge(host)


@pytest.mark.parametrize(("preset", "inputs"), [("W8A8", True), ("W4A16", False), ("FP8_DYNAMIC", True)])
def test_compressed_tensors(plain: Path, pirate: Path, tmp_path: Path, preset: str, inputs: bool) -> None:
    pytest.importorskip("compressed_tensors")
    host = Host.load(by_compressed_tensors(plain, tmp_path / "coarse", preset), "float32")
    assert host.quantization == Quantization("compressed-tensors", inputs)
    assert host.packs > 0
    require_adapters(host, pirate)
    assert refuses_to_merge(host)
