"""One pass over a batch of rows: residuals, log-probabilities and replies, whatever each row wants."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from coherence.engine.batch.budget import Budget, Outcomes
from coherence.engine.batch.layout import Layout
from coherence.engine.batch.prefix import with_shared
from coherence.engine.batch.rows import Row, Span
from coherence.engine.interventions.taps import SINK_RATIO, Taps, median_norm, sum_over
from coherence.engine.model.generation import answer, too_long
from coherence.engine.model.host import Host
from coherence.engine.model.means import finite, mean_of
from coherence.errors import CoherenceError, MeasurementError


def run(host: Host, rows: Sequence[Row], norms: Tensor, budget: Budget) -> Outcomes:
    """Give what is wanted of the rows, by name, each with its value or what went wrong.

    `norms` [blocks + 1] are the base's median token norms. Values: of a span, fp32 residuals
    [through + 1, width], averaged over its tokens; what a score makes of log-probabilities
    in nats; an `Answer`.
    """
    for row in rows:
        if len(row.ids) > host.window:
            yield from dict.fromkeys(row.outputs, too_long(len(row.ids), host.window, row.label)).items()
    within = [row for row in rows if len(row.ids) <= host.window]
    arranged = [host.arranged(row) for row in within]
    packed = with_shared(row for row in arranged if row.packed)
    others = [row for row in arranged if not row.packed]
    yield from budget.spend([*packed, *others], partial(_run, host, SINK_RATIO * norms))


def token_norms(host: Host, rows: Sequence[Row], budget: Budget) -> Tensor:
    """Median token norms of rows without adapters and steering, [rows, blocks + 1].

    A MeasurementError when they are not finite.
    """

    def measure(batch: Sequence[Row]) -> Outcomes:
        layout = host.laid_out(batch)
        pool = median_norm(_spans(batch, layout))
        with host.switched(()), host.put(batch, layout), Taps(host.blocks, pool) as taps:
            host.read(layout, len(host.blocks))
        for row, value in zip(batch, taps.stacked(), strict=True):
            yield from ((place, finite(value, row.label)) for place in row.spans)

    named = [
        replace(row, arrangement=host.unpacked, spans={place: Span(0, len(row.ids), len(host.blocks))})
        for place, row in enumerate(rows)
    ]
    values = dict(budget.spend(named, measure))
    for value in values.values():
        if isinstance(value, CoherenceError):
            raise value
    return torch.stack([values[place] for place in range(len(rows))])[:, :, 0]


def _run(host: Host, sinks: Tensor, batch: Sequence[Row]) -> Outcomes:
    with host.switched(batch[0].switched, batch[0].way):
        if batch[0].wants_logits:
            yield from _whole(host, sinks, batch)
            return
        deepest = max(1, *(span.through for row in batch for span in row.spans.values()))
        batch = [row.through(deepest) for row in batch]
        layout = host.laid_out(batch)
        pool = sum_over(_spans(batch, layout), sinks)
        with host.put(batch, layout), Taps(host.blocks[:deepest], pool) as taps:
            host.read(layout, deepest)
        yield from _read(batch, taps.stacked())


def _whole(host: Host, sinks: Tensor, batch: Sequence[Row]) -> Outcomes:
    layout = host.laid_out(batch)
    counts = [row.logits for row in batch]
    spans = _spans(batch, layout)
    taps = Taps(host.blocks, sum_over(spans, sinks)) if spans else None
    with host.put(batch, layout), taps or nullcontext():
        logits = torch.split(host.logits(layout, counts), counts)
    if taps:
        yield from _read(batch, taps.stacked())
    yield from _scored(batch, logits)
    if any(row.continuations for row in batch):
        yield from answer(host, batch, layout, torch.stack([of_row[-1] for of_row in logits]), sinks)


def _spans(batch: Sequence[Row], layout: Layout) -> list[range]:
    return [
        range(start + span.first, start + span.end)
        for start, row in zip(layout.starts, batch, strict=True)
        for span in row.spans.values()
    ]


def _read(batch: Sequence[Row], sums: Tensor) -> Outcomes:
    names = [(row, name, span) for row in batch for name, span in row.spans.items()]
    for (row, name, span), of_span in zip(names, sums, strict=True):
        yield name, mean_of(of_span[: span.through + 1], row.label)


def _scored(batch: Sequence[Row], logits: Sequence[Tensor]) -> Outcomes:
    for row, of_row in zip(batch, logits, strict=True):
        if row.log_probs is not None:
            scores = of_row.float().log_softmax(dim=-1).cpu()
            sound = bool(scores.isfinite().all())
            wrong = MeasurementError(f"NaN or infinite logits for {row.label}")
            yield row.log_probs, row.score.value(scores) if sound else wrong
