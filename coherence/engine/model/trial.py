"""The trial of a base: which ways of running it give the numbers of the model's own plain calls."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import accumulate, chain
from math import inf
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from coherence.engine.batch.budget import out_of_memory
from coherence.engine.batch.layout import Layout
from coherence.engine.batch.rows import Arrangement, Continuation, Exchange, Row
from coherence.engine.interventions.taps import Taps, sum_over
from coherence.engine.model.quantization import Quantization
from coherence.engine.model.rounding import rounding
from coherence.errors import ArtefactError, CoherenceError, first_line
from coherence.vocabulary import Decoding

# Of the sample, with which both texts begin. Short, for a sliding window may be.
_BEGINNING = 6
_AN_ANSWER = (Continuation(Decoding(max_new_tokens=1), (Exchange(),)),)

_Compared = Iterator[tuple[str, Tensor, Tensor]]


def agree(measured: Tensor, expected: Tensor, kind: Quantization | None = None) -> bool:
    """Tell whether vectors [..., size] are the same but for rounding; NaN is like nothing."""
    if measured.shape != expected.shape:
        return False
    share = rounding(str(expected.dtype).removeprefix("torch."), kind)
    bounds = share * expected.abs().amax(dim=-1, keepdim=True)
    return bool(((measured - expected).abs() <= bounds).all())


class _Plain(NamedTuple):
    """What a plain call gives: residuals [blocks + 1, tokens, width] and logits [tokens, vocabulary]."""

    residuals: Tensor
    logits: Tensor


class _Tried(Protocol):
    """What is tried: a `Host`, which asks for the trial of itself."""

    blocks: nn.ModuleList
    width: int

    @property
    def quantization(self) -> Quantization | None: ...
    def switched(self, adapters: tuple[()]) -> AbstractContextManager[None]: ...
    def arranged(self, row: Row) -> Row: ...
    def laid_out(self, rows: Sequence[Row]) -> Layout: ...
    def put(self, rows: Sequence[Row], layout: Layout) -> AbstractContextManager[None]: ...
    def logits(self, layout: Layout) -> Tensor: ...
    def run_decoder(self, layout: Layout, depth: int) -> None: ...
    def called(self, ids: Sequence[int]) -> Tensor: ...


class BaseTrial:
    """Two short texts as plain calls of a model read them, and as our ways of running it do.

    They begin alike and differ in length. One goes on alone, then both by several tokens at once.
    """

    def __init__(self, host: _Tried, sample: Sequence[int]) -> None:
        begun = tuple(sample[:_BEGINNING])
        more = [begun[place % len(begun)] for place in range(_BEGINNING)]
        self._host, self._shared = host, len(begun)
        self._texts: list[list[tuple[int, ...]]] = [
            [(*begun, more[0]), (more[1],), (more[2], more[3])],
            [(*begun, *more[1:4]), (more[4],), (more[5], more[0])],
        ]

    @property
    def longest(self) -> int:
        """Tokens of the longer text."""
        return len([*chain(*self._texts[1])])

    @cached_property
    def is_sound(self) -> bool:
        """Whether the model's own numbers are finite; else there is nothing to compare, whatever the way."""
        return all(bool(values.isfinite().all()) for of in self._plain for values in of)

    def difference(self, arrangement: Arrangement) -> str | None:
        """Say what is other than in plain calls where rows lie so, None when nothing is.

        A model that cannot be called plainly, or has no residual stream to be read, is an ArtefactError.
        """
        plain = self._plain
        try:
            with self._host.switched(()):
                compared = self._compared(arrangement, plain)
                return next((f"{what} differ" for what, *both in compared if not self._agree(*both)), None)
        except Exception as problem:
            if out_of_memory(problem):
                raise ArtefactError(
                    f"leaves no memory to be run in: there is none for two texts of {self.longest} tokens; "
                    "expected a smaller base, or a machine with more memory"
                ) from problem
            # Whatever a family's own code raises there, and for whatever reason: that way is not one for it.
            return first_line(problem) or type(problem).__name__

    def reads_in_part(self) -> bool:
        """Tell whether the decoder gives a plain call's residuals by itself, ended before its last blocks."""
        depth = max(1, len(self._host.blocks) // 2)
        row, plain = self._host.arranged(Row(self._texts[0][0])), self._plain[0]
        layout = self._host.laid_out([row])
        try:
            with self._host.switched(()), self._taps(layout, depth) as taps:
                self._host.run_decoder(layout, depth)
            measured = taps.stacked()[0, :, :-1]
        except Exception:
            # As above; such a model is run as a whole.
            return False
        return self._agree(measured, plain.residuals[: depth + 1, len(row.ids) - 1])

    def _agree(self, measured: Tensor, expected: Tensor) -> bool:
        return agree(measured, expected, self._host.quantization)

    @cached_property
    def _plain(self) -> list[_Plain]:
        try:
            with self._host.switched(()):
                return [self._called([*chain(*parts)]) for parts in self._texts]
        except CoherenceError:
            raise
        except Exception as problem:
            raise ArtefactError(f"cannot be run: {first_line(problem)}") from problem

    def _called(self, ids: Sequence[int]) -> _Plain:
        with Taps(self._host.blocks, self._whole) as taps:
            logits = self._host.called(ids)
        return _Plain(taps.stacked()[0], logits[0])

    def _whole(self, hidden: Tensor, depth: int) -> Tensor:
        if hidden.dim() != 3 or hidden.shape[-1] != self._host.width:
            raise ArtefactError(
                f"passes values of the shape {list(hidden.shape)} between its blocks; expected one residual "
                f"stream, [lines, tokens, {self._host.width}]"
            )
        return hidden

    def _rows(self, arrangement: Arrangement) -> list[Row]:
        shared = self._shared if arrangement is Arrangement.PACKED else 0
        return [
            Row(parts[0], arrangement=arrangement, group=0, shared=shared, continuations=_AN_ANSWER)
            for parts in self._texts
        ]

    def _compared(self, arrangement: Arrangement, plain: Sequence[_Plain]) -> _Compared:
        rows = self._rows(arrangement)
        ends = [[end - 1 for end in accumulate(map(len, parts))] for parts in self._texts]
        expected = [of.logits[ends_of] for of, ends_of in zip(plain, ends, strict=True)]
        residuals = [of.residuals[:, end[0]] for of, end in zip(plain, ends, strict=True)]
        batches = [[0], [1]] if arrangement is Arrangement.ALONE else [[0, 1]]
        for batch in batches:
            layout = self._host.laid_out([rows[text] for text in batch])
            with self._taps(layout, len(self._host.blocks)) as taps:
                measured = self._run([rows[text] for text in batch], layout)
            yield "logits of prompts", measured, torch.stack([expected[text][0] for text in batch])
            read = torch.stack([residuals[text] for text in batch])
            yield "residuals of prompts", taps.stacked()[:, :, :-1], read
        if arrangement.keeps:
            yield from self._followed(rows, layout, expected)

    def _followed(self, rows: Sequence[Row], layout: Layout, expected: Sequence[Tensor]) -> _Compared:
        first, second = self._texts
        if rows[0].packed:
            # The first row waits, and then has a turn of several tokens with the other.
            layout = layout.followed([(), second[1]], [0, 1])
            yield "logits of a row that goes on alone", self._run(rows, layout), expected[1][1:2]
            layout = layout.followed([[*first[1], *first[2]], second[2]], [0, 1])
            yield "logits after a turn", self._run(rows, layout), torch.stack([of[2] for of in expected])
            return
        # The padded one of the two.
        layout = layout.followed([first[1]], [0])
        yield "logits of a row that goes on alone", self._run(rows[:1], layout), expected[0][1:2]

    def _run(self, rows: Sequence[Row], layout: Layout) -> Tensor:
        with self._host.put(rows, layout):
            return self._host.logits(layout)

    def _taps(self, layout: Layout, depth: int) -> Taps:
        """Read the last token of every row, [rows, depth + 1, width + 1]."""
        spans = [range(end - 1, end) for end in layout.bounds[1:]]
        return Taps(self._host.blocks[:depth], sum_over(spans, torch.full((depth + 1,), inf)))
