"""How the cores and GPUs of a cluster are shared out among actors."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from coherence.errors import EngineError

# As many threads as still help with a small model.
CORES = 4


class Node(NamedTuple):
    """What a machine of the cluster has."""

    cores: int
    gpus: int


class Shares(NamedTuple):
    """How many actors there are, and what each of them gets. Less than one GPU is shared with others."""

    actors: int
    cores: int
    gpus: float


def shares(nodes: Sequence[Node], actors: int | None = None) -> Shares:
    """Share out nodes among actors, each of which is on one node.

    By default one actor per GPU; without any, one per 4 cores, but two where there are two cores.
    An EngineError when there are more actors than cores.
    """
    cores, gpus = [node.cores for node in nodes], [node.gpus for node in nodes]
    count = actors or sum(gpus) or max(sum(count // CORES for count in cores), min(2, sum(cores)))
    each = _largest(cores, count)
    if not each:
        raise EngineError(f"{count} actors were asked for, but the cluster has {sum(cores)} cores")
    return Shares(count, each, _largest(gpus, count) or _part(sum(gpus), count))


def _part(gpus: int, actors: int) -> float:
    return 1 / ceil(actors / gpus) if gpus else 0


def _largest(counts: Sequence[int], actors: int) -> int:
    """Return the largest part of which there are so many in the counts; 0 when even ones are too few."""
    parts = range(max(counts, default=0), 0, -1)
    return next((part for part in parts if sum(count // part for count in counts) >= actors), 0)
