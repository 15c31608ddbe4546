"""Soft prompts: trained embeddings, or keys and values, that stand as tokens before what a row says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

import torch
from peft import PeftConfig, PeftModelForCausalLM, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from coherence.engine.batch.attention import giving
from coherence.engine.batch.rows import Row, Weights
from coherence.engine.interventions.adapter_kinds import type_of
from coherence.engine.interventions.adapter_weights import named
from coherence.engine.interventions.grafts import Grafts, rewired, unmounted
from coherence.errors import ArtefactError, MeasurementError


@dataclass(frozen=True, eq=False)
class SoftPrompt:
    """What PEFT puts before a text: `embeddings` [tokens, width], and by layer keys and values of them.

    `kind` is what PEFT calls it; keys and values [key heads, tokens, width] are those of prefix tuning alone.
    `plain` gives the logits [1, tokens, vocabulary] of PEFT's own model for token ids [1, tokens].
    """

    kind: str
    embeddings: Tensor
    states: Mapping[int, tuple[Tensor, Tensor]]
    plain: Callable[[Tensor], Tensor]


def soft_prompt(
    model: nn.Module, grafts: Grafts, config: PeftConfig, slot: str, weights: Mapping[str, Tensor]
) -> SoftPrompt:
    """Let PEFT read a soft prompt for a base with these grafts; an ArtefactError says what does not fit."""
    base: Any = model
    with rewired(grafts.wiring), unmounted(model):
        peft = PeftModelForCausalLM(model, config, adapter_name=slot)
        expected = get_peft_model_state_dict(peft, None, slot, save_embedding_layers=False)
        named_weights = named(peft, config, slot, expected, weights)
        set_peft_model_state_dict(peft, named_weights.weights, adapter_name=slot)
        peft.eval().requires_grad_(False)
        given: Any = peft.get_prompt(batch_size=1)
    width = base.get_input_embeddings().weight.shape[1]
    if isinstance(given, Tensor):
        _require("embeddings of a width", given.shape[-1], width)
        embeddings, states = given[0], {}
    else:
        states = {index: (layer.keys[0], layer.values[0]) for index, layer in enumerate(given.layers)}
        _require(
            "keys and values of layers, in number",
            len(states),
            base.config.get_text_config().num_hidden_layers,
        )
        tokens = next(iter(states.values()))[0].shape[1]
        embeddings = base.get_input_embeddings().weight.new_zeros(tokens, width)
    return SoftPrompt(type_of(config).value, embeddings, states, lambda ids: peft(input_ids=ids).logits)


def _require(what: str, count: int, expected: int) -> None:
    if count != expected:
        raise ArtefactError(f"was made for another base: it holds {what} {count}, expected {expected}")


class SoftPrompts:
    """The soft prompts of a model, each as token ids of its own, beyond those that the model embeds.

    So a row has its soft prompt as it has any other beginning: alone, in any batch, and once for all rows
    that begin with it.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model: Any = model
        self._first: int = self._embeddings.weight.shape[0]
        self._prompts: dict[str, SoftPrompt] = {}
        self._ids: dict[str, tuple[int, ...]] = {}

    def add(self, name: str, prompt: SoftPrompt) -> None:
        """Add a soft prompt, and give it ids."""
        begun = self._first + sum(map(len, self._ids.values()))
        self._prompts[name] = prompt
        self._ids[name] = tuple(range(begun, begun + len(prompt.embeddings)))
        vars(self).pop("_table", None)

    def kind(self, name: str) -> str:
        """Return what PEFT calls a soft prompt; nothing where there is none of that name."""
        return self._prompts[name].kind if name in self._prompts else ""

    def plainly(self, name: str, ids: Tensor) -> Tensor:
        """Logits [1, tokens, vocabulary] that PEFT's own model gives for token ids [1, tokens]."""
        return self._prompts[name].plain(ids)

    def split(self, weights: Weights) -> tuple[Weights, Weights]:
        """Split adapters into those that are no soft prompts, and those that are."""
        others = tuple(one for one in weights if one[0] not in self._prompts)
        return others, tuple(one for one in weights if one[0] in self._prompts)

    def ids(self, weights: Weights) -> tuple[int, ...]:
        """Token ids of soft prompts, one behind the other; a MeasurementError where one is not whole."""
        for name, weight in weights:
            if weight not in (0, 1):
                raise MeasurementError(
                    f"adapter {name!r} cannot be put in {weight:g} times: {self._prompts[name].kind} has no "
                    "scale; expected it whole, or not at all"
                )
        return tuple(token for name, weight in weights if weight for token in self._ids[name])

    @contextmanager
    def read(self, rows: Sequence[Row]) -> Iterator[None]:
        """Let the model read soft prompts in these rows.

        A MeasurementError where one has keys and values, and a row is not packed.
        """
        read = {token for row in rows for token in takewhile(lambda token: token >= self._first, row.ids)}
        if not read:
            yield
            return
        if any(token in read for token in self._with_states) and not all(row.packed for row in rows):
            raise MeasurementError(
                f"the keys and values of a soft prompt cannot be put before {rows[0].label}: the attention "
                "of this model cannot be replaced, or the row has more tokens than its window"
            )
        here = _Here(self._first, self._table, self._states)
        embeddings = self._embeddings
        with ExitStack() as stack:
            stack.callback(embeddings.register_forward_pre_hook(here.find).remove)
            stack.callback(embeddings.register_forward_hook(here.embed).remove)
            stack.enter_context(giving(here.give))
            yield

    @property
    def _embeddings(self) -> Any:  # noqa: ANN401
        """The module that embeds by now: an adapter may have put its own in the place of the base's."""
        return self._model.get_input_embeddings()

    @cached_property
    def _table(self) -> Tensor:
        """Embeddings of all soft tokens, [tokens, width]."""
        return torch.cat([prompt.embeddings for prompt in self._prompts.values()])

    @property
    def _states(self) -> list[tuple[range, Mapping[int, tuple[Tensor, Tensor]]]]:
        """Rows of the table, with the keys and values of those tokens by layer."""
        return [
            (range(ids[0] - self._first, ids[-1] + 1 - self._first), self._prompts[name].states)
            for name, ids in self._ids.items()
            if self._prompts[name].states
        ]

    @property
    def _with_states(self) -> Iterator[int]:
        return (self._first + token for tokens, _ in self._states for token in tokens)


