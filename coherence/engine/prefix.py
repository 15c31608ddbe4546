"""Shared beginnings: what the rows of a group have in common is run once, and its cache is shared."""

from collections.abc import Hashable, Sequence
from itertools import takewhile

import torch
from transformers import Cache

from coherence.engine.cache import empty_cache, select_shifted, shifted
from coherence.engine.host import Host
from coherence.engine.rows import Padded, Row


def begun(host: Host, batch: Sequence[Row]) -> tuple[Padded, Cache]:
    """Run the shared beginnings of a batch, each once; return what is left to run, and the cache for it.

    To be called under the batch's switched adapters. Where a group shares nothing, everything is left to run.
    """
    heads = _heads(batch)
    if not all(head.ids for head in heads.values()):
        return Padded.of(batch, host.pad, host.device), empty_cache()
    cache = empty_cache()
    padded = Padded.of(list(heads.values()), host.pad, host.device)
    with host.put(list(heads.values())):
        host.core(**padded.inputs(), past_key_values=cache, use_cache=True)
    place = {group: index for index, group in enumerate(heads)}
    own = torch.tensor([place[row.group] for row in batch])
    rests = [len(row.ids) - len(heads[row.group].ids) for row in batch]
    # A shorter row shares less, so that all padding is on the left: a gap between the beginning and the rest
    # would push real tokens out of a sliding window.
    shift = max(rests) - torch.tensor(rests)
    select_shifted(cache, own, shift)
    mask = shifted(padded.mask[own].long(), shift, dim=1).bool()
    rest = Padded.of([row.cut(-max(rests), len(row.ids)) for row in batch], host.pad, host.device)
    return Padded(rest.ids, torch.cat([mask, rest.mask], dim=1)), cache


def _heads(batch: Sequence[Row]) -> dict[Hashable, Row]:
    groups: dict[Hashable, list[Row]] = {}
    for row in batch:
        groups.setdefault(row.group, []).append(row)
    return {group: rows[0].cut(0, 0 if group is None else _shared(rows)) for group, rows in groups.items()}


def _shared(rows: Sequence[Row]) -> int:
    # What the least and the greatest have in common, all have in common.
    pairs = zip(min(row.ids for row in rows), max(row.ids for row in rows), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return min(common, *(row.first_read for row in rows))
