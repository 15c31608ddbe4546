"""The carrier: a base with all adapters that were mounted on it, each in the way of its kind."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from peft import PeftConfig
from safetensors import SafetensorError
from torch import Tensor, nn

from coherence.engine.interventions.activations import Activations
from coherence.engine.interventions.adapter_kinds import is_lora, is_plain
from coherence.engine.interventions.adapter_patterns import spell_out
from coherence.engine.interventions.adapter_weights import check_ranks, copies
from coherence.engine.interventions.adapters import mount, slot_of
from coherence.engine.interventions.bounded_making import BoundedMaking
from coherence.engine.interventions.grafting import grafted
from coherence.engine.interventions.grafts import Graft, Grafts
from coherence.engine.interventions.soft_prompts import SoftPrompts, soft_prompt
from coherence.errors import ArtefactError, CoherenceError, reason

Read = tuple[PeftConfig, Mapping[str, Tensor]]
"""The config of an adapter, and its weights by the names that they have in its files."""


class Carrier:
    """A causal LM and its adapters: LoRA in layers that stay, inactive; soft prompts; and grafts.

    `mounted` is the model as PEFT has it, with the layers that stay.
    """

    def __init__(self, model: nn.Module, blocks: nn.ModuleList) -> None:
        self.mounted = model
        self.grafts = Grafts(model)
        self.soft = SoftPrompts(model)
        self.activated = Activations()
        self._model, self._blocks = model, blocks
        self._names = [name for name, _ in model.named_modules()]
        self._values = sum(parameter.numel() for parameter in model.parameters())

    def mount(self, name: str, read: Callable[[], Read]) -> str:
        """Mount what is read inside as PEFT has it; an ArtefactError says why it cannot be used.

        Return a remark on how its weights are named, empty where PEFT names them so.
        """
        with _in_one_sentence(), warnings.catch_warnings():
            # PEFT warns those who train; what matters here is checked here.
            warnings.simplefilter("ignore")
            config, weights = read()
            spell_out(config, self._names)
            if is_lora(config):
                check_ranks(config, weights)
            with BoundedMaking(self._values + sum(weight.numel() for weight in weights.values())):
                return self._mount(name, config, weights)

    def _mount(self, name: str, config: PeftConfig, weights: Mapping[str, Tensor]) -> str:
        if is_plain(config):
            weights = self._changed(weights)
            if not copies(weights, self.grafts.weights):
                self.mounted, remark = mount(
                    self.mounted, config, slot_of(name), weights, self.grafts.is_of_skeleton
                )
                if config.alora_invocation_tokens:
                    self.activated.add(name, config.alora_invocation_tokens)
                return remark
        if config.is_prompt_learning:
            self.soft.add(name, soft_prompt(self._model, self.grafts, config, slot_of(name), weights))
            return ""
        graft, remark = grafted(self._model, self.grafts, config, slot_of(name), weights)
        self._require_blocks(graft)
        self.grafts.add(name, graft)
        return remark

    def _changed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leave out embeddings that PEFT has saved beside an adapter as the base has them."""
        own = self.grafts.weights
        same = {
            key
            for key, name in copies(weights, own).items()
            if self.grafts.is_of_skeleton or weights[key].to(own[name]).equal(own[name])
        }
        return {key: tensor for key, tensor in weights.items() if key not in same}

    def _require_blocks(self, graft: Graft) -> None:
        """Refuse what would take blocks away, at whose ends residuals are read and steered."""
        blocks = set(self._blocks)
        for parent, name in graft.modules:
            own = parent._modules[name]
            if own is not None and not blocks.isdisjoint(own.modules()):
                raise ArtefactError(
                    f"replaces {name}, which holds blocks of the model; expected an adapter of modules "
                    "inside of blocks, of the embeddings or of the head"
                )


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except CoherenceError:
        raise
    except Exception as problem:  # PEFT raises nearly anything for a folder that it did not write
        raise ArtefactError(f"cannot be mounted: {reason(problem, SafetensorError)}") from problem
