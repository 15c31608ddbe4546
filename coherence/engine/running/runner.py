"""The runner: rows of measurements, run on a loaded model."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import adapter_remark_key, norms_key, template_key
from coherence.engine.batch.budget import Budget, Found
from coherence.engine.batch.rows import Row
from coherence.engine.model.chat import Chat
from coherence.engine.model.forward import run, token_norms
from coherence.engine.model.generation import named_ends
from coherence.engine.model.host import Host
from coherence.engine.requests.job import Job
from coherence.engine.requests.prompts import PromptRows
from coherence.engine.requests.row_builder import RowBuilder
from coherence.engine.requests.teacher_forcing import teacher_forced
from coherence.engine.running.units import Units
from coherence.plan import CALIBRATION, Answer, Extract, Measurement, Outcome, WeightError
from coherence.plan.record import Array
from coherence.store import Store


class Runner:
    """Runs what jobs want of rows. `warn` hears what a user should know about the machine."""

    def __init__(self, artefacts: Artefacts, store: Store, warn: Callable[[str], None]) -> None:
        self.artefacts = artefacts
        self.examples = store.examples
        self._store, self._warn = store, warn
        self._budget = Budget(warn)
        self._told = False
        # Weak, so that the model goes with the runner and need not wait for the garbage collector.
        self._units = Units(weakref.proxy(self), store)
        self.builder = RowBuilder(artefacts, self._units, partial(_keep_remark, store, artefacts))

    @cached_property
    def host(self) -> Host:
        """The base model; an ArtefactError names the suite's line when it cannot be loaded."""
        host = self.builder.host
        if host.slowly:
            self._warn(f"base {self.artefacts.release.base!r}: {host.slowly}")
        return host

    def measured(self, job: Job) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield what a job wants of rows; what cannot be measured is an error of its own."""
        self._tell()
        prompts = PromptRows(self.builder, job)
        yield from prompts.problems.items()
        made = self._run(prompts.made) if prompts.made else ()
        for name, value in chain(made, teacher_forced(self.builder, job, self._run)):
            yield name, value.numpy() if isinstance(value, Tensor) else value

    def _tell(self) -> None:
        """Store what reports should say of the chat template, for those of later runs as well."""
        if self._told:
            return
        self._told = True
        found = "\n".join(self._remarks())
        if found:
            self._store.put(template_key(self.artefacts), Answer(found, ()))

    def _remarks(self) -> Iterator[str]:
        end, tokenizer = self.host.ends.answer, self.host.tokenizer
        if self.builder.chat.refuses_system:
            yield (
                "the chat template refuses a system turn: its text stands in the first turn of the user, "
                "before a blank line"
            )
        if end is not None and end not in named_ends(self.host):
            own, *others = (
                repr(tokenizer.convert_ids_to_tokens(token)) for token in (end, *named_ends(self.host))
            )
            yield (
                f"the chat template ends an answer with {own}, which neither the generation config nor the "
                f"tokenizer names as an end ({', '.join(others) or 'nothing'}): replies end there as well, "
                "and run on where that is not done"
            )

    def _run(self, rows: Sequence[Row]) -> Found:
        return run(self.host, rows, torch.tensor(self.norms), self._budget)

    def weight_errors(self, wanted: WeightError) -> Array:
        """Measure how far the change of weights is from the sum of the adapters' own, [modules]."""
        self.builder.mount(wanted.condition)
        found = self.host.weight_errors(wanted.condition.adapters, wanted.condition.way)
        return np.asarray(found.numpy())

    def extract(self, extract: Extract) -> Array:
        """Make a vector [width], as `Units.extract` does."""
        return self._units.extract(extract)

    @cached_property
    def norms(self) -> Array:
        """Median norms of residuals [blocks + 1], over tokens and then over the calibration questions."""
        stored = self._store.get(norms_key(self.artefacts))
        if isinstance(stored, np.ndarray):
            return stored
        # They belong to the base, whatever a suite says of its template.
        chat, base = Chat(self.host.tokenizer), f"base {self.artefacts.release.base!r}"
        rows = [
            Row(tuple(chat.calibrate(probe)), label=f"{probe.id}, {base}", group="norms")
            for probe in CALIBRATION
        ]
        norms = np.asarray(np.median(token_norms(self.host, rows, self._budget), axis=0), dtype=np.float32)
        with self.artefacts.unchanged():
            key = norms_key(self.artefacts)
        self._store.put(key, norms)
        return norms


def _keep_remark(store: Store, artefacts: Artefacts, adapter: str, remark: str) -> None:
    """Store what reports should say of an adapter's weights, for those of later runs as well."""
    store.put(adapter_remark_key(adapter, artefacts), Answer(remark, ()))
