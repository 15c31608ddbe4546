"""Shared beginnings: what the rows of a group have in common is run once and its keys and values are shared."""

from collections.abc import Hashable, Mapping, Sequence
from os.path import commonprefix

import torch
from transformers import DynamicCache

from coherence.engine.host import Host
from coherence.engine.rows import Padded, Row


def shared_lengths(rows: Sequence[Row]) -> dict[Hashable, int]:
    """How many tokens the rows of each group have in common, ending before the first that any row is read at."""
    groups: dict[Hashable, list[Row]] = {}
    for row in rows:
        if row.group is not None:
            groups.setdefault(row.group, []).append(row)
    return {group: _shared(members) for group, members in groups.items()}


def begun(host: Host, batch: Sequence[Row], shared: Mapping[Hashable, int]) -> tuple[Padded, DynamicCache]:
    """Run the shared beginnings of a batch, each once; return what is left to run, and the cache to run it on.

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
    common = len(commonprefix([min(row.ids for row in rows), max(row.ids for row in rows)]))
    return min(common, *(row.first_read for row in rows))
