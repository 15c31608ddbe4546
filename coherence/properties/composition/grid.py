"""A grid: one persona and its tasks, each a cell of four prompts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coherence.plan import Condition, Divergence, Patch, Reading, Record, Reply, Scene
from coherence.properties.composition.injections import CLEAN, Injection
from coherence.statistics.factorial import Cells
from coherence.statistics.intervals import Array
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

    def cells(self, record: Record, depths: Sequence[int] | None = None) -> Cells:
        """Residuals of the four prompts, at all depths or at some."""
        kept = slice(None) if depths is None else list(depths)
        read = [[record.residuals(each)[kept] for each in self.readings(task)] for task in self.tasks]
        return Cells(*(np.stack(prompt, axis=1) for prompt in zip(*read, strict=True)))

    def kl(self, record: Record, changes: Iterable[Injection]) -> KL:
        """Sum KL over the tokens, in nats, by change: [cells]."""
        return {
            change: np.array([self._tokens(record, task, change).sum() for task in self.tasks])
            for change in dict.fromkeys(changes)
        }

    def summed(self, record: Record, change: Injection) -> NDArray[np.int_]:
        """Count the tokens that KL is summed over, the end among them: [cells]."""
        return np.array([len(self._tokens(record, task, change)) for task in self.tasks])

    def _tokens(self, record: Record, task: Probe, change: Injection) -> Array:
        return record.divergence(self.divergence(task, change)).astype(np.float64)

    def _changed(self, task: Probe, change: Injection) -> Condition:
        host = self.persona if change.of == "XY" else self.neutral
        if not change.sites:
            return host
        weighted = zip(change.weights, self.readings(task), strict=True)
        terms = tuple((weight, reading) for weight, reading in weighted if weight)
        return replace(host, patch=Patch(terms, change.sites, self.position))
