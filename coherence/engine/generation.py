"""Replies: all of a batch go on from one prefill, finished ones are dropped, none depends on its mates."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from coherence.engine.budget import Found
from coherence.engine.host import Host
from coherence.engine.layout import Layout
from coherence.engine.means import mean_of
from coherence.engine.rows import Asked, Row
from coherence.engine.taps import Taps, sum_over
from coherence.errors import MeasurementError
from coherence.plan import Answer


def answer(host: Host, batch: Sequence[Row], layout: Layout, logits: Tensor, sinks: Tensor) -> Found:
    """Yield the replies that rows want, and the mean residuals of their tokens, by name.

    `layout` is that of a pass that gave `logits` [rows, vocabulary] for the first tokens.
    """
    stops = stop_tokens(host)
    drafts = [(place, _Draft(row, asked, stops)) for place, row in enumerate(batch) for asked in row.asked]
    if drafts:
        _decode(host, [draft for _, draft in drafts], [place for place, _ in drafts], layout, logits, sinks)
    for _, draft in drafts:
        yield from draft.results(host)


def stop_tokens(host: Host) -> set[int]:
    """Ids that end a reply: those of the generation config and the tokenizer's own."""
    configured = host.model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*listed, host.tokenizer.eos_token_id] if token is not None}


def _decode(
    host: Host, drafts: list["_Draft"], kept: list[int], layout: Layout, logits: Tensor, sinks: Tensor
) -> None:
    logits = logits[kept]
    while True:
        going = [draft.extend(row) for draft, row in zip(drafts, logits.float().cpu(), strict=True)]
        drafts = [draft for draft, goes_on in zip(drafts, going, strict=True) if goes_on]
        kept = [place for place, goes_on in zip(kept, going, strict=True) if goes_on]
        if not drafts:
            return
        layout = layout.followed([draft.ids[-1:] for draft in drafts], kept)
        kept = list(range(len(drafts)))
        logits = _step(host, drafts, layout, sinks)


def _step(host: Host, drafts: Sequence["_Draft"], layout: Layout, sinks: Tensor) -> Tensor:
    read = [place for place, draft in enumerate(drafts) if draft.is_read]
    taps = Taps(host.blocks, sum_over([range(place, place + 1) for place in read], sinks)) if read else None
    with host.put([draft.row for draft in drafts], layout), taps or nullcontext():
        logits = host.logits(layout)
    if taps:
        for place, sums in zip(read, taps.stacked(), strict=True):
            drafts[place].hear(sums)
    return logits


class _Draft:
    """One reply so far: greedy, or sampled from a generator of its own."""

    def __init__(self, row: Row, asked: Asked, stops: set[int]) -> None:
        self.row = row
        self.ids: list[int] = []
        self.is_read = bool(asked.means)
        self._asked = asked
        self._stops = stops
        self._problem: MeasurementError | None = None
        self._sums: Tensor | None = None
        self._generator = torch.Generator().manual_seed(_seed_of(row, asked.decoding.seed))

    def extend(self, logits: Tensor) -> bool:
        """Append the next token; False when the reply has ended and nothing more of it is to be run."""
        limit = self._asked.decoding.max_new_tokens
        if len(self.ids) == limit:
            return False
        if not logits.isfinite().all():
            self._problem = MeasurementError(f"NaN or infinite logits while answering {self.row.label}")
            return False
        token = self._choose(logits)
        if token in self._stops:
            return False
        self.ids.append(token)
        return len(self.ids) < limit or self.is_read

    def hear(self, sums: Tensor) -> None:
        """Add the residuals [blocks + 1, width + 1] of the token that was appended last."""
        self._sums = sums if self._sums is None else self._sums + sums

    def results(self, host: Host) -> Found:
        """Yield the reply and the means over its tokens that are wanted."""
        text = host.tokenizer.decode(self.ids, skip_special_tokens=True)
        assert isinstance(text, str)
        yield self._asked.reply, self._problem or Answer(text.strip(), tuple(self.ids))
        for name, through in self._asked.means.items():
            yield name, self._problem or self._mean(through)

    def _mean(self, through: int) -> Tensor | MeasurementError:
        if self._sums is None:
            return MeasurementError(f"the reply is empty, it has no response_mean: {self.row.label}")
        return mean_of(self._sums[: through + 1], self.row.label)

    def _choose(self, logits: Tensor) -> int:
        temperature = self._asked.decoding.temperature
        if temperature == 0:
            return int(logits.argmax())
        probabilities = (logits / temperature).softmax(dim=-1)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def _seed_of(row: Row, seed: int) -> int:
    state = seed
    for token in row.ids:
        state = (state * 1_000_003 + token + 1) % (1 << 63)
    return state
