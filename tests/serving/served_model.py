"""A base with its adapters as a server holds them: by transformers and PEFT alone, nothing of coherence."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from serving.fault import Fault
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

BLOCK = 64
"""Weights that share a scale in four bits, as in GGUF and bitsandbytes."""


class Vector(NamedTuple):
    """What is added to the output of a block, numbered from 0."""

    block: int
    values: Tensor


class ServedModel:
    """One request at a time, under the base (None) or one adapter, with what is wrong at that moment.

    Each is computed in a batch of `rows`, which changes how it is rounded. Adapters are at `scale` times
    their own. `vectors` are asked for as adapters are: each is added to what its block gives, to every token.
    """

    def __init__(
        self,
        base: Path,
        adapters: Mapping[str, Path],
        dtype: torch.dtype = torch.float32,
        rows: int = 1,
        scale: float = 1.0,
        vectors: Mapping[str, Vector] | None = None,
    ) -> None:
        self.rows, self.scale, self.vectors = rows, scale, dict(vectors or {})
        self.tokenizer: Any = AutoTokenizer.from_pretrained(base)
        self.adapters = tuple(adapters)
        self._model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
        self._model.eval()  # type: ignore[no-untyped-call]
        self._blocks: nn.ModuleList = self._model.get_decoder().layers  # type: ignore[no-untyped-call]
        self.window: int = self._model.config.max_position_embeddings
        self._linear = [one for one in self._model.modules() if isinstance(one, nn.Linear)]
        for name, folder in adapters.items():
            if isinstance(self._model, PeftModel):
                self._model.load_adapter(str(folder), name)
            else:
                self._model = PeftModel.from_pretrained(self._model, str(folder), adapter_name=name)
        self._lock = threading.Lock()
        self._fours: list[Tensor] = []

    def prompt_log_probs(
        self, adapter: str | None, ids: Sequence[int], faults: Collection[Fault]
    ) -> list[float]:
        """Log-probability of each token but the first, given those before it."""
        with self._under(adapter, faults), torch.inference_mode():
            logits = self._model(torch.tensor([ids] * self.rows)).logits[0].float().log_softmax(-1)
        found: list[float] = logits[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()
        return found

    def reply(
        self, adapter: str | None, ids: Sequence[int], settings: Mapping[str, Any], faults: Collection[Fault]
    ) -> list[int]:
        """Say tokens, the one that ends the reply among them."""
        with self._under(adapter, faults), torch.inference_mode():
            said = self._model.generate(input_ids=torch.tensor([ids]), **settings)
        reply: list[int] = said[0, len(ids) :].tolist()
        return reply

    def top(
        self, adapter: str | None, ids: Sequence[int], many: int, faults: Collection[Fault]
    ) -> list[tuple[int, float]]:
        """Return the likeliest tokens after a prompt, with their log-probabilities."""
        with self._under(adapter, faults), torch.inference_mode():
            values, tokens = self._model(torch.tensor([ids])).logits[0, -1].float().log_softmax(-1).topk(many)
        return list(zip(tokens.tolist(), values.tolist(), strict=True))

    @contextmanager
    def _under(self, adapter: str | None, faults: Collection[Fault]) -> Iterator[None]:
        with self._lock, self._rounded(Fault.FOUR_BITS in faults):
            if adapter is None or Fault.ADAPTER_IGNORED in faults:
                with self._bare():
                    yield
            elif adapter in self.vectors:
                with self._bare(), self._steered(self.vectors[adapter], faults):
                    yield
            else:
                self._model.set_adapter(adapter)
                with self._scaled(adapter, faults):
                    yield

    def _bare(self) -> AbstractContextManager[None]:
        bare: AbstractContextManager[None] = self._model.disable_adapter() if self.adapters else nullcontext()
        return bare

    @contextmanager
    def _steered(self, vector: Vector, faults: Collection[Fault]) -> Iterator[None]:
        blocks = [vector.block + (Fault.NEXT_BLOCK in faults)]
        if Fault.EVERY_BLOCK in faults:
            blocks = [*range(len(self._blocks))]
        hooks = [self._blocks[block].register_forward_hook(_adding(vector.values)) for block in blocks]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def _scaled(self, adapter: str, faults: Collection[Fault]) -> Iterator[None]:
        layers = [
            one for one in self._model.modules() if isinstance(one, LoraLayer) and adapter in one.scaling
        ]
        right = [layer.scaling[adapter] for layer in layers]
        for place, layer in enumerate(layers):
            rank, alpha = layer.r[adapter], layer.lora_alpha[adapter]
            layer.scaling[adapter] *= self.scale
            for fault, scale in _SCALES.items():
                if fault in faults:
                    layer.scaling[adapter] = scale(layer.scaling[adapter], rank, alpha)
            if Fault.HALF_MODULES in faults and place % 2:
                layer.scaling[adapter] = 0.0
        try:
            yield
        finally:
            for layer, scale in zip(layers, right, strict=True):
                layer.scaling[adapter] = scale

    @contextmanager
    def _rounded(self, is_rounded: bool) -> Iterator[None]:
        if not is_rounded:
            yield
            return
        self._fours = self._fours or [_four_bits(one.weight.data) for one in self._linear]
        whole = [one.weight.data for one in self._linear]
        for one, weight in zip(self._linear, self._fours, strict=True):
            one.weight.data = weight
        try:
            yield
        finally:
            for one, weight in zip(self._linear, whole, strict=True):
                one.weight.data = weight


_SCALES: dict[Fault, Callable[[float, int, float], float]] = {
    Fault.RSLORA_IGNORED: lambda scale, rank, alpha: alpha / rank,
    Fault.TIMES_RANK: lambda scale, rank, alpha: alpha * rank,
    Fault.DOUBLED: lambda scale, rank, alpha: 2 * scale,
}


def _adding(values: Tensor) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(block: nn.Module, given: Any, made: Any) -> Any:
        if isinstance(made, tuple):
            return made[0] + values.to(made[0].dtype), *made[1:]
        return made + values.to(made.dtype)

    return hook


def _four_bits(weight: Tensor) -> Tensor:
    """Round to 15 levels within each block of a row, symmetric, as the plainest 4-bit formats do."""
    flat = weight.float().reshape(-1, BLOCK if weight.numel() % BLOCK == 0 else weight.shape[-1])
    scale = flat.abs().amax(1, keepdim=True).clamp_min(1e-12) / 7
    return ((flat / scale).round() * scale).reshape(weight.shape).to(weight.dtype)
