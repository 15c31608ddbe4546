from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from coherence.engine.batch.rows import Row, Weights
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError

IDS = torch.tensor([[5, 9, 40], [60, 3, 17]])


Make = Callable[..., Path]


def test_a_host_is_ready_to_read_and_not_to_train(tiny: Path) -> None:
    host = Host.load(tiny, "bfloat16")
    assert (host.width, len(host.blocks)) == (32, 4)
    assert {weight.dtype for weight in host.model.parameters()} == {torch.bfloat16}
    assert not host.model.training
    assert not any(weight.requires_grad for weight in host.model.parameters())


def test_a_tokenizer_without_a_pad_token(host: Host) -> None:
    host.tokenizer.pad_token = None
    assert host.pad == 0


def test_an_adapter_that_changes_nothing(host: Host, tiny_adapter: Make) -> None:
    # As PEFT leaves it when nobody trains it: B is zero.
    folder = tiny_adapter("pirate")
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name: value * ("lora_A" in name) for name, value in weights.items()}, path)
    with pytest.raises(ArtefactError, match="changes nothing: the logits are those of the base model"):
        host.mount("pirate", folder)


def test_an_adapter_of_nan(host: Host, tiny_adapter: Make) -> None:
    folder = tiny_adapter("pirate")
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    weights[max(weights)][0, 0] = torch.nan
    save_file(weights, path)
    with pytest.raises(ArtefactError, match="holds weights that make NaN or infinite logits"):
        host.mount("pirate", folder)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_plain_adapters_act_on_single_rows(tiny: Path, tiny_adapter: Make, dtype: str) -> None:
    host = Host.load(tiny, dtype)
    host.mount("pirate", tiny_adapter("pirate"))
    assert host.by_row((("pirate", 0.5), ("pirate", 1.0)))
    assert not host.by_row((("pirate", 0.5), ("unknown", 1.0)))


@pytest.mark.parametrize("switched", [(), (("pirate", 0.5),)])
@pytest.mark.parametrize("by_row", [(), (("pirate", 0.5),)])
def test_everything_is_put_back_also_after_an_exception(
    host: Host, tiny_adapter: Make, switched: Weights, by_row: Weights
) -> None:
    host.mount("pirate", tiny_adapter("pirate"))
    before = {name: value.clone() for name, value in host.model.state_dict().items()}
    bare = host.model(input_ids=IDS).logits
    first, second = (tuple(ids) for ids in IDS.tolist())
    rows = [Row(first, by_row, {1: torch.ones(32)}), Row(second, by_row, {0: torch.ones(32)})]
    layout = host.laid_out(rows)
    with host.switched(switched), host.put(rows, layout):
        changed = host.model(**layout.inputs()).logits
    with pytest.raises(ZeroDivisionError), host.switched(switched), host.put(rows, layout):
        _ = 1 / 0
    after = host.model.state_dict()
    assert (changed - bare).abs().amax(dim=(1, 2)).min() > 0.01
    assert torch.equal(host.model(input_ids=IDS).logits, bare)
    assert all(torch.equal(after[name], value) for name, value in before.items())
