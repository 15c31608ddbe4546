"""Effects: what was found of a grid, for people to read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import nan

import numpy as np

from coherence.properties.composition.changes import BARE, Change, Changes
from coherence.properties.composition.furthest import furthest
from coherence.properties.composition.grid import KL, Grid
from coherence.properties.curve import column, over_depth
from coherence.properties.markers import Replies
from coherence.statistics.factorial import Cells, quartiles, recovered
from coherence.statistics.intervals import Array
from coherence.vocabulary import Band, Curve, ProbeNote, Site, Table
from coherence.vocabulary.evidence import number


@dataclass(frozen=True)
class Effects:
    """The cells of a band, and what changes there cost."""

    grid: Grid
    changes: Changes
    band: Cells
    kl: KL

    @property
    def additive(self) -> Array:
        """KL of the sum, averaged over the tested sites: [cells]."""
        return np.asarray(np.mean([self.kl[change] for change in self.changes.additive], axis=0))

    @property
    def rounding(self) -> float:
        """KL of the prompt's own residuals put back, mean over cells."""
        return float(self.kl[self.changes.oracle].mean())

    def curve(self, cells: Cells) -> Curve:
        """Medians over the cells, at every site; KL and what injection recovers at those that are tested."""
        depths = len(cells.bb)
        columns = {
            "cosine": _medians(cells.cosine()),
            "cos(dX, dY)": _medians(cells.overlap()),
            "interaction": _medians(cells.interaction()),
            "KL": _medians(self._by_depth(self.changes.additive, depths)),
            "KL without X": _medians(self._by_depth(self.changes.without_persona, depths)),
            "recovered": self._recovered(depths),
        }
        return over_depth(columns, np.asarray(cells.still().any((0, 2))))

    def tables(self) -> Iterator[Table]:
        """Quartiles over the cells at each site of the band, and every cell, over the band."""
        depths = self.changes.band.depths
        kl = self._by_depth(self.changes.additive, depths[-1] + 1)[depths]
        spreads = {"cosine": self.band.cosine(), "interaction": self.band.interaction(), "KL": kl}
        ends = {name: quartiles(values) for name, values in spreads.items()}
        yield _table(
            "quartiles over the tasks",
            map(str, self.changes.band.sites),
            {
                f"{name} {end}": found[row]
                for name, found in ends.items()
                for end, row in (("q1", 0), ("q3", 2))
            },
        )
        yield _table(
            "tasks",
            (task.id for task in self.grid.tasks),
            {
                "KL": self.additive,
                "cosine": self.band.cosine().mean(0),
                "cos(dX, dY)": self.band.overlap().mean(0),
                "interaction": self.band.interaction().mean(0),
                "KL without X's text": self.kl[BARE],
            },
        )

    def furthest(self, said: Mapping[str, Replies]) -> tuple[ProbeNote, ...]:
        """Tasks whose sum costs the most, with what is answered."""
        costs = self.additive
        texts = {name: replies.texts for name, replies in said.items()}
        return furthest(
            self.grid.scene, costs, lambda row: f"the sum costs KL {number(costs[row])} nat", texts
        )

    def geometry(self) -> str:
        """Say how the displacements lie, over the whole band."""
        cosine, overlap, interaction = (
            _middle(values.mean(0))
            for values in (self.band.cosine(), self.band.overlap(), self.band.interaction())
        )
        return (
            f"{self.changes.band}, medians over {len(self.grid.tasks)} tasks [quartiles]: "
            f"cos(dXY, dX + dY) {cosine}, cos(dX, dY) {overlap}, interaction ratio {interaction}"
        )

    def region(self, min_cosine: float, max_kl: float) -> str:
        """Name the tested sites where the sum points the right way and costs little, and the interaction."""
        depths = self.changes.band.depths
        rows = np.array([depths.index(site.depth) for site in self.changes.tested])
        cost = np.array([self.kl[change].mean() for change in self.changes.additive])
        holds = (self.band.cosine().mean(1)[rows] >= min_cosine) & (cost <= max_kl)
        both = f"mean KL at most {max_kl:g} nat and cosine at least {min_cosine:g}"
        if not holds.any():
            return f"additive region: none of {len(rows)} sites has {both}"
        ratio = _middle(self.band.interaction()[rows[holds]].mean(0))
        named = _runs(self.changes.tested, holds.tolist())
        return f"additive region: {named} ({both}), with an interaction ratio of {ratio}"

    def costs(self) -> str:
        """Say what each change costs."""
        without = np.mean([self.kl[change] for change in self.changes.without_persona])
        return (
            f"mean KL in nats: sum {number(self.additive.mean())}, without X's part "
            f"{number(float(without))}, without X's text {number(self.kl[BARE].mean())}, "
            f"own residuals put back {number(self.rounding)}"
        )

    def injections(self) -> str:
        """Say what injection recovers: at the best single site, and at sets of sites."""
        shares = [(self._share(change), change.sites) for change in self.changes.injections]
        alone = sorted(
            (share for share in shares if len(share[1]) == 1), reverse=True, key=lambda one: one[0]
        )
        several = [share for share in shares if len(share[1]) > 1]
        said = [f"{number(share)} at {_named(sites)}" for share, sites in [*alone[:1], *several]]
        best = f" (the best of {len(alone)} single sites)" if len(alone) > 1 else ""
        return f"recovered by injection: {said[0]}{best}{''.join(f', {each}' for each in said[1:])}"

    def rates(self, said: Mapping[str, Replies]) -> str:
        """Say how often markers are heard."""
        rates = ", ".join(f"{name} {replies.rate:.0%}" for name, replies in said.items())
        return f"replies with a marker, {self.changes.band} changed at once: {rates}"

    def _share(self, change: Change) -> float:
        return recovered(self.kl[change], self.kl[BARE], self.grid.scene.clusters).value

    def _recovered(self, depths: int) -> Array:
        found = np.full(depths, nan)
        for change in self.changes.injections:
            if len(change.sites) == 1:
                found[change.sites[0].depth] = self._share(change)
        return found

    def _by_depth(self, changes: Iterable[Change], depths: int) -> Array:
        """KL of changes at one site each, [depths, cells]; NaN at sites that are not tested."""
        found = np.full((depths, len(self.grid.tasks)), nan)
        for change in changes:
            found[change.sites[0].depth] = self.kl[change]
        return found


def _medians(values: Array) -> Array:
    return np.asarray(quartiles(values)[1])


def _table(name: str, rows: Iterable[str], columns: Mapping[str, Array]) -> Table:
    cells = np.stack([*columns.values()], axis=1)
    return Table(name=name, rows=tuple(rows), columns=tuple(columns), cells=tuple(map(column, cells)))


def _middle(values: Array) -> str:
    first, median, third = quartiles(values)
    return f"{number(median)} [{number(first)}, {number(third)}]"


def _runs(sites: Sequence[Site], holds: Iterable[bool]) -> str:
    """Name the runs of sites at which something holds."""
    runs = groupby(zip(sites, holds, strict=True), key=lambda pair: pair[1])
    return ", ".join(str(Band(tuple(site for site, _ in run))) for held, run in runs if held)


def _named(sites: Sequence[Site]) -> str:
    """Name a set of sites, neighbours together."""
    runs = groupby(enumerate(sites), key=lambda pair: pair[1].depth - pair[0])
    return " and ".join(str(Band(tuple(site for _, site in run))) for _, run in runs)
