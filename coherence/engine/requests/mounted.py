"""A release's base, loaded, and the adapters that were asked for mounted beside each other."""

from collections.abc import Callable
from functools import cached_property

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.model.chat import Chat
from coherence.engine.model.host import Host
from coherence.errors import CoherenceError
from coherence.plan import Condition
from coherence.vocabulary import Probe


class Mounted:
    """Loads base and adapters when they are first needed.

    `tell` hears an adapter's name and a remark on its weights.
    """

    def __init__(self, artefacts: Artefacts, tell: Callable[[str, str], None]) -> None:
        self.artefacts = artefacts
        self._tell = tell
        self._adapters: dict[str, CoherenceError | None] = {}

    @cached_property
    def host(self) -> Host:
        """The base model; an ArtefactError names the suite's line when it cannot be loaded."""
        with self.artefacts.reading("base"):
            return Host.load(self.artefacts.base, self.artefacts.release.dtype)

    @cached_property
    def chat(self) -> Chat:
        """The base's tokenizer and chat template, told what the suite says."""
        return self.host.chat.under(self.artefacts.templating)

    def prompt(self, condition: Condition, probe: Probe) -> list[int]:
        """Token ids of a prompt, the soft prompts of its condition before it."""
        ahead = self.ahead(condition)
        with self.artefacts.blaming("base"):
            return [*ahead, *self.chat.encode(condition, probe)]

    def ahead(self, condition: Condition) -> tuple[int, ...]:
        """Token ids of the soft prompts of a condition, which stand before all that the template writes."""
        self.mount(condition)
        return self.host.ahead(condition.adapters)

    def mount(self, condition: Condition) -> None:
        """Mount the adapters of a condition beside those that are there; each is tried once."""
        for name, _ in condition.adapters:
            if name not in self._adapters:
                self._adapters[name] = self._mounting_problem(name)
            problem = self._adapters[name]
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
