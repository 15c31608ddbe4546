"""The runner: rows of measurements, run on a loaded model."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import adapter_remark_key, template_key
from coherence.engine.model.generation import named_ends
from coherence.engine.model.host import Host
from coherence.engine.requests.job import Job
from coherence.engine.requests.mounted import Mounted
from coherence.engine.requests.row_builder import RowBuilder, Unit
from coherence.engine.running.passes import Passes
from coherence.engine.running.units import Units
from coherence.plan import Answer, Extract, Measurement, Outcome, WeightError
from coherence.plan.record import Array
from coherence.store import Store


class Runner:
    """Runs what jobs want of rows. `warn` hears what a user should know about the machine."""

    def __init__(self, artefacts: Artefacts, store: Store, warn: Callable[[str], None]) -> None:
        self.artefacts = artefacts
        self.examples = store.examples
        self._store = store
        self._told = False
        mounted = Mounted(artefacts, partial(_keep_remark, store, artefacts))
        self._passes = Passes(mounted, store, warn)
        self._units = Units(self._passes, store)
        self.builder = RowBuilder(mounted, self._units)

    @property
    def host(self) -> Host:
        """The base model; an ArtefactError names the suite's line when it cannot be loaded."""
        return self._passes.host

    @property
    def norms(self) -> Array:
        """Median norms of residuals, [blocks + 1], as `Passes.norms` has them."""
        return self._passes.norms

    def measured(self, job: Job) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield what a job wants of rows; what cannot be measured is an error of its own."""
        self._tell()
        yield from self._passes.measured(job, self.builder)

    def _tell(self) -> None:
        """Store what reports should say of the chat template, for those of later runs as well."""
        if self._told:
            return
        self._told = True
        remarks = "\n".join(self._remarks())
        if remarks:
            self._store.put(template_key(self.artefacts), Answer(remarks, ()))

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

    def weight_errors(self, weight_error: WeightError) -> Array:
        """Measure how far the change of weights is from the sum of the adapters' own, [modules]."""
        self.builder.mounted.mount(weight_error.condition)
        errors = self.host.weight_errors(weight_error.condition.adapters, weight_error.condition.way)
        return np.asarray(errors.numpy())

    def unit(self, vector: str) -> Unit:
        """Return what a dose of 1 of a vector adds, by depth, as `Units` has it."""
        return self._units(vector)

    def extract(self, extract: Extract) -> Array:
        """Make a vector [width], as `Units.extract` does."""
        return self._units.extract(extract)


def _keep_remark(store: Store, artefacts: Artefacts, adapter: str, remark: str) -> None:
    """Store what reports should say of an adapter's weights, for those of later runs as well."""
    store.put(adapter_remark_key(adapter, artefacts), Answer(remark, ()))
