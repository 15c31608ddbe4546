"""The host: a base model with the release's adapters mounted, ready to be put under any condition."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import Cache, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from coherence.engine.batch.attention import configs_of
from coherence.engine.batch.layout import Alone, Layout, Padded
from coherence.engine.batch.packed import Packed, window
from coherence.engine.batch.rows import Arrangement, Deltas, Row, Weights
from coherence.engine.interventions.adapters import Adapters, lora_layers
from coherence.engine.interventions.capping_hooks import CappingHooks, bounds_of
from coherence.engine.interventions.carrier import Carrier
from coherence.engine.interventions.lora_rows import added, mixed, mixes
from coherence.engine.interventions.merging import COMBINED, combine, fused, require_place, weight_errors
from coherence.engine.interventions.patching import Patches, PatchingHooks
from coherence.engine.interventions.steering import SteeringHooks, pushes_of, stack_deltas
from coherence.engine.model.adapter_reader import read_adapter
from coherence.engine.model.blocks import blocks_of, truncated
from coherence.engine.model.chat import Chat, Ends
from coherence.engine.model.checkpoints import checkpoint
from coherence.engine.model.folder import is_checkpoint
from coherence.engine.model.loading import load_model
from coherence.engine.model.quantization import Quantization
from coherence.engine.model.trial import BaseTrial, agree
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import Way

_UNPACKED = (Arrangement.PADDED, Arrangement.REREAD, Arrangement.ALONE)


class Host:
    """The causal LM of a release. Its base weights are never written."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model: Any = model
        self.model.eval()  # type: ignore[no-untyped-call]
        self.model.requires_grad_(False)
        self.tokenizer = tokenizer
        text_config = model.config.get_text_config()
        self.width: int = text_config.hidden_size
        self.blocks: nn.ModuleList = blocks_of(model)
        self._configs = configs_of(model)
        # Not what an adapter may put in their place.
        self._embeddings: Any = model.get_input_embeddings()
        self._carrier = Carrier(model, self.blocks)
        self._grafts, self._soft = self._carrier.grafts, self._carrier.soft
        self._activated = self._carrier.activated
        # Listed when they are mounted, and not in every pass.
        self._layers: list[LoraLayer] = []
        self._by_row: set[str] = set()
        self._combined: dict[tuple[Weights, Way], str] = {}

    @classmethod
    def load(cls, folder: Path, dtype: str) -> "Host":
        """Load a model folder on the best devices there are, and try which ways of running it are right.

        An ArtefactError says why it cannot be loaded, or what is wrong in every way.
        """
        host = cls(*load_model(folder, dtype))
        _ = host.packs, host.unpacked, host.reads_in_part
        return host

    @cached_property
    def window(self) -> float:
        """Tokens that a context may have at most."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or inf

    @cached_property
    def quantization(self) -> Quantization | None:
        """How the weights are quantized; None where they are not, or no longer since they were loaded."""
        left = getattr(self.model, "is_quantized", False)
        return Quantization.of(self.model.config.to_dict()) if left else None

    @cached_property
    def chat(self) -> Chat:
        """The base's tokenizer and its chat template as it is, whatever a suite says of it."""
        return Chat(self.tokenizer)

    @property
    def ends(self) -> Ends:
        """How the chat template ends an answer, and what it begins a turn of the user with."""
        return self.chat.ends

    @property
    def device(self) -> torch.device:
        """The device of the input embeddings, to which token ids are put, wherever other parts are."""
        device: torch.device = self._embeddings.weight.device
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

    def mount(self, name: str, folder: Path) -> str:
        """Mount an adapter or a checkpoint, inactive.

        One that cannot be used, or changes nothing, is an ArtefactError. Return a remark on what is unusual
        of it, empty where nothing is.
        """
        if is_checkpoint(folder):
            graft, remark = checkpoint(folder, self.model, self.tokenizer, self._grafts.weights)
            self._grafts.add(name, graft)
        else:
            remark = self._carrier.mount(name, lambda: read_adapter(folder, self.model))
        self._layers = list(lora_layers(self.model))
        if self._soft.kind(name):
            self._try_soft_prompt(name)
            return remark
        if self._activated.tokens(name):
            self._try_activated(name)
            return remark
        text = (*self._sample, *self._grafts.tokens(name))
        base = self._signature((), text)
        switched = self._grafts.try_out(name, lambda: self._signature(((name, 1.0),), text))
        if torch.equal(switched, base):
            raise ArtefactError("changes nothing: the logits are those of the base model")
        if not switched.isfinite().all():
            raise ArtefactError("holds weights that make NaN or infinite logits")
        if self._grafts.kind(name):
            self._require_row_by_row(name, text, switched)
        else:
            self._try_by_row(name, base, switched)
        return remark

    def by_row(self, adapters: Weights, way: Way = Way.STACKED) -> bool:
        """Tell whether adapters can act so on single rows of a batch; else they are switched for all."""
        return way is Way.STACKED and all(name in self._by_row for name, _ in adapters)

    def fit(self, adapters: Weights, way: Way) -> tuple[Weights, Way]:
        """Find what to switch to for mounted adapters in a way; of a combination, PEFT's new adapter.

        What stands before the text is none of it (`ahead`). A MeasurementError says why they cannot be put in
        so.
        """
        self._require_place(adapters, way)
        adapters, _ = self._soft.split(adapters)
        if way not in COMBINED:
            if way is not Way.STACKED:
                require_place(self.model, adapters)
            return adapters, way
        name = self._combined.get((adapters, way)) or self._combine(adapters, way)
        return ((name, 1.0),), Way.STACKED

    def ahead(self, adapters: Weights) -> tuple[int, ...]:
        """Token ids of soft prompts among mounted adapters; they stand before all that a row says."""
        return self._soft.ids(self._soft.split(adapters)[1])

    def begins_anew(self, adapters: Weights) -> bool:
        """Whether some of mounted adapters act from a token on that invokes them, with every turn anew."""
        return bool(self._activated.split(adapters)[1])

    def require_invoked(self, adapters: Weights, ids: Sequence[int]) -> None:
        """Refuse a prompt that lacks the tokens by which mounted adapters are invoked (MeasurementError)."""
        for name, _ in self._activated.split(adapters)[1]:
            self._activated.begins(name, ids)

    @contextmanager
    def switched(self, adapters: Weights, way: Way = Way.STACKED) -> Iterator[None]:
        """Put the whole model under adapters, by PEFT's own switching or merging, without gradients.

        The base model's own state is back afterwards, bit for bit, also after an exception.
        """
        self._require_place(adapters, way)
        if self.ahead(adapters):
            named = self._named(self._soft.split(adapters)[1])
            raise MeasurementError(f"{named} stands before a text, and is no state of the model")
        adapters, _ = self._soft.split(adapters)
        adapters, activated = self._activated.split(adapters)
        if any(weight for _, weight in activated):
            raise MeasurementError(
                f"{self._named(activated)} begins in the middle of a text, and is no state of the model"
            )
        plain, grafted = self._grafts.split(adapters)
        with (
            torch.inference_mode(),
            self._grafts.put(()),
            fused(self.model, plain, way),
            self._grafts.put(grafted),
        ):
            yield

    def weight_errors(self, adapters: Weights, way: Way) -> Tensor:
        """How far the change of weights is from the sum of the adapters' own: float32 [modules], relative."""
        return weight_errors(self.model, adapters, *self.fit(adapters, way))

    def laid_out(self, rows: Sequence[Row]) -> Layout:
        """Lay rows that are all arranged alike out for a forward pass."""
        arrangement = rows[0].arrangement
        if arrangement is Arrangement.PACKED:
            return Packed.of(self._configs, rows, self.device)
        if arrangement is Arrangement.ALONE:
            return Alone.of(rows, self.pad, self.device)
        goes_on = arrangement.keeps and any(row.continuations for row in rows)
        return Padded.of(rows, self.pad, self.device, self._past() if goes_on else None)

    def arranged(self, row: Row) -> Row:
        """Arrange a row in the fastest way that gives the model's own numbers."""
        # Where an adapter begins anew with every turn, what was said before is read again, by the base.
        packs = row.longest <= self.packs and not (row.takes_turns and self.begins_anew(row.adapters))
        return replace(row, arrangement=Arrangement.PACKED if packs else self.unpacked)

    @cached_property
    def packs(self) -> float:
        """Tokens that a packed row may have at most. 0 where packed rows are not the model's own."""
        limit = window(self.model.config.get_text_config())
        fits = self._trial.longest <= limit
        return limit if fits and self._trial.difference(Arrangement.PACKED) is None else 0

    @cached_property
    def unpacked(self) -> Arrangement:
        """The fastest arrangement of rows that are not packed which gives the model's own numbers.

        An ArtefactError names the type of a model that has none.
        """
        if not self._trial.is_sound:
            # Measurements say so, each for itself.
            return Arrangement.PADDED
        for arrangement in _UNPACKED:
            differs = self._trial.difference(arrangement)
            if differs is None:
                return arrangement
        raise ArtefactError(
            f"is of the type {self.model.config.model_type}, which cannot be read token by token, not even "
            f"one row at a time: {differs}; expected a causal language model"
        )

    @property
    def slowly(self) -> str | None:
        """Say what about the model makes it slow to measure; None where nothing does."""
        if self.packs or self.unpacked.keeps:
            return None
        alone = ", one row at a time" if self.unpacked is Arrangement.ALONE else ""
        return (
            f"a {self.model.config.model_type} gives its own numbers only where every token is read with all "
            f"before it{alone}; that is slower"
        )

    @cached_property
    def _trial(self) -> BaseTrial:
        return BaseTrial(self, self._sample)

    def _past(self) -> dict[str, Cache]:
        config = self.model.config.get_text_config()
        # Of every token in every layer, unless layers have states of their own.
        cache = DynamicCache() if window(config) else DynamicCache(config=config)
        return {self._cache_name: cache}

    @cached_property
    def _cache_name(self) -> str:
        told = inspect.signature(type(self.model).forward).parameters
        # transformers calls it `cache` from 5.24 on, as some families call something else of their own.
        if "cache" in told and "Cache" in str(told["cache"].annotation):
            return "cache"
        return next((name for name in ("past_key_values", "cache_params") if name in told), "past_key_values")

    @contextmanager
    def put(self, rows: Sequence[Row], layout: Layout) -> Iterator[None]:
        """Put each row of the passes inside, laid out so, under its adapters, steering, patch and cap."""
        with ExitStack() as stack:
            stack.enter_context(layout.attending())
            stack.enter_context(self._soft.read(rows))
            whole = [self._activated.split(row.adapters)[0] for row in rows]
            stack.enter_context(mixed(self._layers, whole, layout.bounds))
            stack.enter_context(added(self._layers, [*self._activated.runs(rows, layout)]))
            deltas = stack_deltas([row.deltas for row in rows], self.width)
            steering = SteeringHooks(self.blocks, deltas, pushes_of(rows, layout), layout.spread)
            stack.enter_context(steering)
            stack.enter_context(PatchingHooks(self.blocks, _patches(rows, layout)))
            stack.enter_context(CappingHooks(self.blocks, bounds_of(rows, layout)))
            yield

    def logits(self, layout: Layout, counts: Sequence[int] | None = None) -> Tensor:
        """Run the whole model; return logits [rows, vocabulary] for the token after each row.

        With `counts`, those after each of the last tokens of the rows, row after row: [sum, vocabulary].
        """
        told, places = layout.tails(counts)
        logits: Tensor = self.model(**layout.inputs(), **told).logits
        return logits.flatten(0, 1)[places]

    def read(self, layout: Layout, depth: int) -> None:
        """Run the model for what taps read up to a depth, and no further if it can end there."""
        if self.reads_in_part:
            self.run_decoder(layout, depth)
        else:
            self.logits(layout)

    def run_decoder(self, layout: Layout, depth: int) -> None:
        """Run the decoder alone, ended after its first `depth` blocks."""
        with truncated(self.model, self.blocks, depth):
            self.core(**layout.inputs())

    def called(self, ids: Sequence[int]) -> Tensor:
        """Call the model plainly with token ids; return logits [1, tokens, vocabulary]."""
        told = torch.tensor([ids], device=self.device)
        logits: Tensor = self.model(input_ids=told, use_cache=False).logits
        return logits

    @cached_property
    def reads_in_part(self) -> bool:
        """Whether what blocks give can be read without what lies behind them."""
        return not self._trial.is_sound or self._trial.reads_in_part()

    def steered(self, deltas: Deltas) -> AbstractContextManager[object]:
        """Steering alone, {depth: [lines, tokens or 1, width]}."""
        return SteeringHooks(self.blocks, deltas) if deltas else nullcontext()

    def _require_place(self, adapters: Weights, way: Way) -> None:
        others = self._named(adapters)
        self._grafts.require_scales(adapters)
        if others and way is not Way.STACKED:
            raise MeasurementError(
                f"{others} cannot be put in by {way}: that is for plain LoRA and DoRA only"
            )

    def _named(self, adapters: Weights) -> str:
        """Name those of adapters that are more than plain LoRA and DoRA, each with its kind."""
        kinds = {
            name: self._grafts.kind(name)
            or self._soft.kind(name)
            or ("activated LoRA" if self._activated.tokens(name) else "")
            for name, _ in adapters
        }
        return " and ".join(f"adapter {name!r} ({kind})" for name, kind in kinds.items() if kind)

    def _combine(self, adapters: Weights, way: Way) -> str:
        # No adapter of a release has a name with a blank.
        name = f"{way} {len(self._combined)}"
        combine(self._carrier.mounted, adapters, way, name)
        self._combined[adapters, way] = name
        self._layers = list(lora_layers(self.model))
        whole = ((name, 1.0),)
        self._try_by_row(name, self._signature((), self._sample), self._signature(whole, self._sample))
        return name

    def _try_by_row(self, name: str, base: Tensor, switched: Tensor) -> None:
        if mixes(self.model, name) and self._agrees(name, base, switched):
            self._by_row.add(name)

    def _try_soft_prompt(self, name: str) -> None:
        """Refuse a soft prompt before which a text is not what it is in PEFT's own model."""
        ahead, ids = self.ahead(((name, 1.0),)), self._sample
        rows = [self.arranged(Row(row, label="a text")) for row in ((*ahead, *ids), ids)]
        if rows[0].arrangement is Arrangement.ALONE:
            rows = rows[:1]
        layout = self.laid_out(rows)
        with self.switched(()):
            expected = self._soft.plainly(name, torch.tensor([ids], device=self.device))[:, -1]
            if not expected.isfinite().all():
                raise ArtefactError("holds weights that make NaN or infinite logits")
            with self.put(rows, layout):
                logits = self.logits(layout)
        if not agree(logits[:1], expected, self.quantization):
            raise ArtefactError("is not what PEFT makes of it: the logits behind it are others")

    def _try_activated(self, name: str) -> None:
        """Refuse activated LoRA under which a text is not what it is in PEFT's own model."""
        weights = ((name, 1.0),)
        ids = (*self._sample, *self._activated.tokens(name), *self._sample)
        rows = [self.arranged(Row(ids, adapters)) for adapters in (weights, ())]
        rows = rows[:1] if rows[0].arrangement is Arrangement.ALONE else rows
        layout = self.laid_out(rows)
        with self.switched(()):
            base = self.called(ids)[:, -1]
            with Adapters(self.model, weights):
                expected = self._plainly_activated(name, ids)
            if torch.equal(expected, base):
                raise ArtefactError("changes nothing: the logits are those of the base model")
            if not expected.isfinite().all():
                raise ArtefactError("holds weights that make NaN or infinite logits")
            with self.put(rows, layout):
                logits = self.logits(layout)
        if not mixes(self.model, name) or not agree(
            logits, torch.cat([expected, base])[: len(rows)], self.quantization
        ):
            raise ArtefactError("is not what PEFT makes of it: the logits behind it are others")
        self._by_row.add(name)

    def _plainly_activated(self, name: str, ids: Sequence[int]) -> Tensor:
        """Logits [1, vocabulary] that PEFT's own model gives after a text, the adapter switched on."""
        peft: Any = self._carrier.mounted
        acts = len(ids) - self._activated.begins(name, ids)
        logits: Tensor = peft(
            input_ids=torch.tensor([ids], device=self.device), use_cache=False, alora_offsets=[acts]
        ).logits
        return logits[:, -1]

    def _require_row_by_row(self, name: str, ids: tuple[int, ...], switched: Tensor) -> None:
        """Refuse an adapter under which a text is another one among others, or in our way of running it."""
        rows = [self.arranged(Row(row)) for row in (ids, ids[:-1])]
        if rows[0].arrangement is Arrangement.ALONE:
            rows = rows[:1]
        layout = self.laid_out(rows)
        with self.switched(((name, 1.0),)), self.put(rows, layout):
            logits = self.logits(layout)
        if not agree(logits[:1], switched, self.quantization):
            raise ArtefactError(
                "does not act on each token by itself: beside another text the logits of a text are others"
            )

    def _agrees(self, name: str, base: Tensor, switched: Tensor) -> bool:
        # What lies behind a layer may fold rows together, as routed experts do; only trying tells.
        rows = [self.arranged(row) for row in (Row(self._sample, ((name, 1.0),)), Row(self._sample))]
        if rows[0].arrangement is Arrangement.ALONE:
            return False
        layout = self.laid_out(rows)
        try:
            with self.switched(()), self.put(rows, layout):
                logits = self.logits(layout)
        except RuntimeError:
            return False
        return agree(logits, torch.cat([switched, base]), self.quantization)

    @cached_property
    def shifts(self) -> bool:
        """Whether it is all the same to packed rows at which position they begin."""
        rows = [
            Row(self._sample, arrangement=Arrangement.PACKED, offset=offset)
            for offset in (0, len(self._sample))
        ]
        layout = self.laid_out(rows)
        with self.switched(()), self.put(rows, layout):
            logits = self.logits(layout)
        return agree(logits[1:], logits[:1], self.quantization)

    @cached_property
    def _sample(self) -> tuple[int, ...]:
        ids: Any = self.tokenizer("A short text.", add_special_tokens=False)["input_ids"]
        return tuple(ids)

    def _signature(self, adapters: Weights, ids: Sequence[int]) -> Tensor:
        with self.switched(adapters):
            return self.called(ids)[:, -1]


def _patches(rows: Sequence[Row], layout: Layout) -> dict[int, Patches]:
    residuals: dict[int, dict[int, Tensor]] = {}
    for row, start in zip(rows, layout.starts, strict=True):
        if row.patch:
            for depth, values in row.patch.residuals.items():
                residuals.setdefault(depth, {})[start + row.patch.token] = values
    return {depth: (list(put), torch.stack(list(put.values()))) for depth, put in residuals.items()}
