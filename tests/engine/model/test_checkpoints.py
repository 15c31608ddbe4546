"""A checkpoint is the model that it is, in the place of the base and back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CHATML, model, tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError

IDS = torch.tensor([[5, 9, 40, 41, 7, 8], [60, 3, 17, 20, 20, 1]])
Make = Callable[..., Path]


@pytest.fixture(scope="session")
def tuned(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make a full fine-tune of the tiny model: `tuned(seed=1)`."""

    def make(seed: int = 1) -> Path:
        folder = tmp_path_factory.mktemp("tuned")
        own: Any = LlamaForCausalLM.from_pretrained(tiny)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            for name, parameter in own.named_parameters():
                # What is frozen in a training is as it was.
                if "mlp" not in name:
                    parameter.add_(0.05 * torch.randn_like(parameter))
        own.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        return folder

    return make


def logits(host: Host, *weights: tuple[str, float]) -> Tensor:
    with host.switched(weights):
        result: Tensor = host.model(input_ids=IDS).logits
    return result


def plainly(*folders: Path, weights: tuple[float, ...] = (1.0,)) -> Tensor:
    """Logits of the base, the first folder, with so much of what the others changed."""
    base, *others = (AutoModelForCausalLM.from_pretrained(folder) for folder in folders)
    own = {name: value.clone() for name, value in base.state_dict().items()}
    with torch.inference_mode():
        for weight, other in zip(weights, others, strict=True):
            for name, value in base.state_dict().items():
                value += weight * (other.state_dict()[name] - own[name])
        result: Tensor = base.eval()(input_ids=IDS).logits
    return result


def test_it_is_the_model_of_its_folder_and_leaves_the_base_bit_for_bit(
    host: Host, tuned: Make, tiny_adapter: Make
) -> None:
    folder = tuned()
    host.mount("lora", tiny_adapter("lora"))
    before = {name: value.clone() for name, value in host.model.state_dict().items()}
    bare = logits(host)
    assert host.mount("pirate", folder) == ""
    with torch.inference_mode():
        expected = AutoModelForCausalLM.from_pretrained(folder)(input_ids=IDS).logits
    assert torch.equal(logits(host, ("pirate", 1.0)), expected)
    assert torch.equal(logits(host), bare)
    after = host.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_weights_multiply_and_add_what_was_trained(host: Host, tiny: Path, tuned: Make) -> None:
    one, two = tuned(1), tuned(2)
    host.mount("one", one)
    host.mount("two", two)
    found = logits(host, ("one", 0.3), ("two", 0.7))
    assert torch.allclose(found, plainly(tiny, one, two, weights=(0.3, 0.7)), rtol=1e-4, atol=1e-4)
    assert torch.allclose(
        logits(host, ("one", 0.5)), plainly(tiny, one, weights=(0.5,)), rtol=1e-4, atol=1e-4
    )


def test_lora_on_a_checkpoint_is_lora_on_that_model(host: Host, tuned: Make, tiny_adapter: Make) -> None:
    folder, lora = tuned(), tiny_adapter("lora")
    host.mount("pirate", folder)
    host.mount("lora", lora)
    other = Host.load(folder, "float32")
    other.mount("lora", lora)
    assert torch.equal(logits(host, ("lora", 1.0), ("pirate", 1.0)), logits(other, ("lora", 1.0)))


def test_only_what_is_not_the_bases_is_kept(host: Host, tuned: Make) -> None:
    host.mount("pirate", tuned())
    kept = host._grafts._grafts["pirate"].weights
    names = {
        name for name, value in host._grafts.weights.items() if any(value is one.parameter for one in kept)
    }
    assert names == {name for name in host._grafts.weights if "mlp" not in name}


def test_a_tied_head_is_changed_once(tmp_path: Path) -> None:
    words = tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = model(words)
    own.config.tie_word_embeddings = True
    own.tie_weights()
    for name in ("base", "tuned"):
        own.save_pretrained(tmp_path / name)
        words.save_pretrained(tmp_path / name)
        with torch.no_grad():
            own.model.embed_tokens.weight.mul_(1.5)
    host = Host.load(tmp_path / "base", "float32")
    host.mount("pirate", tmp_path / "tuned")
    with torch.inference_mode():
        expected = AutoModelForCausalLM.from_pretrained(tmp_path / "tuned")(input_ids=IDS).logits
    assert torch.equal(logits(host, ("pirate", 1.0)), expected)


def reworded(folder: Path, file: str, **changes: Any) -> Path:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def resized(folder: Path) -> Path:
    own: Any = LlamaForCausalLM.from_pretrained(folder)
    own.resize_token_embeddings(330)
    own.save_pretrained(folder)
    return folder


def renamed_words(folder: Path) -> Path:
    words = tokenizer()
    words.add_tokens(["<persona>"])
    words.save_pretrained(folder)
    return folder


OTHERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "another theta": (
        lambda folder: reworded(
            folder, "config.json", rope_parameters={"rope_type": "default", "rope_theta": 5e5}
        ),
        "says rope_parameters.rope_theta: 500000.0 in config.json, and the base 10000.0; expected",
    ),
    "more words": (resized, "says vocab_size: 330 in config.json, and the base 3"),
    "another tokenizer": (
        renamed_words,
        "has a tokenizer with other tokens than the base's: 1 entries differ, such as '<persona>'",
    ),
    "another family": (
        lambda folder: reworded(
            folder, "config.json", model_type="mistral", architectures=["MistralForCausalLM"]
        ),
        "is a MistralForCausalLM, and the base a LlamaForCausalLM",
    ),
}


@pytest.mark.parametrize("fault", OTHERS)
def test_what_is_no_fine_tune_of_the_base_is_refused(host: Host, tiny: Path, tuned: Make, fault: str) -> None:
    make, sentence = OTHERS[fault]
    folder = make(tuned())
    bare = logits(host)
    with pytest.raises(ArtefactError, match=sentence):
        host.mount("pirate", folder)
    with pytest.raises(ArtefactError, match=sentence):
        Skeleton(tiny).carry(folder, "pirate")
    assert torch.equal(logits(host), bare)


def test_the_base_itself_changes_nothing(host: Host, tiny: Path) -> None:
    with pytest.raises(ArtefactError, match="changes nothing: the logits are those of the base model"):
        host.mount("pirate", tiny)


def test_another_chat_template_is_said(host: Host, tiny: Path, tuned: Make) -> None:
    folder = tuned()
    (folder / "chat_template.jinja").write_text(CHATML.replace("assistant", "pirate"))
    said = "its chat template is not the base's, by which all prompts are written"
    assert host.mount("pirate", folder) == said
    assert Skeleton(tiny).carry(folder, "pirate") == said


def test_a_name_that_gguf_files_carry_says_nothing_of_the_model(host: Host, tuned: Make) -> None:
    folder = tuned()
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(written | {"_model_name_or_path": "Some Mix"}))
    assert host.mount("pirate", folder) == ""
