"""What other distributions add to this one, by the entry points that they declare."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from coherence.errors import ExtensionError, first_line


@dataclass(frozen=True)
class Extension:
    """An entry point, and every other one of the same group and name."""

    entry: EntryPoint
    rivals: tuple[EntryPoint, ...] = ()

    @property
    def origin(self) -> str:
        """The distribution and its version, such as `coherence-brevity 0.1`."""
        return _origin(self.entry)

    def load(self) -> object:
        """Import what it names. An ExtensionError when that fails, or when it is not the only one."""
        if self.rivals:
            others = ", ".join(map(_origin, self.rivals))
            raise ExtensionError(f"{self.origin} and {others} add {self.entry.name!r}; remove all but one")
        try:
            return self.entry.load()
        except Exception as problem:  # anything may happen while somebody else's module is imported
            raise self.unusable(f"{type(problem).__name__}: {first_line(problem)}") from problem

    def unusable(self, why: str) -> ExtensionError:
        """Say that what it names is there and cannot be used."""
        return ExtensionError(f"{self.origin} adds {self.entry.name!r} ({self.entry.value}): {why}")


def declared(group: str) -> Mapping[str, Extension]:
    """Find what is declared under a group, by name. Nothing is imported."""
    named: dict[str, list[EntryPoint]] = defaultdict(list)
    for entry in entry_points(group=group):
        named[entry.name].append(entry)
    return {name: Extension(first, tuple(others)) for name, (first, *others) in sorted(named.items())}


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed distribution"
