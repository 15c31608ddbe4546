"""Effects: what was found of a grid, for people to read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import nan

import numpy as np
from numpy.typing import NDArray

from coherence.properties.columns import over_depth, table
from coherence.properties.composition.furthest import furthest
from coherence.properties.composition.grid import KL, Grid
from coherence.properties.composition.injections import BARE, Injection, Injections
from coherence.properties.composition.recovery import Recovery
from coherence.properties.composition.spreads import Spreads
from coherence.properties.markers import Replies
from coherence.statistics.factorial import Cells, quartiles
from coherence.statistics.intervals import Array
from coherence.vocabulary import Band, Curve, ProbeNote, Site, Table
from coherence.vocabulary.evidence import number


@dataclass(frozen=True)
class Effects:
    """The cells of a band, what changes there cost, and the tokens that KL is summed over, [cells]."""

    grid: Grid
    changes: Injections
    band: Cells
    kl: KL
    tokens: NDArray[np.int_]

    @property
    def additive(self) -> Array:
        """KL of the sum, averaged over the tested sites: [cells]."""
        return np.asarray(self._tested.mean(0))

    @property
    def rounding(self) -> float:
        """KL of the prompt's own residuals put back, mean over cells."""
        return float(self.kl[self.changes.self_patch].mean())

    def curve(self, cells: Cells) -> Curve:
        """Medians over the cells, at every site; KL and what injection recovers at those that are tested."""
        depths = len(cells.bb)
        columns = {
            "cosine": _medians(cells.cosine()),
            "cos(dX, dY)": _medians(cells.overlap()),
            "interaction": _medians(cells.interaction()),
            "KL": _medians(self._by_depth(self.changes.additive, depths)),
            "KL without X": _medians(self._by_depth(self.changes.without_persona, depths)),
            **self.recovery.by_depth(depths),
        }
        return over_depth(columns, np.asarray(cells.still().any((0, 2))))

    def tables(self) -> Iterator[Table]:
        """Yield what was found at each site of the band, at each set of sites, and of every cell."""
        yield self.spreads.table()
        yield self.recovery.table()
        yield table(
            "tasks",
            (task.id for task in self.grid.tasks),
            {
                "KL": self.additive,
                "tokens": self.tokens,
                "cosine": self.band.cosine().mean(0),
                "cos(dX, dY)": self.band.overlap().mean(0),
                "interaction": self.band.interaction().mean(0),
                "KL without X's text": self.kl[BARE],
            },
        )

    @property
    def spreads(self) -> Spreads:
        """What was found at each site of the band."""
        cosine, interaction = self.band.cosine(), self.band.interaction()
        return Spreads(self.changes.band, cosine, interaction, self.changes.tested, self._tested)

    @cached_property
    def recovery(self) -> Recovery:
        """What injection recovers, beside what there is to recover."""
        return Recovery.of(self.changes, self.kl, self.grid.scene.clusters)

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
        holds = (self.band.cosine().mean(1)[rows] >= min_cosine) & (self._tested.mean(1) <= max_kl)
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

    def rates(self, said: Mapping[str, Replies]) -> str:
        """Say how often markers are heard."""
        rates = ", ".join(f"{name} {replies.rate:.0%}" for name, replies in said.items())
        return f"replies with a marker, {self.changes.band} changed at once: {rates}"

    def ended(self) -> str | None:
        """Say which replies end before as many tokens as KL is to be summed over, if any do."""
        asked = self.grid.tokens
        told = [
            f"{task.id} ({tokens})"
            for task, tokens in zip(self.grid.tasks, self.tokens, strict=True)
            if tokens < asked
        ]
        return (
            f"the reply ends before {asked} tokens, and KL is summed over fewer: {', '.join(told)}"
            if told
            else None
        )

    @property
    def _tested(self) -> Array:
        """KL of the sum at the tested sites, [sites, cells]."""
        return np.stack([self.kl[change] for change in self.changes.additive])

    def _by_depth(self, changes: Iterable[Injection], depths: int) -> Array:
        """KL of changes at one site each, [depths, cells]; NaN at sites that are not tested."""
        found = np.full((depths, len(self.grid.tasks)), nan)
        for change in changes:
            found[change.sites[0].depth] = self.kl[change]
        return found


def _medians(values: Array) -> Array:
    return np.asarray(quartiles(values)[1])


def _middle(values: Array) -> str:
    first, median, third = quartiles(values)
    return f"{number(median)} [{number(first)}, {number(third)}]"


def _runs(sites: Sequence[Site], holds: Iterable[bool]) -> str:
    """Name the runs of sites at which something holds."""
    runs = groupby(zip(sites, holds, strict=True), key=lambda pair: pair[1])
    return ", ".join(str(Band(tuple(site for site, _ in run))) for held, run in runs if held)
