"""Vectors in what a file holds, and the one that a key of the suite names."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from coherence.engine.artefacts.vectors.content import Content, Held, Values
from coherence.engine.artefacts.vectors.layers import Layer, known_counts
from coherence.engine.artefacts.vectors.unfit import UnfitError
from coherence.errors import did_you_mean, listed
from coherence.vocabulary import Site
from coherence.vocabulary.release import Layers

_LAYER = ("layer", "layer_idx", "layer_index", "layer_number")


@dataclass(frozen=True, eq=False)
class LayerRow:
    """One array by its name, and the layer that it is of, if the file says."""

    name: str
    values: Values
    layer: Layer | None = None


@dataclass(frozen=True, eq=False)
class VectorEntry:
    """Vectors that belong together: one, or one for each layer.

    `stacked` are the rows of a list, which begins with the first layer. What the file says beside them: the
    `site` or `layer` that they are for, and what layers count in files of the tool that wrote them.
    """

    path: tuple[str, ...]
    rows: tuple[LayerRow, ...]
    stacked: bool = False
    site: Site | None = None
    layer: Layer | None = None
    counts: Layers | None = None

    @property
    def keys(self) -> list[str]:
        """The keys of what it is in, from the outside in, and its own."""
        return [spelled(self.path[:end]) for end in range(1, len(self.path) + 1)]

    def fits(self, width: int) -> bool:
        """Whether its arrays are as wide as the base, and of numbers."""
        return all(row.values.shape[-1] == width and not row.values.refused for row in self.rows)


def chosen(content: Content, key: str | None, width: int) -> VectorEntry:
    """Return the entry of a key, or the only one. An UnfitError names those that are there."""
    entries = [*_Search(content.counts).entries(content.held, VectorEntry((), ()))]
    if not entries:
        raise UnfitError("found no vector in it")
    key = content.preferred if key is None else key
    return _only(entries, width) if key is None else _at(entries, key, width)


def _only(entries: list[VectorEntry], width: int) -> VectorEntry:
    fitting = [entry for entry in entries if entry.fits(width)] or entries
    if len(fitting) > 1:
        raise UnfitError(
            f"it holds several vectors; write `key:` beside its path, one of {by_number(_keys(fitting))}"
        )
    return fitting[0]


def _at(entries: list[VectorEntry], key: str, width: int) -> VectorEntry:
    named = [entry for entry in entries if key in entry.keys]
    if named:
        return _only([entry for entry in named if spelled(entry.path) == key] or named, width)
    rows = [
        replace(entry, path=(*entry.path, row.name), rows=(row,), stacked=False)
        for entry in entries
        for row in entry.rows
        if row.name and spelled((*entry.path, row.name)) == key
    ]
    if not rows:
        raise UnfitError(_unknown(key, entries))
    return _only(rows, width)


def _unknown(key: str, entries: list[VectorEntry]) -> str:
    keys = _keys(entries)
    if not keys:
        return f"it has no names for `key: {key}` to choose by"
    return f"it holds nothing at `key: {key}`{did_you_mean(key, keys)}"


def _keys(entries: list[VectorEntry]) -> list[str]:
    """Return the shortest key of each entry; of one that has no name, those of its layers."""
    within = Counter(key for entry in entries for key in entry.keys)
    keys: list[str] = []
    for entry in entries:
        alone = next((key for key in entry.keys if within[key] == 1), spelled(entry.path))
        keys += [alone] if alone else [row.name for row in entry.rows if row.name]
    return keys


def spelled(path: tuple[str, ...]) -> str:
    """Spell a path as `key` has it."""
    return "/".join(path)


def by_number(names: Iterable[str]) -> str:
    """List names in the order of the numbers at their ends."""
    return listed(sorted(names, key=lambda name: (len(name), name)))


class _Search:
    """A walk through what a file holds; `counts` is what its format says that layers count."""

    def __init__(self, counts: Layers | None) -> None:
        self._counts = counts

    def entries(self, held: Held, around: VectorEntry) -> Iterator[VectorEntry]:
        """Find the entries in a part of a file; `around` is what was said of it further out."""
        if isinstance(held, Values):
            if held.shape:
                # A site says what a number of a layer leaves open.
                layer = around.layer if len(held.axes) == 1 and around.site is None else None
                yield replace(around, rows=(LayerRow("", held, layer),))
        elif isinstance(held, list):
            yield from self._listed(held, around)
        elif isinstance(held, Mapping):
            yield from self._named(held, around)

    def _listed(self, held: list[Held], around: VectorEntry) -> Iterator[VectorEntry]:
        rows = [item for item in held if isinstance(item, Values) and len(item.axes) == 1]
        if rows and len(rows) == len(held):
            yield replace(
                around, rows=tuple(LayerRow("", row, Layer(i)) for i, row in enumerate(rows)), stacked=True
            )
            return
        for i, item in enumerate(held):
            yield from self.entries(item, replace(around, path=(*around.path, f"[{i}]")))

    def _named(self, held: Mapping[str, Held], around: VectorEntry) -> Iterator[VectorEntry]:
        around = _with_what_is_said(held, around)
        layers = {name: layer for name in held if (layer := self._layer(name))}
        rows = [
            LayerRow(name, item, layers[name])
            for name, item in held.items()
            if name in layers and isinstance(item, Values) and len(item.axes) == 1
        ]
        if rows:
            yield replace(around, rows=tuple(rows))
        taken = {row.name for row in rows}
        for name, item in held.items():
            if name not in taken:
                layer = around.layer if isinstance(item, Values) else layers.get(name, around.layer)
                yield from self.entries(item, replace(around, path=(*around.path, name), layer=layer))

    def _layer(self, name: str) -> Layer | None:
        layer = Layer.named(name)
        return replace(layer, counts=layer.counts or self._counts) if layer else None


def _with_what_is_said(held: Mapping[str, Held], around: VectorEntry) -> VectorEntry:
    """Add what one part of a file says of the vectors in it."""
    if held.get("layer_type", "decoder_block") != "decoder_block":
        raise UnfitError(
            f"it is for {held['layer_type']!r}, and not for the outputs of blocks (decoder_block)"
        )
    return replace(
        around,
        site=_said_site(held.get("site")) or around.site,
        layer=next((_said_layer(held[name]) for name in _LAYER if _says(held, name)), around.layer),
        counts=known_counts(held) or around.counts,
    )


def _said_site(held: Held | None) -> Site | None:
    try:
        return Site.parse(held) if isinstance(held, str) else None
    except ValueError as problem:
        raise UnfitError(str(problem)) from problem


def _says(held: Mapping[str, Held], name: str) -> bool:
    return isinstance(held.get(name), str | int)


def _said_layer(held: Held) -> Layer:
    layer = Layer.named(str(held))
    if layer is None:
        raise UnfitError(f"it says that its layer is {held!r}, expected a number such as 14")
    return layer
