"""The packed layout: all rows in one line, without padding, and what rows of a group share is there once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate, groupby, pairwise
from math import inf
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from coherence.engine.batch.attention import attending, causal, joint
from coherence.engine.batch.layout import Layout
from coherence.engine.batch.rows import Row

# Tokens that room is made for at a time: a larger stride wastes memory, a smaller one copies more often.
STRIDE = 16
# By layer: keys and values [key heads, tokens, width].
States = Mapping[int, tuple[Tensor, Tensor]]
_KNOWN = {"full_attention", "sliding_attention", "chunked_attention"}


def window(config: PreTrainedConfig) -> float:
    """Tokens within which every token sees all before it; 0 when some layers do more than attend."""
    # A layer with a state of its own (Mamba, linear attention) would carry it from one row into the next.
    if {*(getattr(config, "layer_types", None) or ())} - _KNOWN:
        return 0
    sizes = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return min((size for size in sizes if size), default=inf)


class Packed(Layout):
    """One line: for each group of rows what they share, then what is each row's own.

    A token sees those before it in its own row. All that a model does to a token alone it does as ever; only
    attention is ours, and so is the KV cache: it is kept while rows go on, a shared beginning's once for all
    its rows.
    """

    def __init__(
        self, configs: Sequence[PreTrainedConfig], groups: Sequence["_Group"], device: torch.device
    ) -> None:
        self._configs, self._groups, self._device = configs, groups, device
        lengths = [length for group in groups for length in group.lengths]
        counts = [count for group in groups for count in group.counts]
        self.bounds = list(accumulate(lengths, initial=0))
        # Counted with the tokens of a row that are not in this line: token t is at start + t, if it is there.
        self.starts = [end - count for end, count in zip(self.bounds[1:], counts, strict=True)]
        # The last token of every row; one that waits for others has none in this line.
        self.ends = torch.tensor(
            [end - 1 for first, end in pairwise(self.bounds) if first < end], device=device
        )
        self.ids = torch.tensor([[token for group in groups for token in group.ids]], device=device)
        self.positions = torch.tensor(
            [[place for group in groups for place in group.positions]], device=device
        )
        first = 0
        for group in groups:
            group.lie(first, device)
            first += sum(group.lengths)

    @classmethod
    def of(cls, configs: Sequence[PreTrainedConfig], rows: Sequence[Row], device: torch.device) -> "Packed":
        """Lay rows out that have not begun, for a model with these configs."""
        keeps = any(row.continuations for row in rows)
        together = groupby(rows, key=lambda row: row.group if row.shared else None)
        return cls(configs, [_begun(list(members), keeps) for _, members in together], device)

    def inputs(self) -> dict[str, Any]:
        """Return the arguments of a forward pass."""
        # Without transformers' KV cache, which would keep the line as if it were one sequence.
        return {"input_ids": self.ids, "position_ids": self.positions, "use_cache": False}

    def attending(self) -> AbstractContextManager[object]:
        """Return what a forward pass is to be run under."""
        return attending(self._configs, self._attend)

    def tails(self, counts: Sequence[int] | None) -> tuple[dict[str, Any], Any]:
        """Tell the model of the places of these tokens in the line; the logits are theirs and no others."""
        if counts is None:
            return {"logits_to_keep": self.ends}, slice(None)
        kept = [
            token
            for end, count in zip(self.bounds[1:], counts, strict=True)
            for token in range(end - count, end)
        ]
        return {"logits_to_keep": torch.tensor(kept, device=self._device)}, slice(None)

    def followed(self, tokens: Sequence[Sequence[int]], kept: Sequence[int]) -> "Packed":
        """Go on with the rows `kept`, each by its next tokens."""
        bounds = accumulate((len(group.rows) for group in self._groups), initial=0)
        following = list(zip(kept, tokens, strict=True))
        groups = []
        for group, (first, end) in zip(self._groups, pairwise(bounds), strict=True):
            chosen = [(row - first, ids) for row, ids in following if first <= row < end]
            if chosen:
                groups.append(group.followed(*zip(*chosen, strict=True)))
        return Packed(self._configs, groups, self._device)

    def forget(self, row: int, tokens: int) -> None:
        """Forget the last tokens of a row, which were its own, as if they had not run."""
        group, place = self._group_of(row)
        group.forget(place, tokens)

    def states(self, row: int, tokens: Sequence[int], layers: Sequence[int]) -> "States":
        """Return keys and values of tokens of a row, counted from 0, that have run."""
        group, place = self._group_of(row)
        return {layer: group.states(layer, place, tokens) for layer in layers}

    def give(self, row: int, tokens: Sequence[int], states: "States") -> None:
        """Put keys and values in the place of those of tokens of a row, which shares none of them."""
        group, place = self._group_of(row)
        for layer, of_layer in states.items():
            group.give(layer, place, tokens, of_layer)

    def _group_of(self, row: int) -> tuple["_Group", int]:
        for group in self._groups:
            if row < len(group.rows):
                return group, row
            row -= len(group.rows)
        raise IndexError(f"no row {row} beyond the last")

    def _attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        attended = queries.new_empty(queries.shape[1], len(queries), values.shape[2])
        for group in self._groups:
            group.attend(layer, queries, keys, values, scale, attended)
        return attended


class _Group:
    """Rows with a common beginning: `head` is what of it is run now, `rows` what is run of each row itself.

    `counts` are the tokens of each row when this has been run, `offsets` the positions of their first. `seen`
    bool [rows, columns] tells which columns of `memory`, by layer the keys and values of what was run before,
    hold a token.
    """

    def __init__(
        self,
        head: Sequence[int],
        rows: Sequence[Sequence[int]],
        counts: list[int],
        offsets: Sequence[int],
        seen: Tensor,
        memory: dict[int, "_Kept"] | None,
    ) -> None:
        self.head, self.rows, self.counts, self._offsets = head, rows, counts, offsets
        self._seen, self._memory = seen, memory

    @property
    def ids(self) -> Iterator[int]:
        """Token ids in the order in which they lie."""
        yield from self.head
        for row in self.rows:
            yield from row

    @property
    def positions(self) -> Iterator[int]:
        """Position of each token in its row."""
        # A beginning that is run once has one position for all of its rows: the first row's.
        yield from range(self._offsets[0], self._offsets[0] + len(self.head))
        for row, count, offset in zip(self.rows, self.counts, self._offsets, strict=True):
            yield from range(offset + count - len(row), offset + count)

    @property
    def lengths(self) -> list[int]:
        """How many tokens belong to each row; the shared ones to the first."""
        first, *others = map(len, self.rows)
        return [len(self.head) + first, *others]

    def lie(self, first: int, device: torch.device) -> None:
        """Lie in the line from the token `first` on."""
        # A table of the rows, padded on the left: their ends are in one column, their next tokens behind it.
        # So the order of columns is that of tokens in every row, whatever is absent in between.
        lengths = torch.tensor([len(row) for row in self.rows])
        columns = torch.arange(int(lengths.max()))
        present = columns >= len(columns) - lengths[:, None]
        ends = first + len(self.head) + lengths.cumsum(dim=0)
        # Some token must stand where none is: the group's first is one, and `_own` blots it out.
        places = (ends[:, None] - len(columns) + columns).where(present, first)
        # Not the beginning: every token of a row comes after all of it, so that nothing of it is masked.
        own = present[:, None, :] & (columns[:, None] >= columns)
        visible = torch.cat([self._seen[:, None, :].expand(-1, len(columns), -1), own], dim=2)
        self._seen = torch.cat([self._seen, present], dim=1)
        self._first = first
        self._places, self._visible = places.to(device), visible.to(device)
        self._absent = None if present.all() else ~present.to(device)
        self._into = places[present].to(device)
        self._of = present.flatten().nonzero().flatten().to(device)

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, scale: float, into: Tensor
    ) -> None:
        """Write what the group's tokens get from attention into `into` [tokens, heads, width]."""
        # All of its rows wait for those of other groups.
        if not any(self.rows):
            return
        places, visible = self._places.to(queries.device), self._visible.to(queries.device)
        head = slice(self._first, self._first + len(self.head))
        if self.head:
            into[head] = causal(queries[:, head], keys[:, head], values[:, head], scale).transpose(0, 1)
        shared, own = (keys[:, head], values[:, head]), (self._own(keys), self._own(values))
        if self._memory is not None:
            # Only the first pass has a head; what is kept of it stands for it in all that follow.
            if layer not in self._memory:
                self._memory[layer] = _Kept(shared)
            shared, own = self._memory[layer].shared, self._memory[layer].followed(own)
        rests = joint(queries[:, places], shared, own, visible, scale)
        into.index_copy_(0, self._into.to(into.device), rests.flatten(0, 1)[self._of.to(into.device)])

    def forget(self, row: int, tokens: int) -> None:
        """Forget the last tokens of a row: what is kept of them is seen by none."""
        self.counts[row] -= tokens
        self._seen[row, self._seen[row].nonzero().flatten()[-tokens:]] = False

    def states(self, layer: int, row: int, tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return keys and values of tokens of a row."""
        assert self._memory is not None
        return self._memory[layer].at(row, self._columns(row, tokens))

    def give(self, layer: int, row: int, tokens: Sequence[int], states: tuple[Tensor, Tensor]) -> None:
        """Put keys and values in the place of those of tokens of a row."""
        assert self._memory is not None
        self._memory[layer].put(row, self._columns(row, tokens), states)

    def _columns(self, row: int, tokens: Sequence[int]) -> Tensor:
        own = self._seen[row].nonzero().flatten()
        # Tokens of a shared beginning are nobody's own.
        return own[torch.tensor(tokens) - (self.counts[row] - len(own))]

    def _own(self, states: Tensor) -> Tensor:
        own = states[:, self._places.to(states.device)]
        if self._absent is None:
            return own
        # Zeroed, for what stands there is another row's, and unseen NaN is NaN still.
        return own.masked_fill(self._absent.to(states.device)[..., None], 0)

    def followed(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> "_Group":
        """Go on with these rows, each by its next tokens."""
        assert self._memory is not None
        if list(rows) != list(range(len(self.rows))):
            for kept in self._memory.values():
                kept.keep(rows)
        counts = [self.counts[row] + len(ids) for row, ids in zip(rows, tokens, strict=True)]
        offsets = [self._offsets[row] for row in rows]
        return _Group((), tokens, counts, offsets, self._seen[list(rows)], self._memory)


def _begun(rows: Sequence[Row], keeps: bool) -> _Group:
    shared = rows[0].shared
    return _Group(
        rows[0].ids[:shared],
        [row.ids[shared:] for row in rows],
        [len(row.ids) for row in rows],
        [row.offset for row in rows],
        torch.zeros(len(rows), 0, dtype=torch.bool),
        {} if keeps else None,
    )


class _Kept:
    """Keys and values of a group in one layer: the shared ones, and those of its rows as they grow."""

    def __init__(self, shared: tuple[Tensor, Tensor]) -> None:
        # Copied, so that the keys and values of the whole line can go.
        keys, values = shared
        self.shared = keys.clone(), values.clone()
        self._own = _Growing(), _Growing()

    def followed(self, own: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Append keys and values [key heads, rows, tokens, width]; return all."""
        (keys, values), (new_keys, new_values) = self._own, own
        return keys.followed(new_keys), values.followed(new_values)

    def at(self, row: int, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of a row at columns of its own."""
        keys, values = (states.at(row, columns) for states in self._own)
        return keys, values

    def put(self, row: int, columns: Tensor, states: tuple[Tensor, Tensor]) -> None:
        """Put keys and values of a row at columns of its own."""
        for own, new in zip(self._own, states, strict=True):
            own.put(row, columns, new)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows, one of which may be named twice."""
        for states in self._own:
            states.keep(rows)


class _Growing:
    """States [heads, rows, tokens, width] that grow along their tokens, into room that is made ahead."""

    _states: Tensor | None = None
    _held = 0

    def followed(self, new: Tensor) -> Tensor:
        """Append states [heads, rows, tokens, width]; return all that there are by now, without a copy."""
        held, end = self._held, self._held + new.shape[2]
        if self._states is None:
            # Not copied for room that may never be needed: prompts are most of it.
            self._states = new
        else:
            if self._states.shape[2] < end:
                heads, rows, _, width = new.shape
                room = new.new_empty(heads, rows, end + STRIDE, width)
                room[:, :, :held] = self._states[:, :, :held]
                self._states = room
            self._states[:, :, held:end] = new
        self._held = end
        return self._states[:, :, :end]

    def at(self, row: int, columns: Tensor) -> Tensor:
        """Return the states [heads, columns, width] of a row."""
        assert self._states is not None
        return self._states[:, row, columns.to(self._states.device)]

    def put(self, row: int, columns: Tensor, states: Tensor) -> None:
        """Put states [heads, columns, width] in the place of a row's."""
        assert self._states is not None
        self._states[:, row, columns.to(self._states.device)] = states.to(self._states)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows, without the room behind them: it is made again where they go on."""
        assert self._states is not None
        self._states = self._states[:, list(rows), : self._held]
