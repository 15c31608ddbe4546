"""The host: a base model with the release's adapters mounted, ready to be put under any condition."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from coherence.engine.adapters import Adapters, Weights, lora_layers, mount
from coherence.engine.bank import AdapterBank, lays_out
from coherence.engine.blocks import find_blocks
from coherence.engine.loading import load_model
from coherence.engine.rows import Row
from coherence.engine.steering import Deltas, Steering, stack_deltas
from coherence.errors import ArtefactError

# Largest deviation of an adapter by row from PEFT's own, in units of the largest logit.
_AGREEMENT = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 1e-2}


class Host:
    """The causal LM of a release. Its base weights are never written."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model: Any = model
        self.model.eval()  # type: ignore[no-untyped-call]
        self.model.requires_grad_(False)
        self.tokenizer = tokenizer
        text_config = model.config.get_text_config()
        self.width: int = text_config.hidden_size
        self.blocks: nn.ModuleList = find_blocks(model, text_config.num_hidden_layers)
        self._mounted: nn.Module = model
        # Listed when they are mounted: a bank that is made in a truncated pass is to know all of them.
        self._layers: list[LoraLayer] = []
        self._by_row: set[str] = set()
        self._banks: dict[tuple[str, ...], AdapterBank] = {}

    @classmethod
    def load(cls, folder: Path, dtype: str) -> "Host":
        """Load a model folder on the best devices there are; an ArtefactError says why it cannot be."""
        return cls(*load_model(folder, dtype))

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @property
    def pad(self) -> int:
        """Id for padding; masked, so any will do where the tokenizer has none."""
        return int(self.tokenizer.pad_token_id or 0)

    @property
    def core(self) -> nn.Module:
        """The decoder without its LM head."""
        core: nn.Module = self.model.get_decoder()
        return core

    def mount(self, name: str, folder: Path) -> None:
        """Mount an adapter, inactive. One that cannot be used, or changes nothing, is an ArtefactError."""
        self._mounted = mount(self._mounted, folder, name)
        self._layers = list(lora_layers(self.model))
        base, switched = self._signature(()), self._signature(((name, 1.0),))
        if torch.equal(switched, base):
            raise ArtefactError("changes nothing: the logits are those of the base model")
        if not switched.isfinite().all():
            raise ArtefactError("holds weights that make NaN or infinite logits")
        if lays_out(self.model, name) and self._agrees(name, base, switched):
            self._by_row.add(name)

    def by_row(self, adapters: Weights) -> bool:
        """Tell whether these adapters can act on single rows of a batch; else they are switched for all."""
        return all(name in self._by_row for name, _ in adapters)

    @contextmanager
    def switched(self, adapters: Weights) -> Iterator[None]:
        """Put the whole model under adapters, by PEFT's own switching, and do not record gradients.

        The base model's own state is back afterwards, bit for bit, also after an exception.
        """
        with torch.inference_mode(), Adapters(self.model, adapters):
            yield

    @contextmanager
    def put(self, rows: Sequence[Row]) -> Iterator[None]:
        """Put row i of the forward passes inside under the adapters and the steering of `rows[i]`."""
        with ExitStack() as stack:
            names = tuple(sorted({name for row in rows for name, _ in row.adapters}))
            if names:
                stack.enter_context(self._bank(names).over([row.adapters for row in rows]))
            stack.enter_context(self.steered([row.deltas for row in rows]))
            yield

    def steered(self, rows: Sequence[Deltas]) -> AbstractContextManager[object]:
        """Steering alone."""
        deltas = stack_deltas(rows, self.width)
        return Steering(self.blocks, deltas) if deltas else nullcontext()

    def _bank(self, names: tuple[str, ...]) -> AdapterBank:
        if names not in self._banks:
            self._banks = {names: AdapterBank(self._layers, names)}
        return self._banks[names]

    def _agrees(self, name: str, base: Tensor, switched: Tensor) -> bool:
        # What lies behind a layer may fold rows together, as routed experts do; only trying tells.
        rows = [Row((), adapters=((name, 1.0),)), Row(())]
        try:
            with self.switched(()), self.put(rows):
                found: Tensor = self.model(input_ids=self._sample.expand(2, -1)).logits
        except RuntimeError:
            return False
        expected = torch.cat([switched, base])
        return bool((found - expected).abs().max() <= _AGREEMENT[found.dtype] * expected.abs().max())

    @property
    def _sample(self) -> Tensor:
        ids: Any = self.tokenizer("A short text.", return_tensors="pt", add_special_tokens=False)["input_ids"]
        sample: Tensor = ids.to(self.device)
        return sample

    def _signature(self, adapters: Weights) -> Tensor:
        with self.switched(adapters):
            logits: Tensor = self.model(input_ids=self._sample).logits
        return logits
