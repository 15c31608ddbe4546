"""How the source is laid out, in figures: `python benchmarks/house.py [FOLDER ...]`, a column a tree."""

import ast
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from rounds import table
from work import ROOT

SHORT = 40
"""Lines. A file that has fewer teaches by its name, or stands where it is used."""

_ROOM = "coherence.engine."
# Participles that stood for a dozen things each: results, replies, settings, measurements.
_VAGUE = {"asked", "found", "said", "wanted"}


@dataclass(frozen=True)
class Module:
    """A source file of the package. Its name is dotted, as imports have it."""

    name: str
    text: str

    @property
    def lines(self) -> int:
        """How long it is."""
        return self.text.count("\n")

    @cached_property
    def tree(self) -> ast.Module:
        """It parsed."""
        return ast.parse(self.text)

    @property
    def functions(self) -> list[int]:
        """Lines of each function, decorators left out."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        found = (node for node in ast.walk(self.tree) if isinstance(node, kinds))
        return [(node.end_lineno or node.lineno) - node.lineno + 1 for node in found]

    @property
    def classes(self) -> list[str]:
        """Names of its public classes."""
        found = (node.name for node in self.tree.body if isinstance(node, ast.ClassDef))
        return [name for name in found if not name.startswith("_")]

    @property
    def vague(self) -> int:
        """How often a variable, argument or attribute has a name that tells nothing of what it holds."""
        nodes = [*ast.walk(self.tree)]
        names = [node.id for node in nodes if isinstance(node, ast.Name)]
        names += [node.arg for node in nodes if isinstance(node, ast.arg)]
        names += [node.attr for node in nodes if isinstance(node, ast.Attribute)]
        return sum(name in _VAGUE for name in names)

    @property
    def imports(self) -> set[str]:
        """Modules of the package that it imports from, those under TYPE_CHECKING too."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom) and node.module]
        named = (f"{node.module}.{alias.name}" for node in nodes for alias in node.names)
        return {str(node.module) for node in nodes} | set(named)


@dataclass(frozen=True)
class House:
    """All modules of the package in a tree."""

    modules: tuple[Module, ...]

    @classmethod
    def read(cls, root: Path) -> "House":
        """Read the package under a root."""
        paths = sorted((root / "coherence").rglob("*.py"))
        return cls(
            tuple(
                Module(".".join(path.relative_to(root).with_suffix("").parts), path.read_text())
                for path in paths
            )
        )

    def figures(self) -> Iterator[tuple[str, str]]:
        """Yield what is counted, and how many there are."""
        sizes = [module.lines for module in self.modules]
        functions = [*chain.from_iterable(module.functions for module in self.modules)]
        arrows = self._arrows()
        yield "files", f"{len(sizes)}"
        yield "lines", f"{sum(sizes):,}"
        yield "lines of a file, median and 95 %", _spread(sizes)
        yield "lines of a function, median and 95 %", _spread(functions)
        yield (
            f"files under {SHORT} lines, `__init__` left out",
            f"{sum(one.lines < SHORT for one in self._own)}",
        )
        yield "modules of the engine", f"{len(self._engine)}"
        yield "arrows between modules of the engine", f"{sum(map(len, arrows.values()))}"
        rooms = _between(arrows)
        yield "rooms of the engine, and arrows between them", f"{len(rooms)}, {sum(map(len, rooms.values()))}"
        yield "floors of the engine's rooms", f"{_floors(rooms)}"
        yield "floors of the engine's modules", f"{_floors(arrows)}"
        yield "lines of `properties`", f"{sum(one.lines for one in self._under('coherence.properties')):,}"
        vague = sum(one.vague for one in self.modules)
        yield f"uses of {', '.join(sorted(_VAGUE))} as names", f"{vague:,}"
        yield (
            "public classes of one name",
            _repeated(chain.from_iterable(one.classes for one in self.modules)),
        )
        # Modules of `cli` are named after their commands, whatever those use.
        stems = [one for one in self._own if not one.name.startswith("coherence.cli.")]
        yield "files of one stem", _repeated(one.name.rpartition(".")[2] for one in stems)

    @property
    def _own(self) -> list[Module]:
        return [one for one in self.modules if not one.name.endswith("__init__")]

    @property
    def _engine(self) -> list[Module]:
        return [one for one in self._own if one.name.startswith(_ROOM)]

    def _under(self, package: str) -> list[Module]:
        return [one for one in self.modules if one.name.startswith(f"{package}.")]

    def _arrows(self) -> dict[str, set[str]]:
        names = {module.name for module in self._engine}
        return {module.name: (module.imports & names) - {module.name} for module in self._engine}


def _room(module: str) -> str:
    return module.removeprefix(_ROOM).partition(".")[0]


def _between(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for module, imported in arrows.items():
        found[_room(module)] |= {_room(one) for one in imported} - {_room(module)}
    return found


def _floors(arrows: dict[str, set[str]]) -> str:
    """Count the modules of the longest way down; a circle has no floors."""
    floors: dict[str, int] = {}
    left = dict(arrows)
    while left:
        ready = [name for name, below in left.items() if not below & left.keys()]
        if not ready:
            return f"a circle of {len(left)}"
        for name in ready:
            floors[name] = 1 + max((floors[below] for below in arrows[name]), default=0)
            del left[name]
    return str(max(floors.values(), default=0))


def _spread(lengths: Iterable[int]) -> str:
    middle, high = np.quantile([*lengths], (0.5, 0.95))
    return f"{middle:.0f}, {high:.0f}"


def _repeated(names: Iterable[str]) -> str:
    return str(sum(count > 1 for count in Counter(names).values()))


def main() -> None:
    """Print a table with a column for each tree."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="*", type=Path, default=[ROOT], metavar="FOLDER")
    trees = parser.parse_args().trees
    columns = [dict(House.read(tree).figures()) for tree in trees]
    rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
    table("the house", ("", *(tree.resolve().name for tree in trees)), rows)


if __name__ == "__main__":
    main()
