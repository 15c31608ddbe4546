"""The workshop: a loaded host and everything that turns measurements into rows of a forward pass."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from coherence.engine.artefacts import Artefacts
from coherence.engine.chat import encode, last_user_token
from coherence.engine.forward import residuals, token_norms
from coherence.engine.generation import Asked, replies
from coherence.engine.host import Host
from coherence.engine.keys import extract_key, norms_key
from coherence.engine.rows import Row
from coherence.engine.vectors import load_vector
from coherence.errors import ArtefactError, CoherenceError, MeasurementError
from coherence.plan import CALIBRATION, NEUTRAL, Condition, Extract, Reading, Reply
from coherence.plan.record import Array
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe

_Value = TypeVar("_Value", Tensor, str)


class Workshop:
    """Loads what is needed when it is needed: base, adapters, vectors, token norms."""

    def __init__(self, artefacts: Artefacts, store: Store) -> None:
        self.artefacts = artefacts
        self._store = store
        self._mounted: dict[str, CoherenceError | None] = {}
        self._units: dict[str, tuple[int, Tensor] | CoherenceError] = {}

    @cached_property
    def host(self) -> Host:
        """The base model; an ArtefactError names the suite's line when it cannot be loaded."""
        with self.artefacts.blaming("base"):
            return Host.load(self.artefacts.base, self.artefacts.release.dtype)

    def row(self, condition: Condition, probe: Probe, response: Sequence[int] = ()) -> Row:
        """Make the row of a probe under a condition, its artefacts mounted, followed by response tokens."""
        self.mount(condition)
        release = self.artefacts.release
        with self.artefacts.blaming("base"):
            prompt = encode(self.host.tokenizer, condition, probe)
        return Row(
            ids=(*prompt, *response),
            adapters=condition.adapters,
            deltas=self.deltas(condition),
            label=", ".join(
                [f"probe {probe.id!r}", f"base {release.base!r} in {release.dtype}", *_names(condition)]
            ),
            group=condition,
        )

    def asked(self, reply: Reply) -> Asked:
        """Make the row of a reply."""
        row = self.row(reply.condition, reply.probe)
        return Asked(**vars(row), decoding=reply.decoding)

    def reading_row(self, reading: Reading, text: str) -> Row:
        """Make the row of a reading; `text` is the reply to append for positions in the response."""
        response: list[int] = self.host.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        row = self.row(reading.condition, reading.probe, response)
        prompt = len(row.ids) - len(response)
        if reading.position is Position.USER_LAST:
            with self.artefacts.blaming("base"):
                last = last_user_token(self.host.tokenizer, reading.condition, reading.probe)
            return row.over(last, last + 1)
        if reading.position is Position.RESPONSE_MEAN:
            if not response:
                raise MeasurementError(
                    f"the reply to probe {reading.probe.id!r} is empty: it has no response_mean"
                )
            return row.over(prompt, len(row.ids))
        return row.over(prompt - 1, prompt)

    def deltas(self, condition: Condition) -> dict[int, Tensor]:
        """Map depths to what steering adds there, [width]: dose * median |h|, along the vector."""
        deltas: dict[int, Tensor] = {}
        for steer in condition.steers:
            depth, unit = self._unit(steer.vector)
            delta = steer.dose * unit
            deltas[depth] = deltas[depth] + delta if depth in deltas else delta
        return deltas

    def _unit(self, name: str) -> tuple[int, Tensor]:
        if name not in self._units:
            try:
                with self.artefacts.blaming("vectors", name):
                    self._units[name] = self._made_unit(name)
            except CoherenceError as problem:
                self._units[name] = problem
        found = self._units[name]
        if isinstance(found, CoherenceError):
            raise found
        return found

    def _made_unit(self, name: str) -> tuple[int, Tensor]:
        source = self.artefacts.release.vectors[name]
        if source.extract is not None:
            values, site = self.extract(self.artefacts.extracts[name]), source.extract.site
        else:
            vector = load_vector(source, self.host.width, len(self.host.blocks), name)
            values, site = vector.values, vector.site
        # In fp64, where no norm of fp32 values overflows.
        exact = values.astype(np.float64)
        unit = exact / np.linalg.norm(exact) * self._norms[site.depth]
        return site.depth, torch.tensor(unit, dtype=torch.float32)

    def extract(self, extract: Extract) -> Array:
        """Make a vector [width]: mean over the calibration questions of h(positive) - h(negative).

        An ArtefactError when the two sides do not differ there, or the site is not one of the base.
        """
        last = len(self.host.blocks) - 1
        if extract.site.block > last:
            raise ArtefactError(f"found the site {extract.site}, expected a block from 0 to {last}")
        key = extract_key(extract, self.artefacts)
        stored = self._store.get(key)
        if isinstance(stored, np.ndarray):
            return stored
        positive = self._mean_residuals(extract.positive, extract.position)
        negative = self._mean_residuals(extract.negative, extract.position)
        values = np.array((positive - negative)[extract.site.depth])
        if not values.any():
            raise ArtefactError(
                f"the two prompts do not differ at {extract.site}: there is no direction to extract"
            )
        self._store.put(key, values)
        return values

    def _mean_residuals(self, condition: Condition, position: Position) -> Array:
        texts = (
            self._calibration_replies(condition)
            if position is Position.RESPONSE_MEAN
            else [""] * len(CALIBRATION)
        )
        rows = [
            self.reading_row(Reading(condition, probe, position), text)
            for probe, text in zip(CALIBRATION, texts, strict=True)
        ]
        collected = [value.numpy() for value in _sound(residuals(self.host, rows))]
        return np.asarray(np.mean(collected, axis=0, dtype=np.float64), dtype=np.float32)

    def _calibration_replies(self, condition: Condition) -> list[str]:
        rows = [self.asked(Reply(condition, probe, Decoding())) for probe in CALIBRATION]
        answers = dict(replies(self.host, rows))
        return list(_sound((row, answers[row]) for row in rows))

    @cached_property
    def _norms(self) -> Array:
        key = norms_key(self.artefacts)
        stored = self._store.get(key)
        if isinstance(stored, np.ndarray):
            return stored
        rows = [self.row(Condition(NEUTRAL), probe) for probe in CALIBRATION]
        collected = [value.numpy()[:, 0] for value in _sound(token_norms(self.host, rows))]
        norms = np.asarray(np.median(collected, axis=0), dtype=np.float32)
        self._store.put(key, norms)
        return norms

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
            with self.artefacts.blaming("adapters", name):
                self.host.mount(name, self.artefacts.adapter(name))
        except CoherenceError as problem:
            return problem
        return None


def _names(condition: Condition) -> list[str]:
    adapters = [f"adapter {name!r}" for name, _ in condition.adapters]
    return [*adapters, *(f"vector {steer.vector!r}" for steer in condition.steers)]


def _sound(measured: Iterable[tuple[Row, _Value | MeasurementError]]) -> Iterator[_Value]:
    for _, value in measured:
        if isinstance(value, MeasurementError):
            raise value
        yield value
