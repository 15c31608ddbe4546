"""A base that is a GGUF file is the model that was converted, and nothing beside the file is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import torch
from gguf_base import written
from transformers import LlamaForCausalLM

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.digests import file_digest
from coherence.engine.artefacts.keys import key_of
from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.artefacts.template import Template
from coherence.engine.engine import Engine
from coherence.engine.model.folder import weight_files
from coherence.engine.model.host import Host
from coherence.engine.model.loading import weights_size
from coherence.errors import ArtefactError
from coherence.plan import NEUTRAL, Condition, NextToken, Plan, Reply
from coherence.store import Store
from coherence.vocabulary import Decoding, Probe

PIRATE = Condition(NEUTRAL, adapters=(("pirate", 1.0),))
PROBE = Probe(id="order", text="Where is my order?")
IDS = torch.tensor([[1, 9, 40, 11, 60, 3, 17, 200]])


@pytest.fixture(scope="module")
def plain(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tiny, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def logits(host: Host) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = host.model(input_ids=IDS).logits
    return found


def test_a_file_is_the_model_that_was_converted(tiny: Path, plain: Path, host: Host) -> None:
    found = Host.load(plain, "float32")
    assert torch.equal(logits(found), logits(host))
    assert found.tokenizer.chat_template == host.tokenizer.chat_template
    assert found.ends == host.ends
    assert Template.of(plain).text == Template.of(tiny).text
    assert set(Template.of(plain).stops) == set(Template.of(tiny).stops)
    assert (found.packs, found.model.generation_config.eos_token_id) == (host.packs, 2)
    assert found.tokenizer.name_or_path == str(plain)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_quantized_weights_are_those_that_the_file_stands_for(tiny: Path, tmp_path: Path, kind: str) -> None:
    path = written(tiny, tmp_path / "tiny.gguf", kind)
    rounded = LlamaForCausalLM.from_pretrained(tiny)
    quantization = gguf.GGMLQuantizationType[kind]
    with torch.no_grad():
        for weight in rounded.parameters():
            # Rows are permuted in the file, and rounded each for itself.
            if weight.dim() == 2:
                blocks = gguf.quantize(weight.numpy(), quantization)
                weight.copy_(torch.from_numpy(gguf.dequantize(blocks, quantization)))
    found = Host.load(path, "float32")
    expected = rounded(input_ids=IDS).logits
    assert torch.allclose(logits(found), expected, atol=1e-4 * float(expected.detach().abs().max()))
    assert weights_size(path, "bfloat16") == 2 * sum(weight.numel() for weight in rounded.parameters())
    coarse = Host.load(path, "bfloat16")
    assert {weight.dtype for weight in coarse.model.parameters()} == {torch.bfloat16}


def test_everything_is_measured_as_on_the_folder(
    artefacts: Callable[..., Artefacts],
    store: Store,
    plain: Path,
    tiny_adapter: Callable[..., Path],
) -> None:
    wanted = [Reply(PIRATE, PROBE, Decoding(max_new_tokens=6)), NextToken(PIRATE, PROBE)]
    adapters = {"pirate": tiny_adapter("pirate")}
    file = artefacts(base=str(plain), adapters=adapters)
    found = Engine(file, store).measure(Plan(wanted))
    expected = Engine(artefacts(adapters=adapters), store).measure(Plan(wanted))
    assert found[wanted[0]] == expected[wanted[0]]
    assert file.base_digest == file_digest(plain)
    assert key_of(wanted[0], file) != key_of(wanted[0], artefacts(adapters=adapters))


def test_what_lies_beside_a_file_is_not_read(tiny: Path, plain: Path, tmp_path: Path, host: Host) -> None:
    path = Path(shutil.copy(plain, tmp_path / "tiny.gguf"))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (tmp_path / name).write_text("{")
    (tmp_path / "chat_template.jinja").write_text("other")
    found = Host.load(path, "float32")
    assert found.tokenizer.chat_template == host.tokenizer.chat_template


@pytest.mark.parametrize("name", ["a", "model", "model-Q4_K_M", "pytorch_model"])
def test_a_folder_with_one_file_is_that_file(
    artefacts: Callable[..., Artefacts], plain: Path, tmp_path: Path, name: str
) -> None:
    path = Path(shutil.copy(plain, tmp_path / f"{name}.gguf"))
    (tmp_path / "README.md").write_text("Tiny.")
    assert artefacts(base=str(tmp_path)).base == path
    shutil.copy(plain, tmp_path / "z.gguf")
    with pytest.raises(
        ArtefactError, match=rf"holds {name}.gguf, z.gguf; expected the file that is meant to"
    ):
        _ = artefacts(base=str(tmp_path)).base


def test_a_folder_with_other_weights_is_a_folder(
    artefacts: Callable[..., Artefacts], tiny: Path, plain: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    digest = artefacts(base=str(folder)).base_digest
    shutil.copy(plain, folder / "a.gguf")
    release = artefacts(base=str(folder))
    assert (release.base, release.base_digest) == (folder, digest)


def test_files_that_are_no_whole_model(
    tiny: Path, tmp_path: Path, artefacts: Callable[..., Artefacts]
) -> None:
    part = written(tiny, tmp_path / "part.gguf", parts=3)
    with pytest.raises(ArtefactError, match=r"^is one of 3 parts of a model; join them first"):
        weight_files(part)
    with pytest.raises(ArtefactError, match=r"there is no file .*lost.gguf"):
        _ = artefacts(base=str(tmp_path / "lost.gguf")).base
    deep = gguf.GGUFWriter(tmp_path / "deep.gguf", "llama")
    deep.add_block_count(10**6)
    deep.add_tensor("t", torch.zeros(4).numpy())
    deep.write_header_to_file()
    deep.write_kv_data_to_file()
    deep.write_tensors_to_file()
    deep.close()
    with pytest.raises(
        ArtefactError, match=r"sets num_hidden_layers to 1,000,000, and its weights are 1 tens"
    ):
        Host.load(tmp_path / "deep.gguf", "float32")
    alien = gguf.GGUFWriter(tmp_path / "alien.gguf", "marsian")
    alien.add_tensor("t", torch.zeros(4).numpy())
    alien.write_header_to_file()
    alien.write_kv_data_to_file()
    alien.write_tensors_to_file()
    alien.close()
    with pytest.raises(ArtefactError, match=r"^cannot be loaded: .*marsian.* is not supported"):
        Host.load(tmp_path / "alien.gguf", "float32")


def test_a_skeleton_of_a_file(plain: Path, tiny: Path, tiny_adapter: Callable[..., Path]) -> None:
    found, expected = Skeleton(plain), Skeleton(tiny)
    assert (found.parameters, found.blocks, found.family) == (
        expected.parameters,
        expected.blocks,
        expected.family,
    )
    assert found.carry(tiny_adapter("pirate"), "pirate") == ""
    assert json.loads((tiny / "config.json").read_text())["hidden_size"] == found.width
