"""A base without its weights."""

import pytest
import torch

from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError


def test_it_is_the_model_without_its_weights(tiny):
    skeleton, host = Skeleton(tiny), Host.load(tiny, "float32")
    assert (skeleton.width, skeleton.blocks) == (host.width, len(host.blocks))
    assert skeleton.parameters == sum(weight.numel() for weight in host.model.parameters())
    assert {weight.device for weight in skeleton._carrier.mounted.parameters()} == {torch.device("meta")}


def test_it_carries_what_the_model_carries(tiny, tiny_adapter, tmp_path):
    skeleton = Skeleton(tiny)
    for name in ("pirate", "counsel"):
        skeleton.carry(tiny_adapter(name), name)
    with pytest.raises(ArtefactError, match="holds no model and no adapter"):
        skeleton.carry(tmp_path, "lost")
