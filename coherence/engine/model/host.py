"""The host: a base model with the release's adapters mounted, ready to be put under any condition."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from coherence.engine.batch.attention import configs_of
from coherence.engine.batch.layout import Layout, Padded
from coherence.engine.batch.packed import Packed, window
from coherence.engine.batch.rows import Continuation, Deltas, Exchange, Row, Weights
from coherence.engine.interventions.adapters import lora_layers, mount
from coherence.engine.interventions.capping import CappingHooks, bounds_of
from coherence.engine.interventions.lora_rows import mixed, mixes
from coherence.engine.interventions.merging import COMBINED, combine, fused, require_place, weight_errors
from coherence.engine.interventions.patching import Patches, PatchingHooks
from coherence.engine.interventions.steering import SteeringHooks, stack_deltas
from coherence.engine.model.blocks import find_blocks
from coherence.engine.model.loading import load_model
from coherence.errors import ArtefactError
from coherence.plan import Way
from coherence.vocabulary import Decoding

# Largest deviation of our ways from the model's and PEFT's own, in units of the largest logit.
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
        self._configs = configs_of(model)
        self._mounted: nn.Module = model
        # Listed when they are mounted, and not in every pass.
        self._layers: list[LoraLayer] = []
        self._by_row: set[str] = set()
        self._combined: dict[tuple[Weights, Way], str] = {}

    @classmethod
    def load(cls, folder: Path, dtype: str) -> "Host":
        """Load a model folder on the best devices there are; an ArtefactError says why it cannot be."""
        return cls(*load_model(folder, dtype))

    @cached_property
    def window(self) -> float:
        """Tokens that a context may have at most."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or inf

    @property
    def device(self) -> torch.device:
        """The device of the input embeddings, to which token ids are put, wherever other parts are."""
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
        self._try_by_row(name, base, switched)

    def by_row(self, adapters: Weights, way: Way = Way.STACKED) -> bool:
        """Tell whether adapters can act so on single rows of a batch; else they are switched for all."""
        return way is Way.STACKED and all(name in self._by_row for name, _ in adapters)

    def fit(self, adapters: Weights, way: Way) -> tuple[Weights, Way]:
        """Find what to switch to for mounted adapters in a way; of a combination, PEFT's new adapter.

        A MeasurementError says why they cannot be put in so.
        """
        if way not in COMBINED:
            if way is not Way.STACKED:
                require_place(self.model, adapters)
            return adapters, way
        name = self._combined.get((adapters, way)) or self._combine(adapters, way)
        return ((name, 1.0),), Way.STACKED

    @contextmanager
    def switched(self, adapters: Weights, way: Way = Way.STACKED) -> Iterator[None]:
        """Put the whole model under adapters, by PEFT's own switching or merging, without gradients.

        The base model's own state is back afterwards, bit for bit, also after an exception.
        """
        with torch.inference_mode(), fused(self.model, adapters, way):
            yield

    def weight_errors(self, adapters: Weights, way: Way) -> Tensor:
        """How far the change of weights is from the sum of the adapters' own: float32 [modules], relative."""
        return weight_errors(self.model, adapters, *self.fit(adapters, way))

    def laid_out(self, rows: Sequence[Row]) -> Layout:
        """Lay rows that are all packed, or all not, out for a forward pass."""
        if rows[0].packed:
            return Packed.of(self._configs, rows, self.device)
        return Padded.of(rows, self.pad, self.device)

    @cached_property
    def packs(self) -> float:
        """Tokens that a packed row may have at most. 0 where only padding gives the model's own numbers."""
        limit = window(self.model.config.get_text_config())
        return limit if limit and self._packs() else 0

    @contextmanager
    def put(self, rows: Sequence[Row], layout: Layout) -> Iterator[None]:
        """Put each row of the passes inside, laid out so, under its adapters, steering, patch and cap."""
        with ExitStack() as stack:
            stack.enter_context(layout.attending())
            stack.enter_context(mixed(self._layers, [row.adapters for row in rows], layout.bounds))
            deltas = stack_deltas([row.deltas for row in rows], self.width)
            stack.enter_context(
                self.steered({depth: layout.spread(delta) for depth, delta in deltas.items()})
            )
            stack.enter_context(PatchingHooks(self.blocks, _patches(rows, layout)))
            stack.enter_context(CappingHooks(self.blocks, bounds_of(rows, layout)))
            yield

    def logits(self, layout: Layout, counts: Sequence[int] | None = None) -> Tensor:
        """Run the whole model; return logits [rows, vocabulary] for the token after each row.

        With `counts`, those after each of the last tokens of the rows, row after row: [sum, vocabulary].
        """
        keep, places = (layout.ends, slice(None)) if counts is None else layout.tails(counts)
        logits: Tensor = self.model(**layout.inputs(), logits_to_keep=keep).logits
        return logits.flatten(0, 1)[places]

    def steered(self, deltas: Deltas) -> AbstractContextManager[object]:
        """Steering alone, {depth: [lines, tokens or 1, width]}."""
        return SteeringHooks(self.blocks, deltas) if deltas else nullcontext()

    def _combine(self, adapters: Weights, way: Way) -> str:
        # No adapter of a release has a name with a blank.
        name = f"{way} {len(self._combined)}"
        combine(self._mounted, adapters, way, name)
        self._combined[adapters, way] = name
        self._layers = list(lora_layers(self.model))
        self._try_by_row(name, self._signature(()), self._signature(((name, 1.0),)))
        return name

    def _try_by_row(self, name: str, base: Tensor, switched: Tensor) -> None:
        if mixes(self.model, name) and self._agrees(name, base, switched):
            self._by_row.add(name)

    def _agrees(self, name: str, base: Tensor, switched: Tensor) -> bool:
        # What lies behind a layer may fold rows together, as routed experts do; only trying tells.
        rows = [Row(self._sample, adapters=((name, 1.0),)), Row(self._sample)]
        layout = self.laid_out(rows)
        try:
            with self.switched(()), self.put(rows, layout):
                found = self.logits(layout)
        except RuntimeError:
            return False
        return _agree(found, torch.cat([switched, base]))

    @cached_property
    def shifts(self) -> bool:
        """Whether it is all the same to packed rows at which position they begin."""
        rows = [Row(self._sample, packed=True, offset=offset) for offset in (0, len(self._sample))]
        layout = self.laid_out(rows)
        with self.switched(()), self.put(rows, layout):
            found = self.logits(layout)
        return _agree(found[1:], found[:1])

    def _packs(self) -> bool:
        # Families differ in what their attention is told, and in whether it can be replaced: it is tried.
        first = self._sample[0]
        texts = [(*self._sample, first), (*self._sample, first, first)]
        rows = [
            Row(ids, packed=True, group=0, shared=len(self._sample), continuations=_AN_ANSWER)
            for ids in texts
        ]
        try:
            layout = self.laid_out(rows)
            with self.switched(()), self.put(rows, layout):
                found = [self.logits(layout)]
            layout = layout.followed([[first], [first]], [0, 1])
            with self.switched(()), self.put(rows, layout):
                found.append(self.logits(layout))
        except (RuntimeError, NotImplementedError, TypeError, LookupError):
            return False
        with self.switched(()):
            expected = [self._alone(ids) for ids in [*texts, *((*ids, first) for ids in texts)]]
        return _agree(torch.cat(found), torch.cat(expected))

    def _alone(self, ids: Sequence[int]) -> Tensor:
        logits: Tensor = self.model(input_ids=torch.tensor([ids], device=self.device), use_cache=False).logits
        return logits[:, -1]

    @cached_property
    def _sample(self) -> tuple[int, ...]:
        ids: Any = self.tokenizer("A short text.", add_special_tokens=False)["input_ids"]
        return tuple(ids)

    def _signature(self, adapters: Weights) -> Tensor:
        with self.switched(adapters):
            return self._alone(self._sample)


def _patches(rows: Sequence[Row], layout: Layout) -> dict[int, Patches]:
    found: dict[int, dict[int, Tensor]] = {}
    for row, start in zip(rows, layout.starts, strict=True):
        if row.patch:
            for depth, values in row.patch.residuals.items():
                found.setdefault(depth, {})[start + row.patch.token] = values
    return {depth: (list(put), torch.stack(list(put.values()))) for depth, put in found.items()}


_AN_ANSWER = (Continuation(Decoding(max_new_tokens=1), (Exchange(),)),)


def _agree(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() <= _AGREEMENT[found.dtype] * expected.abs().max())
