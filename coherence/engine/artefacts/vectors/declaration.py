"""What a file says of a vector, held against what the suite says: what is open is asked, and nothing guessed.

Neighbouring layers are alike enough that a vector read one layer off goes unnoticed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coherence.engine.artefacts.vectors.content import Values
from coherence.engine.artefacts.vectors.entries import LayerRow, VectorEntry, by_number
from coherence.engine.artefacts.vectors.layers import Layer
from coherence.engine.artefacts.vectors.unfit import UnfitError, whole
from coherence.vocabulary import Site
from coherence.vocabulary.release import Layers

Vector = tuple[NDArray[np.float32], Site]


@dataclass(frozen=True)
class Told:
    """What the suite says of a vector, and the base that it is for: its width, and its number of blocks."""

    site: Site | None
    layers: Layers | None
    width: int
    blocks: int

    @property
    def counts(self) -> dict[Layers, int]:
        """How many layers there are, by each way of counting them."""
        return {"hidden_states": self.blocks + 1, "block_outputs": self.blocks, "block_inputs": self.blocks}


def agreed(entry: VectorEntry, told: Told) -> Vector:
    """Return the vector [width] that both sides mean, and its site."""
    first = entry.rows[0]
    if len(entry.rows) > 1 and not entry.stacked:
        return _of_layers(entry, told)
    _check_shape(first.values, told)
    if entry.stacked or len(first.values.axes) == 2:
        return _of_stack(entry, told)
    if first.layer is None:
        _check_no_layers(told, "one vector")
        return _read(first.values, told), _agreed_site(told, entry.site)
    return _of_layers(entry, told)


def sites_of(entry: VectorEntry, told: Told) -> list[Site] | None:
    """Return the sites that an entry has a direction for, each its own; None where it is one direction."""
    first = entry.rows[0]
    if entry.stacked or len(first.values.axes) == 2:
        rows = len(entry.rows) if entry.stacked else first.values.axes[0]
        before = _stack_counts(rows, entry, told) != "block_outputs"
        return [Site.at_depth(row + (not before)) for row in range(told.blocks)]
    # A single layer of a file is one direction where a key chose it, and else all that there is.
    if first.layer is None or not first.name or entry.path[-1:] == (first.name,):
        return None
    counts = _layer_counts(entry, told)
    layers = [layer for layer in map(_layer, entry.rows) if not _after_norm(layer, counts, told)]
    return sorted({Site.at_depth(layer.depth(counts)) for layer in layers}, key=lambda site: site.depth)


def alone(entry: VectorEntry, told: Told) -> tuple[NDArray[np.float32], Site | None]:
    """Return the one vector [width] of an entry, and the site that its file says it is for, if it does."""
    (row,) = entry.rows
    if row.layer is not None:
        return _read(row.values, told), _own_site(row.layer, _layer_counts(entry, told), told)
    _check_no_layers(told, "one vector")
    return _read(row.values, told), entry.site


def _check_shape(values: Values, told: Told) -> None:
    if values.refused:
        raise UnfitError(values.refused)
    if len(values.axes) > 2:
        shapes = f"[{told.width}], [{told.blocks}, {told.width}] or [{told.blocks + 1}, {told.width}]"
        raise UnfitError(f"found the shape {list(values.shape)}, expected {shapes}")
    if values.axes[-1] != told.width:
        raise UnfitError(f"found {values.axes[-1]}, expected {told.width}, the width of the base")


def _read(values: Values, told: Told) -> NDArray[Any]:
    _check_shape(values, told)
    with whole("vector"):
        return np.asarray(values.read()).reshape(values.axes)


def _of_stack(entry: VectorEntry, told: Told) -> Vector:
    first = entry.rows[0].values
    counts = _stack_counts(len(entry.rows) if entry.stacked else first.axes[0], entry, told)
    own = Site.at_depth(entry.layer.depth(counts)) if entry.layer else None
    site = _known_site(told.site or entry.site or own, told)
    number = _number(site, counts, told)
    return _read(entry.rows[number].values, told) if entry.stacked else _read(first, told)[number], site


def _stack_counts(rows: int, entry: VectorEntry, told: Told) -> Layers:
    if told.layers and rows != told.counts[told.layers]:
        raise UnfitError(
            f"found {rows} rows, expected {told.counts[told.layers]} for `layers: {told.layers}`"
        )
    if told.layers:
        return told.layers
    if rows == told.blocks + 1:
        return "hidden_states"
    if rows != told.blocks:
        raise UnfitError(
            f"found {rows} rows, expected {told.blocks + 1} (hidden_states) or {told.blocks} "
            "(block_outputs or block_inputs)"
        )
    if entry.counts is None:
        raise UnfitError(
            f"found {rows} rows, which may be the outputs of the blocks, or hidden states without the last; "
            "write `layers: block_outputs` or `layers: block_inputs` beside its path"
        )
    return entry.counts


def _of_layers(entry: VectorEntry, told: Told) -> Vector:
    counts = _layer_counts(entry, told)
    if len(entry.rows) == 1:
        (row,) = entry.rows
        return _read(row.values, told), _own_site(_layer(row), counts, told)
    site = _known_site(told.site or entry.site, told)
    at_site = [row for row in entry.rows if _is_at(site, _layer(row), counts, told)]
    if not at_site:
        raise UnfitError(f"{_needed(site, entry, counts, told)}; found {by_number(_names(entry.rows))}")
    if len(at_site) > 1:
        raise UnfitError(f"{by_number(_names(at_site))} are all at {site}; write `key:` beside its path")
    return _read(at_site[0].values, told), site


def _names(rows: Iterable[LayerRow]) -> list[str]:
    return [row.name for row in rows]


def _needed(site: Site, entry: VectorEntry, counts: Layers | None, told: Told) -> str:
    """Name the layer that a site needs, as the file spells layers."""
    ways = {_layer(row).counts or counts for row in entry.rows}
    if len(ways) > 1:
        return f"it has nothing at {site}"
    number = _number(site, ways.pop(), told)
    return f"{site} needs {re.sub('[0-9]+', str(number), entry.rows[0].name)}"


def _is_at(site: Site, layer: Layer, counts: Layers | None, told: Told) -> bool:
    return layer.depth(counts) == site.depth and not _after_norm(layer, counts, told)


def _after_norm(layer: Layer, counts: Layers | None, told: Told) -> bool:
    return (layer.counts or counts) == "hidden_states" and layer.number == told.blocks


def _layer_counts(entry: VectorEntry, told: Told) -> Layers | None:
    """Return what the numbers of layers count; nothing where the names say it themselves."""
    numbers = [_layer(row).number for row in entry.rows if _layer(row).counts is None]
    if not numbers:
        _check_no_layers(told, "directions that carry their block")
        return None
    most = max(numbers)
    counts = told.layers or ("hidden_states" if most == told.blocks else entry.counts)
    if most >= told.counts[counts or "hidden_states"]:
        last = told.counts[counts or "hidden_states"] - 1
        raise UnfitError(f"found layer {most}, expected at most {last}, the last of the base")
    if counts is None:
        raise UnfitError(
            f"it does not say what layer {most} is; write `layers: block_outputs` (the output of block "
            f"{most}, resid_post.{most}) or `layers: hidden_states` (hidden_states[{most}], resid_pre.{most})"
        )
    return counts


def _own_site(layer: Layer, counts: Layers | None, told: Told) -> Site:
    if _after_norm(layer, counts, told):
        raise UnfitError(_AFTER_NORM)
    return _agreed_site(told, Site.at_depth(layer.depth(counts)))


def _agreed_site(told: Told, own: Site | None) -> Site:
    if told.site and own and told.site.depth != own.depth:
        raise UnfitError(f"the suite says {told.site}, but the file says {own}")
    return _known_site(told.site or own, told)


def _known_site(site: Site | None, told: Told) -> Site:
    if site is None:
        raise UnfitError(
            f"the file does not say its site; write `site:` beside its path, such as {Site.example}, or "
            "`sites: all`"
        )
    require_block(site, told.blocks)
    return site


def require_block(site: Site, blocks: int) -> None:
    """Refuse a site that is none of a base of so many blocks."""
    if site.block >= blocks:
        raise UnfitError(f"found the site {site}, expected a block from 0 to {blocks - 1}, those of the base")


_AFTER_NORM = "the last row of hidden states is after the final norm"


def _number(site: Site, counts: Layers | None, told: Told) -> int:
    """Which layer holds the residual at a site."""
    if counts == "block_outputs" and site.depth == 0:
        raise UnfitError(f"block outputs have no row for {site}, which comes before the first block")
    if counts == "hidden_states" and site.depth == told.blocks:
        raise UnfitError(f"{_AFTER_NORM}, and not {site}")
    if counts == "block_inputs" and site.depth == told.blocks:
        raise UnfitError(f"block inputs have no row for {site}, which comes after the last block")
    return site.depth - (counts == "block_outputs")


def _check_no_layers(told: Told, held: str) -> None:
    if told.layers is not None:
        raise UnfitError(
            f"`layers: {told.layers}` is for stacks, and for layers that are only numbered; "
            f"this one holds {held}"
        )


def _layer(row: LayerRow) -> Layer:
    assert row.layer is not None
    return row.layer
