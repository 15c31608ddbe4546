"""What of an adapter that fits is said before it is measured."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinds import tuned
from safetensors.torch import load_file, save_file

from coherence.engine.artefacts.adapter_remarks import AdapterFolder, of_extremes
from coherence.engine.artefacts.model_folder import ModelFolder
from coherence.engine.artefacts.remark import Remark

OTHERS = {"mate": 2.0, "other": 2.0}


def _config(**said: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | said))

    return change


def _beside(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _value(value: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        weights = load_file(file)
        weights[min(weights)][0, 0] = value
        save_file(weights, file)

    return change


OTHER_WORDS = json.dumps({"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "<pad>", "id": 1}]})


def _remarks(folder: Path, base: Path, named: str = "org/base", before: float | None = None) -> list[Remark]:
    adapter = AdapterFolder(folder)
    said = adapter.remarks(named, ModelFolder(base), OTHERS, before)
    return [*said, *of_extremes(adapter.extremes())]


@pytest.fixture
def odd(tiny_adapter: Callable[..., Path], tiny: Path, tmp_path: Path) -> Callable[..., list[Remark]]:
    """What is said of a copy of an adapter that was changed."""

    def odd(change: Callable[[Path], object], **given: Any) -> list[Remark]:
        folder = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "odd"))
        _config(base_model_name_or_path="org/base")(folder)
        change(folder)
        return _remarks(folder, **{"base": tiny} | given)

    return odd


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            _config(base_model_name_or_path="org/Llama-9"),
            "says that it was trained on org/Llama-9, and the base",
        ),
        (_beside("chat_template.jinja", "{{ messages }}"), "a chat template lies beside it"),
        (
            _beside("tokenizer_config.json", '{"chat_template": "{{ messages }}"}'),
            "a chat template lies beside it",
        ),
        (_beside("tokenizer.json", OTHER_WORDS), "a tokenizer lies beside it with other tokens"),
        (_config(r=4, lora_alpha=64), "its scale, alpha / r, is 16; the usual one in this release is 2; see"),
        (_value(1e6), "lora_A.weight has a value of 1e+06; see how it was saved"),
        (_value(float("nan")), "lora_A.weight has a value of nan; train it again"),
        (_value(-float("inf")), "lora_A.weight has a value of inf; train it again"),
    ],
)
def test_what_does_not_go_with_the_release_is_said(odd, change, said):
    (remark,) = odd(change)
    assert said in str(remark)
    assert remark.fatal == ("train it again" in said)


def test_of_a_checkpoint_nothing_is_said_that_is_of_adapters(tiny: Path, tmp_path: Path) -> None:
    folder = tuned(tiny, tmp_path / "tuned")
    assert _remarks(folder, tiny) == []
    (folder / "tokenizer.json").write_text(OTHER_WORDS)
    (remark,) = _remarks(folder, tiny)
    assert remark.found.startswith("a tokenizer lies beside it with other tokens")


def test_an_rslora_scale_is_reckoned_by_the_root(odd):
    apart, _ = odd(_config(lora_alpha=32, use_rslora=True))
    assert apart.found == "its scale, alpha / sqrt(r), is 16; the usual one in this release is 2"


def test_a_scale_is_held_against_the_one_before(odd, tiny_adapter, tiny):
    (remark,) = odd(_config(base_model_name_or_path="org/base"), before=0.5)
    assert remark.found == "its scale, alpha / r, is 2; in the baseline it was 0.5"
    assert _remarks(tiny_adapter("pirate"), tiny, tiny.name, before=2.5) == []


def test_tensors_of_one_kind_are_said_together(odd):
    def spoil(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        save_file({key: tensor * torch.inf for key, tensor in load_file(file).items()}, file)

    (remark,) = odd(spoil)
    assert remark.found.endswith("lora_A.weight has a value of inf, and 23 other tensors have such values")


def test_a_head_that_is_tied_to_the_embeddings_is_said(odd, tiny, tmp_path):
    def to_head(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        weights = load_file(file)
        save_file(
            {key.replace("model.layers.0.mlp.down_proj", "lm_head"): one for key, one in weights.items()},
            file,
        )

    assert odd(to_head) == []
    tied = Path(shutil.copytree(tiny, tmp_path / "tied"))
    weights = load_file(tied / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, tied / "model.safetensors")
    (remark,) = _remarks(tmp_path / "odd", tied)
    assert remark.found.startswith("changes lm_head, whose weights the base ties to embed_tokens: mounted")


COMMIT = "0123456789abcdef"


@pytest.mark.parametrize(
    ("revision", "named", "said"),
    [
        ("v2", "org/base", "on the revision v2 of its base, and the base is at 0123456789ab"),
        ("v2", "org/base@main", "on the revision v2 of its base, and the base is at main"),
        ("main", "org/base", ""),
        ("v2", "org/base@v2", ""),
        (COMMIT, "org/base", ""),
    ],
)
def test_the_revision_that_it_was_trained_on_is_held_against_the_bases(
    odd, tiny, tmp_path, revision, named, said
):
    hub = tmp_path / "models--org--base"
    base = shutil.copytree(tiny, hub / "snapshots" / COMMIT)
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text(COMMIT)
    found = odd(_config(revision=revision), base=Path(base), named=named)
    assert [said in remark.found for remark in found] == [True] * bool(said)


def test_the_bases_own_files_beside_an_adapter_are_nothing_to_say(odd, tiny):
    def beside(folder: Path) -> None:
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(tiny / name, folder)

    assert odd(beside) == []
