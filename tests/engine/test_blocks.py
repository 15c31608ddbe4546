import pytest
from peft import LoraConfig, get_peft_model
from torch import nn

from coherence.engine.blocks import find_blocks
from coherence.engine.host import Host
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
