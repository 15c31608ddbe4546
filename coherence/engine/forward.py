"""One pass over a batch of rows: residuals, log-probabilities and replies, whatever each row wants."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from coherence.engine.blocks import truncated
from coherence.engine.budget import Budget, Found
from coherence.engine.generation import answer
from coherence.engine.host import Host
from coherence.engine.means import finite, mean_of
from coherence.engine.prefix import begun
from coherence.engine.rows import Padded, Row, Span
from coherence.engine.taps import SINK_RATIO, Pool, Taps, median_norm, sum_over
from coherence.errors import MeasurementError


def run(host: Host, rows: Sequence[Row], norms: Tensor, budget: Budget) -> Found:
    """Give what is wanted of the rows, by name, each with its value or what went wrong.

    `norms` [blocks + 1] are the base's median token norms. Values: of a span, fp32 residuals
    [through + 1, width], averaged over its tokens; log-probabilities [vocabulary] in nats; an `Answer`.
    """
    return budget.spend(rows, partial(_run, host, SINK_RATIO * norms))


def token_norms(host: Host, rows: Sequence[Row], budget: Budget) -> Tensor:
    """Median token norms of rows without adapters and steering, [rows, blocks + 1].

    A MeasurementError when they are not finite.
    """

    def measure(batch: Sequence[Row]) -> Found:
        padded = Padded.of(batch, host.pad, host.device)
        with host.switched(()), Taps(host.blocks, median_norm(padded.present)) as taps:
            host.core(**padded.inputs(), use_cache=False)
        for row, value in zip(batch, taps.stacked(), strict=True):
            yield from ((place, finite(value, row.label)) for place in row.spans)

    named = [
        replace(row, spans={place: Span(0, len(row.ids), len(host.blocks))}) for place, row in enumerate(rows)
    ]
    found = dict(budget.spend(named, measure))
    for value in found.values():
        if isinstance(value, MeasurementError):
            raise value
    return torch.stack([found[place] for place in range(len(rows))])[:, :, 0]


def _run(host: Host, sinks: Tensor, batch: Sequence[Row]) -> Found:
    with host.switched(batch[0].switched):
        if batch[0].wants_logits:
            yield from _whole(host, sinks, batch)
            return
        deepest = max(1, *(span.through for row in batch for span in row.spans.values()))
        batch = [row.steered_to(deepest) for row in batch]
        with truncated(host.model, host.blocks, deepest):
            padded, cache = begun(host, batch)
            with host.put(batch), Taps(host.blocks[:deepest], _pool(batch, padded, sinks)) as taps:
                host.core(**padded.inputs(), past_key_values=cache)
        yield from _read(batch, taps.stacked())


def _whole(host: Host, sinks: Tensor, batch: Sequence[Row]) -> Found:
    padded, cache = begun(host, batch)
    read = any(row.spans for row in batch)
    taps = Taps(host.blocks, _pool(batch, padded, sinks)) if read else None
    with host.put(batch), taps or nullcontext():
        logits = host.model(**padded.inputs(), past_key_values=cache, logits_to_keep=1).logits[:, -1]
    if taps:
        yield from _read(batch, taps.stacked())
    yield from _scored(batch, logits)
    yield from answer(host, batch, padded, cache, logits, sinks)


def _pool(batch: Sequence[Row], padded: Padded, sinks: Tensor) -> Pool:
    masks = torch.zeros(
        len(batch), max(len(row.spans) for row in batch), padded.ids.shape[1], dtype=torch.bool
    )
    for index, row in enumerate(batch):
        # Rows end in the last column, whatever was run of their beginnings.
        start = masks.shape[2] - len(row.ids)
        for place, span in enumerate(row.spans.values()):
            masks[index, place, start + span.first : start + span.end] = True
    return sum_over(masks, sinks)


def _read(batch: Sequence[Row], sums: Tensor) -> Found:
    for row, of_row in zip(batch, sums, strict=True):
        for place, (name, span) in enumerate(row.spans.items()):
            yield name, mean_of(of_row[: span.through + 1, place], row.label)


def _scored(batch: Sequence[Row], logits: Tensor) -> Found:
    for row, of_row in zip(batch, logits, strict=True):
        if row.log_probs is not None:
            scores = of_row.float().log_softmax(dim=-1).cpu()
            sound = bool(scores.isfinite().all())
            yield (
                row.log_probs,
                scores if sound else MeasurementError(f"NaN or infinite logits for {row.label}"),
            )
