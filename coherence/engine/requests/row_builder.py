"""Rows: a condition and a probe, with its artefacts mounted, as one row of a forward pass."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from coherence.engine.batch.rows import Push, Row, RowSteer
from coherence.engine.interventions.orthonormal import orthonormal
from coherence.engine.model.chat import Chat
from coherence.engine.model.host import Host
from coherence.engine.requests.mounted import Mounted
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import Condition, Elsewhere, Steer, Way
from coherence.vocabulary import Operation, Probe, Site, Tokens

Unit = Mapping[int, Tensor]
"""By depth, what a dose of 1 of a vector adds there, [width]."""


class RowBuilder:
    """Makes rows under whatever their conditions name. `unit` gives a vector by name, and where it is put."""

    def __init__(self, mounted: Mounted, unit: Callable[[str, Site | None], Unit]) -> None:
        self.mounted = mounted
        self.artefacts = mounted.artefacts
        self._unit = unit
        # One for all rows, by which a batch knows that they are under the same.
        self._steers: dict[Steer, RowSteer] = {}

    @property
    def host(self) -> Host:
        """The base model, loaded when it is first asked for."""
        return self.mounted.host

    @property
    def chat(self) -> Chat:
        """The base's tokenizer and chat template."""
        return self.mounted.chat

    def row(self, condition: Condition, probe: Probe, response: Sequence[int] = ()) -> Row:
        """Make the row of a probe under a condition, its artefacts mounted, followed by response tokens."""
        self.mounted.mount(condition)
        release = self.artefacts.release
        prompt = self.mounted.prompt(condition, probe)
        self.host.require_invoked(condition.adapters, prompt)
        adapters, way = self.host.fit(condition.adapters, condition.way)
        by_row = self.host.by_row(adapters, way)
        steers = [self._steered(steer) for steer in condition.steers]
        return Row(
            ids=(*prompt, *response),
            adapters=adapters if by_row else (),
            switched=() if by_row else adapters,
            way=way,
            deltas=_summed(steer for steer in steers if _is_everywhere(steer)),
            # What is set or taken away stays so: whatever is added comes before.
            steered=tuple(
                sorted(
                    (steer for steer in steers if not _is_everywhere(steer)), key=lambda steer: not steer.adds
                )
            ),
            answers=((len(prompt), len(prompt) + len(response)),),
            label=", ".join(
                [f"probe {probe.id!r}", f"base {release.base!r} in {release.dtype}", *_names(condition)]
            ),
            # What is shared is run once, and such an adapter may begin elsewhere in each.
            group=None if self.host.begins_anew(adapters) else condition.beginning,
        )

    def deltas(self, condition: Condition) -> dict[int, Tensor]:
        """Map depths to what steering adds there, [width], to whichever tokens: dose * median |h|, or raw."""
        return _summed(map(self._steered, condition.steers))

    def _steered(self, steer: Steer) -> RowSteer:
        if steer not in self._steers:
            self._steers[steer] = self._row_steer(steer)
        return self._steers[steer]

    def _row_steer(self, steer: Steer) -> RowSteer:
        source = self.artefacts.release.vectors[steer.vector]
        unit = self._apart(steer) if steer.among else self._unit(steer.vector, steer.at)
        if steer.elsewhere is not None:
            unit = _moved(unit, steer, len(self.host.blocks))
        if steer.drawn is not None:
            unit = {depth: _like(values, steer.drawn) for depth, values in unit.items()}
        pushes = {depth: _push(source.operation, values, steer.dose) for depth, values in unit.items()}
        return RowSteer(pushes, steer.tokens or source.tokens)

    def _apart(self, steer: Steer) -> Unit:
        """Give a vector's part of the orthonormalisation of several, as long as it was."""
        units = [self._unit(name, steer.at) for name in steer.among]
        own = steer.among.index(steer.vector)
        with self.artefacts.blaming("vectors", steer.vector):
            _require_the_same_sites(units)
            return {depth: _orthonormalised([unit[depth] for unit in units], own) for depth in units[own]}


def _moved(unit: Unit, steer: Steer, blocks: int) -> Unit:
    if steer.elsewhere is Elsewhere.EVERY:
        if len(unit) > 1:
            raise MeasurementError(f"the vector {steer.vector!r} acts at several sites, each in its own way")
        (values,) = unit.values()
        return dict.fromkeys(range(1, blocks + 1), values)
    by = 1 if steer.elsewhere is Elsewhere.LATER else -1
    moved = {depth + by: values for depth, values in unit.items()}
    if not all(depth in range(blocks + 1) for depth in moved):
        raise MeasurementError(f"the vector {steer.vector!r} has no site {steer.elsewhere} than its own")
    return moved


def _is_everywhere(steer: RowSteer) -> bool:
    return steer.adds and steer.tokens is Tokens.ALL


def _summed(steers: Iterable[RowSteer]) -> dict[int, Tensor]:
    deltas: dict[int, Tensor] = {}
    for steer in steers:
        for depth, push in steer.pushes.items():
            deltas[depth] = deltas[depth] + push.delta if depth in deltas else push.delta
    return deltas


def _push(operation: Operation, unit: Tensor, dose: float) -> Push:
    axis = (unit.double() / unit.double().norm()).float()
    if operation is Operation.ABLATE:
        return Push(axis, dose, torch.zeros_like(unit))
    return Push(axis, float(operation is Operation.CLAMP), dose * unit)


def _require_the_same_sites(units: Sequence[Unit]) -> None:
    if any(unit.keys() != units[0].keys() for unit in units):
        sites = ", ".join(str(Site.at_depth(depth)) for depth in sorted({*chain(*units)}))
        raise ArtefactError(
            f"found vectors at {sites}, expected all that are orthonormalised at the same sites"
        )


def _orthonormalised(units: Sequence[Tensor], own: int) -> Tensor:
    values = orthonormal(np.stack([unit.double().numpy() for unit in units]))
    if values is None:
        raise ArtefactError(
            f"it cannot be orthonormalised: one of the {len(units)} vectors is made of the others"
        )
    unit = units[own]
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
