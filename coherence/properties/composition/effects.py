"""Effects: what was found of a grid, for people to read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import nan

import numpy as np

from coherence.properties.columns import over_depth, series, table
from coherence.properties.composition.furthest import furthest
from coherence.properties.composition.grid import GridSample
from coherence.properties.composition.injections import BARE, Injection
from coherence.properties.composition.recovery import Recovery
from coherence.properties.composition.spreads import Spreads
from coherence.properties.markers import Replies
from coherence.statistics.interaction import quartiles
from coherence.statistics.intervals import Array
from coherence.vocabulary import Band, Curve, ProbeNote, Site, Table
from coherence.vocabulary.evidence import number, ranged


@dataclass(frozen=True, eq=False)
class FactorialEffects:
    """A grid as it was measured, and what was said under its changes, by their names."""

    sample: GridSample
    replies_of: Mapping[str, Replies]

    def curve(self) -> Curve:
        """Medians over the cells, at every site; KL and what injection recovers at those that are tested."""
        cells, changes = self.sample.cells, self.sample.changes
        columns = {
            "cosine": _medians(cells.cosine),
            "cos(dX, dY)": _medians(cells.overlap),
            "interaction": _medians(cells.interaction),
            "KL": _medians(self._by_depth(changes.additive)),
            "KL without X": _medians(self._by_depth(changes.without_persona)),
            **self._recovery.by_depth(len(cells.bb)),
        }
        lines = {name: series(values) for name, values in columns.items()}
        return over_depth(lines, np.asarray(cells.still.any((0, 2))), "median over tasks", changes.band)

    def tables(self) -> Iterator[Table]:
        """Yield what was found at each site of the band, at each set of sites, and of every cell."""
        yield self._spreads.table()
        yield self._recovery.table()
        cosine, overlap, interaction = (values.mean(0) for values in self._geometry)
        columns = {
            "KL": self.sample.additive,
            "tokens": self._tokens,
            "cosine": cosine,
            "cos(dX, dY)": overlap,
            "interaction": interaction,
            "KL without X's text": self.sample.kl[BARE],
        }
        yield table("tasks", (task.id for task in self.sample.grid.tasks), columns)

    def furthest(self) -> tuple[ProbeNote, ...]:
        """Tasks whose sum costs the most, with what is answered."""
        costs, scene = self.sample.additive, self.sample.grid.scene
        texts = {name: replies.texts for name, replies in self.replies_of.items()}
        return furthest(scene, costs, lambda row: f"the sum costs KL {number(costs[row])} nat", texts)

    def notes(self, min_cosine: float, max_kl: float) -> Iterator[str]:
        """Say how the displacements lie, where they add up within these bounds, and what changes cost."""
        band = self.sample.changes.band
        if not self.sample.cells.still[:, band.depths].any():
            yield self._displaced()
            if len(band.sites) > 1:
                yield self._spreads.worst()
            yield self._region(min_cosine, max_kl)
        yield self._costs()
        yield str(self._recovery)
        if len(self.replies_of) > 1:
            rates = ", ".join(f"{name} {replies.rate:.0%}" for name, replies in self.replies_of.items())
            yield f"replies with a marker, {band} changed at once: {rates}"
        yield from self._ended()

    def _displaced(self) -> str:
        """Say how the displacements lie, over the whole band."""
        cosine, overlap, interaction = (_middle(values.mean(0)) for values in self._geometry)
        return (
            f"{self.sample.changes.band}, medians over {len(self.sample.grid.tasks)} tasks [quartiles]: "
            f"cos(dXY, dX + dY) {cosine}, cos(dX, dY) {overlap}, interaction ratio {interaction}"
        )

    def _region(self, min_cosine: float, max_kl: float) -> str:
        """Name the tested sites where the sum points the right way and costs little, and the interaction."""
        cells, sites = self.sample.cells, self.sample.changes.tested
        depths = np.array([site.depth for site in sites])
        holds = (cells.cosine[depths].mean(1) >= min_cosine) & (self.sample.tested.mean(1) <= max_kl)
        both = f"mean KL at most {max_kl:g} nat and cosine at least {min_cosine:g}"
        if not holds.any():
            return f"additive region: none of {len(sites)} sites has {both}"
        ratio, named = _middle(cells.interaction[depths[holds]].mean(0)), _runs(sites, holds.tolist())
        return f"additive region: {named} ({both}), with an interaction ratio of {ratio}"

    def _costs(self) -> str:
        """Say what each change costs."""
        kl, changes = self.sample.kl, self.sample.changes
        without = np.mean([kl[change] for change in changes.without_persona])
        return (
            f"mean KL in nats: sum {number(self.sample.additive.mean())}, without X's part "
            f"{number(float(without))}, without X's text {number(kl[BARE].mean())}, "
            f"own residuals put back {number(self.sample.rounding)}"
        )

    def _ended(self) -> Iterator[str]:
        """Say which replies end before as many tokens as KL is to be summed over, if any do."""
        grid = self.sample.grid
        counted = zip(grid.tasks, self._tokens, strict=True)
        brief = ", ".join(f"{task.id} ({tokens})" for task, tokens in counted if tokens < grid.tokens)
        if brief:
            yield f"the reply ends before {grid.tokens} tokens, and KL is summed over fewer: {brief}"

    @cached_property
    def _geometry(self) -> tuple[Array, Array, Array]:
        """Cosine, overlap and interaction at the sites of the band: [sites, cells] each."""
        cells, depths = self.sample.cells, self.sample.changes.band.depths
        return cells.cosine[depths], cells.overlap[depths], cells.interaction[depths]

    @cached_property
    def _tokens(self) -> list[int]:
        """Count the tokens that KL is summed over, for every task."""
        put_back = self.sample.changes.self_patch
        return [len(each) for each in self.sample.grid.of_tokens(self.sample.record, put_back)]

    @cached_property
    def _recovery(self) -> Recovery:
        return Recovery.of(self.sample)

    @property
    def _spreads(self) -> Spreads:
        changes, (cosine, _, interaction) = self.sample.changes, self._geometry
        return Spreads(changes.band, cosine, interaction, changes.tested, self.sample.tested)

    def _by_depth(self, changes: Iterable[Injection]) -> Array:
        """KL of changes at one site each, [depths, cells]; NaN at sites that are not tested."""
        kl = np.full(self.sample.cells.cosine.shape, nan)
        for change in changes:
            kl[change.sites[0].depth] = self.sample.kl[change]
        return kl


def _medians(values: Array) -> Array:
    return np.asarray(quartiles(values)[1])


def _middle(values: Array) -> str:
    first, median, third = quartiles(values)
    return ranged(median, first, third)


def _runs(sites: Sequence[Site], holds: Iterable[bool]) -> str:
    """Name the runs of sites at which something holds."""
    runs = groupby(zip(sites, holds, strict=True), key=lambda pair: pair[1])
    return ", ".join(str(Band(tuple(site for site, _ in run))) for held, run in runs if held)
