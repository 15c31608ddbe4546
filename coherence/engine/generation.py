"""Replies: cache-carrying batches, finished rows dropped, a row's sample independent of its batch mates."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from coherence.engine.host import Host
from coherence.engine.prefix import begun, shared_lengths
from coherence.engine.rows import Row, batches
from coherence.errors import MeasurementError
from coherence.vocabulary import Decoding

TOKENS_PER_BATCH = 12_288
ROWS_PER_BATCH = 48


@dataclass(frozen=True, eq=False)
class Asked(Row):
    """A row that is to be answered."""

    decoding: Decoding = field(kw_only=True)


def replies(host: Host, rows: Sequence[Asked]) -> Iterator[tuple[Asked, str | MeasurementError]]:
    """Yield each row with its reply, special tokens stripped, or with what went wrong in that row."""
    shared = shared_lengths(rows)
    for decoding in dict.fromkeys(row.decoding for row in rows):
        alike = [row for row in rows if row.decoding == decoding]
        for batch in batches(alike, TOKENS_PER_BATCH, ROWS_PER_BATCH):
            drafts = [_Draft(row, decoding) for row in batch]
            _decode(host, drafts, shared, decoding.max_new_tokens)
            for draft in drafts:
                yield draft.row, draft.problem or _text(host, draft.ids)


def _text(host: Host, ids: list[int]) -> str:
    text = host.tokenizer.decode(ids, skip_special_tokens=True)
    assert isinstance(text, str)
    return text.strip()


def _decode(host: Host, drafts: Sequence["_Draft"], shared: Mapping[Hashable, int], limit: int) -> None:
    stops = stop_tokens(host)
    with host.under(drafts[0].row.adapters):
        padded, cache = begun(host, [draft.row for draft in drafts], shared)
        for _ in range(limit):
            with host.steered([draft.row.deltas for draft in drafts]):
                logits = host.model(**padded.inputs(), past_key_values=cache, logits_to_keep=1).logits[:, -1]
            going = [
                draft.extend(row, stops) for draft, row in zip(drafts, logits.float().cpu(), strict=True)
            ]
            kept = [place for place, goes_on in enumerate(going) if goes_on]
            if not kept:
                return
            if len(kept) < len(drafts):
                cache.batch_select_indices(torch.tensor(kept, device=host.device))
            drafts = [drafts[place] for place in kept]
            padded = padded.followed([draft.ids[-1] for draft in drafts], kept)


def stop_tokens(host: Host) -> set[int]:
    """Ids that end a reply: those of the generation config and the tokenizer's own."""
    configured = host.model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*listed, host.tokenizer.eos_token_id] if token is not None}


class _Draft:
    """The reply of one row so far: greedy, or sampled from a generator of the row's own."""

    def __init__(self, row: Asked, decoding: Decoding) -> None:
        self.row = row
        self.ids: list[int] = []
        self.problem: MeasurementError | None = None
        self._temperature = decoding.temperature
        self._generator = torch.Generator().manual_seed(_row_seed(row, decoding.seed))

    def extend(self, logits: Tensor, stops: set[int]) -> bool:
        """Append the next token; False when the reply has ended."""
        if not logits.isfinite().all():
            self.problem = MeasurementError(f"NaN or infinite logits while answering {self.row.label}")
            return False
        token = self._choose(logits)
        if token in stops:
            return False
        self.ids.append(token)
        return True

    def _choose(self, logits: Tensor) -> int:
        if self._temperature == 0:
            return int(logits.argmax())
        probabilities = (logits / self._temperature).softmax(dim=-1)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def _row_seed(row: Asked, seed: int) -> int:
    state = seed
    for token in row.ids:
        state = (state * 1_000_003 + token + 1) % (1 << 63)
    return state
