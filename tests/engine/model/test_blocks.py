import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from coherence.engine.interventions.taps import Taps
from coherence.engine.model.blocks import find_blocks, truncated
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError


def layers(count: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(1, 1) for _ in range(count))


def test_the_blocks_of_a_real_model(host: Host) -> None:
    assert find_blocks(host.model, 4) is host.model.model.layers


def test_they_are_found_below_peft(host: Host) -> None:
    blocks = host.model.model.layers
    assert find_blocks(get_peft_model(host.model, LoraConfig(target_modules=["q_proj"])), 4) is blocks


def test_a_vision_tower_is_skipped() -> None:
    model = nn.ModuleDict({"vision_tower": nn.Sequential(layers(3)), "text": nn.Sequential(layers(3))})
    assert find_blocks(model, 3) is model["text"][0]


def test_lists_inside_the_blocks_do_not_count() -> None:
    model = nn.Sequential(nn.ModuleList(nn.Sequential(layers(2)) for _ in range(2)))
    assert find_blocks(model, 2) is model[0]


def test_two_lists_of_that_length_are_ambiguous() -> None:
    model = nn.ModuleDict({"encoder": layers(3), "decoder": layers(3)})
    with pytest.raises(ArtefactError, match="found encoder, decoder; expected exactly one list of 3 modules"):
        find_blocks(model, 3)


def test_no_list_of_that_length() -> None:
    with pytest.raises(ArtefactError, match="found none; expected exactly one list of 5 modules"):
        find_blocks(nn.Sequential(layers(3)), 5)


IDS = torch.tensor([[5, 9, 40], [60, 3, 17]])


def hidden(host: Host, count: int) -> torch.Tensor:
    with torch.inference_mode(), Taps(host.blocks[:count], lambda hidden, depth: hidden) as taps:
        host.core(input_ids=IDS)
    return taps.stacked()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_first_blocks_give_what_they_give_in_the_whole_model(host: Host, count: int) -> None:
    whole = hidden(host, 4)
    ran: list[int] = []
    for index, block in enumerate(host.blocks):
        block.register_forward_hook(lambda module, args, output, index=index: ran.append(index))
    with truncated(host.model, host.blocks, count):
        assert torch.equal(hidden(host, count), whole[:, : count + 1])
    assert ran == list(range(count))


@pytest.mark.parametrize("count", [1, 4])
def test_the_whole_model_is_back_afterwards(host: Host, count: int) -> None:
    blocks, names = host.blocks, [name for name, _ in host.model.named_modules()]
    before = host.model(input_ids=IDS).logits
    with truncated(host.model, blocks, count):
        pass
    with pytest.raises(ZeroDivisionError), truncated(host.model, blocks, count):
        _ = 1 / 0
    assert host.model.model.layers is blocks
    assert [name for name, _ in host.model.named_modules()] == names
    assert torch.equal(host.model(input_ids=IDS).logits, before)


def test_the_model_ends_earlier_below_peft_as_well(host: Host) -> None:
    whole = hidden(host, 4)
    mounted = get_peft_model(host.model, LoraConfig(target_modules=["q_proj"]))
    with truncated(mounted, host.blocks, 2):
        assert len(host.model.model.layers) == 2
        assert torch.equal(hidden(host, 2), whole[:, :3])
    assert host.model.model.layers is host.blocks
