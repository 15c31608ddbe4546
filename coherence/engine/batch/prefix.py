"""Shared beginnings: what the rows of a group have in common is run once for all of them."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import takewhile

from coherence.engine.batch.rows import Row


def with_shared(rows: Iterable[Row]) -> list[Row]:
    """Say of every row how many tokens it shares with its group: none without a group, or alone in it."""
    listed = list(rows)
    groups: dict[Hashable, list[Row]] = {}
    for row in listed:
        groups.setdefault(row.group, []).append(row)
    shared = {group: 0 if group is None else _shared(members) for group, members in groups.items()}
    return [replace(row, shared=shared[row.group]) for row in listed]


def _shared(rows: Sequence[Row]) -> int:
    if len(rows) == 1:
        return 0
    # What the least and the greatest have in common, all have in common.
    pairs = zip(min(row.ids for row in rows), max(row.ids for row in rows), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return min(common, *(row.first_read for row in rows))