class _Here:
    """Soft tokens of a pass: where they lie in it, counted line after line, and which they are."""

    def __init__(
        self,
        first: int,
        table: Tensor,
        states: Sequence[tuple[range, Mapping[int, tuple[Tensor, Tensor]]]],
    ) -> None:
        self._first, self._table, self._states = first, table, states
        self._places = self._tokens = torch.empty(0, dtype=torch.long)

    def find(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Note them, and let the model embed some other token in their places."""
        ids, *others = args
        soft = ids >= self._first
        self._places = soft.flatten().nonzero().flatten()
        self._tokens = ids.flatten()[self._places] - self._first
        return (ids.masked_fill(soft, 0), *others)

    def embed(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Put their embeddings there, as they are: what a model does to those of tokens it does not do."""
        table = self._table.to(output.device)
        output.view(-1, output.shape[-1])[self._places] = table[self._tokens].to(output.dtype)

    def give(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Put their keys and values into those of a line, [key heads, tokens, width] each."""
        for tokens, states in self._states:
            here = (self._tokens >= tokens.start) & (self._tokens < tokens.stop)
            places, rows = (
                self._places[here].to(keys.device),
                (self._tokens[here] - tokens.start).to(keys.device),
            )
            for held, given in zip((keys, values), states[layer], strict=True):
                held[:, places] = given.to(held)[:, rows]
