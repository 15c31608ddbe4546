"""Directions by the sites where they act: a layer's own at each, or one at all of them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from coherence.engine.artefacts.vectors.declaration import Told, agreed, alone, require_block, sites_of
from coherence.engine.artefacts.vectors.entries import VectorEntry
from coherence.engine.artefacts.vectors.unfit import UnfitError
from coherence.vocabulary import Site
from coherence.vocabulary.release import Sites

Directions = Mapping[Site, NDArray[np.float32]]


def directions(entry: VectorEntry, told: Told, sites: Sites | None) -> Directions:
    """Return a vector [width] for each of the sites, or for the one that both sides mean.

    Where it acts at all of its layers, one whose values are all 0 is left out.
    """
    if sites is None:
        values, site = agreed(entry, told)
        return {site: values}
    own = sites_of(entry, told)
    if own is None:
        return _one_for_all(entry, told, sites)
    if sites != "all":
        return {site: agreed(entry, replace(told, site=site))[0] for site in spread_over(sites, told.blocks)}
    by_site = {site: agreed(entry, replace(told, site=site))[0] for site in own}
    return {site: values for site, values in by_site.items() if values.any()} or by_site


def spread_over(sites: Sites, blocks: int) -> list[Site]:
    """List sites of a base of so many blocks, each once, from the first to the last. Others: UnfitError."""
    if sites == "all":
        return [Site.at_depth(depth) for depth in range(blocks + 1)]
    listed = {site.depth: site for band in sites for site in band.sites}
    for site in listed.values():
        require_block(site, blocks)
    return [site for _, site in sorted(listed.items())]


def _one_for_all(entry: VectorEntry, told: Told, sites: Sites) -> Directions:
    values, own = alone(entry, told)
    there = spread_over(sites, told.blocks)
    if own and own.depth not in {site.depth for site in there}:
        listed = ", ".join(map(str, there))
        raise UnfitError(f"the suite says {listed}, but the file says {own}, which is none of these")
    return dict.fromkeys(there, values)
