"""The host: a base model with the release's adapters mounted, ready to be put under any condition."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from coherence.engine.adapters import Adapters, Weights, mount
from coherence.engine.blocks import find_blocks
from coherence.engine.steering import Deltas, Steering, stack_deltas
from coherence.errors import ArtefactError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Host:
    """The causal LM of a release. Its base weights are never written."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        text_config = model.config.get_text_config()
        self.width: int = text_config.hidden_size
        self.blocks: nn.ModuleList = find_blocks(model, text_config.num_hidden_layers)
        self._mounted: nn.Module = model

    @classmethod
    def load(cls, folder: Path, dtype: str) -> "Host":
        """Load a model folder on the best device there is; an ArtefactError says why it cannot be loaded."""
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=DTYPES[dtype], attn_implementation="sdpa"
            )
        except (OSError, ValueError, KeyError) as problem:
            raise ArtefactError(f"cannot be loaded: {str(problem).splitlines()[0]}") from problem
        return cls(model.to(device), tokenizer)

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
        """Mount an adapter, inactive. One that changes nothing, or changes the base, is an ArtefactError."""
        before = self._signature(())
        mounted = mount(self._mounted, folder, name)
        self._mounted = mounted
        if not torch.equal(self._signature(()), before):
            raise ArtefactError("changes the base model even when it is switched off")
        if torch.equal(self._signature(((name, 1.0),)), before):
            raise ArtefactError("changes nothing: the logits are those of the base model")

    @contextmanager
    def under(self, adapters: Weights = (), rows: Sequence[Deltas] = ()) -> Iterator[None]:
        """Put the model under adapters (whole batch) and steering (`rows[i]` is what row i gets, by depth).

        The base model's own state is back afterwards, bit for bit, also after an exception.
        """
        with torch.inference_mode(), Adapters(self.model, adapters), self.steered(rows):
            yield

    def steered(self, rows: Sequence[Deltas]) -> AbstractContextManager[object]:
        """Steering alone, for a batch whose rows change while it runs."""
        deltas = stack_deltas(rows, self.width)
        return Steering(self.blocks, deltas) if deltas else nullcontext()

    def _signature(self, adapters: Weights) -> Tensor:
        ids = self.tokenizer("A short text.", return_tensors="pt", add_special_tokens=False)["input_ids"]
        with self.under(adapters):
            logits: Tensor = self.model(input_ids=ids.to(self.device)).logits
        return logits
