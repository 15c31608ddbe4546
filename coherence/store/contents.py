"""What a store holds, in groups: of what kind, measured on which base, how large, and when used."""

from collections.abc import Iterable
from dataclasses import dataclass

from coherence.store.entry import DamagedError, read_key
from coherence.store.eviction import StoredFile


@dataclass(frozen=True)
class Group:
    """Entries of one kind of measurement on one base.

    `base` is the digest of the base, `size` in bytes, `oldest` and `newest` use in seconds since the epoch.
    """

    kind: str
    base: str
    entries: int
    size: int
    oldest: float
    newest: float


def contents(entries: Iterable[StoredFile]) -> list[Group]:
    """Group entries by what their keys say, unchecked; those without a key have the kind `damaged`."""
    groups: dict[tuple[str, str], list[StoredFile]] = {}
    for entry in entries:
        groups.setdefault(_belongs(entry), []).append(entry)
    return [_group(*names, groups[names]) for names in sorted(groups)]


def _belongs(entry: StoredFile) -> tuple[str, str]:
    try:
        key = read_key(entry.path)
    except (OSError, DamagedError):
        return "damaged", ""
    return str(key.get("kind", "")), str(key.get("base", ""))


def _group(kind: str, base: str, entries: list[StoredFile]) -> Group:
    uses = [entry.used for entry in entries]
    return Group(kind, base, len(entries), sum(entry.size for entry in entries), min(uses), max(uses))
