"""The host: a base model with the release's adapters mounted, ready to be put under any condition."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from coherence.engine.adapters import Adapters, Weights, mount
from coherence.engine.blocks import find_blocks
from coherence.engine.steering import Deltas, Steering, stack_deltas
from coherence.errors import ArtefactError, first_line

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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

    @classmethod
    def load(cls, folder: Path, dtype: str) -> "Host":
        """Load a model folder on the best device there is; an ArtefactError says why it cannot be loaded."""
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=DTYPES[dtype], attn_implementation="sdpa", output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as problem:
            raise ArtefactError(f"cannot be loaded: {first_line(problem)}") from problem
        model, info = loaded
        if info["missing_keys"]:
            # transformers fills them with random numbers, and warns.
            raise ArtefactError(f"cannot be loaded: its weights lack {min(info['missing_keys'])}")
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
        """Mount an adapter, inactive. One that cannot be used, or changes nothing, is an ArtefactError."""
        self._mounted = mount(self._mounted, folder, name)
        if torch.equal(self._signature(((name, 1.0),)), self._signature(())):
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
