"""Shared beginnings: what the rows of a group have in common is run once, and its cache is shared."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import takewhile

import torch
from transformers import DynamicCache

from coherence.engine.host import Host
from coherence.engine.rows import Padded, Row


def shared_lengths(rows: Sequence[Row]) -> dict[Hashable, int]:
    """Count the tokens that the rows of each group have in common, before the first that is read of any."""
    groups: dict[Hashable, list[Row]] = {}
    for row in rows:
        if row.group is not None:
            groups.setdefault(row.group, []).append(row)
    return {group: _shared(members) for group, members in groups.items()}


def begun(host: Host, batch: Sequence[Row], shared: Mapping[Hashable, int]) -> tuple[Padded, DynamicCache]:
    """Run the shared beginnings of a batch, each once; return what is left to run, and the cache for it.

    To be called under the batch's adapters. Where a group shares nothing, everything is left to run.
    """
    heads = {row.group: row.cut(0, shared.get(row.group, 0)) for row in batch}
    if not all(head.ids for head in heads.values()):
        return Padded.of(batch, host.pad, host.device), DynamicCache()
    cache = DynamicCache()
    padded = Padded.of(list(heads.values()), host.pad, host.device)
    with host.steered([head.deltas for head in heads.values()]):
        host.core(**padded.inputs(), past_key_values=cache, use_cache=True)
    place = {group: index for index, group in enumerate(heads)}
    own = torch.tensor([place[row.group] for row in batch], device=host.device)
    cache.batch_select_indices(own)
    rest = Padded.of([row.cut(shared[row.group], len(row.ids)) for row in batch], host.pad, host.device)
    return Padded(rest.ids, torch.cat([padded.mask[own], rest.mask], dim=1)), cache


def _shared(rows: Sequence[Row]) -> int:
    # What the least and the greatest have in common, all have in common.
    pairs = zip(min(row.ids for row in rows), max(row.ids for row in rows), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return min(common, *(row.first_read for row in rows))
