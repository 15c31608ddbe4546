"""Forward passes without generation: pooled residuals, and next-token log-probabilities."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from coherence.engine.host import Host
from coherence.engine.prefix import begun, shared_lengths
from coherence.engine.rows import Padded, Row, batches
from coherence.engine.taps import Pool, Taps, mean_over, median_norm
from coherence.errors import MeasurementError

Measured = Tensor | MeasurementError

TOKENS_PER_BATCH = 8192
ROWS_PER_BATCH = 64


def residuals(host: Host, rows: Sequence[Row]) -> Iterator[tuple[Row, Measured]]:
    """Yield each row with its fp32 residuals [blocks + 1, width], averaged over the row's span of tokens."""
    shared = shared_lengths(rows)
    return _collect(
        host, rows, shared, lambda batch, padded: mean_over(_spans(batch, padded.present), padded.present)
    )


def token_norms(host: Host, rows: Sequence[Row]) -> Iterator[tuple[Row, Measured]]:
    """Yield each row with the median norm of its tokens at every depth, [blocks + 1, 1]."""
    return _collect(host, rows, {}, lambda batch, padded: median_norm(padded.present))


def next_tokens(host: Host, rows: Sequence[Row]) -> Iterator[tuple[Row, Measured]]:
    """Yield each row with the fp32 log-probabilities [vocabulary] of the token after it."""
    shared = shared_lengths(rows)
    for batch in batches(rows, TOKENS_PER_BATCH, ROWS_PER_BATCH):
        with host.under(batch[0].adapters):
            padded, cache = begun(host, batch, shared)
            with host.steered([row.deltas for row in batch]):
                logits = host.model(**padded.inputs(), past_key_values=cache, logits_to_keep=1).logits[:, -1]
        yield from _checked(batch, logits.float().log_softmax(dim=-1).cpu())


def _collect(
    host: Host,
    rows: Sequence[Row],
    shared: Mapping[Hashable, int],
    pool: Callable[[list[Row], Padded], Pool],
) -> Iterator[tuple[Row, Measured]]:
    for batch in batches(rows, TOKENS_PER_BATCH, ROWS_PER_BATCH):
        with host.under(batch[0].adapters):
            padded, cache = begun(host, batch, shared)
            with host.steered([row.deltas for row in batch]), Taps(host.blocks, pool(batch, padded)) as taps:
                host.core(**padded.inputs(), past_key_values=cache)
        yield from _checked(batch, taps.stacked())


def _spans(batch: Sequence[Row], present: Tensor) -> Tensor:
    spans = torch.zeros_like(present)
    for index, row in enumerate(batch):
        start = present.shape[1] - len(row.ids)
        first, end = row.span
        spans[index, start + first : start + end] = True
    return spans


def _checked(batch: Sequence[Row], values: Tensor) -> Iterator[tuple[Row, Measured]]:
    for row, value in zip(batch, values, strict=True):
        yield row, value if value.isfinite().all() else MeasurementError(_not_finite(row, value))


def _not_finite(row: Row, value: Tensor) -> str:
    if value.dim() == 1:
        return f"NaN or infinite logits for {row.label}"
    depth = int((~value.isfinite()).any(dim=1).nonzero()[0])
    site = "resid_pre.0" if depth == 0 else f"resid_post.{depth - 1}"
    return f"NaN or infinite activation at {site} for {row.label}"
