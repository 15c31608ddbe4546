"""A grid: one persona and its tasks, each a cell of four prompts, and what was measured of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np

from coherence.plan import Condition, Divergence, Patch, Reading, Record, Reply, Scene
from coherence.properties.composition.injections import BARE, CLEAN, Injection, Injections
from coherence.properties.reading import within_reach
from coherence.statistics.interaction import Cells, recovered
from coherence.statistics.intervals import Array
from coherence.statistics.jackknife import Pivot
from coherence.vocabulary import Position, Probe

KL = Mapping[Injection, Array]

_GIVEN = {Position.G1: 1, Position.G2: 2}


@dataclass(frozen=True)
class Grid:
    """The four prompts of every cell: persona X or the neutral one B, with task Y or the neutral one B.

    The tasks are the scene's probes. `alone` is the persona of XB: X, or another in its place.
    """

    scene: Scene
    neutral: Condition
    persona: Condition
    alone: Condition
    neutral_task: Probe
    position: Position
    tokens: int

    @property
    def tasks(self) -> tuple[Probe, ...]:
        """The tasks, in the order of the columns of what is measured."""
        return self.scene.probes

    def reply(self, task: Probe, change: Injection = CLEAN) -> Reply:
        """Answer the task, under XY as it is or under a change."""
        return Reply(self._changed(task, change), task, self.scene.decoding)

    def readings(self, task: Probe) -> tuple[Reading, Reading, Reading, Reading]:
        """BB, XB, BY and XY; in the response, all of them read the clean reply of XY."""
        text = self.reply(task) if self.position.spoken else None

        def read(condition: Condition, probe: Probe) -> Reading:
            return Reading(condition, probe, self.position, text)

        return (
            read(self.neutral, self.neutral_task),
            read(self.alone, self.neutral_task),
            read(self.neutral, task),
            read(self.persona, task),
        )

    def divergence(self, task: Probe, change: Injection) -> Divergence:
        """KL of the clean reply's tokens under XY from those under a change, from the position on."""
        changed = self._changed(task, change)
        given = _GIVEN.get(self.position, 0)
        return Divergence(changed, task, self.persona, self.reply(task), self.tokens, given)

    def cells(self, record: Record) -> Cells:
        """Residuals of the four prompts, at all depths."""
        read = [[record.residuals(each) for each in self.readings(task)] for task in self.tasks]
        return Cells(*(np.stack(prompt, axis=1) for prompt in zip(*read, strict=True)))

    def kl(self, record: Record) -> KL:
        """KL in nats, summed over the tokens: [cells]; of each change when it is first asked for."""
        return _Costs(self, record)

    def of_tokens(self, record: Record, change: Injection) -> list[Array]:
        """KL of each token, the end among them, by task: [tokens] each."""
        divergences = (record.divergence(self.divergence(task, change)) for task in self.tasks)
        return [tokens.astype(np.float64) for tokens in divergences]

    def _changed(self, task: Probe, change: Injection) -> Condition:
        host = self.persona if change.of == "XY" else self.neutral
        if not change.sites:
            return host
        weighted = zip(change.weights, self.readings(task), strict=True)
        terms = tuple((weight, reading) for weight, reading in weighted if weight)
        return replace(host, patch=Patch(terms, change.sites, self.position))


class _Costs(dict[Injection, Array]):
    def __init__(self, grid: Grid, record: Record) -> None:
        super().__init__()
        self._grid, self._record = grid, record

    def __missing__(self, change: Injection) -> Array:
        self[change] = np.array([tokens.sum() for tokens in self._grid.of_tokens(self._record, change)])
        return self[change]


@dataclass(frozen=True, eq=False)
class GridSample:
    """What was measured of a grid: residuals of its cells, and what changes cost."""

    grid: Grid
    changes: Injections
    record: Record

    @cached_property
    def cells(self) -> Cells:
        """Residuals of the four prompts; a MeasurementError where the model has no such block to change."""
        cells = self.grid.cells(self.record)
        for site in chain(self.changes.band.sites, *self.changes.injected):
            within_reach(site, len(cells.bb))
        return cells

    @cached_property
    def kl(self) -> KL:
        """What each change costs."""
        return self.grid.kl(self.record)

    @cached_property
    def tested(self) -> Array:
        """KL of the sum at the tested sites: [sites, cells]."""
        return np.stack([self.kl[change] for change in self.changes.additive])

    @cached_property
    def additive(self) -> Array:
        """KL of the sum, averaged over the tested sites: [cells]."""
        return np.asarray(self.tested.mean(0))

    @cached_property
    def recovered(self) -> list[Pivot]:
        """Share of what leaving the persona's text out costs that each injection takes away."""
        return [self.share(change) for change in self.changes.injections]

    def share(self, change: Injection) -> Pivot:
        """Share of it that a change takes away."""
        return recovered(self.kl[change], self.kl[BARE], self.grid.scene.clusters)

    @property
    def rounding(self) -> float:
        """KL of the prompt's own residuals put back, mean over cells."""
        return float(self.kl[self.changes.self_patch].mean())
