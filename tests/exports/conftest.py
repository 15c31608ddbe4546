"""The tiny model, loaded, and adapters mounted on it for themselves."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn
from transformers import PreTrainedTokenizerBase

from coherence.engine.interventions.carrier import Carrier
from coherence.engine.interventions.factors import Factors, factors
from coherence.engine.model.adapter_reader import read_adapter
from coherence.engine.model.blocks import blocks_of
from coherence.engine.model.host import Host
from coherence.engine.model.loading import load_model

Mounted = tuple[nn.Module, nn.Module, PreTrainedTokenizerBase]


@pytest.fixture
def host(tiny: Path) -> Host:
    return Host.load(tiny, "float32")


@pytest.fixture
def mounted(tiny: Path) -> Callable[[Path], Mounted]:
    """Mount an adapter as `pirate` on a base of its own: the base, what PEFT has, and the tokenizer."""

    def mounted(adapter: Path) -> Mounted:
        model, tokenizer = load_model(tiny, "float32")
        carrier = Carrier(model, blocks_of(model))
        carrier.mount("pirate", lambda: read_adapter(adapter, model))
        return model, carrier.mounted, tokenizer

    return mounted


@pytest.fixture
def factored(mounted: Callable[[Path], Mounted]) -> Callable[[Path], tuple[nn.Module, dict[str, Factors]]]:
    """A base with an adapter, and what that adds to each layer."""

    def factored(adapter: Path) -> tuple[nn.Module, dict[str, Factors]]:
        model, peft, _ = mounted(adapter)
        return model, factors(peft, "pirate")

    return factored
