"""Rows: a condition and a probe, with its artefacts mounted, as one row of a forward pass."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.batch.rows import Row
from coherence.engine.interventions.orthonormal import orthonormal
from coherence.engine.model.chat import Chat
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError, CoherenceError
from coherence.plan import Condition, Steer, Way
from coherence.vocabulary import Probe, Site

Unit = tuple[int, Tensor]
"""Depth, and a vector [width] as long as the median residual there."""


class RowBuilder:
    """Loads base and adapters when a row first needs them.

    `unit` gives a vector of the release by name; `tell` hears an adapter's name and a remark on its weights.
    """

    def __init__(
        self, artefacts: Artefacts, unit: Callable[[str], Unit], tell: Callable[[str, str], None]
    ) -> None:
        self.artefacts = artefacts
        self._unit, self._tell = unit, tell
        self._mounted: dict[str, CoherenceError | None] = {}

    @cached_property
    def host(self) -> Host:
        """The base model; an ArtefactError names the suite's line when it cannot be loaded."""
        with self.artefacts.reading("base"):
            return Host.load(self.artefacts.base, self.artefacts.release.dtype)

    @cached_property
    def chat(self) -> Chat:
        """The base's tokenizer and chat template, told what the suite says."""
        return Chat(self.host.tokenizer, self.artefacts.templating)

    def row(self, condition: Condition, probe: Probe, response: Sequence[int] = ()) -> Row:
        """Make the row of a probe under a condition, its artefacts mounted, followed by response tokens."""
        self.mount(condition)
        release = self.artefacts.release
        prompt = self.prompt(condition, probe)
        adapters, way = self.host.fit(condition.adapters, condition.way)
        by_row = self.host.by_row(adapters, way)
        return Row(
            ids=(*prompt, *response),
            adapters=adapters if by_row else (),
            switched=() if by_row else adapters,
            way=way,
            deltas=self.deltas(condition),
            label=", ".join(
                [f"probe {probe.id!r}", f"base {release.base!r} in {release.dtype}", *_names(condition)]
            ),
            group=condition,
        )

    def prompt(self, condition: Condition, probe: Probe) -> list[int]:
        """Token ids of a prompt."""
        with self.artefacts.blaming("base"):
            return self.chat.encode(condition, probe)

    def deltas(self, condition: Condition) -> dict[int, Tensor]:
        """Map depths to what steering adds there, [width]: dose * median |h|, along the vector."""
        deltas: dict[int, Tensor] = {}
        for steer in condition.steers:
            depth, unit = self._apart(steer) if steer.among else self._unit(steer.vector)
            delta = steer.dose * (unit if steer.drawn is None else _like(unit, steer.drawn))
            deltas[depth] = deltas[depth] + delta if depth in deltas else delta
        return deltas

    def _apart(self, steer: Steer) -> tuple[int, Tensor]:
        """Give a vector's part of the orthonormalisation of several, as long as it was: depth, [width]."""
        found = [self._unit(name) for name in steer.among]
        own = steer.among.index(steer.vector)
        with self.artefacts.blaming("vectors", steer.vector):
            return found[own][0], _orthonormalised(found, own)

    def mount(self, condition: Condition) -> None:
        """Mount the adapters of a condition beside those that are there; each is tried once."""
        for name, _ in condition.adapters:
            if name not in self._mounted:
                self._mounted[name] = self._mounting_problem(name)
            problem = self._mounted[name]
            if problem is not None:
                raise problem

    def _mounting_problem(self, name: str) -> CoherenceError | None:
        try:
            with self.artefacts.reading("adapters", name):
                remark = self.host.mount(name, self.artefacts.adapter(name))
            if remark:
                self._tell(name, remark)
        except CoherenceError as problem:
            return problem
        return None


def _orthonormalised(found: Sequence[tuple[int, Tensor]], own: int) -> Tensor:
    depths = sorted({depth for depth, _ in found})
    if len(depths) > 1:
        sites = ", ".join(str(Site.at_depth(depth)) for depth in depths)
        raise ArtefactError(f"found vectors at {sites}, expected all that are orthonormalised at one site")
    values = orthonormal(np.stack([unit.double().numpy() for _, unit in found]))
    if values is None:
        raise ArtefactError(
            f"it cannot be orthonormalised: one of the {len(found)} vectors is made of the others"
        )
    unit = found[own][1]
    return torch.tensor(float(unit.norm()) * values[own], dtype=unit.dtype)


def _like(unit: Tensor, seed: int) -> Tensor:
    """Draw a random direction of the same norm, uniformly."""
    drawn = np.random.default_rng(seed).standard_normal(len(unit))
    return torch.tensor(float(unit.norm()) * drawn / np.linalg.norm(drawn), dtype=unit.dtype)


def _names(condition: Condition) -> list[str]:
    adapters = [f"adapter {name!r}" for name, _ in condition.adapters]
    vectors = [
        f"vector {steer.vector!r}" if steer.drawn is None else f"a random vector like {steer.vector!r}"
        for steer in condition.steers
    ]
    way = [str(condition.way)] if condition.way is not Way.STACKED else []
    return [*adapters, *way, *vectors]
