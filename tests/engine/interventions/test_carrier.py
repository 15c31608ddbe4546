"""What lies beside an adapter's own weights, and what takes blocks away."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinds import as_in_peft, saved
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tiny import model, tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM

from coherence.engine.model.host import Host
from coherence.errors import ArtefactError

IDS = torch.tensor([[5, 9, 40, 41, 7, 8]])

pytestmark = pytest.mark.filterwarnings("ignore")


def logits(host: Host, weight: float) -> Tensor:
    with host.switched((("pirate", weight),)):
        result: Tensor = host.model(input_ids=IDS).logits
    return result


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    """A base that has its embeddings and head once."""
    words = tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = model(words)
    own.config.tie_word_embeddings = True
    own.tie_weights()
    own.save_pretrained(tmp_path / "tied")
    words.save_pretrained(tmp_path / "tied")
    return tmp_path / "tied"


def test_embeddings_that_lie_beside_lora_are_put_in_with_it(host: Host, tiny: Path, tmp_path: Path) -> None:
    folder = saved("lora on embeddings", tiny, tmp_path / "pirate")
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    (copied,) = (key for key in weights if ".base_layer." in key)
    save_file(weights | {copied: 1.5 * weights[copied]}, path)
    bare = host.model(input_ids=IDS).logits
    assert host.mount("pirate", folder) == ""
    with torch.inference_mode():
        expected = as_in_peft(tiny, folder)(input_ids=IDS).logits
    assert torch.equal(logits(host, 1), expected)
    assert torch.equal(logits(host, 0), bare)


def test_what_takes_blocks_away_is_refused(
    tied: Path, tiny_adapter: Callable[..., Path], tmp_path: Path
) -> None:
    config = LoraConfig(r=4, target_modules=["lm_head"], modules_to_save=["model"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tied), config).save_pretrained(tmp_path / "pirate")
    host = Host.load(tied, "float32")
    with pytest.raises(ArtefactError, match="replaces model, which holds blocks of the model; expected an"):
        host.mount("pirate", tmp_path / "pirate")
    assert host.mount("other", tiny_adapter("other")) == ""


HUGE = 10**12


@pytest.mark.parametrize(
    ("kind", "told", "why"),
    [
        ("lora and trainable tokens", {"rank_pattern": {"v_proj": HUGE}}, "says rank 1000000000000"),
        ("loha", {"r": HUGE}, "asks for a tensor of "),
        ("hira", {"r": HUGE}, "asks for a tensor of "),
        ("vblora", {"num_vectors": HUGE}, "asks for a tensor of "),
        ("prompt tuning", {"num_virtual_tokens": HUGE}, "asks for a tensor of "),
    ],
)
def test_no_size_in_a_config_is_believed_beyond_base_and_weights(
    host: Host, tiny: Path, tmp_path: Path, kind: str, told: dict[str, Any], why: str
) -> None:
    folder = saved(kind, tiny, tmp_path / "pirate")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | told))
    with pytest.raises(ArtefactError, match=why):
        host.mount("pirate", folder)
